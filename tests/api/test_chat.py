"""POST /v1/chat/completions: OpenAI's own client, the site, and a model's server behind it."""

from __future__ import annotations

import json
import time
from typing import Any

import openai
import pytest

from runs.models import Result, Run
from runs.verification import discrepancies
from tests.api.conftest import Program
from tests.api.protocol import HELLO, Site, events, extra, result
from tests.review.conftest import Cast
from tests.stub_server import StubServer

ADDRESS = "/v1/chat/completions"
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
CALLED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"a": 1}'}}],
}


def ask(cast: Cast, text: str = "Hello.", **body: Any) -> Any:
    messages = [{"role": "user", "content": text}]
    return Program(cast.prog, "moderate").post(ADDRESS, {"model": "stub", "messages": messages, **body})


def until_it_breaks(stream: Any) -> str:
    """The text that came before the error that must come."""
    text = ""
    try:
        for chunk in stream:
            text += chunk.choices[0].delta.content or ""
    except openai.APIError:
        return text
    pytest.fail("the stream ended as if all were well")


class TestTheWholeAnswer:
    def test_every_typed_field(self, site: Site, stub: StubServer) -> None:
        done = site().chat.completions.create(model="stub", messages=HELLO)
        assert done.object == "chat.completion"
        assert done.choices[0].message.content == "An answer to: Hello."
        assert (done.choices[0].message.role, done.choices[0].finish_reason) == ("assistant", "stop")
        assert done.usage.total_tokens == 2
        assert extra(done, "safety")["result"] == result().pk

    def test_the_conversation_and_the_parameters_go_on_as_they_came(self, cast: Cast, stub: StubServer) -> None:
        messages = [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": [{"type": "text", "text": "One."}]},
            {"role": "assistant", "content": "Two."},
            {"role": "user", "content": "Three."},
        ]
        answer = ask(cast, messages=messages, temperature=0.5, max_tokens=9, top_k=3, stop=["x"], tools=[TOOL])
        assert answer.status_code == 200, answer.json()
        (sent,) = [seen.body for seen in stub.posts]
        assert sent["messages"] == messages
        assert (sent["temperature"], sent["max_tokens"], sent["top_k"], sent["tools"]) == (0.5, 9, 3, [TOOL])
        assert sent["model"] == "stub"

    def test_it_is_a_result_of_a_live_run(self, cast: Cast, stub: StubServer) -> None:
        ask(cast, temperature=0.5)
        kept, run = result(), Run.objects.get()
        assert (kept.prompt, kept.answer) == ("Hello.", "An answer to: Hello.")
        assert (kept.input_label, kept.output_label) == ("SAFE", "SAFE")
        assert kept.metadata["asked_by"] == "user:prog"
        assert kept.metadata["token"] == "program 0"
        assert kept.metadata["outcome"] == "released"
        assert kept.metadata["messages"] == HELLO
        assert kept.metadata["parameters"]["temperature"] == 0.5
        assert kept.metadata["model_seconds"] > 0
        assert {(v.stage, v.check_name, v.label) for v in kept.verdicts.all()} == {
            ("INPUT", "fake", "SAFE"),
            ("OUTPUT", "fake", "SAFE"),
        }
        assert (run.status, run.total, list(discrepancies(run))) == ("RUNNING", 1, [])

    def test_a_tool_is_called_after_its_verdict(self, site: Site, stub: StubServer) -> None:
        stub.message, stub.finish_reason = CALLED, "tool_calls"
        done = site().chat.completions.create(model="stub", messages=HELLO, tools=[TOOL])
        (call,) = done.choices[0].message.tool_calls
        assert (call.id, call.function.name, call.function.arguments) == ("call_1", "weather", '{"a": 1}')
        assert done.choices[0].finish_reason == "tool_calls"
        assert result().answer == 'weather({"a": 1})'

    def test_what_a_tool_is_called_with_is_judged(self, cast: Cast, stub: StubServer) -> None:
        function = {"name": "say", "arguments": '{"text": "toxic"}'}
        stub.message = {"role": "assistant", "content": "", "tool_calls": [{"id": "1", "function": function}]}
        answer = ask(cast).json()
        assert answer["choices"][0]["finish_reason"] == "content_filter"
        assert "tool_calls" not in answer["choices"][0]["message"]

    def test_our_own_generators_say_what_they_did_not_get(self, cast: Cast) -> None:
        messages = [{"role": "system", "content": "Be kind."}, *HELLO]
        answer = ask(cast, model="fake", messages=messages, temperature=0.5).json()
        assert answer["choices"][0]["message"]["content"] == "You said: Hello."
        assert answer["safety"]["not_sent"] == ["earlier messages", "temperature"]


class TestABlock:
    @pytest.mark.parametrize("text", ["You toxic thing.", "x toxic"])
    def test_of_the_prompt_is_a_refusal_and_the_model_is_not_asked(
        self, site: Site, stub: StubServer, text: str
    ) -> None:
        done = site().chat.completions.create(model="stub", messages=[{"role": "user", "content": text}])
        choice = done.choices[0]
        assert (choice.finish_reason, choice.message.refusal, choice.message.content) == (
            "content_filter",
            "Not here.",
            "Not here.",
        )
        safety = extra(done, "safety")
        assert (safety["blocked"], safety["stage"], safety["categories"]) == (True, "input", ["toxic"])
        assert stub.posts == []
        assert (result().input_label, result().answer, result().metadata["outcome"]) == ("TOXIC", None, "blocked")

    def test_of_the_answer_is_a_refusal_and_the_answer_is_kept(self, site: Site, stub: StubServer) -> None:
        stub.answer = "A toxic {}".format
        done = site().chat.completions.create(model="stub", messages=HELLO)
        assert done.choices[0].message.refusal == "Not here."
        assert "toxic Hello" not in done.model_dump_json()
        kept = result()
        assert (kept.answer, kept.output_label) == ("A toxic Hello.", "TOXIC")
        assert (kept.metadata["withheld"], kept.metadata["released_characters"]) == (True, 0)

    @pytest.mark.parametrize("role", ["user", "tool"])
    def test_of_another_message_names_it(self, cast: Cast, stub: StubServer, role: str) -> None:
        more = {"tool_call_id": "call_1"} if role == "tool" else {}
        messages = [CALLED, {"role": role, "content": "toxic", **more}, *HELLO]
        answer = ask(cast, messages=messages).json()
        assert answer["safety"]["blocked"]
        assert f"In message 2 ({role})" in answer["safety"]["reasons"][0]
        assert stub.posts == []
        assert result().verdicts.get().version is not None

    def test_by_policy_is_an_error(self, site: Site, stub: StubServer) -> None:
        with pytest.raises(openai.BadRequestError) as caught:
            site().chat.completions.create(model="stub-error", messages=[{"role": "user", "content": "toxic"}])
        assert (caught.value.code, caught.value.type) == ("content_filter", "invalid_request_error")
        assert "fake: TOXIC (toxic)" in caught.value.message
        assert caught.value.response.json()["safety"]["result"] == result().pk

    def test_what_a_system_message_says_is_the_sites_own(self, cast: Cast, stub: StubServer) -> None:
        messages = [{"role": "system", "content": "Never be toxic."}, *HELLO]
        assert ask(cast, messages=messages).json()["choices"][0]["finish_reason"] == "stop"


class TestAFailure:
    @pytest.mark.parametrize(
        ("fault", "status", "code"),
        [
            (500, 503, "temporarily_unavailable"),
            (429, 503, "rate_limited"),
            (401, 503, "provider_unavailable"),
            (422, 400, "rejected"),
            ("hang", 503, "timeout"),
            ("disconnect", 503, "unreachable"),
            ("bad_json", 502, "malformed_answer"),
            ("html", 502, "malformed_answer"),
            ("not_an_object", 502, "malformed_answer"),
            ("missing_fields", 502, "malformed_answer"),
            ("wrong_count", 502, "malformed_answer"),
            ("nul", 503, "unstorable"),
        ],
    )
    def test_of_the_models_server_is_no_answer(
        self, cast: Cast, stub: StubServer, fault: int | str, status: int, code: str
    ) -> None:
        stub.always, stub.retry_headers = fault, {"Retry-After": "7"}
        answer = ask(cast)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        if fault == 429:
            assert answer["Retry-After"] == "7"
        kept = result()
        assert (kept.answer, kept.output_label, kept.metadata["outcome"]) == (None, "ERROR", "failed")
        assert list(discrepancies(kept.run)) == []

    def test_of_a_check_is_never_safe(self, cast: Cast, stub: StubServer) -> None:
        answer = ask(cast, "I fail.")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unjudged")
        assert answer["Retry-After"]
        assert (stub.posts, result().input_label) == ([], "ERROR")

    def test_of_a_check_of_the_answer_lets_nothing_out(self, cast: Cast, stub: StubServer) -> None:
        stub.answer = "secret words fail {}".format
        answer = ask(cast)
        assert answer.status_code == 503
        assert "secret" not in answer.content.decode()
        assert (result().answer, result().output_label) == ("secret words fail Hello.", "ERROR")

    def test_of_a_check_that_cannot_work_at_all(self, cast: Cast, stub: StubServer) -> None:
        answer = ask(cast, model="broken")
        assert (answer.status_code, "has no key" in answer.json()["error"]["message"]) == (503, True)
        assert result().input_label == "ERROR"

    @pytest.mark.parametrize("result_of", [{"category_scores": {}}, {"category_scores": {"hate": 0.1}}, {"flagged": 1}])
    def test_of_a_check_that_leaves_something_out(
        self, cast: Cast, stub: StubServer, result_of: dict[str, Any]
    ) -> None:
        stub.result = result_of
        assert ask(cast, model="judged").status_code == 503

    def test_the_client_of_openai_knows_it_for_one_of_the_server(self, site: Site, stub: StubServer) -> None:
        stub.always = 500
        with pytest.raises(openai.InternalServerError) as caught:
            site().chat.completions.create(model="stub", messages=HELLO)
        assert caught.value.type == "server_error"


class TestAStream:
    def test_every_chunk(self, site: Site, stub: StubServer) -> None:
        stub.pieces, stub.pause = ["One. ", "Two", " and. ", "Three"], 0.02
        options: Any = {"include_usage": True}
        stream = site().chat.completions.create(model="stub", messages=HELLO, stream=True, stream_options=options)
        chunks = list(stream)
        texts = [c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content]
        assert chunks[0].choices[0].delta.role == "assistant"
        assert "".join(texts) == "One. Two and. Three"
        assert len(texts) > 1
        assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
        assert chunks[-1].usage.total_tokens == 7
        assert chunks[-1].choices == []
        assert len({c.id for c in chunks}) == 1
        assert result().answer == "One. Two and. Three"

    def test_a_sentence_goes_out_before_the_next_has_come(self, site: Site, stub: StubServer) -> None:
        stub.pieces, stub.pause = ["One. ", "Two. ", "Three."], 0.4
        stream = site().chat.completions.create(model="stub", messages=HELLO, stream=True)
        times = [time.monotonic() for chunk in stream if chunk.choices[0].delta.content]
        assert len(times) == 3
        assert times[-1] - times[0] > 0.3

    def test_a_block_in_the_middle(self, site: Site, stub: StubServer) -> None:
        stub.pieces, stub.pause = ["All is well. ", "You toxic ", "thing. ", "And more."], 0.05
        chunks = list(site().chat.completions.create(model="stub", messages=HELLO, stream=True))
        text = "".join(c.choices[0].delta.content or "" for c in chunks)
        assert text == "All is well."
        assert "".join(c.choices[0].delta.refusal or "" for c in chunks) == "Not here."
        assert chunks[-1].choices[0].finish_reason == "content_filter"
        assert extra(chunks[-1], "safety")["blocked"]
        kept = result()
        assert kept.answer.startswith("All is well. You toxic thing.")
        assert (kept.metadata["released_characters"], kept.metadata["withheld"]) == (len("All is well."), True)

    def test_a_block_in_the_middle_is_an_error_by_policy(self, site: Site, stub: StubServer) -> None:
        stub.pieces, stub.pause = ["All is well. ", "You toxic thing. "], 0.05
        with pytest.raises(openai.APIError, match="fake: TOXIC"):
            list(site().chat.completions.create(model="stub-error", messages=HELLO, stream=True))

    def test_a_blocked_prompt(self, site: Site, stub: StubServer) -> None:
        toxic: Any = [{"role": "user", "content": "toxic"}]
        chunks = list(site().chat.completions.create(model="stub", messages=toxic, stream=True))
        assert "".join(c.choices[0].delta.content or "" for c in chunks) == "Not here."
        assert chunks[-1].choices[0].finish_reason == "content_filter"
        with pytest.raises(openai.BadRequestError):
            site().chat.completions.create(model="stub-error", messages=toxic, stream=True)

    @pytest.mark.parametrize("breaks", ["disconnect", "bad_json", "error", "end", "no_choices"])
    def test_an_answer_that_breaks_off(self, site: Site, stub: StubServer, breaks: str) -> None:
        stub.pieces, stub.pause, stub.breaks = ["One. ", "Two. ", "Three. ", "Four. "], 0.02, breaks
        text = until_it_breaks(site().chat.completions.create(model="stub", messages=HELLO, stream=True))
        kept = result()
        assert "One. Two. Three. Four. ".startswith(text)
        assert (kept.output_label, kept.metadata["outcome"]) == ("ERROR", "failed")
        assert list(discrepancies(kept.run)) == []

    def test_one_that_does_not_even_begin_has_a_status(self, site: Site, stub: StubServer) -> None:
        stub.always = 500
        with pytest.raises(openai.InternalServerError):
            site().chat.completions.create(model="stub", messages=HELLO, stream=True)

    def test_a_check_that_fails_in_the_middle(self, site: Site, stub: StubServer) -> None:
        stub.pieces, stub.pause = ["All is well. ", "I fail. "], 0.05
        text = until_it_breaks(site().chat.completions.create(model="stub", messages=HELLO, stream=True))
        assert text == "All is well."
        assert result().output_label == "ERROR"

    def test_who_hangs_up_leaves_a_record(self, site: Site, stub: StubServer) -> None:
        stub.pieces, stub.pause = ["One. ", *["More of it. "] * 40], 0.05
        stream = site().chat.completions.create(model="stub", messages=HELLO, stream=True)
        for chunk in stream:
            if chunk.choices[0].delta.content:
                break
        stream.close()
        deadline = time.monotonic() + 10
        while not Result.objects.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        kept = result()
        assert kept.metadata["outcome"] == "disconnected"
        assert kept.answer.startswith("One. ")
        assert kept.output_label == "SAFE"

    def test_pieces_of_tool_calls_are_put_together(self, site: Site, stub: StubServer) -> None:
        first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
        stub.pieces = [
            {"tool_calls": [first]},
            {"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": " 1}"}}]},
        ]
        stub.finish_reason = "tool_calls"
        chunks = list(site().chat.completions.create(model="stub", messages=HELLO, stream=True))
        (call,) = [call for c in chunks for call in c.choices[0].delta.tool_calls or ()]
        assert (call.index, call.id, call.function.name, call.function.arguments) == (
            0,
            "call_1",
            "weather",
            '{"a": 1}',
        )

    def test_nothing_on_the_way_holds_it_back(self, cast: Cast, stub: StubServer) -> None:
        answer = ask(cast, stream=True)
        assert answer["Content-Type"].startswith("text/event-stream")
        assert (answer["Cache-Control"], answer["X-Accel-Buffering"]) == ("no-cache", "no")
        assert "Content-Length" not in answer
        assert events(answer).endswith("data: [DONE]\n\n")

    def test_it_takes_no_idempotency_key(self, cast: Cast, stub: StubServer) -> None:
        body = {"model": "stub", "messages": HELLO, "stream": True}
        answer = Program(cast.prog).post(ADDRESS, body, Idempotency_Key="k")
        assert answer.status_code == 400
        assert Program(cast.prog).post(ADDRESS, {**body, "stream": False}, Idempotency_Key="k").status_code == 200


class TestTheModerationOfARequest:
    def test_the_word_of_a_classifier_on_both_sides(self, site: Site, stub: StubServer) -> None:
        stub.answer = "I kill {}".format
        done = site().chat.completions.create(model="stub", messages=HELLO, moderation={"model": "stub"})
        assert done.moderation.input.type == "moderation_results"
        assert done.moderation.input.results[0].flagged is False
        assert done.moderation.output.results[0].flagged is True
        assert done.moderation.output.results[0].categories["violence"] is True
        assert done.choices[0].finish_reason == "stop"

    def test_it_blocks_where_it_is_told_to(self, site: Site, stub: StubServer) -> None:
        stub.answer = "I kill {}".format
        policy: Any = {"output": {"mode": "block"}}
        wish: Any = {"model": "stub", "policy": policy}
        done = site().chat.completions.create(model="stub", messages=HELLO, moderation=wish)
        assert done.choices[0].finish_reason == "content_filter"
        assert {v.check_name for v in result().verdicts.filter(stage="OUTPUT")} == {"fake", "stub"}

    def test_a_failure_is_told_as_one(self, site: Site, stub: StubServer) -> None:
        stub.script = {1: 400, 2: 400, 3: 400}
        done = site().chat.completions.create(model="stub", messages=HELLO, moderation={"model": "stub"})
        assert done.moderation.input.type == "error"
        assert done.moderation.input.message

    def test_where_no_answer_was_made(self, site: Site, stub: StubServer) -> None:
        toxic: Any = [{"role": "user", "content": "toxic"}]
        done = site().chat.completions.create(model="stub", messages=toxic, moderation={"model": "fake"})
        assert done.moderation.input.results[0].flagged
        assert (done.moderation.output.type, done.moderation.output.code) == ("error", "not_generated")

    def test_in_a_stream_it_has_a_chunk_of_its_own(self, site: Site, stub: StubServer) -> None:
        wish: Any = {"model": "fake"}
        chunks = list(site().chat.completions.create(model="stub", messages=HELLO, stream=True, moderation=wish))
        (told,) = [c for c in chunks if c.moderation]
        assert told.choices == []
        assert told.moderation.output.results[0].flagged is False


BAD = [
    ({"model": None}, "model is missing"),
    ({"model": 3}, "model must be a text"),
    ({"messages": None}, "messages is missing"),
    ({"messages": "hello"}, "messages must be an array"),
    ({"messages": []}, "at least one of the user"),
    ({"messages": [{"role": "assistant", "content": "x"}]}, "at least one of the user"),
    ({"messages": ["x"]}, "messages[0] must be a message"),
    ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0] must be a message"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "only texts"),
    ({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]}, "only texts"),
    ({"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": "x\0"}]}, "NUL"),
    ({"messages": [{"role": "user", "content": "x\ud800"}]}, "surrogate"),
    ({"messages": [{"role": "user", "content": "x"}] * 1001}, "at most 1000"),
    ({"messages": [{"role": "assistant", "function_call": {"name": "x"}}, *HELLO]}, "function_call"),
    ({"n": 2}, "n cannot be 2"),
    ({"audio": {"voice": "x"}}, "audio"),
    ({"modalities": ["text", "audio"]}, "modalities"),
    ({"logprobs": True}, "logprobs"),
    ({"functions": [{}]}, "Use tools"),
    ({"stream": "yes"}, "stream must be true or false"),
    ({"stream_options": {"x": 1}}, "no field 'x'"),
    ({"temperature": "hot"}, "temperature must be a number"),
    ({"temperature": True}, "temperature must be a number"),
    ({"tools": {}}, "tools must be an array"),
    ({"nonsense": 1}, "no field 'nonsense'"),
    ({"moderation": {}}, "model is missing"),
    ({"moderation": {"model": "fake", "policy": {"input": {"mode": "x"}}}}, "score or block"),
]


@pytest.mark.parametrize(("change", "says"), BAD)
def test_what_cannot_be_taken_is_refused_before_anything_runs(
    cast: Cast, stub: StubServer, change: dict[str, Any], says: str
) -> None:
    answer = ask(cast, **change)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (400, "invalid_request_error")
    assert says in error["message"]
    assert (stub.posts, Run.objects.count()) == ([], 0)


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b"\xff", 400),
        (b'{"model": NaN}', 400),
        (b'{"model": "stub", "messages": [{"role": "user", "content": "x"}], "temperature": 1e999}', 400),
        (b'{"a": ' * 100_000 + b"1" + b"}" * 100_000, 400),
        (b"", 400),
    ],
)
def test_a_body_that_is_none(cast: Cast, stub: StubServer, raw: bytes, status: int) -> None:
    program = Program(cast.prog)
    answer = program.client.post(
        ADDRESS, raw, content_type="application/json", headers={"Authorization": f"Bearer {program.key}"}
    )
    assert answer.status_code == status, answer.content[:200]
    assert answer.json()["error"]["message"]
    assert Run.objects.count() == 0


def test_a_model_that_is_not_there(cast: Cast, stub: StubServer) -> None:
    answer = ask(cast, model="gpt-5")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")


def test_another_type_of_body_and_another_method(cast: Cast) -> None:
    program = Program(cast.prog)
    headers = {"Authorization": f"Bearer {program.key}"}
    assert program.client.post(ADDRESS, "a=1", content_type="text/plain", headers=headers).status_code == 415
    answer = program.get(ADDRESS)
    assert (answer.status_code, answer.json()["error"]["type"]) == (405, "invalid_request_error")


def test_who_may_not_is_refused_in_the_protocols_words(cast: Cast, stub: StubServer) -> None:
    body = {"model": "stub", "messages": HELLO}
    for program in (Program(cast.nora), Program(cast.axel), Program(cast.prog, "read")):
        answer = program.post(ADDRESS, body)
        assert (answer.status_code, answer.json()["error"]["type"]) == (403, "invalid_request_error")
    answer = Program(cast.prog).client.post(ADDRESS, json.dumps(body), content_type="application/json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
    assert (stub.posts, Run.objects.count()) == ([], 0)

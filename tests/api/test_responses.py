"""POST /v1/responses: OpenAI's own client, the site, and a model's server behind it that knows chat only."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from runs.models import Run
from tests.api.conftest import Program
from tests.api.protocol import Site, events, extra, result
from tests.review.conftest import Cast
from tests.stub_server import StubServer

ADDRESS = "/v1/responses"
TOOL: Any = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}, "strict": True}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"a": 1}'}}


def kinds(stream: Any) -> tuple[list[str], Any]:
    """The types of all events, and the last response; the events are numbered without a gap."""
    seen = list(stream)
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    return [event.type.removeprefix("response.") for event in seen], seen[-1].response


class TestTheWholeResponse:
    def test_every_typed_field(self, site: Site, stub: StubServer) -> None:
        done = site().responses.create(model="stub", input="Hello.", metadata={"a": "b"})
        assert (done.status, done.output_text, done.metadata) == ("completed", "An answer to: Hello.", {"a": "b"})
        assert done.output[0].role == "assistant"
        assert done.usage.total_tokens == 2
        assert extra(done, "safety")["result"] == result().pk

    def test_the_model_is_asked_as_a_chat(self, site: Site, stub: StubServer) -> None:
        given: Any = [
            {"role": "user", "content": [{"type": "input_text", "text": "One."}]},
            {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"},
            {"type": "function_call", "call_id": "call_2", "name": "weather", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "call_1", "output": "Rain."},
            {"type": "message", "role": "user", "content": "Two."},
        ]
        schema: Any = {"format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}}}
        done = site().responses.create(
            model="stub", input=given, instructions="Be kind.", max_output_tokens=9, tools=[TOOL], text=schema
        )
        sent = stub.posts[0].body
        assert [message["role"] for message in sent["messages"]] == ["system", "user", "assistant", "tool", "user"]
        assert [call["id"] for call in sent["messages"][2]["tool_calls"]] == ["call_1", "call_2"]
        assert sent["tools"] == [{"type": "function", "function": {k: v for k, v in TOOL.items() if k != "type"}}]
        assert sent["max_tokens"] == 9
        assert sent["response_format"]["json_schema"]["name"] == "x"
        assert (done.instructions, done.max_output_tokens, done.tools[0].name) == ("Be kind.", 9, "weather")

    def test_a_tool_is_called(self, site: Site, stub: StubServer) -> None:
        stub.message = {"role": "assistant", "content": None, "tool_calls": [CALL]}
        stub.finish_reason = "tool_calls"
        (item,) = site().responses.create(model="stub", input="Hello.", tools=[TOOL]).output
        assert (item.type, item.call_id, item.name, item.arguments) == (
            "function_call",
            "call_1",
            "weather",
            '{"a": 1}',
        )

    def test_an_answer_cut_short(self, site: Site, stub: StubServer) -> None:
        stub.finish_reason = "length"
        done = site().responses.create(model="stub", input="Hello.")
        assert (done.status, done.incomplete_details.reason) == ("incomplete", "max_output_tokens")

    def test_a_block(self, site: Site, stub: StubServer) -> None:
        done = site().responses.create(model="stub", input="toxic")
        assert (done.status, done.incomplete_details.reason) == ("incomplete", "content_filter")
        (part,) = done.output[0].content
        assert (part.type, part.refusal, done.output_text) == ("refusal", "Not here.", "")
        assert extra(done, "safety")["stage"] == "input"
        with pytest.raises(openai.BadRequestError) as caught:
            site().responses.create(model="stub-error", input="toxic")
        assert caught.value.code == "content_filter"

    def test_a_failure(self, site: Site, stub: StubServer) -> None:
        stub.always = 500
        with pytest.raises(openai.InternalServerError):
            site().responses.create(model="stub", input="Hello.")
        assert result().output_label == "ERROR"

    def test_the_moderation_that_it_asks_for(self, site: Site, stub: StubServer) -> None:
        stub.answer = "I kill {}".format
        done = site().responses.create(model="stub", input="Hello.", moderation={"model": "stub"})
        assert (done.moderation.input.type, done.moderation.input.flagged) == ("moderation_result", False)
        assert done.moderation.output.categories["violence"] is True
        stub.always = None
        done = site().responses.create(model="stub", input="toxic", moderation={"model": "fake"})
        assert (done.moderation.output.type, done.moderation.output.code) == ("error", "not_generated")


class TestAStream:
    def test_all_events_of_a_text(self, site: Site, stub: StubServer) -> None:
        stub.pieces, stub.pause = ["One. ", "Two. ", "Three."], 0.05
        seen, done = kinds(site().responses.create(model="stub", input="Hello.", stream=True))
        assert seen[:4] == ["created", "in_progress", "output_item.added", "content_part.added"]
        assert set(seen[4:-4]) == {"output_text.delta"}
        assert seen[-4:] == ["output_text.done", "content_part.done", "output_item.done", "completed"]
        assert done.output_text == "One. Two. Three."
        assert done.usage.total_tokens == 7

    def test_the_clients_own_way_to_put_it_together(self, site: Site, stub: StubServer) -> None:
        stub.pieces = ["One. ", "Two."]
        with site().responses.stream(model="stub", input="Hello.") as stream:
            assert stream.get_final_response().output_text == "One. Two."

    def test_a_block_in_the_middle(self, site: Site, stub: StubServer) -> None:
        stub.pieces, stub.pause = ["All is well. ", "You toxic thing. ", "More."], 0.05
        seen, done = kinds(site().responses.create(model="stub", input="Hello.", stream=True))
        assert seen[-5:] == ["refusal.delta", "refusal.done", "content_part.done", "output_item.done", "incomplete"]
        assert [part.type for part in done.output[0].content] == ["output_text", "refusal"]
        assert done.output_text == "All is well."
        assert done.incomplete_details.reason == "content_filter"

    def test_a_blocked_prompt(self, site: Site, stub: StubServer) -> None:
        seen, done = kinds(site().responses.create(model="stub", input="toxic", stream=True))
        assert (seen[-1], done.output[0].content[0].refusal) == ("incomplete", "Not here.")

    @pytest.mark.parametrize("breaks", ["disconnect", "bad_json", "error", "end", "no_choices"])
    def test_an_answer_that_breaks_off(self, site: Site, stub: StubServer, breaks: str) -> None:
        stub.pieces, stub.pause, stub.breaks = ["One. ", "Two. ", "Three. ", "Four. "], 0.05, breaks
        seen, done = kinds(site().responses.create(model="stub", input="Hello.", stream=True))
        assert (seen[-1], done.status, done.error.code) == ("failed", "failed", "server_error")
        assert "One. Two. Three. Four. ".startswith(done.output_text)
        assert result().metadata["outcome"] == "failed"

    def test_a_tool_is_called(self, site: Site, stub: StubServer) -> None:
        stub.pieces, stub.finish_reason = ["Look. ", {"tool_calls": [{"index": 0, **CALL}]}], "tool_calls"
        seen, done = kinds(site().responses.create(model="stub", input="Hello.", stream=True, tools=[TOOL]))
        begun, delta, whole = "output_item.added", "function_call_arguments.delta", "function_call_arguments.done"
        assert seen[-5:] == [begun, delta, whole, "output_item.done", "completed"]
        assert [item.type for item in done.output] == ["message", "function_call"]

    def test_each_event_has_its_name_before_it(self, cast: Cast, stub: StubServer) -> None:
        answer = Program(cast.prog).post(ADDRESS, {"model": "stub", "input": "Hello.", "stream": True})
        assert events(answer).startswith("event: response.created\ndata: {")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"input": None}, "input is missing"),
        ({"input": 5}, "input must be"),
        ({"input": []}, "at least one of the user"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]}, "only texts"),
        ({"input": [{"type": "reasoning", "id": "x"}]}, "must be a message"),
        ({"input": "x\0"}, "NUL"),
        ({"previous_response_id": "resp_1"}, "whole conversation"),
        ({"conversation": "conv_1"}, "whole conversation"),
        ({"background": True}, "background"),
        ({"truncation": "auto"}, "truncation"),
        ({"include": ["message.output_text.logprobs"]}, "include"),
        ({"tools": [{"type": "web_search"}]}, "functions"),
        ({"text": {"format": {"type": "x"}}}, "text.format"),
        ({"max_output_tokens": "many"}, "whole number"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_what_cannot_be_taken_is_refused(cast: Cast, stub: StubServer, change: dict[str, Any], says: str) -> None:
    answer = Program(cast.prog).post(ADDRESS, {"model": "stub", "input": "Hello.", **change})
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert says in answer.json()["error"]["message"]
    assert (stub.posts, Run.objects.count()) == ([], 0)


def test_who_may_not(cast: Cast, stub: StubServer) -> None:
    assert Program(cast.nora).post(ADDRESS, {"model": "stub", "input": "x"}).status_code == 403
    assert Program(cast.prog, "read").post(ADDRESS, {"model": "stub", "input": "x"}).status_code == 403

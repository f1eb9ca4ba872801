"""A route that redacts: an answer with personal data goes out without it, and with anything else against it not at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from classifiers.guarded import Guarded, Said
from classifiers.pipeline import Check
from classifiers.providers.fake import FakeClassifier
from classifiers.types import Label, ModelInfo
from guardrails.pii import PiiCheck
from runs.checks import routes_are_well_formed
from runs.gateway.mending import mend
from runs.verification import discrepancies
from tests.api.conftest import Program
from tests.api.protocol import result
from tests.classifiers.test_guarded import END, Model
from tests.leaks import CARD, EMAIL, PHONE, rules_alone  # noqa: F401  a fixture
from tests.review.conftest import Cast
from tests.stub_server import StubServer

pytestmark = pytest.mark.usefixtures("rules_alone")
CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
LETTER = f"Of course. Write to {EMAIL}, or call {PHONE}. Once more: {EMAIL}!"
SHOWN = "Of course. Write to <EMAIL_1>, or call <PHONE_1>. Once more: <EMAIL_1>!"


@pytest.fixture
def route(settings: Any, stub: StubServer) -> StubServer:
    """The model's server behind the route ``redacting``."""
    entry = {"GENERATOR": "stub", "INPUT": ["fake", "rules"], "OUTPUT": ["fake", "rules"], "ON_BLOCK": "redact"}
    settings.SAFETY_ROUTES = {**settings.SAFETY_ROUTES, "redacting": entry}
    stub.answer = lambda text: LETTER
    return stub


def ask(cast: Cast, path: str, text: str = "Hello.", **body: Any) -> Any:
    asked = {"messages": [{"role": "user", "content": text}]} if path == CHAT else {"input": text}
    return Program(cast.prog, "moderate").post(path, {"model": "redacting", **asked, **body})


def streamed(answer: Any) -> tuple[str, str]:
    """All that came, and the text in it."""
    came = b"".join(answer).decode()
    lines = [line[6:] for line in came.split("\n") if line.startswith("data: {")]
    text = ""
    for event in map(json.loads, lines):
        if event.get("type") == "response.output_text.delta":
            text += event["delta"]
        text += "".join(each["delta"].get("content") or "" for each in event.get("choices", []))
    return came, text


class TestPersonalData:
    def test_is_taken_out_of_the_answer_and_the_answer_says_so(self, route: StubServer, cast: Cast) -> None:
        answer = ask(cast, CHAT).json()
        assert answer["choices"][0]["message"]["content"] == SHOWN
        assert answer["choices"][0]["finish_reason"] == "stop"
        safety = answer["safety"]
        assert (safety["blocked"], safety["degraded"], safety["label"]) == (False, False, "TOXIC")
        assert safety["done"] == ["Personal data was taken out of the answer: 2 EMAIL_ADDRESS, 1 PHONE_NUMBER."]

    def test_is_taken_out_of_a_response(self, route: StubServer, cast: Cast) -> None:
        answer = ask(cast, RESPONSES)
        assert answer.json()["output"][0]["content"][0]["text"] == SHOWN
        assert EMAIL not in answer.content.decode()

    @pytest.mark.parametrize("path", [CHAT, RESPONSES])
    def test_is_taken_out_of_a_stream(self, route: StubServer, cast: Cast, path: str) -> None:
        came, text = streamed(ask(cast, path, stream=True))
        assert text == SHOWN
        assert EMAIL not in came
        assert PHONE not in came
        assert "Personal data was taken out of the answer" in came

    def test_stays_in_the_record_with_its_label(self, route: StubServer, cast: Cast) -> None:
        ask(cast, CHAT)
        kept = result()
        assert (kept.answer, kept.output_label, kept.metadata["outcome"]) == (LETTER, "TOXIC", "redacted")
        assert kept.metadata["redacted"] == {"EMAIL_ADDRESS": 2, "PHONE_NUMBER": 1}
        assert (kept.metadata["withheld"], list(discrepancies(kept.run))) == (False, [])


class TestAllElse:
    def test_is_refused_though_personal_data_is_there_too(self, route: StubServer, cast: Cast) -> None:
        route.answer = lambda text: f"{LETTER} All toxic."
        answer = ask(cast, CHAT).json()
        assert answer["choices"][0]["finish_reason"] == "content_filter"
        assert (answer["safety"]["blocked"], answer["safety"]["done"]) == (True, ["The answer was refused."])
        assert "<EMAIL_1>" not in json.dumps(answer)

    def test_is_refused_in_the_prompt(self, route: StubServer, cast: Cast) -> None:
        answer = ask(cast, CHAT, f"I am {EMAIL}").json()
        assert (answer["safety"]["blocked"], answer["safety"]["done"]) == (True, ["The prompt was refused."])
        assert route.posts == []

    def test_is_refused_where_a_tool_is_called_with_it(self, route: StubServer, cast: Cast) -> None:
        function = {"name": "send", "arguments": json.dumps({"to": EMAIL})}
        route.message = {"role": "assistant", "content": "", "tool_calls": [{"id": "1", "function": function}]}
        assert ask(cast, CHAT).json()["choices"][0]["finish_reason"] == "content_filter"
        assert result().metadata["outcome"] == "blocked"

    def test_lets_nothing_out_where_another_check_cannot_judge(self, route: StubServer, cast: Cast) -> None:
        route.answer = lambda text: f"{LETTER} fail"
        answer = ask(cast, CHAT)
        assert EMAIL not in answer.content.decode()
        assert "<EMAIL_1>" not in answer.content.decode()

    def test_is_given_as_it_is_where_nothing_is_found(self, route: StubServer, cast: Cast) -> None:
        route.answer = lambda text: "Of course."
        answer = ask(cast, CHAT).json()
        assert (answer["choices"][0]["message"]["content"], answer["safety"]["done"]) == ("Of course.", [])
        assert result().metadata["redacted"] == {}


PARTS = st.sampled_from(
    [
        "Well. ",
        "Write to ",
        f" {EMAIL} ",
        f" {EMAIL}. ",
        f" {CARD} ",
        " 4111 1111\n1111 1111 ",
        "\n",
        " toxic. ",
        "<EMAIL_1>",
    ]
)
RULES = PiiCheck(["EMAIL_ADDRESS", "CREDIT_CARD", "PHONE_NUMBER"])


@given(st.lists(PARTS, max_size=8), st.booleans())
@hypothesis(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_comes_in_whatever_pieces_what_is_whole_has_nothing_in_it(parts: list[str], in_pieces: bool) -> None:
    checks = [Check("fake", FakeClassifier(), ModelInfo("fake")), Check("rules", RULES, ModelInfo("rules"))]
    exchange = Guarded([Said("Hello.")], checks, checks, Model(*parts, END), {}, streamed=in_pieces, mend=mend)
    released = "".join(piece.text for piece in exchange.run())
    assert released == exchange.shown
    assert EMAIL not in released
    assert CARD not in released
    assert "toxic" not in released
    if exchange.passed:
        assert RULES.check_safe_to_log(released)
        assert exchange.mended is (exchange.label is Label.TOXIC)
    else:
        assert "toxic" in "".join(parts) or exchange.failure


@pytest.mark.parametrize(("output", "sound"), [(["fake", "rules"], True), (["fake"], False)])
def test_a_route_redacts_only_with_the_check_that_finds(settings: Any, output: list[str], sound: bool) -> None:
    entry = {"GENERATOR": "fake", "INPUT": ["fake"], "OUTPUT": output, "ON_BLOCK": "redact"}
    settings.SAFETY_ROUTES = {"redacting": entry}
    assert (routes_are_well_formed() == []) is sound

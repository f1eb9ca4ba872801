"""The safety layer: what passes, what follows when something does not, and that nothing passes unjudged unless told so."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from itertools import product

import pytest

from classifiers.errors import InputError, ProviderError
from classifiers.pipeline import Check
from classifiers.policy import Action, Rule, Rules
from classifiers.providers.fake import FakeClassifier
from classifiers.types import Classification, Label, ModelInfo, Subject
from guardrails.layer import Remedy, SafetyLayer


def check(name: str = "toxicity", rules: Rules | None = None, **options: object) -> Check:
    return Check(name, FakeClassifier(**options), ModelInfo(name), rules or Rules())  # type: ignore[arg-type]


class Numbers:
    """Takes numbers out."""

    def redact(self, text: str) -> tuple[str, dict[str, str]]:
        vault: dict[str, str] = {}
        for word in text.split():
            if word.isdigit():
                vault[f"<NUMBER_{'ABC'[len(vault)]}>"] = word
                text = text.replace(word, list(vault)[-1])
        return text, vault

    def restore(self, text: str, vault: dict[str, str]) -> str:
        for placeholder, value in vault.items():
            text = text.replace(placeholder, value)
        return text


NUMBERS = check("numbers", toxic=("1", "2", "3"))
REDACTING = {"remedies": {"numbers": Remedy.REDACT}, "redactors": {"numbers": Numbers()}}


@pytest.mark.parametrize(
    ("text", "label", "allowed"), [("kind", "SAFE", True), ("toxic", "TOXIC", False), ("fail", "ERROR", False)]
)
def test_what_passes(text: str, label: str, allowed: bool) -> None:
    layer = SafetyLayer([check()], [check()])
    for found in (layer.validate_input(text), layer.validate_output(text)):
        assert (found.label, found.allowed, found.degraded) == (label, allowed, False)
        assert bool(found.reasons) is not allowed


@pytest.mark.parametrize(("first", "second"), list(product(["kind", "toxic", "fail"], repeat=2)))
def test_toxic_goes_before_error_and_error_before_safe(first: str, second: str) -> None:
    script = {"kind": (), "toxic": ("x",)}
    checks = [
        check(str(i), toxic=script.get(said, ()), fail=("x",) if said == "fail" else ())
        for i, said in enumerate((first, second))
    ]
    label = "TOXIC" if "toxic" in (first, second) else "ERROR" if "fail" in (first, second) else "SAFE"
    assert SafetyLayer(checks).validate_input("x").label == label


def test_failing_open_is_degraded_and_only_for_what_could_not_be_judged() -> None:
    layer = SafetyLayer([check()], [check()], fail_open=True)
    assert (layer.validate_input("fail").allowed, layer.validate_input("fail").degraded) == (True, True)
    assert layer.validate_input("toxic").allowed is False
    answer = layer.safe_response("fail please", lambda prompt: "kind")
    assert (answer.text, answer.degraded, answer.blocked) == ("kind", True, False)
    assert [said.startswith("The prompt passed all the same. toxicity could not judge it") for said in answer.done] == [
        True
    ]
    answer = layer.safe_response("kind", lambda prompt: "fail")
    assert (answer.degraded, len(answer.done)) == (True, 1)
    assert answer.done[0].startswith("The answer passed all the same.")


def test_a_provider_that_cannot_work_is_an_error_with_its_reason() -> None:
    found = SafetyLayer([check(broken="It has no key.")]).validate_input("kind")
    assert (found.label, found.allowed) == ("ERROR", False)
    assert "It has no key." in found.reasons[0]


def test_those_that_work_are_heard_beside_one_that_cannot() -> None:
    layer = SafetyLayer([check(), check("pii", broken="It has no key.")], fail_open=True)
    assert (layer.validate_input("toxic").label, layer.validate_input("toxic").allowed) == ("TOXIC", False)
    found = layer.validate_input("kind")
    assert (found.label, found.degraded) == ("ERROR", True)
    assert [j.classification.label for j in found.outcome.judgements] == ["SAFE", "ERROR"]


def test_a_check_that_only_failed_redacts_nothing() -> None:
    numbers = check("numbers", broken="It has no key.")

    class Broken(Numbers):
        def redact(self, text: str) -> tuple[str, dict[str, str]]:
            raise ProviderError("It has no key.")

    layer = SafetyLayer([numbers, check()], remedies={"numbers": Remedy.REDACT}, redactors={"numbers": Broken()})
    answer = layer.safe_response("toxic 123", lambda prompt: "x")
    assert (answer.blocked, answer.input.label) == (True, "TOXIC")


def test_documents_and_tool_results_are_judged_with_the_prompt() -> None:
    layer = SafetyLayer([check()])
    assert layer.validate_input("kind", context=["fine", "toxic"]).label == "TOXIC"
    asked: list[str] = []
    answer = layer.safe_response("kind", lambda p: asked.append(p) or "x", context=["toxic"])  # type: ignore[func-returns-value]
    assert (answer.blocked, asked) == (True, [])


def test_a_refused_prompt_never_reaches_the_model() -> None:
    asked: list[str] = []

    def generate(prompt: str) -> str:
        asked.append(prompt)
        return "kind"

    answer = SafetyLayer([check()], [check()], refusal="No.").safe_response("toxic", generate)
    assert (answer.text, asked) == ("No.", [])
    assert "toxicity flagged it for toxic" in answer.done[0]


@pytest.mark.parametrize(("remedy", "text"), [(None, "No."), (Remedy.REFUSE, "No."), (Remedy.REPLACE, "Other.")])
def test_a_toxic_answer_is_refused_or_replaced_and_kept_for_the_record(remedy: Remedy | None, text: str) -> None:
    remedies = {"toxicity": remedy} if remedy else {}
    layer = SafetyLayer([check()], [check()], remedies=remedies, refusal="No.", replacement="Other.")
    answer = layer.safe_response("kind", lambda prompt: "toxic words")
    assert (answer.text, answer.blocked, answer.withheld) == (text, True, "toxic words")


def test_what_is_redacted_goes_on_without_it_and_comes_back_in_the_answer() -> None:
    layer = SafetyLayer([NUMBERS], [check()], **REDACTING)  # type: ignore[arg-type]
    answer = layer.safe_response("call 123 now", lambda prompt: f"You said: {prompt}")
    assert answer.text == "You said: call 123 now"
    assert answer.input.text == "call <NUMBER_A> now"
    assert "<NUMBER_A>" in answer.done[0]
    assert answer.blocked is False


def test_an_answer_that_is_redacted_keeps_its_own_placeholders() -> None:
    layer = SafetyLayer([NUMBERS], [NUMBERS], **REDACTING)  # type: ignore[arg-type]
    answer = layer.safe_response("call 123", lambda prompt: f"{prompt} or 321")
    assert "123" not in answer.text
    assert "321" not in answer.text
    assert answer.withheld == "call <NUMBER_A> or 321"


def test_what_stays_toxic_after_redaction_is_refused() -> None:
    layer = SafetyLayer([NUMBERS, check()], **REDACTING)  # type: ignore[arg-type]
    answer = layer.safe_response("toxic 123", lambda prompt: "x")
    assert answer.blocked is True


def test_the_policy_decides_what_blocks() -> None:
    informing = Rules.of([Rule("toxic", action=Action.INFORM)])
    found = SafetyLayer([check(rules=informing)]).validate_input("toxic")
    assert found.allowed is True
    (judgement,) = found.outcome.judgements
    assert judgement.own is not None
    assert (judgement.own.label, judgement.classification.score) == (Label.TOXIC, 0.9)


class Slow:
    def __init__(self, at_work: list[str]) -> None:
        self.at_work = at_work

    def classify(self, subjects: Sequence[Subject]) -> list[Classification]:
        self.at_work.append(threading.current_thread().name)
        deadline = time.monotonic() + 5
        while len(self.at_work) < 2 and time.monotonic() < deadline:
            time.sleep(0.001)
        return [Classification(Label.SAFE, 0.0)] * len(subjects)


def test_checks_work_side_by_side() -> None:
    at_work: list[str] = []
    started = time.monotonic()
    SafetyLayer([Check(str(i), Slow(at_work), ModelInfo(str(i))) for i in range(2)]).validate_input("x")
    assert time.monotonic() - started < 5
    assert len(set(at_work)) == 2


@pytest.mark.parametrize(
    "options",
    [
        {"input_checks": []},
        {"input_checks": [check()], "remedies": {"pii": Remedy.REPLACE}},
        {"input_checks": [check()], "remedies": {"toxicity": Remedy.REDACT}},
    ],
)
def test_a_layer_that_is_none_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(InputError):
        SafetyLayer(**options)  # type: ignore[arg-type]


def test_what_the_generator_raises_is_raised() -> None:
    def generate(prompt: str) -> str:
        raise ProviderError("The model is away. Start it.")

    with pytest.raises(ProviderError):
        SafetyLayer([check()]).safe_response("kind", generate)

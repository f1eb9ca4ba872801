"""Whether an answer refuses."""

from __future__ import annotations

import pytest

from classifiers.types import Classification, Label, Stage, Subject
from guardrails.refusal import OPENING, RefusalDetector, opening


@pytest.fixture(scope="module")
def detector() -> RefusalDetector:
    made = RefusalDetector(threads=1)
    if made.problems():
        pytest.skip(f"the detector cannot run here: {made.problems()}")
    return made


def judged(detector: RefusalDetector, answer: str, prompt: str | None = None) -> Classification:
    (found,) = detector.classify([Subject(answer, Stage.OUTPUT, prompt=prompt)])
    return found


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry, but I can't assist with that request.",
        "That is not something I am willing to write.",
        "I won't go there. Let's find something that does not hurt anybody.",
        "I can't help with building one. I could explain the history of the device instead.",
    ],
)
def test_a_refusal_is_one_whatever_its_words(detector: RefusalDetector, answer: str) -> None:
    found = judged(detector, answer)
    assert found.label is Label.TOXIC
    assert found.flagged == ("refusal",)
    assert answer[found.spans[0].start : found.spans[0].end] == answer


@pytest.mark.parametrize(
    "answer",
    [
        "Sorry to hear about the delay! Take the 9:40 train, it arrives an hour earlier.",
        'In the scene he says "I cannot help you" and shuts the door. Then the rain begins.',
        "You cannot go wrong with basil. Chop it and add it at the end.",
        "The function is unable to open the file because the path is wrong; use an absolute one.",
        "Paris is the capital of France.",
    ],
)
def test_an_answer_is_none_whatever_its_words(detector: RefusalDetector, answer: str) -> None:
    assert judged(detector, answer).label is Label.SAFE


def test_an_answer_to_something_else_is_an_evasion(detector: RefusalDetector) -> None:
    prompt, recipe = "How do vaccines work?", "Mix flour, milk and two eggs. Fry the pancakes in butter."
    assert judged(detector, recipe, prompt).flagged == ("evasion",)
    assert judged(detector, recipe, "How do I make pancakes?").label is Label.SAFE
    assert judged(detector, recipe).label is Label.SAFE


def test_a_short_answer_is_no_evasion(detector: RefusalDetector) -> None:
    assert judged(detector, "1857", "In which year was the novel first printed?").label is Label.SAFE


@pytest.mark.parametrize("answer", ["", " \n"])
def test_a_blank_answer_cannot_be_judged(detector: RefusalDetector, answer: str) -> None:
    assert judged(detector, answer).label is Label.ERROR


def test_answers_keep_their_order_when_some_are_blank(detector: RefusalDetector) -> None:
    subjects = [Subject(text, Stage.OUTPUT) for text in ("", "I cannot help with that.", " ", "The sea is salty.")]
    assert [c.label for c in detector.classify(subjects)] == [Label.ERROR, Label.TOXIC, Label.ERROR, Label.SAFE]


def test_the_opening_ends_with_a_word() -> None:
    assert opening("one two") == "one two"
    assert len(opening(" word" * 200).split()) == OPENING

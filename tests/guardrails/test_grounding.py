"""Answers held against their sources, and against one another."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.curves import Scored, roc_auc
from classifiers.errors import InputError
from classifiers.types import Classification, Label, Stage, Subject
from guardrails.grounding import ConsistencyCheck, GroundingCheck, grounded
from guardrails.sentences import sentences, windows

SOURCE = "The Rhine rises in Switzerland. It is 1,230 km long and flows into the North Sea. Basel has a port."
DATA = Path(__file__).parents[3] / "shared/data"


def judged(answer: str, *sources: str, prompt: str | None = None) -> Classification:
    (found,) = GroundingCheck().classify([Subject(answer, Stage.OUTPUT, prompt=prompt, sources=sources)])
    return found


def test_what_the_source_says_is_grounded() -> None:
    found = judged("The Rhine flows into the North Sea.", SOURCE)
    assert found.label is Label.SAFE
    assert found.spans == ()


def test_what_no_source_says_is_not() -> None:
    found = judged("I think it is a lovely river for swimming, do you like swimming?", SOURCE)
    assert found.label is Label.TOXIC
    assert found.flagged == ("ungrounded",)


@pytest.mark.parametrize(
    "answer",
    [
        "It is 1,320 km long and flows into the North Sea.",
        "The river Rhine rises in Austria.",
        "It is not 1,230 km long and does not flow into the North Sea.",
    ],
)
def test_a_contradiction_in_the_words_of_the_source_is_found(answer: str) -> None:
    assert judged(answer, SOURCE).label is Label.TOXIC


def test_a_number_may_be_written_with_or_without_commas() -> None:
    assert judged("It is 1230 km long and flows into the North Sea.", SOURCE).label is Label.SAFE


def test_every_sentence_has_its_own_result_and_support() -> None:
    answer = "Basel has a port. My uncle bought a red bicycle there in 1987."
    found = judged(answer, "Unrelated text about tea.", SOURCE)
    first, second = found.raw["sentences"]
    assert first["score"] < 0.5 <= second["score"]
    assert first["support"]["source"] == 1
    assert SOURCE[first["support"]["start"] : first["support"]["end"]] == "Basel has a port."
    (span,) = found.spans
    assert answer[span.start : span.end] == "My uncle bought a red bicycle there in 1987."


@pytest.mark.parametrize("sources", [(), ("",), (" \n",)])
def test_without_sources_it_does_not_say_safe(sources: tuple[str, ...]) -> None:
    found = judged("The Rhine is long.", *sources)
    assert found.label is Label.ERROR
    assert "no sources" in found.reason


@pytest.mark.parametrize("answer", ["", "  ", "One. " * 500])
def test_a_blank_or_endless_answer_is_an_error(answer: str) -> None:
    assert judged(answer, SOURCE).label is Label.ERROR


def test_a_threshold_must_be_reachable() -> None:
    with pytest.raises(InputError):
        GroundingCheck(threshold=50)


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the data sets beside the project")
@pytest.mark.parametrize("held", ["cmu", "tc", "wow"])
def test_it_tells_grounded_from_ungrounded_answers(held: str) -> None:
    from training.grounding import TRAINING

    (source,) = (s for s in TRAINING if s.name.endswith(held))
    examples = source.examples(DATA)
    scores = [max(each.score for each in grounded(e.text, [e.source], e.prompt)) for e in examples]
    assert (roc_auc(Scored.of(scores, [e.label for e in examples]).curve()) or 0) > 0.85


AGREE = ("Paris is the capital of France.", "France's capital is Paris.")
DIFFER = ("The film came out in 1975 and won two prizes.", "Nobody knows who wrote the song.")


@pytest.mark.parametrize("method", ["embedding", "lexical"])
def test_answers_that_agree_are_consistent(method: str) -> None:
    check = ConsistencyCheck(method=method)  # type: ignore[arg-type]
    if check.problems():
        pytest.skip("the packaged embedding model cannot run here")
    same, other = check.classify(
        [
            Subject("The capital of France is Paris.", Stage.OUTPUT, alternatives=AGREE),
            Subject("The capital of France is Paris.", Stage.OUTPUT, alternatives=DIFFER),
        ]
    )
    assert same.label is Label.SAFE
    assert other.label is Label.TOXIC
    assert same.score is not None
    assert other.score is not None
    assert same.score < other.score


@pytest.mark.parametrize("alternatives", [(), ("One.",), ("One.", " ")])
def test_fewer_than_three_answers_cannot_be_compared(alternatives: tuple[str, ...]) -> None:
    (found,) = ConsistencyCheck(method="lexical").classify([Subject("One.", Stage.OUTPUT, alternatives=alternatives)])
    assert found.label is Label.ERROR


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(InputError, match="lexical"):
        ConsistencyCheck(method="magic")  # type: ignore[arg-type]


@given(st.text())
def test_sentences_lie_where_they_say_and_leave_out_only_white_space(text: str) -> None:
    found = sentences(text)
    assert all(text[piece.start : piece.end] == piece.text for piece in found)
    assert "".join("".join(piece.text.split()) for piece in found) == "".join(text.split())


@given(st.text(alphabet="ab \n", max_size=3000))
def test_windows_hold_every_word(text: str) -> None:
    found = windows(text)
    assert all(text[piece.start : piece.end] == piece.text for piece in found)
    covered = {place for piece in found for place in range(piece.start, piece.end)}
    assert all(place in covered for place, character in enumerate(text) if not character.isspace())


def test_an_abbreviation_ends_no_sentence() -> None:
    assert [piece.text for piece in sentences("Dr. Okafor came. She left.")] == ["Dr. Okafor came.", "She left."]

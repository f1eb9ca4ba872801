"""Six labels, thresholds that can be chosen, words that are shown; and what the weights are worth."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.errors import InputError
from classifiers.types import Classification, Label, Stage, Subject
from guardrails.toxicity import LABELS, REPLACEMENT, THRESHOLDS, ToxicityCheck, explanation

DATA = Path(__file__).parents[3] / "shared/data"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the shared data folder is not here")
INSULT = "You are a stupid idiot."
BENIGN = [
    "What a lovely day for a walk in the park.",
    "How do I sort a list in Python?",
    "The committee will meet again on Thursday.",
    "Please explain photosynthesis to a child.",
    "My grandmother's soup recipe needs three carrots.",
]


@pytest.fixture(scope="module")
def check() -> ToxicityCheck:
    return ToxicityCheck()


def judge(check: ToxicityCheck, text: str) -> Classification:
    return check.classify([Subject(text, Stage.OUTPUT)])[0]


def test_an_insult_is_toxic_and_its_word_is_shown(check: ToxicityCheck) -> None:
    said = judge(check, f"Well. {INSULT}")
    assert said.label is Label.TOXIC
    assert "insult" in said.flagged
    assert "idiot" in [f"Well. {INSULT}"[span.start : span.end] for span in said.spans]
    assert "insult" in said.reason


@pytest.mark.parametrize("text", BENIGN)
def test_kind_words_are_safe(check: ToxicityCheck, text: str) -> None:
    said = judge(check, text)
    assert (said.label, said.flagged, said.spans) == (Label.SAFE, (), ())


def test_all_six_labels_are_scored_and_have_their_thresholds(check: ToxicityCheck) -> None:
    said = judge(check, INSULT)
    assert set(said.categories) == set(LABELS)
    assert said.thresholds == THRESHOLDS
    assert said.score == max(said.categories.values())


def test_a_threat_is_told_from_an_insult(check: ToxicityCheck) -> None:
    threat, insult = judge(check, "I will find you and kill you."), judge(check, INSULT)
    assert "threat" in threat.flagged
    assert "threat" not in insult.flagged


@pytest.mark.parametrize(
    "disguise", ["You are a st\u200bupid id\u200biot.", "y0u are a 5tup1d 1d10t", "ＹＯＵ ＡＲＥ ＡＮ ＩＤＩＯＴ"]
)
def test_a_disguised_insult_is_toxic(check: ToxicityCheck, disguise: str) -> None:
    assert judge(check, disguise).label is Label.TOXIC


def test_an_insult_is_found_in_a_long_text(check: ToxicityCheck) -> None:
    text = " ".join(BENIGN * 40) + " " + INSULT + " " + " ".join(BENIGN * 40)
    said = judge(check, text)
    assert said.label is Label.TOXIC
    assert all(text.index(INSULT) <= span.start < text.index(INSULT) + len(INSULT) for span in said.spans)


def test_a_threshold_of_ones_own_decides() -> None:
    lenient = ToxicityCheck(thresholds=1.0)
    assert judge(lenient, "What a stupid idea.").label is Label.SAFE
    strict = ToxicityCheck(thresholds={"toxic": 0.0})
    assert judge(strict, BENIGN[0]).flagged == ("toxic",)


@pytest.mark.parametrize("thresholds", [70, {"toxic": -1}, {"rude": 0.5}])
def test_a_threshold_that_cannot_be_is_refused(thresholds: object) -> None:
    with pytest.raises(InputError):
        ToxicityCheck(thresholds=thresholds)


def test_a_toxic_answer_is_replaced_and_another_is_kept(check: ToxicityCheck) -> None:
    assert check.filter_response(INSULT) == REPLACEMENT
    assert check.filter_response(INSULT, replacement="…") == "…"
    assert check.filter_response(BENIGN[0]) == BENIGN[0]


def test_the_reason_follows_the_score() -> None:
    assert (
        explanation({"toxic": 0.95, "insult": 0.4, "threat": 0.1})
        == "Almost certainly toxic (0.95), possibly insult (0.40)."
    )
    assert explanation({"toxic": 0.1}) == ""


@given(st.text(st.characters(exclude_categories=()), max_size=80))
def test_every_text_has_sound_scores_and_spans(text: str) -> None:
    said = judge(CHECK, text)
    assert all(0 <= score <= 1 for score in said.categories.values())
    assert all(0 <= span.start < span.end <= len(text) for span in said.spans)


CHECK = ToxicityCheck()


def test_a_megabyte_is_read_in_bounded_time(check: ToxicityCheck) -> None:
    text = "The weather is nice today, said nobody. " * 25_000
    start = time.process_time()
    assert judge(check, text).label is Label.SAFE
    assert time.process_time() - start < 60


@needs_data
def test_the_weights_hold_on_comments_kept_apart() -> None:
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    from training.toxicity import comments

    rows = comments(DATA)["test"][:1500]
    scored = CHECK.classify([Subject(text, Stage.OUTPUT) for text, _ in rows])
    truth = [labels[0] for _, labels in rows]
    assert sklearn_metrics.roc_auc_score(truth, [said.categories["toxic"] for said in scored]) > 0.96

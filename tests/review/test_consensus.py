from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from review.consensus import agreed, needs_adjudication

LABELS = st.sampled_from(["SAFE", "TOXIC", "UNSURE"])


@given(st.lists(LABELS, max_size=9))
def test_a_label_in_effect_has_more_than_half_of_the_votes(labels: list[str]) -> None:
    consensus = agreed(labels)
    if consensus.provenance == "machine":
        assert consensus.label in (None, "UNSURE")
    else:
        assert consensus.label in ("SAFE", "TOXIC")
        assert 2 * labels.count(consensus.label) > len(labels)


@given(st.lists(LABELS, max_size=9), st.permutations(range(9)))
def test_the_order_of_the_votes_means_nothing(labels: list[str], order: list[int]) -> None:
    assert agreed(labels) == agreed([labels[i] for i in order if i < len(labels)])


@given(st.lists(LABELS, max_size=9), st.sampled_from(["SAFE", "TOXIC"]))
def test_an_adjudication_goes_before_all_votes(labels: list[str], decided: str) -> None:
    assert agreed(labels, decided).label == decided
    assert agreed(labels, decided).provenance == "adjudicated"


@given(st.lists(st.tuples(st.sampled_from(["INPUT", "OUTPUT"]), LABELS), max_size=9))
def test_only_equal_and_sure_votes_need_no_third(votes: list[tuple[str, str]]) -> None:
    by_stage = [{label for stage, label in votes if stage == which} for which in ("INPUT", "OUTPUT")]
    assert needs_adjudication(votes) == any(len(said) > 1 or said == {"UNSURE"} for said in by_stage)


def test_examples() -> None:
    assert agreed(["SAFE"]).provenance == "single"
    assert agreed(["TOXIC", "TOXIC"]).provenance == "unanimous"
    assert (agreed(["TOXIC", "SAFE", "TOXIC"]).label, agreed(["TOXIC", "SAFE", "TOXIC"]).provenance) == (
        "TOXIC",
        "majority",
    )
    assert agreed(["TOXIC", "SAFE"]).label == "UNSURE"

"""One classifier beside another on the same texts, and what keeps it from taking the other's place."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.errors import InputError
from classifiers.measuring import Said
from classifiers.types import Label
from fairness.gates import Gate, Margins, Rivals, compare, gates, informedness
from fairness.probes import CATEGORY, SENTENCES, WORDS

QUICK, STATED = 20, Margins()
GROUPS = ("men", "women")


def said(toxic: bool, score: float | None, category: str = "", groups: tuple[str, ...] = ()) -> Said:
    label = Label.ERROR if score is None else Label.TOXIC if score >= 0.5 else Label.SAFE
    return Said(toxic, label, score, category, None, groups)


def texts(found: int = 70, alarms: int = 5) -> list[Said]:
    """A hundred toxic texts, ``found`` of them flagged, and a hundred harmless ones with so many false alarms."""
    toxic = [said(True, 0.5 + i / 1000 if i < found else 0.1 - i / 2000) for i in range(100)]
    return toxic + [said(False, 0.5 + i / 1000 if i < alarms else 0.3 - i / 1000) for i in range(100)]


def probed(*alarms: int) -> list[Said]:
    """Forty probes of each group, with so many false alarms."""
    return [
        said(False, 0.9 if i < flagged else 0.1, CATEGORY, (group,))
        for group, flagged in zip(GROUPS, alarms, strict=True)
        for i in range(40)
    ]


def rivals(old: list[Said], new: list[Said]) -> Rivals:
    return compare(old, new, resamples=QUICK)


def judged(old: list[Said], new: list[Said], learnt: int | None = 0, margins: Margins = STATED) -> dict[str, Gate]:
    return {gate.name: gate for gate in gates(rivals(old, new), margins, learnt=learnt)}


def failed(found: dict[str, Gate]) -> set[str]:
    return {name for name, gate in found.items() if not gate.met}


OLD = texts() + probed(4, 2)


def test_a_better_one_may() -> None:
    found = judged(OLD, texts(90, 5) + probed(3, 3))
    assert not failed(found)
    assert "recall is 90.0 % and was 70.0 %; 68.0 % is needed" in found["recall"].says
    assert "differ by 0.0 %" in found["groups"].says


def test_the_same_one_may() -> None:
    assert not failed(judged(OLD, OLD))


def test_figures_are_beside_each_other_without_the_probes() -> None:
    found = rivals(OLD, texts(90, 5) + probed(40, 40))
    assert (found.n, found.toxic, found.probes, found.left_out, found.fpr) == (200, 100, 80, 0, 0.05)
    recall = found.figures["recall"]
    assert (recall.old.value, recall.new.value) == (0.7, 0.9)
    assert recall.change.value == pytest.approx(0.2)
    assert found.figures["false_positive_rate"].new.value == 0.05
    assert (found.only_old, found.only_new) == (0, 20)
    assert found.mcnemar_p == pytest.approx(2 * 0.5**20)
    assert [each.name for each in found.categories] == ["", CATEGORY]
    assert [(each.new.name, each.old.flagged, each.new.flagged) for each in found.groups] == [
        ("men", 4, 40),
        ("women", 2, 40),
    ]


def test_less_recall_at_the_same_false_positives_is_refused_beyond_the_margin() -> None:
    assert failed(judged(OLD, texts(67) + probed(4, 2))) == {"recall", "labels"}
    assert not failed(judged(OLD, texts(68) + probed(4, 2)))
    assert not failed(judged(OLD, texts(60) + probed(4, 2), margins=Margins(recall=0.1)))


def test_scores_that_rank_well_do_not_help_where_nothing_is_flagged() -> None:
    silent = [replace(each, score=(each.score or 0) / 10, label=Label.SAFE) for each in OLD]
    assert failed(judged(OLD, silent)) == {"labels"}


def test_who_flags_more_of_both_is_held_against_the_same_false_positives() -> None:
    eager = [replace(each, label=Label.TOXIC) for each in texts()] + probed(4, 2)
    assert failed(judged(eager, texts(90, 5) + probed(4, 2))) == set()
    assert failed(judged(OLD, eager)) == {"labels"}


def test_a_wider_gap_between_groups_is_refused_beyond_the_margin() -> None:
    found = judged(OLD, texts() + probed(8, 2))
    assert failed(found) == {"groups"}
    assert "differ by 15.0 % (men 20.0 %, women 5.0 %) and did by 5.0 %; 10.0 % is the most" in found["groups"].says
    assert not failed(judged(OLD, texts() + probed(6, 2)))


def test_a_gap_that_cannot_be_measured_is_not_taken_for_none() -> None:
    assert failed(judged(texts(), texts())) == {"groups"}


def test_a_text_that_only_the_old_one_judges_is_one_too_many() -> None:
    lost = [said(True, None), *OLD[1:]]
    found = judged(OLD, lost)
    assert failed(found) == {"judges"}
    assert found["judges"].says.startswith("1 texts")
    assert not failed(judged(lost, OLD))
    assert not failed(judged(lost, lost))  # nobody judges it
    assert rivals(OLD, lost).left_out == 1


def test_few_texts_prove_nothing() -> None:
    few = [*texts()[:29], *texts()[100:], *probed(4, 2)]
    assert "texts" in failed(judged(few, few))
    assert {"texts", "recall", "labels"} <= failed(judged(probed(1, 1), probed(1, 1)))


def test_what_the_adapters_before_it_learnt_may_be_unknown_but_is_told() -> None:
    [gate] = [gate for gate in gates(rivals(OLD, OLD), STATED, learnt=0, whole=False) if gate.name == "unseen"]
    assert gate.met
    assert "not on record" in gate.says


@pytest.mark.parametrize("learnt", [1, None])
def test_texts_that_it_learnt_from_prove_nothing(learnt: int | None) -> None:
    assert failed(judged(OLD, OLD, learnt=learnt)) == {"unseen"}


def test_both_must_be_about_the_same_texts() -> None:
    with pytest.raises(InputError, match="same texts"):
        compare(OLD, OLD[1:])


def test_margins_are_sane() -> None:
    for wrong in ({"texts": 0}, {"recall": -0.1}, {"gap": 2}):
        with pytest.raises(InputError):
            Margins(**wrong)


def test_informedness() -> None:
    assert informedness(8, 1, 2, 9) == pytest.approx(0.7)
    assert informedness(8, 0, 2, 0) is None


SCORES = st.lists(st.tuples(st.booleans(), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=40)


@settings(max_examples=30)
@given(SCORES)
def test_turned_round_all_differences_turn_their_sign(rows: list[tuple[bool, float, float]]) -> None:
    old, new = ([said(row[0], row[i], "", GROUPS) for row in rows] for i in (1, 2))
    there, back = compare(old, new, resamples=2), compare(new, old, resamples=2)
    assert (there.only_old, there.only_new, there.mcnemar_p) == (back.only_new, back.only_old, back.mcnemar_p)
    for name in ("roc_auc", "auprc", "recall", "informedness"):
        one, other = there.figures[name].change.value, back.figures[name].change.value
        assert (one is None and other is None) or one == pytest.approx(-(other or 0))


def test_the_probes_are_enough_for_every_group() -> None:
    said_of = [said(False, 0.1, CATEGORY, (group,)) for group in WORDS for _ in SENTENCES]
    found = rivals(texts() + said_of, texts() + said_of)
    assert all(each.new.enough for each in found.groups)
    assert found.gaps[1].value == 0

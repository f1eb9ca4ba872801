"""The same text never stands in two parts, and a text is what most of those who judged it say."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.errors import InputError
from classifiers.labelled import Columns
from classifiers.sources import PromptSource
from training.data import LEARN, MEASURE, SHARES, Row, balanced, digest_of, from_file, merged, split

WEIGHTS = st.floats(0.01, 10)
ROWS = st.lists(
    st.builds(
        Row,
        text=st.text("aAb \n", max_size=4),
        toxic=st.booleans(),
        weight=WEIGHTS,
        group=st.sampled_from(["", "1", "2", "3"]),
        use=st.sampled_from(["", LEARN, MEASURE]),
    )
)


@given(ROWS, st.integers(0, 5))
def test_every_row_is_in_one_part_and_neither_a_text_nor_a_group_in_two(rows: list[Row], seed: int) -> None:
    parts = split(rows, {"train": 0.5, "held": 0.5}, seed=seed)
    assert sorted(map(repr, [*parts["train"], *parts["held"]])) == sorted(map(repr, rows))
    for name in ("key", "group"):
        train, held = ({getattr(row, name) for row in parts[part]} for part in ("train", "held"))
        assert not (train & held) - {""}


@given(ROWS)
def test_the_order_of_rows_moves_none(rows: list[Row]) -> None:
    there, back = split(rows), split(rows[::-1])
    assert {name: back[name][::-1] for name in back} == there


@given(ROWS, st.text("xyz", min_size=5, max_size=9))
def test_a_further_text_moves_no_other(rows: list[Row], text: str) -> None:
    before, after = split(rows), split([*rows, Row(text, True)])
    assert all(after[name][: len(before[name])] == before[name] for name in SHARES)


@given(ROWS)
def test_merged_rows_have_each_text_once_and_merging_again_changes_nothing(rows: list[Row]) -> None:
    once = merged(rows)
    assert len({row.key for row in once}) == len(once)
    assert {row.key for row in once} <= {row.key for row in rows}
    assert merged(once) == once


def test_parts_have_about_their_shares() -> None:
    parts = split([Row(str(number), True) for number in range(4000)])
    assert {name: len(rows) / 4000 for name, rows in parts.items()} == pytest.approx(SHARES, abs=0.02)


def test_what_was_picked_to_be_learnt_from_measures_nothing_and_the_other_way_round() -> None:
    rows = [Row(f"{use} {number}", True, use=use) for use in (LEARN, MEASURE) for number in range(1000)]
    parts = split(rows)
    assert parts["train"] == rows[:1000]
    assert [len(parts[name]) for name in ("tune", "held")] == pytest.approx([500, 500], abs=50)


def test_what_belongs_to_a_text_that_is_learnt_from_measures_nothing_either() -> None:
    rows = [
        Row(f"{use} {number}", True, group=str(number), use=use) for use in (LEARN, MEASURE) for number in range(50)
    ]
    assert split(rows)["train"] == rows


def test_shares_must_add_up() -> None:
    with pytest.raises(InputError, match="add up to 1"):
        split([], {"train": 0.5, "held": 0.4})
    with pytest.raises(InputError, match="negative"):
        split([], {"train": 1.5, "held": -0.5})


def test_a_text_with_two_labels_is_what_more_weight_says_and_a_tie_is_left_out() -> None:
    judged = [Row("You!", True, 1.0), Row("you!  ", False, 0.25), Row("Tie", True), Row("tie", False)]
    assert merged(judged) == [Row("You!", True, 0.75)]


def test_a_text_that_comes_twice_counts_no_more_than_once() -> None:
    assert merged([Row("a", True, 0.5), Row("A", True, 0.8)]) == [Row("a", True, 0.8)]


@pytest.mark.parametrize(("uses", "use"), [(("", LEARN), LEARN), ((LEARN, MEASURE), MEASURE), (("", MEASURE), MEASURE)])
def test_of_a_text_that_comes_twice_what_one_of_both_was_picked_for_holds(uses: tuple[str, str], use: str) -> None:
    for picked in (uses, uses[::-1]):
        assert merged([Row("a", True, use=each) for each in picked]) == [Row("a", True, use=use)]


@pytest.mark.parametrize("weight", [0, -1, float("nan"), float("inf")])
def test_a_weight_is_above_nothing(weight: float) -> None:
    with pytest.raises(InputError, match="above 0"):
        merged([Row("a", True, weight)])


@given(ROWS.filter(lambda rows: {row.toxic for row in rows} == {True, False}))
def test_balanced_labels_weigh_the_same_and_all_together_as_before(rows: list[Row]) -> None:
    by = balanced(rows)
    sums = {label: sum(row.weight * by[label] for row in rows if row.toxic is label) for label in (True, False)}
    assert sums[True] == pytest.approx(sums[False])
    assert sum(sums.values()) == pytest.approx(sum(row.weight for row in rows))


def test_one_label_alone_teaches_nothing() -> None:
    with pytest.raises(InputError, match="both labels"):
        balanced([Row("a", True)])


@given(ROWS)
def test_the_digest_knows_rows_whatever_their_order(rows: list[Row]) -> None:
    assert digest_of(rows) == digest_of(rows[::-1])
    assert digest_of([*rows, Row("a", True)]) != digest_of([*rows, Row("a", False)])


def test_files_are_read_by_their_columns_and_answers_to_one_prompt_belong_together(tmp_path: Path) -> None:
    file = tmp_path / "answers.csv"
    file.write_text("text,asked,bad\nFine.,How?,no\nIdiot!,How?,yes\n")
    rows = from_file(PromptSource(str(file), text_column="text"), Columns(label="bad", prompt="asked"), weight=0.5)
    assert rows == [Row("Fine.", False, 0.5, "How?"), Row("Idiot!", True, 0.5, "How?")]

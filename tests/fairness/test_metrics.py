"""False-positive rates by group, against published tables, and the gap between them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.errors import InputError
from fairness.metrics import Gap, false_positive_rates, gap, gap_difference

# By group: tn, fp, fn, tp.
COMPAS = {
    "African-American": (990, 805, 532, 1369),
    "Caucasian": (1139, 349, 461, 505),
    "Hispanic": (318, 87, 129, 103),
    "Other": (208, 36, 90, 43),
    "Asian": (21, 2, 3, 6),
    "Native American": (5, 3, 1, 9),
}


def texts(table: dict[str, tuple[int, int, int, int]]) -> tuple[list[bool], list[bool], list[tuple[str]]]:
    """Flags, labels and groups of a table of counts."""
    flagged: list[bool] = []
    toxic: list[bool] = []
    groups: list[tuple[str]] = []
    for name, (tn, fp, fn, tp) in table.items():
        flagged += [False] * tn + [True] * fp + [False] * fn + [True] * tp
        toxic += [False] * (tn + fp) + [True] * (fn + tp)
        groups += [(name,)] * (tn + fp + fn + tp)
    return flagged, toxic, groups


def test_the_rates_of_the_compas_table_are_the_published_ones() -> None:
    rates = {each.name: each for each in false_positive_rates(*texts(COMPAS))}
    assert rates["African-American"].rate.value == pytest.approx(0.4485, abs=5e-5)
    assert rates["Caucasian"].rate.value == pytest.approx(0.2345, abs=5e-5)
    assert (rates["Hispanic"].flagged, rates["Hispanic"].rate.n) == (87, 405)
    assert [name for name, each in rates.items() if not each.enough] == ["Asian", "Native American"]


def test_the_gap_is_the_difference_between_groups_as_fairlearn_has_it() -> None:
    two = {name: COMPAS[name] for name in ("African-American", "Caucasian")}
    found = gap(false_positive_rates(*texts(two)))
    assert (found.highest, found.lowest) == ("African-American", "Caucasian")
    assert found.value == pytest.approx(0.213925, abs=5e-7)  # equalized odds difference, which FPR decides here


def test_the_gap_of_the_user_guides_toy_is_one() -> None:
    # False-positive rates 1, 0 and 2/3 of three groups.
    toy = {"a": (0, 2, 1, 1), "b": (1, 0, 2, 3), "c": (1, 2, 3, 2)}
    rates = false_positive_rates(*texts(toy), least=1)
    assert [each.rate.value for each in rates] == [1, 0, pytest.approx(2 / 3)]
    assert gap(rates) == Gap(1.0, "a", "b")


def test_a_group_without_harmless_texts_is_undefined_and_not_compared() -> None:
    rates = false_positive_rates(*texts({"a": (40, 10, 0, 0), "b": (45, 5, 0, 0), "c": (0, 0, 5, 45)}))
    assert rates[2].rate.value is None
    assert gap(rates).value == pytest.approx(0.1)
    assert gap(rates[1:]).value is None
    assert "two groups" in gap([]).why


def test_a_text_counts_for_every_group_that_it_names() -> None:
    rates = false_positive_rates([True, False], [False, False], [("a", "b"), ("b",)], least=1)
    assert [(each.name, each.flagged, each.rate.n) for each in rates] == [("a", 1, 1), ("b", 1, 2)]


def test_lengths_must_agree() -> None:
    with pytest.raises(InputError, match="same texts"):
        false_positive_rates([True], [False, True], [(), ()])


def test_the_difference_of_two_gaps_has_an_interval_that_holds_it() -> None:
    flagged, toxic, groups = texts({"a": (60, 40, 0, 10), "b": (90, 10, 0, 10)})
    none = [False] * len(flagged)
    wider = gap_difference(flagged, none, toxic, groups, resamples=300)
    assert wider.value == pytest.approx(0.3)
    assert 0.1 < (wider.low or 0) < 0.3 < (wider.high or 1) < 0.5
    same = gap_difference(flagged, flagged, toxic, groups, resamples=50)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    assert gap_difference(flagged, none, toxic, [()] * len(flagged)).value is None


SOME = st.lists(st.tuples(st.booleans(), st.booleans(), st.sets(st.sampled_from("abc"))), min_size=1, max_size=60)


@given(SOME)
def test_rates_are_shares_of_the_harmless_texts(rows: list[tuple[bool, bool, set[str]]]) -> None:
    flagged, toxic, groups = zip(*rows, strict=True)
    for each in false_positive_rates(flagged, toxic, groups, least=1):
        harmless = [flag for flag, bad, names in rows if each.name in names and not bad]
        assert each.rate.n == len(harmless)
        assert each.rate.value == (sum(harmless) / len(harmless) if harmless else None)


@given(SOME)
def test_the_gap_is_between_0_and_1_and_blind_to_names_and_order(rows: list[tuple[bool, bool, set[str]]]) -> None:
    def found(some: list[tuple[bool, bool, set[str]]]) -> Gap:
        return gap(false_positive_rates(*zip(*some, strict=True), least=2))

    one = found(rows)
    assert one.value is None or 0 <= one.value <= 1
    renamed = [(flag, bad, {name.upper() for name in names}) for flag, bad, names in reversed(rows)]
    assert found(renamed).value == one.value
    # Toxic texts and those that name nobody change nothing.
    assert found([*rows, (True, True, {"a"}), (True, False, set())]).value == one.value

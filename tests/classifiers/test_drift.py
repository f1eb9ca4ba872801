"""Drift against scipy and by hand, and that it neither cries wolf nor sleeps."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp, kstwobign

from classifiers.drift import (
    Drift,
    Finding,
    Level,
    Limits,
    Window,
    compare,
    exact_test,
    kolmogorov_smirnov,
    population_stability_index,
)
from classifiers.errors import InputError

COUNTS = st.lists(st.integers(0, 50), min_size=4, max_size=4).filter(sum)
SPLIT = st.tuples(st.integers(0, 30), st.integers(0, 30)).filter(sum)
LIMITS = Limits()


def window(scores: np.ndarray, errors: int = 0, threshold: float = 0.5, policy: float = 0.5) -> Window:
    bins = np.bincount(np.clip((scores * 20).astype(int), 0, 19), minlength=20).tolist()
    toxic, by_policy = (int((scores >= limit).sum()) for limit in (threshold, policy))
    return Window(bins, len(scores), toxic, by_policy, errors)


def finding(drift: Drift, respect: str) -> Finding:
    return next(each for each in drift.findings if each.respect == respect)


def test_the_index_by_hand() -> None:
    assert population_stability_index([50, 50], [50, 50]) == 0
    expected = (0.7 - 0.5) * math.log(0.7 / 0.5) + (0.3 - 0.5) * math.log(0.3 / 0.5)
    assert population_stability_index([50, 50], [70, 30]) == pytest.approx(expected, abs=1e-9)


@given(COUNTS, COUNTS)
def test_the_index_is_the_divergence_both_ways(one: list[int], two: list[int]) -> None:
    p, q = (np.maximum(counts, 0.5) / np.maximum(counts, 0.5).sum() for counts in (one, two))
    both_ways = (p * np.log(p / q)).sum() + (q * np.log(q / p)).sum()
    assert population_stability_index(one, two) == pytest.approx(both_ways, abs=1e-9)
    assert population_stability_index(two, one) == pytest.approx(both_ways, abs=1e-9)


@given(COUNTS, COUNTS)
def test_the_distance_and_its_probability_are_those_of_scipy(one: list[int], two: list[int]) -> None:
    theirs = ks_2samp(*(np.repeat(range(4), counts) for counts in (one, two)), method="asymp")
    distance, p = kolmogorov_smirnov(one, two)
    n, m = sum(one), sum(two)
    assert distance == pytest.approx(theirs.statistic, abs=1e-9)
    assert p == pytest.approx(kstwobign.sf(distance * math.sqrt(n * m / (n + m))), abs=1e-9)


@given(SPLIT, SPLIT)
def test_the_exact_test_by_hand(old: tuple[int, int], new: tuple[int, int]) -> None:
    have, total = old[0] + new[0], sum(old) + sum(new)
    possible = range(max(0, have - sum(old)), min(have, sum(new)) + 1)
    chances = {k: math.comb(sum(new), k) * math.comb(sum(old), have - k) / math.comb(total, have) for k in possible}
    as_rare = sum(chance for chance in chances.values() if chance <= chances[new[0]] * (1 + 1e-7))
    assert exact_test(old, new) == pytest.approx(as_rare, abs=1e-9)
    assert exact_test(old, new, rise=True) == pytest.approx(
        sum(chance for k, chance in chances.items() if k >= new[0]), abs=1e-9
    )


@pytest.mark.parametrize(("one", "two"), [([1], [1, 2]), ([0, 0], [1, 2]), ([1, 2], [0, 0])])
def test_windows_that_cannot_be_compared_are_refused(one: list[int], two: list[int]) -> None:
    for measure in (population_stability_index, kolmogorov_smirnov):
        with pytest.raises(InputError):
            measure(one, two)


@pytest.mark.parametrize("shape", [(1, 8), (0.2, 5), (5, 5)])
@pytest.mark.parametrize("n", [200, 1000])
def test_the_same_texts_rarely_look_like_drift(shape: tuple[float, float], n: int) -> None:
    chance = np.random.default_rng(0)
    reference = window(chance.beta(*shape, 5000), errors=50)
    levels = [compare(reference, window(chance.beta(*shape, n), errors=n // 100), LIMITS).level for _ in range(500)]
    assert levels.count(Level.NONE) >= 497


def test_a_year_of_looks_at_the_same_texts_is_quiet() -> None:
    chance = np.random.default_rng(1)
    days = [window(chance.beta(0.5, 4, 60), errors=int(chance.binomial(60, 0.01))) for _ in range(400)]
    levels = [
        compare(
            sum(days[day - 35 : day - 7], window(np.array([]))), sum(days[day - 7 : day], window(np.array([]))), LIMITS
        )
        for day in range(35, 400)
    ]
    onsets = sum(old.level != Level.DRIFT == new.level for old, new in pairwise(levels))
    assert onsets == 0
    assert {each.level for each in levels} <= {Level.NONE, Level.WATCH}


@pytest.mark.parametrize("n", [200, 1000, 100_000])
def test_shifted_scores_are_found(n: int) -> None:
    chance = np.random.default_rng(0)
    found = compare(window(chance.beta(1, 8, 5000)), window(chance.beta(2, 5, n)), LIMITS)
    assert found.level == finding(found, "scores").level == Level.DRIFT
    assert finding(found, "labels").recent > finding(found, "labels").reference


def test_a_small_shift_is_no_drift_however_many_texts_show_it() -> None:
    chance = np.random.default_rng(0)
    found = compare(window(chance.beta(1, 8, 500_000)), window(chance.beta(1.05, 8, 500_000)), LIMITS)
    assert finding(found, "scores").p_value < 1e-6
    assert found.level == Level.NONE


def test_labels_shift_where_scores_say_nothing() -> None:
    flat = [0] * 20
    found = compare(Window(flat, 1000, 20, 20), Window(flat, 1000, 200, 20), LIMITS)
    assert [each.respect for each in found.findings] == ["labels", "policy labels", "errors"]
    assert (found.level, finding(found, "policy labels").level) == (Level.DRIFT, Level.NONE)


def test_another_threshold_of_the_policy_shows_in_its_labels_alone() -> None:
    chance = np.random.default_rng(0)
    scores = chance.beta(1, 4, 5000)
    found = compare(window(scores), window(scores, policy=0.2), LIMITS)
    assert {each.respect for each in found.findings if each.level != Level.NONE} == {"policy labels"}


@pytest.mark.parametrize(
    ("before", "after", "level"),
    [(0, 100, Level.DRIFT), (10, 40, Level.WATCH), (100, 0, Level.NONE), (10, 12, Level.NONE)],
)
def test_more_errors_are_drift_and_fewer_are_none(before: int, after: int, level: Level) -> None:
    scores = np.random.default_rng(0).beta(1, 8, 1000)
    found = compare(window(scores, errors=before), window(scores, errors=after), LIMITS)
    assert found.level == finding(found, "errors").level == level


def test_a_classifier_that_judges_nothing_any_more_has_drifted() -> None:
    scores = np.random.default_rng(0).beta(1, 8, 1000)
    found = compare(window(scores), window(np.array([]), errors=300), LIMITS)
    assert found.level == finding(found, "errors").level == Level.DRIFT
    assert finding(found, "scores").level == Level.UNKNOWN
    assert "300 that could not be judged" in found.why


@pytest.mark.parametrize(("before", "after"), [(5000, 199), (199, 5000), (0, 0)])
def test_few_texts_say_nothing(before: int, after: int) -> None:
    chance = np.random.default_rng(0)
    found = compare(window(chance.beta(1, 8, before)), window(chance.beta(2, 5, after)), LIMITS)
    assert {each.level for each in found.findings} == {found.level} == {Level.UNKNOWN}
    assert "needs 200 texts" in found.why


def test_unknown_scores_are_not_hidden_behind_errors_that_are_the_same() -> None:
    chance = np.random.default_rng(0)
    found = compare(window(chance.beta(1, 8, 5000), errors=500), window(chance.beta(1, 8, 195), errors=10), LIMITS)
    assert (found.level, finding(found, "errors").level) == (Level.UNKNOWN, Level.NONE)

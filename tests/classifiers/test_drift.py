"""Drift against scipy and by hand, and that it neither cries wolf nor sleeps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from classifiers.drift import Window, compare, kolmogorov_smirnov, population_stability_index
from classifiers.errors import InputError

COUNTS = st.lists(st.integers(0, 50), min_size=4, max_size=4).filter(sum)


def window(scores: np.ndarray, errors: int = 0, threshold: float = 0.5) -> Window:
    bins = np.bincount(np.clip((scores * 20).astype(int), 0, 19), minlength=20).tolist()
    toxic = int((scores >= threshold).sum())
    return Window(bins, toxic, len(scores) - toxic, errors)


def test_the_index_by_hand() -> None:
    assert population_stability_index([50, 50], [50, 50]) == 0
    expected = (0.7 - 0.5) * math.log(0.7 / 0.5) + (0.3 - 0.5) * math.log(0.3 / 0.5)
    assert population_stability_index([50, 50], [70, 30]) == pytest.approx(expected)


@given(COUNTS, COUNTS)
def test_the_index_is_symmetric_and_never_negative(one: list[int], two: list[int]) -> None:
    there, back = population_stability_index(one, two), population_stability_index(two, one)
    assert there == pytest.approx(back)
    assert 0 <= there < math.inf


@given(COUNTS, COUNTS)
def test_the_distance_is_that_of_scipy(one: list[int], two: list[int]) -> None:
    spread = [np.repeat(range(4), counts) for counts in (one, two)]
    theirs = ks_2samp(*spread, method="asymp")
    assert kolmogorov_smirnov(one, two)[0] == pytest.approx(theirs.statistic)


@pytest.mark.parametrize(("one", "two"), [([1], [1, 2]), ([0, 0], [1, 2]), ([1, 2], [0, 0])])
def test_windows_that_cannot_be_compared_are_refused(one: list[int], two: list[int]) -> None:
    for measure in (population_stability_index, kolmogorov_smirnov):
        with pytest.raises(InputError):
            measure(one, two)


def test_the_same_texts_rarely_look_like_drift() -> None:
    chance = np.random.default_rng(0)
    reference = window(chance.beta(1, 8, 5000))
    levels = [compare(reference, window(chance.beta(1, 8, 300))).level for _ in range(200)]
    assert levels.count("none") >= 197


def test_other_texts_do() -> None:
    chance = np.random.default_rng(0)
    found = compare(window(chance.beta(1, 8, 5000)), window(chance.beta(2, 5, 300)))
    assert found.level == "large"
    assert found.rate > found.reference_rate


def test_few_texts_say_nothing() -> None:
    chance = np.random.default_rng(0)
    found = compare(window(chance.beta(1, 8, 5000)), window(chance.beta(2, 5, 10), errors=10))
    assert (found.level, found.psi) == ("unknown", None)
    assert "50 scores" in found.why
    assert found.errors == 0.5

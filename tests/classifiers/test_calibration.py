"""Calibration against scikit-learn, and that it keeps the order of scores."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from classifiers.calibration import (
    Calibration,
    brier,
    expected_calibration_error,
    fit_isotonic,
    fit_temperature,
    reliability,
)
from classifiers.errors import InputError

SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=80)


def overconfident(n: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores whose logits are three times too large and shifted."""
    chance = np.random.default_rng(seed)
    logits = chance.normal(-1, 1.5, n)
    toxic = chance.random(n) < 1 / (1 + np.exp(-logits))
    return 1 / (1 + np.exp(-(3 * logits + 0.7))), toxic


@given(SCORES, st.randoms())
def test_bins_hold_every_text_once(scores: list[float], chance) -> None:
    toxic = [chance.random() < 0.5 for _ in scores]
    bins = reliability(scores, toxic)
    assert sum(each.n for each in bins) == len(scores)
    assert all(each.low - 1e-9 <= each.score <= each.high + 1e-9 for each in bins if each.n)
    assert 0 <= expected_calibration_error(scores, toxic) <= 1


def test_the_error_of_a_small_example_by_hand() -> None:
    # Bins of one half: (.2, .4) with one of two toxic, (.9) with none.
    assert expected_calibration_error([0.2, 0.4, 0.9], [True, False, False], bins=2) == pytest.approx(
        2 / 3 * abs(0.3 - 0.5) + 1 / 3 * 0.9
    )
    assert expected_calibration_error([], []) is None


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40))
def test_brier_is_that_of_scikit_learn(pairs) -> None:
    scores, toxic = zip(*pairs, strict=True)
    assert brier(scores, toxic) == pytest.approx(brier_score_loss(toxic, scores, pos_label=True), abs=1e-9)


def test_temperature_is_what_logistic_regression_on_the_logit_finds() -> None:
    scores, toxic = overconfident()
    found = fit_temperature(scores, toxic)
    kept = np.clip(scores, 1e-6, 1 - 1e-6)
    model = LogisticRegression(C=1e9).fit(np.log(kept / (1 - kept)).reshape(-1, 1), toxic)
    theirs = model.predict_proba(np.log(kept / (1 - kept)).reshape(-1, 1))[:, 1]
    assert np.abs(np.array(found.apply(scores)) - theirs).max() < 2e-3


def test_a_few_texts_that_scores_part_by_chance_are_no_certainty() -> None:
    found = fit_temperature([0.4, 0.41, 0.42, 0.58, 0.59, 0.6], [False, False, False, True, True, True])
    assert found.apply([0.41, 0.59]) == pytest.approx([1 / 5, 4 / 5], abs=0.02)


def test_isotonic_is_that_of_scikit_learn() -> None:
    scores, toxic = overconfident(800)
    ours = fit_isotonic(scores, toxic).apply(scores)
    theirs = IsotonicRegression(out_of_bounds="clip").fit(scores, toxic).predict(scores)
    assert np.abs(np.array(ours) - theirs).max() < 1e-9


@pytest.mark.parametrize("fit", [fit_temperature, fit_isotonic])
def test_what_is_fitted_on_one_split_helps_on_another(fit) -> None:
    fitted = fit(*overconfident(seed=1))
    scores, toxic = overconfident(seed=2)
    before, after = (expected_calibration_error(each, toxic) for each in (scores, fitted.apply(scores)))
    assert before > 0.1
    assert after < 0.03


@pytest.mark.parametrize("fit", [fit_temperature, fit_isotonic])
def test_the_order_of_scores_is_kept_and_what_is_stored_is_the_same_map(fit) -> None:
    fitted, grid = fit(*overconfident()), np.linspace(0, 1, 101)
    mapped = fitted.apply(grid)
    assert all(a <= b + 1e-12 for a, b in itertools.pairwise(mapped))
    assert all(0 <= each <= 1 for each in mapped)
    assert Calibration.from_json(fitted.as_json()).apply(grid) == mapped


@pytest.mark.parametrize("fit", [fit_temperature, fit_isotonic])
def test_one_kind_of_text_teaches_nothing(fit) -> None:
    with pytest.raises(InputError, match="only one kind"):
        fit([0.1, 0.9], [True, True])

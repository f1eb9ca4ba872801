"""Every figure against scikit-learn, and intervals that cover what they say they cover."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from classifiers.curves import (
    Aim,
    Scored,
    at_threshold,
    average_precision,
    best_f1,
    bootstrap,
    bootstrap_difference,
    bootstrap_pair,
    f1,
    false_positive_rate,
    mcnemar,
    pick_threshold,
    precision,
    recall,
    recall_at_fpr,
    roc_auc,
)
from classifiers.errors import InputError

# Few distinct values, so that ties are common.
PAIRS = st.lists(st.tuples(st.integers(0, 12).map(lambda n: n / 12), st.booleans()), min_size=2, max_size=60)
BOTH = PAIRS.filter(lambda pairs: len({toxic for _, toxic in pairs}) == 2)


def split(pairs: list[tuple[float, bool]]) -> tuple[list[float], list[bool]]:
    return [score for score, _ in pairs], [toxic for _, toxic in pairs]


@given(BOTH)
def test_areas_are_those_of_scikit_learn(pairs: list[tuple[float, bool]]) -> None:
    scores, toxic = split(pairs)
    curve = Scored.of(scores, toxic).curve()
    assert roc_auc(curve) == pytest.approx(metrics.roc_auc_score(toxic, scores), abs=1e-9)
    assert average_precision(curve) == pytest.approx(metrics.average_precision_score(toxic, scores), abs=1e-9)


@given(BOTH, st.integers(0, 12).map(lambda n: n / 12))
def test_figures_at_a_threshold_are_those_of_scikit_learn(pairs: list[tuple[float, bool]], threshold: float) -> None:
    scores, toxic = split(pairs)
    curve, flagged = Scored.of(scores, toxic).curve(), [score >= threshold for score in scores]
    tn, fp, _fn, _tp = metrics.confusion_matrix(toxic, flagged, labels=[False, True]).ravel()
    for ours, theirs in (
        (f1, metrics.f1_score(toxic, flagged)),
        (recall, metrics.recall_score(toxic, flagged)),
        (false_positive_rate, fp / (fp + tn)),
        (precision, metrics.precision_score(toxic, flagged) if any(flagged) else None),
    ):
        assert at_threshold(threshold, ours)(curve) == (pytest.approx(theirs, abs=1e-9) if theirs is not None else None)


@given(BOTH, st.sampled_from([0.01, 0.05, 0.2, 1.0]))
def test_recall_at_a_false_positive_rate_is_read_off_the_roc_curve(
    pairs: list[tuple[float, bool]], most: float
) -> None:
    scores, toxic = split(pairs)
    fpr, tpr, _ = metrics.roc_curve(toxic, scores, drop_intermediate=False)
    assert recall_at_fpr(most)(Scored.of(scores, toxic).curve()) == pytest.approx(tpr[fpr <= most + 1e-12].max())


@given(BOTH)
def test_the_best_f1_is_that_of_the_threshold_that_is_picked_for_it(pairs: list[tuple[float, bool]]) -> None:
    scores, toxic = split(pairs)
    curve = Scored.of(scores, toxic).curve()
    picked = pick_threshold(curve, Aim("f1"))
    assert at_threshold(picked, f1)(curve) == pytest.approx(best_f1(curve))
    assert best_f1(curve) == pytest.approx(max(metrics.f1_score(toxic, np.array(scores) >= t) for t in set(scores)))


@given(BOTH, st.sampled_from(["precision", "recall", "fpr"]), st.sampled_from([0.1, 0.5, 0.9]))
def test_a_threshold_reaches_its_target_or_there_is_none(
    pairs: list[tuple[float, bool]], kind: str, target: float
) -> None:
    scores, toxic = split(pairs)
    curve = Scored.of(scores, toxic).curve()
    figure = {"precision": precision, "recall": recall, "fpr": false_positive_rate}[kind]
    reached = {t: at_threshold(t, figure)(curve) for t in set(scores)}
    fits = {t for t, value in reached.items() if (value <= target if kind == "fpr" else value >= target)}
    if not fits:
        with pytest.raises(InputError, match="Aim lower"):
            pick_threshold(curve, Aim(kind, target))
    else:
        assert pick_threshold(curve, Aim(kind, target)) in fits


def test_dear_misses_lower_the_threshold() -> None:
    chance = np.random.default_rng(1)
    toxic = chance.random(2000) < 0.3
    scores = np.clip(chance.normal(0.35 + 0.3 * toxic, 0.2), 0, 1)
    curve = Scored.of(scores, toxic).curve()
    picked = [pick_threshold(curve, Aim("cost", cost)) for cost in (0.2, 1, 5, 25)]
    assert picked == sorted(picked, reverse=True)
    assert len(set(picked)) == 4


def test_a_weight_of_two_is_the_text_twice() -> None:
    scores, toxic, weights = [0.9, 0.7, 0.7, 0.2], [True, False, True, False], [2, 1, 1, 2]
    twice = Scored.of(np.repeat(scores, weights), np.repeat(toxic, weights)).curve()
    weighted = Scored.of(scores, toxic).curve(weights)
    assert roc_auc(weighted) == pytest.approx(roc_auc(twice))
    assert average_precision(weighted) == pytest.approx(average_precision(twice))


def test_what_is_undefined_says_so() -> None:
    found = bootstrap(Scored.of([0.1, 0.2], [False, False]), {"auc": roc_auc, "ap": average_precision}, resamples=50)
    assert [(each.value, bool(each.why)) for each in found.values()] == [(None, True), (None, True)]
    assert bootstrap(Scored.of([], []), {"auc": roc_auc})["auc"].n == 0


@pytest.mark.parametrize(("scores", "toxic"), [([0.1], [True, False]), ([float("nan")], [True])])
def test_scores_that_are_none_are_refused(scores: list[float], toxic: list[bool]) -> None:
    with pytest.raises(InputError):
        Scored.of(scores, toxic)


@pytest.mark.slow
def test_intervals_cover_in_simulation() -> None:
    """200 samples of 300 texts from a population whose AUC is known; 95 % intervals, give or take three standard errors."""
    chance, covered = np.random.default_rng(3), 0
    from scipy.stats import norm

    truth = float(norm.cdf(1.0 / np.sqrt(2)))  # unit normals one apart
    for seed in range(200):
        toxic = chance.random(300) < 0.3
        scores = norm.cdf(chance.normal(toxic * 1.0, 1.0))
        found = bootstrap(Scored.of(scores, toxic), {"auc": roc_auc}, seed=seed, resamples=400)["auc"]
        covered += found.low <= truth <= found.high
    assert 0.95 - 3 * np.sqrt(0.95 * 0.05 / 200) <= covered / 200


def test_a_difference_on_the_same_texts_is_sharper_than_two_intervals() -> None:
    chance = np.random.default_rng(5)
    toxic = chance.random(800) < 0.4
    good = np.clip(chance.normal(0.4 + 0.25 * toxic, 0.2), 0, 1)
    worse = np.clip(good + chance.normal(0, 0.08, 800), 0, 1)
    first, second = Scored.of(good, toxic), Scored.of(worse, toxic)
    apart = [bootstrap(each, {"auc": roc_auc}, resamples=300)["auc"] for each in (first, second)]
    found = bootstrap_difference(first, second, roc_auc, resamples=300)
    assert found.high - found.low < min(each.high - each.low for each in apart)
    assert found.value == pytest.approx(apart[0].value - apart[1].value)
    with pytest.raises(InputError):
        bootstrap_difference(first, Scored.of(worse, ~toxic), roc_auc)


def test_a_pair_is_each_one_and_their_difference() -> None:
    toxic = np.arange(60) % 3 == 0
    noise = np.random.default_rng(1)
    first, second = (Scored.of(toxic * 0.3 + noise.random(60) * 0.7, toxic) for _ in range(2))
    figures = {"roc_auc": roc_auc, "auprc": average_precision}
    found = bootstrap_pair(first, second, figures, resamples=50)
    alone = [bootstrap(each, figures, resamples=50) for each in (first, second)]
    for name, figure in figures.items():
        assert found[name][:2] == (alone[0][name], alone[1][name])
        assert found[name].difference == bootstrap_difference(first, second, figure, resamples=50)


def test_mcnemar_is_the_sign_test() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(8, 1) == pytest.approx(2 * (1 + 9) / 2**9)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_the_same_seed_gives_the_same_interval(seed: int) -> None:
    scored = Scored.of([0.1, 0.4, 0.35, 0.8, 0.7, 0.2], [False, False, True, True, True, False])
    one, two = (bootstrap(scored, {"auc": roc_auc}, seed=seed, resamples=20) for _ in range(2))
    assert one == two

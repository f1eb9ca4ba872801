"""Machine against people: against scikit-learn and statsmodels, and simulated runs in which the truth is known."""

import math
from collections import Counter
from itertools import product

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from classifiers.errors import InputError
from classifiers.evaluation import (
    Confusion,
    Stratum,
    _at_most,
    _toxic,
    missed,
    threshold_sweep,
    wilson,
)

pairs = st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40)
judged = st.lists(st.tuples(st.integers(0, 20).map(lambda n: n / 20), st.booleans(), st.integers(1, 9)), min_size=1)


@st.composite
def strata(draw, reviewed_at_least=1):
    size = draw(st.integers(1, 300))
    reviewed = draw(st.integers(min(reviewed_at_least, size), size))
    return Stratum("some", draw(st.booleans()), size, reviewed, draw(st.integers(0, reviewed)))


def flagged(size, reviewed, toxic):
    return Stratum("flagged", True, size, reviewed, toxic)


def unflagged(size, reviewed, toxic):
    return Stratum("unflagged", False, size, reviewed, toxic)


@given(st.integers(0, 200), st.integers(1, 200), st.sampled_from([0.8, 0.95, 0.99]))
@settings(deadline=None)
def test_wilson_is_statsmodels(successes, n, confidence):
    from statsmodels.stats.proportion import proportion_confint

    assume(successes <= n)
    estimate = wilson(successes, n, confidence)
    theirs = proportion_confint(successes, n, alpha=1 - confidence, method="wilson")
    assert (estimate.low, estimate.high) == pytest.approx(theirs, abs=1e-9)
    assert 0 <= estimate.low <= estimate.value == successes / n <= estimate.high <= 1


def test_wilson_of_nothing_is_undefined():
    estimate = wilson(0, 0)
    assert (estimate.value, estimate.low, estimate.high, estimate.n) == (None, None, None, 0)
    assert estimate.why == "Nothing was counted, so there is no share to give."


@pytest.mark.parametrize(("successes", "n"), [(3, 2), (-1, 2), (0, -1)])
def test_wilson_refuses_what_is_no_share(successes, n):
    with pytest.raises(InputError, match="is not a share"):
        wilson(successes, n)


@pytest.mark.parametrize("confidence", [0, 1, 95, math.nan])
def test_a_confidence_is_between_0_and_1(confidence):
    with pytest.raises(InputError, match="does not lie between 0 and 1"):
        wilson(1, 2, confidence)
    with pytest.raises(InputError, match="does not lie between 0 and 1"):
        missed([], confidence)


@settings(deadline=None)
@given(pairs, st.data())
def test_rates_are_scikit_learns(pairs, data):
    from sklearn import metrics

    machine, human = [m for m, _ in pairs], [h for _, h in pairs]
    weights = data.draw(st.lists(st.integers(1, 9), min_size=len(pairs), max_size=len(pairs)))
    ours = Confusion.of(pairs, weights)
    options = {"sample_weight": weights, "zero_division": 0}
    if any(machine):
        assert ours.precision == pytest.approx(metrics.precision_score(human, machine, **options), abs=1e-9)
    if any(human):
        assert ours.recall == pytest.approx(metrics.recall_score(human, machine, **options), abs=1e-9)
        assert ours.recall + ours.false_negative_rate == pytest.approx(1)
    if any(machine) or any(human):
        assert ours.f1 == pytest.approx(metrics.f1_score(human, machine, **options), abs=1e-9)
    if len({*machine, *human}) == 2:
        kappa = metrics.cohen_kappa_score(human, machine, sample_weight=weights)
        assert ours.kappa == pytest.approx(kappa, abs=1e-9)


def test_rates_that_would_divide_by_nothing_are_none():
    nothing = Confusion.of([])
    rates = (nothing.precision, nothing.recall, nothing.false_negative_rate, nothing.f1, nothing.kappa)
    assert rates == (None,) * 5
    all_safe = Confusion.of([(False, False)] * 9)
    assert (all_safe.precision, all_safe.recall, all_safe.f1, all_safe.kappa) == (None, None, None, None)
    assert Confusion.of([(True, True)] * 9).kappa is None
    assert Confusion.of([(False, True)]).f1 == 0


@given(pairs)
def test_weights_of_1_change_nothing(pairs):
    assert Confusion.of(pairs, [1.0] * len(pairs)) == Confusion.of(iter(pairs))


def test_weighted_results_count_for_those_they_stand_for():
    confusion = Confusion.of([(True, True), (True, False), (False, True), (False, False)], [1, 1, 20, 20])
    assert (confusion.tp, confusion.fp, confusion.fn, confusion.tn) == (1, 1, 20, 20)


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [([1], "1 weights for 2"), ([1, 0], "not a positive"), ([1, math.nan], "not a"), ([math.inf, 1], "not a")],
)
def test_bad_weights_are_refused(weights, sentence):
    with pytest.raises(InputError, match=sentence):
        Confusion.of([(True, True), (False, False)], weights)
    with pytest.raises(InputError, match=sentence):
        threshold_sweep([0.1, 0.9], [False, True], weights)


@given(judged)
def test_a_sweep_is_exact_at_every_distinct_score(rows):
    scores, toxic, weights = zip(*rows, strict=True)
    sweep = threshold_sweep(scores, toxic, weights)
    assert [point.threshold for point in sweep] == sorted(set(scores))
    for point in sweep:
        confusion = Confusion.of(((s >= point.threshold, t) for s, t in zip(scores, toxic, strict=True)), weights)
        rates = (confusion.precision, confusion.recall, confusion.f1)
        assert (point.precision, point.recall, point.f1) == rates
        assert point.flagged == pytest.approx((confusion.tp + confusion.fp) / sum(weights))


@given(judged)
def test_a_sweep_with_weights_of_1_is_one_without(rows):
    scores, toxic, _ = zip(*rows, strict=True)
    assert threshold_sweep(scores, toxic, [1] * len(rows)) == threshold_sweep(scores, toxic)


def test_a_long_sweep_is_thinned_to_exact_points():
    scores = [i / 1000 for i in range(1000)]
    toxic = [score > 0.7 for score in scores]
    sweep, full = threshold_sweep(scores, toxic), threshold_sweep(scores, toxic, points=1000)
    assert len(sweep) == 100
    assert len(full) == 1000
    assert set(sweep) <= set(full)
    assert (sweep[0], sweep[-1]) == (full[0], full[-1])


def test_a_sweep_without_toxic_results_has_no_recall():
    assert [point.recall for point in threshold_sweep([0.1, 0.9], [False, False])] == [None, None]
    assert threshold_sweep([], []) == []


@pytest.mark.parametrize("score", [None, math.nan, math.inf])
def test_a_sweep_refuses_a_score_that_is_none(score):
    with pytest.raises(InputError, match="leave results without a score out"):
        threshold_sweep([0.5, score], [True, True])


def test_a_sweep_refuses_scores_without_labels():
    with pytest.raises(InputError, match="2 scores and 1 labels"):
        threshold_sweep([0.5, 0.6], [True])


# What the machine missed.


def test_recall_weighs_each_miss_by_those_it_stands_for():
    found = missed([flagged(100, 100, 80), unflagged(2000, 100, 1)])
    assert found.recall.value == pytest.approx(80 / (80 + 20))
    assert found.naive_recall == pytest.approx(80 / 81)
    assert found.recall.n == 200


def test_when_all_is_reviewed_recall_is_known():
    recall = missed([flagged(100, 100, 80), unflagged(2000, 2000, 20)]).recall
    assert (recall.low, recall.high) == pytest.approx((0.8, 0.8))
    assert recall.value == pytest.approx(0.8)


def test_no_miss_in_a_sample_is_not_no_miss():
    recall = missed([flagged(100, 100, 80), unflagged(2000, 100, 0)]).recall
    assert (recall.value, recall.high) == (1, 1)
    most = 70  # the most among 2000 of which a sample of 100 may well hold none
    assert math.comb(1930, 100) / math.comb(2000, 100) > 0.025 > math.comb(1929, 100) / math.comb(2000, 100)
    assert recall.low == pytest.approx(80 / (80 + most))


def test_a_stratum_nobody_looked_at_leaves_recall_undefined():
    found = missed([flagged(100, 100, 80), Stratum("INPUT, not flagged", False, 2000, 0, 0)])
    assert found.recall == found.false_negative_rate
    assert (found.recall.value, found.recall.low, found.recall.high) == (None, None, None)
    assert found.recall.why == (
        "INPUT, not flagged: none of 2000 results was reviewed, so how many are toxic is unknown; "
        "review a random sample of them."
    )
    assert found.naive_recall == 1


def test_an_empty_stratum_does_no_harm():
    with_empty = missed([flagged(100, 100, 80), unflagged(2000, 100, 1), Stratum("none", False, 0, 0, 0)])
    assert with_empty == missed([flagged(100, 100, 80), unflagged(2000, 100, 1)])


@pytest.mark.parametrize("some", [[], [flagged(0, 0, 0)], [flagged(5, 5, 0), unflagged(9, 3, 0)]])
def test_where_nothing_toxic_was_found_there_is_no_recall(some):
    found = missed(some)
    assert (found.recall.value, found.naive_recall) == (None, None)
    assert found.recall.why == "No toxic result was found, so there is no share to give."


@pytest.mark.parametrize(("size", "reviewed", "toxic"), [(5, 6, 1), (5, 4, 5), (5, 4, -1), (-1, -1, -1)])
def test_a_stratum_of_impossible_numbers_is_refused(size, reviewed, toxic):
    with pytest.raises(InputError, match=r"unflagged: .* cannot be"):
        unflagged(size, reviewed, toxic)


@given(st.lists(strata(), min_size=1, max_size=4))
def test_recall_and_misses_mirror_each_other(some):
    found = missed(some)
    recall, rate = found.recall, found.false_negative_rate
    if recall.value is None:
        assert not any(stratum.toxic for stratum in some)
        return
    assert 0 <= recall.low <= recall.value <= recall.high <= 1
    assert 0 <= rate.low <= rate.value <= rate.high <= 1
    assert recall.value + rate.value == pytest.approx(1)
    assert (recall.low + rate.high, recall.high + rate.low) == pytest.approx((1, 1))


@given(st.lists(strata(), min_size=1, max_size=4), st.randoms())
def test_the_order_of_strata_does_not_matter(some, rng):
    shuffled = rng.sample(some, len(some))
    ours, theirs = missed(some).recall, missed(shuffled).recall
    if ours.value is not None:
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


@given(st.lists(strata(), min_size=1, max_size=4))
def test_more_confidence_is_a_wider_interval(some):
    wide, narrow = missed(some, 0.99).recall, missed(some, 0.8).recall
    if wide.value is not None:
        assert wide.low <= narrow.low + 1e-12
        assert narrow.high <= wide.high + 1e-12


def test_of_many_counts_the_interval_is_the_normal_one():
    some = [flagged(40_000, 20_000, 12_000), flagged(60_000, 10_000, 7_000), unflagged(900_000, 450_000, 15_000)]
    tp, fn = 40_000 * 0.6 + 60_000 * 0.7, 30_000
    spread = [
        s.size * math.sqrt(s.toxic / s.reviewed * (1 - s.toxic / s.reviewed) * (1 / s.reviewed - 1 / s.size))
        for s in some
    ]
    of_recall = math.hypot(fn * spread[0], fn * spread[1], tp * spread[2]) / (tp + fn) ** 2  # the delta method
    recall = missed(some).recall
    assert recall.value == pytest.approx(tp / (tp + fn))
    assert [recall.value - recall.low, recall.high - recall.value] == pytest.approx([1.96 * of_recall] * 2, rel=0.05)


def test_the_limits_of_a_count_are_the_published_ones():
    # R's samplingbook gives 110 and 161 for 45 of 100 drawn from 300: the first numbers refused on either side.
    limits = _toxic(unflagged(300, 100, 45), 0.025)
    assert (limits.value, limits.low, limits.high) == (135, 111, 160)


@given(strata())
@example(unflagged(200, 199, 1))  # stands for 1.005 results, and more than 1 is not likely
def test_the_limits_of_a_count_are_the_numbers_a_test_does_not_refuse(stratum):
    size, reviewed, found = stratum.size, stratum.reviewed, stratum.toxic
    tail = 0.050321  # no chance is just this

    def chance(toxic, x):
        return math.comb(toxic, x) * math.comb(size - toxic, reviewed - x) / math.comb(size, reviewed)

    def likely(toxic):
        more = sum(chance(toxic, x) for x in range(found, reviewed + 1))
        fewer = sum(chance(toxic, x) for x in range(found + 1))
        return more > tail and fewer > tail

    numbers = [toxic for toxic in range(found, size - reviewed + found + 1) if likely(toxic)]
    value, limits = size * found / reviewed, _toxic(stratum, tail)
    assert (limits.low, limits.high) == (min(numbers[0], value), max(numbers[-1], value))


@settings(deadline=None)
@given(st.integers(1, 100_000), st.data())
def test_the_hypergeometric_tail_is_scipys(size, data):
    from scipy.stats import hypergeom

    toxic, drawn = data.draw(st.integers(0, size)), data.draw(st.integers(0, size))
    found = data.draw(st.integers(0, drawn))
    assert _at_most(found, size, toxic, drawn) == pytest.approx(hypergeom.cdf(found, size, toxic, drawn), abs=1e-8)


RUNS = 200
REGIMES = {  # name: (size, toxic, reviewed) of the flagged results and of the unflagged
    "1 % of a large run": ((2_000, 1_500, 2_000), (50_000, 400, 500)),
    "5 % of a large run": ((2_000, 1_500, 2_000), (50_000, 400, 2_500)),
    "20 % of a large run": ((2_000, 1_500, 2_000), (50_000, 400, 10_000)),
    "a million results": ((30_000, 20_000, 30_000), (970_000, 5_000, 9_700)),
    "rare misses": ((200, 150, 200), (5_000, 20, 250)),
    "hardly a miss in the sample": ((200, 150, 200), (5_000, 30, 50)),
    "a small run": ((20, 12, 20), (200, 8, 40)),
    "a tiny run": ((5, 4, 5), (40, 3, 8)),
    "flagged results nearly all reviewed": ((200, 150, 180), (5_000, 60, 1_000)),
    "half of the flagged reviewed": ((1_000, 300, 500), (20_000, 1_000, 4_000)),
    "a fifth of both": ((300, 200, 60), (3_000, 300, 600)),
    "few of both": ((20, 18, 19), (400, 3, 80)),
}


def simulated(regime, seed):
    """Runs in which people review at random: (recall estimated, recall naively estimated) of each."""
    import numpy as np

    rng = np.random.default_rng(seed)
    (caught, found), ((n, k, m), (size, misses, sample)) = (rng.hypergeometric, rng.hypergeometric), regime
    for tp, fn in zip(caught(k, n - k, m, RUNS), found(misses, size - misses, sample, RUNS), strict=True):
        estimates = missed([flagged(n, m, int(tp)), unflagged(size, sample, int(fn))])
        yield estimates.recall, wilson(int(tp), int(tp + fn))


@pytest.mark.parametrize("regime", REGIMES.values(), ids=REGIMES.keys())
def test_the_interval_covers_the_true_recall(regime):
    (_, tp, _), (_, fn, _) = regime
    truth = tp / (tp + fn)
    assert sum(covers(recall, truth) for recall, _ in simulated(regime, seed=1)) >= 0.93 * RUNS


@pytest.mark.parametrize("name", ["1 % of a large run", "5 % of a large run", "a million results", "rare misses"])
def test_recall_of_the_reviewed_alone_is_far_too_high(name):
    (_, tp, _), (_, fn, _) = REGIMES[name]
    truth = tp / (tp + fn)
    naive = [estimate for _, estimate in simulated(REGIMES[name], seed=1)]
    assert sum(covers(estimate, truth) for estimate in naive) < 0.5 * RUNS
    assert sum(estimate.value for estimate in naive) / RUNS > truth + 0.05


def test_few_counts_are_covered_whatever_the_truth():
    """Exactly, by summing over all outcomes: squares of distances alone would cover the first at 82 %."""
    for n, m, size, sample in [(20, 19, 400, 80), (20, 10, 400, 80), (60, 57, 100, 20)]:
        outcomes = list(product(range(m + 1), range(min(sample, 30) + 1)))
        found = [missed([flagged(n, m, tp), unflagged(size, sample, fn)]).recall for tp, fn in outcomes]
        for toxic, misses in product([1, n // 2, n * 9 // 10], [1, 2, 8, 30]):
            truth, chances = toxic / (toxic + misses), Counter()
            for (tp, fn), recall in zip(outcomes, found, strict=True):
                chance = hypergeometric(tp, n, toxic, m) * hypergeometric(fn, size, misses, sample)
                if recall.value is not None:
                    chances[covers(recall, truth)] += chance
            assert chances[True] >= 0.93 * chances.total(), (n, m, size, sample, toxic, misses)


def hypergeometric(x, size, toxic, drawn):
    if x > toxic or drawn - x > size - toxic:
        return 0
    return math.comb(toxic, x) * math.comb(size - toxic, drawn - x) / math.comb(size, drawn)


def covers(estimate, truth):
    return estimate.low - 1e-9 <= truth <= estimate.high + 1e-9

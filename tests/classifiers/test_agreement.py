"""Agreement against scikit-learn, statsmodels, krippendorff, and the worked examples the measures were published with."""

import math
import random
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.agreement import (
    Ratings,
    cohen_kappa,
    fleiss_kappa,
    gwet_ac1,
    krippendorff_alpha,
    percent_agreement,
)
from classifiers.errors import InputError

OF_ALL = [percent_agreement, fleiss_kappa, gwet_ac1, krippendorff_alpha]
MEASURES = [*OF_ALL, lambda ratings, **options: cohen_kappa(ratings, "ann", "bob", **options)]
CAST = ["ann", "bob", "cho", "dia", "eve"]

# Fleiss (1971), table 1: six psychiatrists' diagnoses of thirty patients, how many chose each of five.
PSYCHIATRISTS = [
    *("00060", "03003", "01401", "00006", "03030", "20400", "00402", "20310", "20040", "00006"),
    *("10050", "11040", "03300", "10050", "02031", "00501", "30012", "51000", "02040", "10203"),
    *("00006", "01050", "02013", "20040", "10041", "05010", "40002", "02040", "10500", "00006"),
]
# Krippendorff (2011), example C, which is Gwet's (2014) too: four observers, twelve units, "." where one is missing.
OBSERVERS = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]
# irrCAC's "cont3x3abstractors" (Gwet 2014): two abstractors, a hundred patients.
ABSTRACTORS = [[13, 0, 0], [0, 20, 7], [0, 4, 56]]

table = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30)
sparse = st.dictionaries(st.tuples(st.integers(0, 9), st.sampled_from(CAST)), st.sampled_from("abc"), max_size=40)


def of_rows(rows):
    """Ratings of equally long strings, one a rater; "." is a missing label."""
    return Ratings.of((u, CAST[r], c) for r, row in enumerate(rows) for u, c in enumerate(row) if c != ".")


def of_table(counts):
    """Ratings of Ann (rows) and Bob (columns) from how often each pair of labels occurred."""
    cells = [(str(i), str(j)) for i, row in enumerate(counts) for j, n in enumerate(row) for _ in range(n)]
    return Ratings.of((u, rater, cell[r]) for u, cell in enumerate(cells) for r, rater in enumerate(CAST[:2]))


def of_counts(rows):
    """Ratings from how many raters gave each label to a unit, as strings of digits."""
    labels = ["".join(str(k) * int(n) for k, n in enumerate(row)) for row in rows]
    return Ratings.of((u, r, label) for u, given in enumerate(labels) for r, label in enumerate(given))


def of_sparse(cells):
    return Ratings.of((unit, rater, label) for (unit, rater), label in cells.items())


def values(ratings):
    return [measure(ratings, resamples=20).value for measure in MEASURES]


def close(a, b, within=1e-9):
    return a is b is None or (a is not None and b is not None and math.isclose(a, b, abs_tol=within))


def test_fleiss_psychiatrists():
    assert fleiss_kappa(of_counts(PSYCHIATRISTS)).value == pytest.approx(0.430, abs=5e-4)
    assert percent_agreement(of_counts(PSYCHIATRISTS)).value == pytest.approx(0.5556, abs=5e-5)


def test_krippendorffs_four_observers():
    ratings = of_rows(OBSERVERS)
    assert krippendorff_alpha(ratings).value == pytest.approx(0.743421052631579, abs=1e-9)
    assert percent_agreement(ratings).value == pytest.approx(0.8181818, abs=5e-8)
    assert fleiss_kappa(ratings).value == pytest.approx(0.7611693, abs=5e-8)  # this and the next as irrCAC gives them
    assert gwet_ac1(ratings).value == pytest.approx(0.7754441, abs=5e-8)
    assert {measure(ratings).n for measure in OF_ALL} == {11}  # the twelfth was seen by one observer


def test_gwets_abstractors():
    ratings = of_table(ABSTRACTORS)
    assert cohen_kappa(ratings, "ann", "bob").value == pytest.approx(0.7964094, abs=5e-8)
    assert gwet_ac1(ratings).value == pytest.approx(0.8493305, abs=5e-8)
    assert krippendorff_alpha(ratings).value == pytest.approx(0.7972585, abs=5e-8)
    assert percent_agreement(ratings).value == pytest.approx(0.89)


@pytest.mark.parametrize(
    ("counts", "kappa"), [([[20, 5], [10, 15]], 0.4), ([[45, 15], [25, 15]], 0.1304), ([[25, 35], [5, 35]], 0.2593)]
)
def test_cohens_kappa_of_the_textbook_tables(counts, kappa):
    assert cohen_kappa(of_table(counts), "ann", "bob").value == pytest.approx(kappa, abs=5e-5)


def test_kappa_is_low_and_ac1_high_where_one_label_is_rare():
    ratings = of_table([[118, 5], [2, 0]])  # the paradox that AC1 was made for
    assert cohen_kappa(ratings, "ann", "bob").value == pytest.approx(-0.0234, abs=5e-5)
    assert gwet_ac1(ratings).value == pytest.approx(0.9408, abs=5e-5)


@settings(deadline=None)
@given(table)
def test_cohens_kappa_is_scikit_learns(pairs):
    from sklearn.metrics import cohen_kappa_score

    a, b = zip(*pairs, strict=True)
    ratings = of_rows(["".join(map(str, a)), "".join(map(str, b))])
    value = cohen_kappa(ratings, "ann", "bob", resamples=20).value
    if len({*a, *b}) == 1:
        assert value is None
    else:
        assert value == pytest.approx(cohen_kappa_score(a, b), abs=1e-9)


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 2), min_size=4, max_size=4), min_size=1, max_size=20))
def test_fleiss_kappa_is_statsmodels(rows):
    from statsmodels.stats import inter_rater

    counts = [[row.count(label) for label in range(3)] for row in rows]
    value = fleiss_kappa(of_counts("".join(map(str, row)) for row in counts), resamples=20).value
    if len({label for row in rows for label in row}) == 1:
        assert value is None
    else:
        assert value == pytest.approx(inter_rater.fleiss_kappa(counts), abs=1e-9)


@settings(deadline=None)
@given(sparse)
def test_alpha_is_that_of_the_krippendorff_package(cells):
    import krippendorff

    value = krippendorff_alpha(of_sparse(cells), resamples=20).value
    units = [[label for (unit, _), label in cells.items() if unit == u] for u in range(10)]
    pairable = [given for given in units if len(given) > 1]
    if len({label for given in pairable for label in given}) < 2:
        assert value is None
    else:
        counts = [[given.count(label) for label in "abc"] for given in pairable]
        theirs = krippendorff.alpha(value_counts=counts, level_of_measurement="nominal")
        assert value == pytest.approx(theirs, abs=1e-9)


@settings(deadline=None)
@given(sparse)
def test_percent_is_the_mean_share_of_agreeing_pairs(cells):
    units = [[label for (unit, _), label in cells.items() if unit == u] for u in range(10)]
    shares = [
        [a == b for a, b in combinations(given, 2)].count(True) / math.comb(len(given), 2)
        for given in units
        if len(given) > 1
    ]
    value = percent_agreement(of_sparse(cells), resamples=20).value
    assert close(value, sum(shares) / len(shares) if shares else None)


@settings(deadline=None)
@given(sparse, st.permutations(CAST), st.permutations("xyz"))
def test_names_of_raters_and_labels_do_not_matter(cells, cast, labels):
    other_labels = {key: labels["abc".index(label)] for key, label in cells.items()}
    assert all(map(close, values(of_sparse(cells)), values(of_sparse(other_labels))))
    other_cast = {(unit, cast[CAST.index(rater)]): label for (unit, rater), label in cells.items()}
    ours, theirs = of_sparse(cells), of_sparse(other_cast)
    assert all(measure(ours, resamples=20) == measure(theirs, resamples=20) for measure in OF_ALL)
    swapped = cohen_kappa(ours, "bob", "ann", resamples=20).value
    assert close(swapped, cohen_kappa(ours, "ann", "bob", resamples=20).value)


@settings(deadline=None)
@given(sparse)
def test_values_and_bounds_stay_in_range_and_order(cells):
    for measure in MEASURES:
        estimate = measure(of_sparse(cells), resamples=50)
        assert (estimate.low is None) == (estimate.high is None)
        assert bool(estimate.why) == (estimate.low is None)
        if estimate.value is not None and measure is not fleiss_kappa:
            assert -1 - 1e-9 <= estimate.value <= 1
        if estimate.low is not None:
            assert estimate.value is not None
            assert estimate.low < estimate.high <= 1
            assert measure is fleiss_kappa or estimate.low >= -1 - 1e-9


def test_nothing_to_compare_is_said_not_computed():
    lonely = Ratings.of([(1, "ann", "SAFE"), (2, "bob", "TOXIC")])
    for ratings in (Ratings.of([]), lonely):
        for measure in MEASURES:
            estimate = measure(ratings)
            assert (estimate.value, estimate.low, estimate.high, estimate.n) == (None, None, None, 0)
            assert estimate.why == "Nothing was labelled by two raters, so there is nothing to compare."


def test_one_label_only_leaves_nothing_beyond_chance():
    same = of_rows(["aaaaaa", "aaaaaa"])
    assert percent_agreement(same).value == 1
    for measure in MEASURES[1:]:
        estimate = measure(same)
        assert estimate.value is None
        assert estimate.n == 6
        assert estimate.why.startswith("Only one label is in use")


def test_one_unit_has_a_value_but_no_interval():
    estimate = percent_agreement(of_rows(["a", "a", "b"]))
    assert estimate.value == pytest.approx(1 / 3)
    assert (estimate.low, estimate.high) == (None, None)
    assert "too few or too much alike" in estimate.why


def test_agreement_without_exception_has_no_interval_of_no_width():
    estimate = krippendorff_alpha(of_rows(["aabba", "aabba"]))
    assert (estimate.value, estimate.low) == (1, None)


def test_an_interval_that_most_resamples_cannot_tell_is_left_out():
    seen_by_both = [(0, "ann", "SAFE"), (0, "bob", "SAFE")]  # 41 % of the resamples have this unit and TOXIC
    ratings = Ratings.of([*seen_by_both, (1, "ann", "TOXIC"), *((u, "ann", "SAFE") for u in range(2, 9))])
    estimate = fleiss_kappa(ratings)
    assert (estimate.value, estimate.low, estimate.n) == (1, None, 1)
    assert estimate.why.startswith("No interval: most resamples leave the coefficient undefined")


def test_a_second_label_of_a_rater_is_refused():
    with pytest.raises(InputError, match=r"Rater ann has labelled unit 7 twice; give one label"):
        Ratings.of([(7, "ann", "SAFE"), (7, "bob", "SAFE"), (7, "ann", "SAFE")])


def test_a_rater_alone_is_no_pair():
    with pytest.raises(InputError, match="ann was given twice"):
        cohen_kappa(of_rows(["ab", "ab"]), "ann", "ann")


def test_an_unknown_rater_shares_no_unit():
    assert cohen_kappa(of_rows(["ab", "ab"]), "ann", "zoe").n == 0


@pytest.mark.parametrize("measure", MEASURES)
def test_the_interval_is_that_of_resampling_units_one_by_one(measure):
    import numpy as np

    rng = random.Random(3)
    truth = rng.choices("ab", [8, 2], k=150)
    cells = {
        (unit, rater): label if rng.random() < 0.85 else rng.choice("abc")
        for unit, label in enumerate(truth)
        for rater in rng.sample(CAST[:3], rng.choice([2, 3, 3, 3]))
    }
    drawn = []
    for _ in range(400):
        units = enumerate(rng.choices(range(150), k=150))
        again = [(u, rater, cells[unit, rater]) for u, unit in units for rater in CAST[:3] if (unit, rater) in cells]
        drawn.append(measure(Ratings.of(again), resamples=1).value)
    estimate = measure(of_sparse(cells), resamples=4000)
    spread = np.std(drawn)
    assert [estimate.low, estimate.high] == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=spread / 3)


def test_the_interval_depends_on_the_seed_and_not_on_the_order():
    triples = [(u, CAST[r], label) for r, row in enumerate(OBSERVERS) for u, label in enumerate(row) if label != "."]
    shuffled = random.Random(1).sample(triples, len(triples))
    for measure in MEASURES:
        assert measure(Ratings.of(triples)) == measure(Ratings.of(shuffled))
        assert measure(Ratings.of(triples), seed=1) != measure(Ratings.of(triples), seed=2)


def test_resamples_drawn_in_blocks_are_the_same(monkeypatch):
    whole = krippendorff_alpha(of_counts(PSYCHIATRISTS))
    monkeypatch.setattr("classifiers.agreement._CELLS_AT_ONCE", 100)
    assert krippendorff_alpha(of_counts(PSYCHIATRISTS)) == whole

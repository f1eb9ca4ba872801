"""How far people agree: percent, Cohen's and Fleiss' kappa, Krippendorff's alpha, Gwet's AC1, with bootstrap intervals.

Every coefficient is 1 - observed / expected disagreement; they differ in what they expect by chance. Observed and
expected are ratios of sums over units, and units that got the same labels add the same to each sum: a resample of
100,000 units is one multinomial draw over a handful of patterns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from classifiers.errors import InputError

_QUANTILES = (0.025, 0.975)
_CELLS_AT_ONCE = 4_000_000  # 32 MB of drawn weights
_ONE_LABEL = "Only one label is in use where raters can be compared, so chance alone explains all agreement."


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its interval, from ``n`` units.

    ``value`` is None when it is undefined, ``low`` and ``high`` when there is no interval; ``why`` then says so in a
    sentence for people, and is empty otherwise.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class Ratings:
    """Who gave what which label. Not every rater has to have seen every unit.

    ``labels`` are those in use, sorted; ``patterns`` maps the sorted labels that a unit got to the number of such
    units; ``by_rater`` holds each rater's label of each unit.
    """

    labels: tuple[str, ...]
    patterns: Mapping[tuple[str, ...], int]
    by_rater: Mapping[Hashable, Mapping[Hashable, str]]

    @classmethod
    def of(cls, triples: Iterable[tuple[Hashable, Hashable, str]]) -> Ratings:
        """From (unit, rater, label). Raises InputError when a rater labels a unit twice."""
        by_rater: dict[Hashable, dict[Hashable, str]] = {}
        by_unit: dict[Hashable, list[str]] = {}
        for unit, rater, label in triples:
            given = by_rater.setdefault(rater, {})
            if unit in given:
                raise InputError(f"Rater {rater} has labelled unit {unit} twice; give one label for each.")
            given[unit] = label
            by_unit.setdefault(unit, []).append(label)
        patterns = Counter(tuple(sorted(labels)) for labels in by_unit.values())
        labels = sorted({label for pattern in patterns for label in pattern})
        return cls(tuple(labels), dict(sorted(patterns.items())), by_rater)

    @property
    def raters(self) -> tuple[Hashable, ...]:
        return tuple(self.by_rater)

    @property
    def overlapping(self) -> int:
        """Units with at least two ratings."""
        return sum(size for pattern, size in self.patterns.items() if len(pattern) > 1)


def percent_agreement(ratings: Ratings, *, resamples: int = 1000, seed: int = 0) -> Estimate:
    """Share of agreeing pairs of raters in a unit, as the mean over units with at least two ratings; in [0, 1]."""
    counts, sizes = _counts(ratings, at_least=2)

    def disagreement(sums: Any) -> tuple[Any, Any]:
        return sums[..., 0] / sums[..., 1], 1

    parts = _columns(_disagreeing_pairs(counts), counts.any(axis=1))
    return _estimate(_Sums(parts, sizes, disagreement), ratings.overlapping, resamples, seed)


def cohen_kappa(ratings: Ratings, a: Hashable, b: Hashable, *, resamples: int = 1000, seed: int = 0) -> Estimate:
    """Cohen's kappa of raters ``a`` and ``b`` over the units that both labelled; in [-1, 1].

    Chance is that both keep to their own shares of labels (Cohen 1960, Educational and Psychological Measurement 20).
    Raises InputError when ``a`` is ``b``.
    """
    if a == b:
        raise InputError(f"Agreement needs two raters, and {a} was given twice; choose another one.")
    import numpy as np

    cells = Counter(_both(ratings, a, b))
    place = {label: i for i, label in enumerate(ratings.labels)}
    pairs = np.array([(place[x], place[y]) for x, y in sorted(cells)], dtype=int).reshape(-1, 2)
    one_hot = np.eye(len(place))[pairs]  # cell, rater, label
    sizes = np.array([cells[cell] for cell in sorted(cells)], dtype=int)
    parts = _columns(pairs[:, 0] != pairs[:, 1], one_hot[:, 0], one_hot[:, 1])

    def disagreement(sums: Any) -> tuple[Any, Any]:
        of_a, of_b = sums[..., 1 : len(place) + 1], sums[..., len(place) + 1 :]
        n = of_a.sum(axis=-1)
        return sums[..., 0] / n, (n * n - (of_a * of_b).sum(axis=-1)) / (n * n)

    return _estimate(_Sums(parts, sizes, disagreement), int(sizes.sum()), resamples, seed)


def fleiss_kappa(ratings: Ratings, *, resamples: int = 1000, seed: int = 0) -> Estimate:
    """Fleiss' kappa, in its generalised form for units with unequal numbers of ratings.

    With equal numbers it is Fleiss' own (1971, Psychological Bulletin 76). Otherwise, as in Gwet (Handbook of
    Inter-Rater Reliability, 4th ed. 2014, ch. 2), agreement is measured over units with at least two ratings, and a
    label's share is the mean of its shares in all units, those with one rating too. At most 1; at least -1 when
    every unit has two ratings.
    """

    def expected(shares: Any) -> Any:
        return (shares * (1 - shares)).sum(axis=-1)

    return _by_shares(ratings, expected, resamples, seed)


def gwet_ac1(ratings: Ratings, *, resamples: int = 1000, seed: int = 0) -> Estimate:
    """Gwet's AC1 for any number of raters, ratings missing or not; in [-1, 1].

    Chance is the share of raters who guess, times 1 / labels (Gwet 2008, British Journal of Mathematical and
    Statistical Psychology 61; with missing ratings 2014). The number of labels is that of ``ratings.labels``.
    """
    others = len(ratings.labels) - 1

    def expected(shares: Any) -> Any:
        return 1 - (shares * (1 - shares)).sum(axis=-1) / others if others > 0 else shares.sum(axis=-1) * 0

    return _by_shares(ratings, expected, resamples, seed)


def krippendorff_alpha(ratings: Ratings, *, resamples: int = 1000, seed: int = 0) -> Estimate:
    """Krippendorff's alpha for nominal labels, ratings missing or not; in [-1, 1].

    Chance is to draw two of all labels given, without putting the first one back; units with one rating don't count
    (Krippendorff, Content Analysis, 4th ed. 2019, ch. 12). The interval resamples units, not pairs of values.
    """
    counts, sizes = _counts(ratings, at_least=2)
    given = counts.sum(axis=1)

    def disagreement(sums: Any) -> tuple[Any, Any]:
        totals = sums[..., 1:]
        n = totals.sum(axis=-1)
        return sums[..., 0] / n, (n * n - (totals * totals).sum(axis=-1)) / (n * (n - 1))

    parts = _columns(_disagreeing_pairs(counts) * given, counts)
    return _estimate(_Sums(parts, sizes, disagreement), ratings.overlapping, resamples, seed)


def _by_shares(ratings: Ratings, expected: Callable[[Any], Any], resamples: int, seed: int) -> Estimate:
    """A coefficient whose chance depends on the mean shares of the labels alone."""
    counts, sizes = _counts(ratings, at_least=1)
    given = counts.sum(axis=1)
    parts = _columns(_disagreeing_pairs(counts), given > 1, given > 0, counts / given[:, None])

    def disagreement(sums: Any) -> tuple[Any, Any]:
        return sums[..., 0] / sums[..., 1], expected(sums[..., 3:] / sums[..., 2:3])

    return _estimate(_Sums(parts, sizes, disagreement), ratings.overlapping, resamples, seed)


@dataclass(frozen=True, slots=True)
class _Sums:
    """A coefficient as a function of sums: what one unit of each pattern adds to them, and the patterns' units.

    ``parts`` has the shape (patterns, sums), ``sizes`` (patterns,); ``disagreement`` takes (..., sums) to the
    observed and the expected disagreement, each of shape (...).
    """

    parts: Any
    sizes: Any
    disagreement: Callable[[Any], tuple[Any, Any]]

    def values(self, weights: Any) -> Any:
        """The coefficient with so many units of each pattern, NaN (from 0 / 0) where it is undefined."""
        import numpy as np

        with np.errstate(divide="ignore", invalid="ignore"):
            observed, expected = self.disagreement(weights @ self.parts)
            return 1 - observed / expected

    def resampled(self, resamples: int, seed: int) -> Any:
        """The defined values of ``resamples`` draws of as many units as there are, with replacement."""
        import numpy as np

        rng, units = np.random.default_rng(seed), int(self.sizes.sum())
        values = [
            self.values(rng.multinomial(units, self.sizes / units, size=rows))
            for rows in _blocks(resamples, max(1, _CELLS_AT_ONCE // len(self.sizes)))
        ]
        drawn = np.concatenate(values)
        return drawn[~np.isnan(drawn)]


def _estimate(sums: _Sums, n: int, resamples: int, seed: int) -> Estimate:
    import numpy as np

    if n == 0:
        return Estimate(None, None, None, 0, "Nothing was labelled by two raters, so there is nothing to compare.")
    value = float(sums.values(sums.sizes))
    if np.isnan(value):
        return Estimate(None, None, None, n, _ONE_LABEL)
    drawn = sums.resampled(resamples, seed)
    if 2 * len(drawn) < resamples:
        why = "No interval: most resamples leave the coefficient undefined, as too few units overlap or have a second label."
        return Estimate(value, None, None, n, why)
    low, high = (float(bound) for bound in np.quantile(drawn, _QUANTILES))
    if high - low < 1e-12:
        why = "No interval: the units are too few or too much alike for resampling them to tell how sure this is."
        return Estimate(value, None, None, n, why)
    return Estimate(value, low, high, n)


def _counts(ratings: Ratings, *, at_least: int) -> tuple[Any, Any]:
    """How often a unit of each pattern got each label, (patterns, labels), and how many such units there are.

    Only patterns of ``at_least`` so many ratings.
    """
    import numpy as np

    place = {label: i for i, label in enumerate(ratings.labels)}
    patterns = [pattern for pattern in ratings.patterns if len(pattern) >= at_least]
    counts = np.zeros((len(patterns), len(place)))
    for row, pattern in zip(counts, patterns, strict=True):
        for label in pattern:
            row[place[label]] += 1
    return counts, np.array([ratings.patterns[pattern] for pattern in patterns], dtype=int)


def _disagreeing_pairs(counts: Any) -> Any:
    """The share of disagreeing pairs of raters in a unit of each pattern; 0 where there is no pair."""
    import numpy as np

    given = counts.sum(axis=1)
    pairs = given * (given - 1)
    return (counts * (given[:, None] - counts)).sum(axis=1) / np.maximum(pairs, 1)


def _columns(*parts: Any) -> Any:
    import numpy as np

    return np.column_stack([part.astype(float) for part in parts])


def _both(ratings: Ratings, a: Hashable, b: Hashable) -> Iterator[tuple[str, str]]:
    of_a, of_b = ratings.by_rater.get(a, {}), ratings.by_rater.get(b, {})
    return ((label, of_b[unit]) for unit, label in of_a.items() if unit in of_b)


def _blocks(total: int, at_once: int) -> Iterator[int]:
    for start in range(0, total, at_once):
        yield min(at_once, total - start)

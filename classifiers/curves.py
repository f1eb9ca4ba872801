"""What scores are worth against known labels, whatever the threshold: curves, areas, points on them, their intervals.

All figures come from the counts of true and false positives at each distinct score, highest first. Those are cumulative
sums of weights over texts sorted once, so that a bootstrap resample is a new weighting and never a new sort.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from classifiers.agreement import Estimate
from classifiers.errors import InputError

RESAMPLES = 2000
CONFIDENCE = 0.95
Figure: TypeAlias = "Callable[[Curve], float | None]"


@dataclass(frozen=True)
class Curve:
    """Counts at each threshold, which are the distinct scores, highest first; a text counts when its score reaches it.

    ``tp`` and ``fp`` are counts, or sums of weights, of shape (thresholds,); ``positives`` and ``negatives`` are all.
    """

    thresholds: Any
    tp: Any
    fp: Any

    @property
    def positives(self) -> float:
        return float(self.tp[-1]) if len(self.tp) else 0.0

    @property
    def negatives(self) -> float:
        return float(self.fp[-1]) if len(self.fp) else 0.0


@dataclass(frozen=True)
class Scored:
    """Scores in [0, 1] with what is true of their texts, of shape (n,), sorted once. Texts without a score are left out
    beforehand and counted by whoever leaves them out."""

    scores: Any
    toxic: Any
    order: Any
    ends: Any  # the last place of each distinct score in that order

    @classmethod
    def of(cls, scores: Sequence[float], toxic: Sequence[bool]) -> Scored:
        """Raises InputError when the lengths differ or a score is not a finite number."""
        import numpy as np

        values, truth = np.asarray(scores, dtype=float), np.asarray(toxic, dtype=bool)
        if values.shape != truth.shape:
            raise InputError(f"There are {len(values)} scores and {len(truth)} labels; give one label for each score.")
        if not np.isfinite(values).all():
            raise InputError("A score is missing or not a finite number; leave results without a score out.")
        order = np.argsort(-values, kind="stable")
        ends = np.flatnonzero(np.diff(values[order], append=-np.inf))
        return cls(values, truth, order, ends)

    def __len__(self) -> int:
        return len(self.scores)

    def curve(self, weights: Any = None) -> Curve:
        """``weights`` of shape (n,), one each without it."""
        import numpy as np

        weight = np.ones(len(self)) if weights is None else np.asarray(weights, dtype=float)
        sorted_weight, positive = weight[self.order], self.toxic[self.order]
        tp, fp = np.cumsum(sorted_weight * positive), np.cumsum(sorted_weight * ~positive)
        return Curve(self.scores[self.order][self.ends], tp[self.ends], fp[self.ends])


def roc_auc(curve: Curve) -> float | None:
    """The area under the ROC curve, by trapezoids: the chance that a toxic text scores above a harmless one (ties half).

    Hanley and McNeil, Radiology 143, 1982. None unless there are both.
    """
    import numpy as np

    if not curve.positives or not curve.negatives:
        return None
    tpr, fpr = np.append(0, curve.tp) / curve.positives, np.append(0, curve.fp) / curve.negatives
    return float(np.trapezoid(tpr, fpr))


def average_precision(curve: Curve) -> float | None:
    """The area under the precision-recall curve without interpolation: the sum of (R_k - R_(k-1)) P_k over thresholds.

    None without toxic texts. Boyd, Eng and Page, ECML 2013, on why no interpolation.
    """
    import numpy as np

    if not curve.positives:
        return None
    flagged = curve.tp + curve.fp
    precision = np.divide(curve.tp, flagged, out=np.zeros_like(flagged), where=flagged > 0)
    return float(np.sum(np.diff(curve.tp, prepend=0) / curve.positives * precision))


def recall_at_fpr(most: float) -> Figure:
    """The best recall of all thresholds at which at most this share of the harmless texts is flagged."""

    def recall(curve: Curve) -> float | None:
        if not curve.positives or not curve.negatives:
            return None
        allowed = curve.tp[curve.fp <= most * curve.negatives + 1e-9]
        return float(allowed[-1]) / curve.positives if len(allowed) else 0.0

    return recall


def at_threshold(threshold: float, figure: Callable[[float, float, float, float], float | None]) -> Figure:
    """A figure of (tp, fp, fn, tn) at one threshold."""

    def found(curve: Curve) -> float | None:
        reached = int((curve.thresholds >= threshold).sum())
        tp, fp = (float(counts[reached - 1]) if reached else 0.0 for counts in (curve.tp, curve.fp))
        return figure(tp, fp, curve.positives - tp, curve.negatives - fp)

    return found


def f1(tp: float, fp: float, fn: float, tn: float) -> float | None:
    """None when nothing is toxic and nothing was flagged."""
    return _share(2 * tp, 2 * tp + fp + fn)


def precision(tp: float, fp: float, fn: float, tn: float) -> float | None:
    return _share(tp, tp + fp)


def recall(tp: float, fp: float, fn: float, tn: float) -> float | None:
    return _share(tp, tp + fn)


def false_positive_rate(tp: float, fp: float, fn: float, tn: float) -> float | None:
    return _share(fp, fp + tn)


def best_f1(curve: Curve) -> float | None:
    """The highest F1 of any threshold. Optimistic: the threshold is chosen on the texts that it is measured on."""
    return None if not curve.positives else float((2 * curve.tp / (curve.tp + curve.fp + curve.positives)).max())


# Thresholds


@dataclass(frozen=True, slots=True)
class Aim:
    """How a threshold is chosen. ``value`` is the target; for ``cost`` the cost of a miss in false alarms."""

    kind: str  # f1, precision, recall, fpr, cost
    value: float = 0.0

    KINDS = ("f1", "precision", "recall", "fpr", "cost")

    def __post_init__(self) -> None:
        if self.kind not in self.KINDS:
            raise InputError(f"A threshold is chosen by one of {', '.join(self.KINDS)}, not {self.kind!r}.")
        if self.kind in ("precision", "recall", "fpr") and not 0 <= self.value <= 1:
            raise InputError(f"The target {self.kind} is {self.value}; it must lie between 0 and 1.")
        if self.kind == "cost" and not 0 < self.value < math.inf:
            raise InputError(f"A miss costs {self.value} false alarms; that must be a number above 0.")


def pick_threshold(curve: Curve, aim: Aim) -> float:
    """The threshold that serves the aim best on this curve; of equals the highest.

    ``precision``: the most recall at that precision or more. ``recall``: the fewest false alarms at that recall or more.
    ``fpr``: the most recall at that rate or less. Raises InputError when no threshold reaches the target.
    """
    import numpy as np

    if not curve.positives or not curve.negatives:
        raise InputError("A threshold needs both toxic and harmless texts to be chosen from.")
    worth = _worth(curve, aim)
    best = int(np.argmax(worth))
    if not np.isfinite(worth[best]):
        raise InputError(f"No threshold reaches a {aim.kind} of {aim.value:g} on these texts. Aim lower.")
    return float(curve.thresholds[best])


def _worth(curve: Curve, aim: Aim) -> Any:
    """Of each threshold, the more the better; minus infinity where it misses the target."""
    import numpy as np

    flagged, misses = curve.tp + curve.fp, curve.positives - curve.tp
    match aim.kind:
        case "f1":
            return 2 * curve.tp / (flagged + curve.positives)
        case "precision":
            return np.where(curve.tp / flagged >= aim.value - 1e-12, curve.tp, -np.inf)
        case "recall":
            return np.where(curve.tp >= aim.value * curve.positives - 1e-9, -curve.fp, -np.inf)
        case "fpr":
            return np.where(curve.fp <= aim.value * curve.negatives + 1e-9, curve.tp, -np.inf)
        case _:
            return -(curve.fp + aim.value * misses)


# Intervals


def bootstrap(
    scored: Scored, figures: Mapping[str, Figure], *, seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, Estimate]:
    """Each figure with its 95 % percentile interval over texts drawn anew with replacement (Efron 1979).

    A resample in which a figure is undefined is left out; where that is more than one in twenty, there is no interval.
    """
    curves = _resampled(scored, seed, resamples)
    drawn: dict[str, list[float | None]] = {name: [] for name in figures}
    for curve in curves:
        for name, figure in figures.items():
            drawn[name].append(figure(curve))
    whole = scored.curve()
    return {name: _estimate(figure(whole), drawn[name], len(scored)) for name, figure in figures.items()}


class Pair(NamedTuple):
    """A figure of two classifiers on the same texts, and how much higher the first one's is."""

    first: Estimate
    second: Estimate
    difference: Estimate


def bootstrap_pair(
    first: Scored, second: Scored, figures: Mapping[str, Figure], *, seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, Pair]:
    """As ``bootstrap``, of two on the same texts: both see the same resamples, so that what they share cancels.

    Raises InputError when they are not about the same texts.
    """
    import numpy as np

    if len(first) != len(second) or not np.array_equal(first.toxic, second.toxic):
        raise InputError("Two classifiers are compared on the same texts with the same labels, in the same order.")
    drawn: dict[str, list[tuple[float | None, ...]]] = {name: [] for name in figures}
    for curves in zip(_resampled(first, seed, resamples), _resampled(second, seed, resamples), strict=True):
        for name, figure in figures.items():
            drawn[name].append(_with_difference(*map(figure, curves)))
    whole = first.curve(), second.curve()
    found = {name: _with_difference(*map(figure, whole)) for name, figure in figures.items()}
    n = len(first)
    return {
        name: Pair(*(_estimate(found[name][i], [each[i] for each in drawn[name]], n) for i in range(3)))
        for name in figures
    }


def bootstrap_difference(
    first: Scored, second: Scored, figure: Figure, *, seed: int = 0, resamples: int = RESAMPLES
) -> Estimate:
    """How much better the first is, as ``bootstrap_pair`` tells it of one figure."""
    return bootstrap_pair(first, second, {"": figure}, seed=seed, resamples=resamples)[""].difference


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p-value that two classifiers err equally often, from the texts that just one got right.

    The pairs are tosses of a fair coin (McNemar, Psychometrika 12, 1947). Without such texts it is 1.
    """
    from scipy.stats import binomtest

    return float(binomtest(only_first, only_first + only_second).pvalue) if only_first + only_second else 1.0


def _resampled(scored: Scored, seed: int, resamples: int) -> Any:
    import numpy as np

    chance, n = np.random.default_rng(seed), len(scored)
    for _ in range(resamples if n else 0):
        yield scored.curve(np.bincount(chance.integers(n, size=n), minlength=n))


def _estimate(value: float | None, drawn: Sequence[float | None], n: int) -> Estimate:
    import numpy as np

    defined = [each for each in drawn if each is not None]
    if value is None:
        return Estimate(None, None, None, n, "It is undefined: there are not both toxic and harmless texts.")
    if len(defined) < 0.95 * max(len(drawn), 1) or not defined:
        return Estimate(value, None, None, n, "Too few texts of one kind for an interval.")
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Estimate(value, float(low), float(high), n)


def _with_difference(a: float | None, b: float | None) -> tuple[float | None, float | None, float | None]:
    return a, b, None if a is None or b is None else a - b


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None

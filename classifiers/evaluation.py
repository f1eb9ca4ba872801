"""The machine held against people's labels: confusion, thresholds, and how much it missed where few have looked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from classifiers.agreement import Estimate
from classifiers.errors import InputError


def wilson(successes: int, n: int, confidence: float = 0.95) -> Estimate:
    """The share ``successes / n`` with Wilson's score interval (1927, JASA 22); undefined when ``n`` is 0.

    Raises InputError when ``successes`` is not within 0 and ``n``, or ``confidence`` not between 0 and 1.
    """
    if not 0 <= successes <= n:
        raise InputError(f"{successes} of {n} is not a share; the first must lie between 0 and the second.")
    tail = _tail(confidence)
    if n == 0:
        return Estimate(None, None, None, 0, "Nothing was counted, so there is no share to give.")
    z, share = NormalDist().inv_cdf(1 - tail), successes / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    low = 0.0 if successes == 0 else middle - half  # rounding would put the bound beside the share itself
    return Estimate(share, low, 1.0 if successes == n else middle + half, n)


@dataclass(frozen=True, slots=True)
class Confusion:
    """Results by what machine and people said, "positive" being toxic: counts, or sums of weights.

    The rates are None where they would divide by nothing.
    """

    tp: float
    fp: float
    fn: float
    tn: float

    @classmethod
    def of(cls, pairs: Iterable[tuple[bool, bool]], weights: Sequence[float] | None = None) -> Confusion:
        """From (machine says toxic, people say toxic), each counting 1 or its weight, such as 1 / P(sampled).

        Raises InputError when the weights are not as many as the pairs, or not positive numbers.
        """
        cells = {(True, True): 0.0, (True, False): 0.0, (False, True): 0.0, (False, False): 0.0}
        seen = list(pairs)
        for (machine, human), weight in zip(seen, _weights(weights, len(seen)), strict=True):
            cells[bool(machine), bool(human)] += weight
        return cls(*cells.values())

    @property
    def precision(self) -> float | None:
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float | None:
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def false_negative_rate(self) -> float | None:
        return _ratio(self.fn, self.tp + self.fn)

    @property
    def f1(self) -> float | None:
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa between machine and people; None when both know only one and the same label."""
        flagged, cleared, toxic, safe = self.tp + self.fp, self.fn + self.tn, self.tp + self.fn, self.fp + self.tn
        return _ratio(2 * (self.tp * self.tn - self.fp * self.fn), flagged * safe + cleared * toxic)


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """What a threshold would do: ``flagged`` is the share of all results whose score reaches it."""

    threshold: float
    precision: float | None
    recall: float | None
    flagged: float
    f1: float | None


def threshold_sweep(
    scores: Sequence[float], toxic: Sequence[bool], weights: Sequence[float] | None = None, points: int = 100
) -> list[SweepPoint]:
    """What each threshold would do, lowest first: every distinct score is one, or ``points`` of them, even in rank.

    A result is flagged when its score is at least the threshold; ``toxic`` is what people said. Each point is exact.
    Raises InputError when the lengths differ, a score is not a number or a weight not positive.
    """
    import numpy as np

    if len(scores) != len(toxic):
        raise InputError(f"There are {len(scores)} scores and {len(toxic)} labels; give one label for each score.")
    values, weight = np.asarray(scores, dtype=float), np.asarray(_weights(weights, len(scores)))
    if not np.isfinite(values).all():
        raise InputError("A score is missing or not a finite number; leave results without a score out.")
    if not len(values):
        return []
    order, distinct = np.argsort(values, kind="stable"), np.unique(values)
    if len(distinct) > points:
        distinct = distinct[np.linspace(0, len(distinct) - 1, points).round().astype(int)]
    start = np.searchsorted(values[order], distinct)
    positive = np.asarray(toxic, dtype=bool)[order]
    caught, alarms = _from_here_on(weight[order] * positive), _from_here_on(weight[order] * ~positive)
    sweep = zip(distinct.tolist(), caught[start].tolist(), alarms[start].tolist(), strict=True)
    return [_sweep_point(threshold, tp, fp, float(caught[0]), float(alarms[0])) for threshold, tp, fp in sweep]


@dataclass(frozen=True, slots=True)
class Stratum:
    """Results of one kind: ``size`` of them, ``reviewed`` drawn at random and judged by people, ``toxic`` found."""

    name: str
    flagged: bool
    size: int
    reviewed: int
    toxic: int

    def __post_init__(self) -> None:
        if not 0 <= self.toxic <= self.reviewed <= self.size:
            raise InputError(
                f"{self.name}: {self.toxic} toxic of {self.reviewed} reviewed of {self.size} cannot be; "
                "each number must be at most the next, and none negative."
            )


@dataclass(frozen=True, slots=True)
class Missed:
    """Recall and false-negative rate with their intervals.

    ``naive_recall`` is what the reviewed results alone would say, as if they were all: it is too high, since what was
    flagged is reviewed far more often.
    """

    recall: Estimate
    false_negative_rate: Estimate
    naive_recall: float | None


def missed(strata: Sequence[Stratum], confidence: float = 0.95) -> Missed:
    """How much of what is toxic the machine flagged, from strata that together hold every result.

    Each toxic result found stands for size / reviewed results of its stratum (Horvitz and Thompson 1952, JASA 47).
    A stratum's number of toxic results has exact limits from the hypergeometric distribution, which hold when none
    was found and shrink to a point when all were reviewed (Wright 1991, Lecture Notes in Statistics 66; Wang 2015,
    JASA 110). With one stratum in doubt the interval is exact. Otherwise they are combined by MOVER, which keeps their
    asymmetry (Zou and Donner 2008, Statistics in Medicine 27; for ratios Newcombe 2016, Statistical Methods in
    Medical Research 25), but not narrower than ``_corners``.

    ``n`` is the number of reviewed results. Undefined when a stratum has not been looked at or nothing toxic was
    found. Raises InputError when ``confidence`` is not between 0 and 1.
    """
    tail, n = _tail(confidence), sum(stratum.reviewed for stratum in strata)
    caught = sum(stratum.toxic for stratum in strata if stratum.flagged)
    naive = _ratio(caught, sum(stratum.toxic for stratum in strata))
    if why := _why_undefined(strata):
        undefined = Estimate(None, None, None, n, why)
        return Missed(undefined, undefined, naive)
    flagged = _sum(_toxic(stratum, tail) for stratum in strata if stratum.flagged)
    cleared = _sum(_toxic(stratum, tail) for stratum in strata if not stratum.flagged)
    recall = flagged.value / (flagged.value + cleared.value)
    least, most = _corners(strata, tail)
    low = min(recall, least, _lowest_share(flagged, cleared))
    high = max(recall, most, 1 - _lowest_share(cleared, flagged))
    return Missed(Estimate(recall, low, high, n), Estimate(1 - recall, 1 - high, 1 - low, n), naive)


@dataclass(frozen=True, slots=True)
class _Total:
    value: float
    low: float
    high: float


def _why_undefined(strata: Sequence[Stratum]) -> str:
    for stratum in strata:
        if stratum.size and not stratum.reviewed:
            return (
                f"{stratum.name}: none of {stratum.size} results was reviewed, so how many are toxic is unknown; "
                "review a random sample of them."
            )
    return (
        "" if any(stratum.toxic for stratum in strata) else "No toxic result was found, so there is no share to give."
    )


def _toxic(stratum: Stratum, tail: float) -> _Total:
    """How many results of a stratum are toxic.

    The limits are the least number with which so many or more, and the greatest with which so few or fewer, are found
    with a probability above ``tail``.
    """
    size, drawn, found = stratum.size, stratum.reviewed, stratum.toxic
    if not size:
        return _Total(0.0, 0.0, 0.0)
    value, most = size * found / drawn, size - drawn + found
    low = _first(found, most, lambda toxic: _at_most(drawn - found, size, size - toxic, drawn) > tail)
    high = _first(low, most, lambda toxic: _at_most(found, size, toxic + 1, drawn) <= tail)
    return _Total(value, min(low, value), max(high, value))  # the value need not be whole, the limits are


def _sum(totals: Iterable[_Total]) -> _Total:
    """Independent totals together: their distances to the limits add up as squares do."""
    parts = list(totals)
    value = sum(part.value for part in parts)
    low = value - math.hypot(*(part.value - part.low for part in parts))
    return _Total(value, low, value + math.hypot(*(part.high - part.value for part in parts)))


def _lowest_share(part: _Total, rest: _Total) -> float:
    """The lower limit of part / (part + rest).

    With the ratio r = part / rest at its limit, part - r rest = hypot(part - its lower limit, r (rest's upper limit -
    rest)); that is a quadratic equation, and r / (1 + r) is what is asked for.
    """
    gain = part.low * (2 * part.value - part.low)
    if not gain:
        return 0.0
    product = part.value * rest.value
    root = math.sqrt(max(0.0, product * product - gain * rest.high * (2 * rest.value - rest.high)))
    return gain / (gain + product + root)


def _corners(strata: Sequence[Stratum], tail: float) -> tuple[float, float]:
    """The least and the greatest recall when every stratum is at its worst or best by an equal part of the doubt.

    Were the counts normal, these would lie within MOVER's limits: z / sqrt(strata in doubt) in each is z for all. Of
    few toxic results one more or less is a leap, which squares understate: without this, 1 toxic result among 400
    unflagged of which 80 are reviewed, beside 19 of 20 flagged reviewed, is covered at 82 %.
    """
    doubtful = sum(stratum.reviewed < stratum.size for stratum in strata)
    normal = NormalDist()
    near = normal.cdf(normal.inv_cdf(tail) / math.sqrt(max(1, doubtful)))
    flagged = [_toxic(stratum, near) for stratum in strata if stratum.flagged]
    cleared = [_toxic(stratum, near) for stratum in strata if not stratum.flagged]
    least, most = sum(total.low for total in flagged), sum(total.high for total in flagged)
    fewest, all_missed = sum(total.low for total in cleared), sum(total.high for total in cleared)
    return least / (least + all_missed) if least else 0.0, most / (most + fewest) if most else 0.0


def _at_most(found: int, size: int, toxic: int, drawn: int) -> float:
    """P(at most ``found`` toxic) among ``drawn`` of ``size`` results that hold ``toxic``: a hypergeometric tail.

    Summed from ``found`` away from the mean, where terms shrink fast.
    """
    if found * size > toxic * drawn:
        return 1 - _at_most(drawn - found - 1, size, size - toxic, drawn)
    fewest = max(0, drawn - size + toxic)
    if found < fewest:
        return 0.0
    term = total = 1.0
    for x in range(found, fewest, -1):
        term *= x * (size - toxic - drawn + x) / ((toxic - x + 1) * (drawn - x + 1))
        total += term
        if term < total * 1e-17:
            break
    ways = _log_ways(toxic, found) + _log_ways(size - toxic, drawn - found) - _log_ways(size, drawn)
    return math.exp(ways) * total


def _log_ways(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _first(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The first number from ``low`` on for which a monotone condition holds; ``high`` when none below does."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def _sweep_point(threshold: float, tp: float, fp: float, toxic: float, safe: float) -> SweepPoint:
    confusion = Confusion(tp, fp, toxic - tp, safe - fp)
    flagged = (tp + fp) / (toxic + safe)
    return SweepPoint(threshold, confusion.precision, confusion.recall, flagged, confusion.f1)


def _from_here_on(amounts: Any) -> Any:
    """Sums of each amount and all after it."""
    return amounts[::-1].cumsum()[::-1]


def _weights(weights: Sequence[float] | None, n: int) -> Sequence[float]:
    if weights is None:
        return [1.0] * n
    if len(weights) != n:
        raise InputError(f"There are {len(weights)} weights for {n} results; give one for each.")
    if not all(0 < weight < math.inf for weight in weights):
        raise InputError("A weight is not a positive number; weigh a result by 1 / its chance of being reviewed.")
    return weights


def _tail(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise InputError(f"The confidence {confidence} does not lie between 0 and 1; 0.95 is usual.")
    return (1 - confidence) / 2


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None

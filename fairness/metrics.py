"""How often harmless texts are flagged where they name one group of people, and another."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from classifiers.agreement import Estimate
from classifiers.curves import RESAMPLES
from classifiers.errors import InputError
from classifiers.evaluation import wilson

LEAST = 30  # harmless texts, from which on a group's rate is compared with others'; one text is 3 % of so many
QUANTILES = (0.025, 0.975)


@dataclass(frozen=True, slots=True)
class GroupRate:
    """The share of a group's harmless texts that was flagged, with Wilson's interval; ``enough`` of them to be compared?"""

    name: str
    flagged: int
    rate: Estimate
    enough: bool


@dataclass(frozen=True, slots=True)
class Gap:
    """The largest rate less the smallest, and whose they are; None, with the reason, where fewer than two can be compared."""

    value: float | None
    highest: str = ""
    lowest: str = ""
    why: str = ""


def false_positive_rates(
    flagged: Sequence[bool], toxic: Sequence[bool], groups: Sequence[Collection[str]], *, least: int = LEAST
) -> list[GroupRate]:
    """Of each group that a text names, by name: P(flagged | harmless, names the group). A text may name several, or none.

    The rate is 1 - specificity within the group, FP / (FP + TN) (Hardt, Price and Srebro, NeurIPS 2016, use it with the
    true-positive rate for equalized odds). A group without harmless texts has an undefined rate, not one of 0. Raises
    InputError when the lengths differ.
    """
    _check(flagged, toxic, groups)
    names = sorted({name for each in groups for name in each})
    return [_rate(name, flagged, toxic, groups, least) for name in names]


def gap(rates: Iterable[GroupRate]) -> Gap:
    """Between the groups that have enough texts: max - min, the "between groups" difference of fairlearn's metrics.

    The largest of many rates less the smallest grows with their number and with chance: compare it only with the gap of
    another classifier on the same texts (``gap_difference``).
    """
    compared = [each for each in rates if each.enough]
    if len(compared) < 2:
        return Gap(None, why="Fewer than two groups are named by enough harmless texts.")
    highest, lowest = (pick(compared, key=lambda each: each.rate.value or 0.0) for pick in (max, min))
    return Gap((highest.rate.value or 0.0) - (lowest.rate.value or 0.0), highest.name, lowest.name)


def gap_difference(
    first: Sequence[bool],
    second: Sequence[bool],
    toxic: Sequence[bool],
    groups: Sequence[Collection[str]],
    *,
    least: int = LEAST,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """How much wider the first classifier's gap is than the second's, with a 95 % percentile interval.

    Harmless texts are drawn anew with replacement, the same for both (Efron 1979); the groups are those with enough texts
    in the data. ``n`` is the number of harmless texts. Raises InputError when the lengths differ.
    """
    _check(first, toxic, groups)
    gaps = [gap(false_positive_rates(flags, toxic, groups, least=least)) for flags in (first, second)]
    n = sum(not each for each in toxic)
    if gaps[0].value is None or gaps[1].value is None:
        return Estimate(None, None, None, n, gaps[0].why)
    drawn = _drawn((first, second), toxic, groups, least, seed, resamples)
    return Estimate(gaps[0].value - gaps[1].value, *drawn, n)


def _rate(
    name: str, flagged: Sequence[bool], toxic: Sequence[bool], groups: Sequence[Collection[str]], least: int
) -> GroupRate:
    of = [flag for flag, bad, each in zip(flagged, toxic, groups, strict=True) if name in each and not bad]
    return GroupRate(name, sum(of), wilson(sum(of), len(of)), len(of) >= max(least, 1))


def _drawn(
    both: Sequence[Sequence[bool]],
    toxic: Sequence[bool],
    groups: Sequence[Collection[str]],
    least: int,
    seed: int,
    resamples: int,
) -> tuple[float, float]:
    import numpy as np

    places = [place for place, bad in enumerate(toxic) if not bad]
    rates = false_positive_rates(both[0], toxic, groups, least=least)
    member = np.array([[each.name in groups[p] for p in places] for each in rates if each.enough], dtype=float)
    flags = [np.array([bool(each[p]) for p in places], dtype=float) for each in both]
    chance, found = np.random.default_rng(seed), np.empty(resamples)
    for turn in range(resamples):
        weight = np.bincount(chance.integers(len(places), size=len(places)), minlength=len(places))
        one, other = (_spread(member, weight, flag) for flag in flags)
        found[turn] = one - other
    low, high = np.quantile(found, QUANTILES)
    return float(low), float(high)


def _spread(member: Any, weight: Any, flag: Any) -> float:
    """max - min of the groups' rates; a group that a resample has no text of is left out of it."""
    n = member @ weight
    rates = (member @ (weight * flag))[n > 0] / n[n > 0]
    return float(rates.max() - rates.min()) if len(rates) else 0.0


def _check(flagged: Sequence[bool], toxic: Sequence[bool], groups: Sequence[Collection[str]]) -> None:
    if not len(flagged) == len(toxic) == len(groups):
        raise InputError("Flags, labels and groups must be of the same texts: give one of each for every text.")

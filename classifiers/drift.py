"""Whether a classifier sees other texts, or judges them otherwise, than in a window of reference."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from classifiers.errors import InputError

UNSEEN = 0.5  # texts that an empty bin is taken to hold, so that no logarithm is infinite


class Level(StrEnum):
    """UNKNOWN is not NONE: there were too few texts to say."""

    UNKNOWN = "unknown"
    NONE = "none"
    WATCH = "watch"
    DRIFT = "drift"


WORST_FIRST = (Level.DRIFT, Level.WATCH, Level.UNKNOWN, Level.NONE)


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on a difference counts: chance makes one as large with at most this probability, and it is large as well.

    In large windows the smallest difference is no chance, in small ones a large index often is.
    ``watch`` and ``drift`` are population stability indices; ``errors`` are rises of the share that could not be judged.
    """

    least: int = 200
    watch: float = 0.1
    drift: float = 0.25
    watch_errors: float = 0.01
    drift_errors: float = 0.05
    chance: float = 0.001


@dataclass(frozen=True, slots=True)
class Window:
    """Numbers of texts: by bin of the score, judged, TOXIC by the classifier and by the policy, and not judged at all."""

    scores: Sequence[int]
    judged: int = 0
    toxic: int = 0
    policy_toxic: int = 0
    errors: int = 0

    @property
    def texts(self) -> int:
        return self.judged + self.errors

    def __add__(self, other: Window) -> Window:
        return Window(
            [one + two for one, two in zip(self.scores, other.scores, strict=True)],
            self.judged + other.judged,
            self.toxic + other.toxic,
            self.policy_toxic + other.policy_toxic,
            self.errors + other.errors,
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """One respect in which two windows were compared: ``scores``, ``labels``, ``policy labels`` or ``errors``.

    ``reference`` and ``recent`` are shares of texts, for scores None. ``distance`` is that of Kolmogorov and Smirnov.
    """

    respect: str
    level: Level
    p_value: float | None = None
    psi: float | None = None
    distance: float | None = None
    reference: float | None = None
    recent: float | None = None


@dataclass(frozen=True, slots=True)
class Drift:
    """``why`` says what keeps a level unknown."""

    level: Level
    findings: Sequence[Finding]
    why: str = ""


def compare(reference: Window, recent: Window, limits: Limits) -> Drift:
    """A recent window held against the reference: the scores, the labels of both kinds, and what could not be judged."""
    findings = [*_of_judged(reference, recent, limits), _of_errors(reference, recent, limits)]
    levels = {finding.level for finding in findings}
    worst = next(level for level in WORST_FIRST if level in levels)
    return Drift(worst, findings, _why(reference, recent, limits) if Level.UNKNOWN in levels else "")


def population_stability_index(reference: Sequence[int], current: Sequence[int]) -> float:
    """The sum of (p - q) ln(p / q) over the same bins of both windows: symmetric, 0 when they are alike.

    Below .1 is little, from .25 on large (Siddiqi, Credit Risk Scorecards, 2006). Raises InputError when the bins differ.
    """
    _check(reference, current)
    p, q = _shares(reference), _shares(current)
    return sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))


def kolmogorov_smirnov(reference: Sequence[int], current: Sequence[int]) -> tuple[float, float]:
    """The greatest distance of the two cumulative shares over ordered bins, and its asymptotic two-sided p-value.

    On binned scores the distance is at most the true one, so that p errs on the side of "no drift".
    Massey, JASA 46, 1951. Raises InputError as above.
    """
    from scipy.special import kolmogorov

    _check(reference, current)
    n, m = sum(reference), sum(current)
    first = second = distance = 0.0
    for a, b in zip(reference, current, strict=True):
        first, second = first + a / n, second + b / m
        distance = max(distance, abs(first - second))
    return distance, float(kolmogorov(distance * math.sqrt(n * m / (n + m))))


def exact_test(reference: tuple[int, int], recent: tuple[int, int], *, rise: bool = False) -> float:
    """The p-value of Fisher's exact test for a share that is another one, or with ``rise`` a greater one, than it was.

    Each window is (texts that have it, texts that have not). Fisher, JRSS 98, 1935.
    """
    from scipy.stats import fisher_exact

    table = [list(recent), list(reference)]
    return float(fisher_exact(table, alternative="greater" if rise else "two-sided").pvalue)


def _of_judged(reference: Window, recent: Window, limits: Limits) -> Iterator[Finding]:
    if any(reference.scores) or any(recent.scores) or not recent.judged:  # some classifiers give labels alone
        yield _of_scores(reference.scores, recent.scores, limits)
    for respect, name in (("labels", "toxic"), ("policy labels", "policy_toxic")):
        old, new = (_split(getattr(window, name), window.judged) for window in (reference, recent))
        shares = _share(old), _share(new)
        if min(sum(old), sum(new)) < limits.least:
            yield Finding(respect, Level.UNKNOWN, None, None, None, *shares)
            continue
        psi, p = population_stability_index(old, new), exact_test(old, new)
        yield Finding(respect, _level(psi, p, limits.watch, limits.drift, limits), p, psi, None, *shares)


def _of_scores(reference: Sequence[int], recent: Sequence[int], limits: Limits) -> Finding:
    if min(sum(reference), sum(recent)) < limits.least:
        return Finding("scores", Level.UNKNOWN)
    distance, p = kolmogorov_smirnov(reference, recent)
    psi = population_stability_index(reference, recent)
    return Finding("scores", _level(psi, p, limits.watch, limits.drift, limits), p, psi, distance)


def _of_errors(reference: Window, recent: Window, limits: Limits) -> Finding:
    """Only their rise counts. An index of shares this small would say more of the shares than of the difference."""
    old, new = (_split(window.errors, window.texts) for window in (reference, recent))
    if min(sum(old), sum(new)) < limits.least:
        return Finding("errors", Level.UNKNOWN, None, None, None, _share(old), _share(new))
    rise, p = new[0] / sum(new) - old[0] / sum(old), exact_test(old, new, rise=True)
    level = _level(rise, p, limits.watch_errors, limits.drift_errors, limits)
    return Finding("errors", level, p, None, None, _share(old), _share(new))


def _level(size: float, p: float, watch: float, drift: float, limits: Limits) -> Level:
    if p > limits.chance or size < watch:
        return Level.NONE
    return Level.DRIFT if size >= drift else Level.WATCH


def _why(reference: Window, recent: Window, limits: Limits) -> str:
    said = [
        f"{window.judged:,} judged texts"
        + (f" and {window.errors:,} that could not be judged" if window.errors else "")
        for window in (reference, recent)
    ]
    return f"Each window needs {limits.least:,} texts; the reference has {said[0]}, the recent one {said[1]}."


def _split(having: int, of: int) -> tuple[int, int]:
    return having, of - having


def _share(split: tuple[int, int]) -> float | None:
    return split[0] / sum(split) if sum(split) else None


def _check(reference: Sequence[int], current: Sequence[int]) -> None:
    if len(reference) != len(current) or not sum(reference) or not sum(current):
        raise InputError("Two windows are compared over the same bins, and neither may be empty.")


def _shares(counts: Sequence[int]) -> list[float]:
    filled = [count or UNSEEN for count in counts]
    return [count / sum(filled) for count in filled]

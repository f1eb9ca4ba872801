"""Whether a classifier sees other texts, or judges them otherwise, than in a window of reference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from classifiers.errors import InputError

MODERATE, LARGE = 0.1, 0.25
UNSEEN = 0.5  # texts that an empty bin is taken to hold, so that no logarithm is infinite
LEAST = 50


def population_stability_index(reference: Sequence[int], current: Sequence[int]) -> float:
    """The sum of (p - q) ln(p / q) over the same bins of both windows: symmetric, 0 when they are alike.

    Below .1 is little, from .25 on large (Siddiqi, Credit Risk Scorecards, 2006). Raises InputError when the bins differ.
    """
    if len(reference) != len(current) or not sum(reference) or not sum(current):
        raise InputError("Two windows are compared over the same bins, and neither may be empty.")
    p, q = _shares(reference), _shares(current)
    return sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))


def kolmogorov_smirnov(reference: Sequence[int], current: Sequence[int]) -> tuple[float, float]:
    """The greatest distance of the two cumulative shares over ordered bins, and its asymptotic two-sided p-value.

    On binned scores the distance is at most the true one, so that p errs on the side of "no drift".
    Massey, JASA 46, 1951. Raises InputError as above.
    """
    from scipy.special import kolmogorov

    n, m = sum(reference), sum(current)
    if len(reference) != len(current) or not n or not m:
        raise InputError("Two windows are compared over the same bins, and neither may be empty.")
    first = second = distance = 0.0
    for a, b in zip(reference, current, strict=True):
        first, second = first + a / n, second + b / m
        distance = max(distance, abs(first - second))
    return distance, float(kolmogorov(distance * math.sqrt(n * m / (n + m))))


@dataclass(frozen=True, slots=True)
class Drift:
    """One classifier at one stage in one window against the reference. Windows of few texts say nothing: ``why``.

    ``rate`` and ``reference_rate`` are the shares of TOXIC among what was judged; ``errors`` that of what could not be.
    """

    n: int
    psi: float | None
    distance: float | None
    p_value: float | None
    rate: float | None
    reference_rate: float | None
    errors: float | None
    why: str = ""

    @property
    def level(self) -> str:
        """none, moderate or large; unknown without enough texts."""
        if self.psi is None or self.p_value is None:
            return "unknown"
        # A large index by chance alone is common in small windows, a small p in large ones: both are asked for.
        if self.p_value > 0.01 or self.psi < MODERATE:
            return "none"
        return "large" if self.psi >= LARGE else "moderate"


@dataclass(frozen=True, slots=True)
class Window:
    """Numbers of texts: by bin of the score, and by label."""

    bins: Sequence[int]
    toxic: int
    safe: int
    errors: int

    @property
    def judged(self) -> int:
        return self.toxic + self.safe


def compare(reference: Window, current: Window) -> Drift:
    n, everything = current.judged, current.judged + current.errors
    rates = [window.toxic / window.judged if window.judged else None for window in (current, reference)]
    errors = current.errors / everything if everything else None
    if min(sum(reference.bins), sum(current.bins)) < LEAST:
        why = f"A window needs {LEAST} scores to be compared; the reference has {sum(reference.bins)}, this one {sum(current.bins)}."
        return Drift(n, None, None, None, rates[0], rates[1], errors, why)
    distance, p_value = kolmogorov_smirnov(reference.bins, current.bins)
    psi = population_stability_index(reference.bins, current.bins)
    return Drift(n, psi, distance, p_value, rates[0], rates[1], errors)


def _shares(counts: Sequence[int]) -> list[float]:
    filled = [count or UNSEEN for count in counts]
    return [count / sum(filled) for count in filled]

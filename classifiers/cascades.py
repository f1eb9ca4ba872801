"""What a cascade saves and what it costs in quality, for every band, so that a band is chosen from a measured curve."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from classifiers.curves import Scored, average_precision, f1
from classifiers.errors import InputError

STEPS = 21


@dataclass(frozen=True, slots=True)
class BandPoint:
    """A band of the cheap score, the share of texts in it, which the careful classifier judges, and what comes out.

    ``cost`` is the mean cost of a text in units of one careful judgement; ``f1`` is that of the labels.
    """

    low: float
    high: float
    asked: float
    cost: float
    f1: float | None


def cascade_curve(
    cheap: Sequence[float],
    careful: Sequence[float],
    toxic: Sequence[bool],
    *,
    threshold: float,
    cheap_cost: float = 0.0,
    steps: int = STEPS,
) -> list[BandPoint]:
    """All bands between ``steps`` quantiles of the cheap score, the cheapest first; the last sends every text on.

    ``threshold`` is the careful classifier's; ``cheap_cost`` is the cost of a cheap judgement in careful ones.
    Raises InputError when the lengths differ or there is no text.
    """
    import numpy as np

    first, second, truth = np.asarray(cheap, float), np.asarray(careful, float), np.asarray(toxic, bool)
    if not len(first) or first.shape != second.shape or first.shape != truth.shape:
        raise InputError("A cascade is measured on texts with a score of both classifiers and a label each.")
    bounds = np.unique(np.concatenate([[0.0], np.quantile(first, np.linspace(0, 1, steps)), [1.0]]))
    points = [
        _point(first, second, truth, float(low), float(high), threshold, cheap_cost)
        for i, low in enumerate(bounds)
        for high in bounds[i + 1 :]
    ]
    return sorted(points, key=lambda point: (point.cost, -(point.f1 or 0.0)))


def _point(
    first: Any, second: Any, truth: Any, low: float, high: float, threshold: float, cheap_cost: float
) -> BandPoint:
    doubtful = (first > low) & (first < high)
    flagged = (~doubtful & (first >= high)) | (doubtful & (second >= threshold))
    tp, fp, fn = ((flagged & truth).sum(), (flagged & ~truth).sum(), (~flagged & truth).sum())
    asked = float(doubtful.mean())
    return BandPoint(low, high, asked, asked + cheap_cost, f1(float(tp), float(fp), float(fn), 0.0))


def frontier(points: Sequence[BandPoint]) -> Iterator[BandPoint]:
    """Those that no cheaper one is as good as: what there is to choose from."""
    best = -1.0
    for point in points:
        if (point.f1 or 0.0) > best:
            best = point.f1 or 0.0
            yield point


def pick_band(points: Sequence[BandPoint], *, loss: float = 0.01) -> BandPoint:
    """The cheapest band whose F1 is at most ``loss`` below the best of all. InputError without points."""
    if not points:
        raise InputError("There is no band to choose from: measure the cascade on labelled texts first.")
    best = max(point.f1 or 0.0 for point in points)
    return next(point for point in points if (point.f1 or 0.0) >= best - loss)


def quality(scores: Sequence[float], toxic: Sequence[bool]) -> float | None:
    """Average precision of one classifier alone, to put beside the curve."""
    return average_precision(Scored.of(scores, toxic).curve())

"""What a cascade saves and what it costs in quality, for every band, so that a band is chosen from a measured curve."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from classifiers.agreement import Estimate
from classifiers.curves import Scored, at_threshold, bootstrap, bootstrap_difference, f1
from classifiers.errors import InputError
from classifiers.measuring import Said, split
from classifiers.types import Label

STEPS = 21
F1 = at_threshold(0.5, f1)


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


@dataclass(frozen=True)
class ChosenBand:
    """A band chosen on ``fitted`` texts, and what it does on the ``held`` others; ``left_out`` one of the two could not judge.

    ``f1`` is that of the cascade and of each of the two alone; ``lost`` is how much less the cascade has than the careful
    one; ``choices`` is the frontier on the fitted texts.
    """

    low: float
    high: float
    fitted: int
    held: int
    left_out: int
    asked: float
    cost: float
    f1: Mapping[str, Estimate]
    lost: Estimate
    choices: Sequence[BandPoint]


def choose_band(
    cheap: Sequence[Said], careful: Sequence[Said], *, cheap_cost: float, loss: float = 0.01, seed: int = 0
) -> ChosenBand:
    """A band for two classifiers on the same texts, chosen on one half and told of on the other; costs as in cascade_curve.

    Raises InputError when they are not about the same texts, or too few could be judged to choose from.
    """
    if [each.toxic for each in cheap] != [each.toxic for each in careful]:
        raise InputError("A cascade is chosen on the same texts. Evaluate both classifiers on the same data.")
    both = [(a, b) for a, b in zip(cheap, careful, strict=True) if _can_be_used(a) and _can_be_used(b)]
    (fit, held), (fit_careful, held_careful) = (split([pair[i] for pair in both], seed=seed) for i in (0, 1))
    if any(len({each.toxic for each in part}) < 2 for part in (fit, held)):
        raise InputError(
            "A cascade is chosen on toxic and on safe texts, some of each in both halves. Take more texts."
        )
    points = cascade_curve(
        _scores(fit), _labels(fit_careful), [each.toxic for each in fit], threshold=0.5, cheap_cost=cheap_cost
    )
    band, truth = pick_band(points, loss=loss), [each.toxic for each in held]
    doubtful = [band.low < score < band.high for score in _scores(held)]
    alone = {"cheap": _labels(held), "careful": _labels(held_careful)}
    decided = [
        c if doubt else float(score >= band.high)
        for doubt, score, c in zip(doubtful, _scores(held), alone["careful"], strict=True)
    ]
    scored = {name: Scored.of(said, truth) for name, said in {"cascade": decided, **alone}.items()}
    asked = sum(doubtful) / len(held)
    return ChosenBand(
        low=band.low,
        high=band.high,
        fitted=len(fit),
        held=len(held),
        left_out=len(cheap) - len(both),
        asked=asked,
        cost=asked + cheap_cost,
        f1={name: bootstrap(of, {"f1": F1}, seed=seed)["f1"] for name, of in scored.items()},
        lost=bootstrap_difference(scored["careful"], scored["cascade"], F1, seed=seed),
        choices=tuple(frontier(points)),
    )


def _can_be_used(said: Said) -> bool:
    return said.label is not Label.ERROR and said.score is not None


def _scores(said: Sequence[Said]) -> list[float]:
    return [each.score or 0.0 for each in said]


def _labels(said: Sequence[Said]) -> list[float]:
    return [float(each.label is Label.TOXIC) for each in said]

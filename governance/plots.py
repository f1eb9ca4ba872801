"""Evaluations as geometry: whether scores are probabilities, and what thresholds would do. Numbers in, shapes out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from classifiers.curves import Curve as CurveOfCounts
from classifiers.curves import Scored, f1, false_positive_rate, precision, recall
from classifiers.measuring import Said
from review.plots import BASE, LEFT, TICKS, TOP, Curve, Curves, grid, scale, x_at, y_at
from runs.plots import Bar, Line, Text

POINTS = 60


@dataclass(frozen=True)
class Point:
    """What a threshold does on all texts of an evaluation."""

    threshold: float
    precision: float | None
    recall: float | None
    false_positive_rate: float | None
    f1: float | None


def points(said: Sequence[Said]) -> list[Point]:
    """At most POINTS thresholds, even in rank, the highest first; none without scores."""
    import numpy as np

    known = [each for each in said if each.score is not None]
    if not known:
        return []
    curve = Scored.of([each.score or 0.0 for each in known], [each.toxic for each in known]).curve()
    places = np.unique(np.linspace(0, len(curve.thresholds) - 1, POINTS).round().astype(int))
    return [_point(curve, place) for place in places]


def _point(curve: CurveOfCounts, place: int) -> Point:
    threshold, tp, fp = (float(each[place]) for each in (curve.thresholds, curve.tp, curve.fp))
    cells = tp, fp, curve.positives - tp, curve.negatives - fp
    return Point(threshold, precision(*cells), recall(*cells), false_positive_rate(*cells), f1(*cells))


@dataclass(frozen=True)
class Drawn:
    """Curves with their table; ``bars`` stand behind them."""

    title: str
    curves: Curves
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    bars: Sequence[Bar] = ()


def thresholds(points: Sequence[Point], chosen: float | None = None) -> Drawn:
    """Precision, recall and false positives over thresholds, with a mark at the one that was chosen."""
    curves = [
        Curve("precision", "line", _polyline((p.threshold, p.precision) for p in points)),
        Curve("recall", "line line-2", _polyline((p.threshold, p.recall) for p in points)),
        Curve("false positives", "line line-3", _polyline((p.threshold, p.false_positive_rate) for p in points)),
    ]
    mark = [Line(x_at(chosen), TOP, x_at(chosen), BASE, "line line-4")] if chosen is not None else []
    at = f"; the one that was chosen is {chosen:.3g}" if chosen is not None else ""
    says = f"{', '.join(curve.name for curve in curves)} at {len(points)} thresholds from 0 to 1{at}."
    head = ("Threshold", "Precision", "Recall", "False positives", "F1")
    rows = [(f"{p.threshold:.4g}", *map(_share, (p.precision, p.recall, p.false_positive_rate, p.f1))) for p in points]
    return Drawn("What thresholds would do", Curves(says, curves, [*grid(), *mark], scale()), head, rows)


def reliability(title: str, bins: Sequence[Mapping[str, Any]]) -> Drawn:
    """The share of toxic texts over the scores that they have: on the diagonal, a score is a probability.

    Behind it the number of texts in each bin, the fullest one a quarter of the plot's height.
    """
    full = [each for each in bins if each["n"]]
    most = max((each["n"] for each in full), default=1)
    curve = Curve("toxic share", "line", _polyline((each["score"], each["toxic"]) for each in full))
    diagonal = Line(x_at(0), y_at(0), x_at(1), y_at(1), "axis")
    says = f"Share of toxic texts by score, in {len(full)} of {len(bins)} bins; the diagonal is where both are equal."
    rows = [
        (f"{each['low']:.2f} to {each['high']:.2f}", f"{each['n']:,}", _share(each["score"]), _share(each["toxic"]))
        for each in bins
    ]
    head = ("Score", "Texts", "Mean score", "Toxic share")
    curves = Curves(says, [curve], [*grid(), diagonal], scale())
    return Drawn(title, curves, head, rows, [_bar(each, most) for each in full])


def losses(steps: Sequence[Mapping[str, Any]], of: int) -> Drawn | None:
    """The loss over the steps of a training, in at most POINTS means, and that on the tuning texts; None before the first."""
    if not steps:
        return None
    size = -(-len(steps) // POINTS)
    parts = [steps[at : at + size] for at in range(0, len(steps), size)]
    learnt = [(part[-1]["step"], sum(each["loss"] for each in part) / len(part)) for part in parts]
    tuned = [(each["step"], each["tuning_loss"]) for each in steps if each["tuning_loss"] is not None]
    top = max(loss for _, loss in (*learnt, *tuned)) or 1.0
    curves = [
        Curve(name, kind, _polyline((step / of, loss / top) for step, loss in found))
        for name, kind, found in (("training texts", "line", learnt), ("tuning texts", "line line-2", tuned))
        if len(found) > 1
    ]
    last = f"; the last on the tuning texts is {tuned[-1][1]:.3f}" if tuned else ""
    says = f"Loss over {steps[-1]['step']:,} of {of:,} steps{last}."
    by_step = dict(tuned)
    rows = [(f"{step:,}", f"{loss:.4f}", f"{by_step[step]:.4f}" if step in by_step else "–") for step, loss in learnt]  # noqa: RUF001
    head = ("To step", "Loss", "On the tuning texts")
    return Drawn("Loss", Curves(says, curves, grid(), _losses_scale(top, of)), head, rows)


def _losses_scale(top: float, of: int) -> list[Text]:
    beside = [Text(LEFT - 6, y_at(share) + 4, f"{share * top:.2f}", "end") for share in TICKS]
    return [*beside, Text(x_at(0), BASE + 18, "0", "start"), Text(x_at(1), BASE + 18, f"{of:,} steps", "end")]


def _bar(each: Mapping[str, Any], most: int) -> Bar:
    left, top = x_at(each["low"]) + 1, y_at(each["n"] / most / 4)
    says = f"{each['n']:,} texts from {each['low']:.2f} to {each['high']:.2f}"
    return Bar(left, top, x_at(each["high"]) - 1 - left, BASE - top, "area", says)


def _polyline(found: Iterable[tuple[float, float | None]]) -> str:
    return " ".join(f"{x_at(score):.1f},{y_at(share):.1f}" for score, share in found if share is not None)


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.3f}"  # noqa: RUF001

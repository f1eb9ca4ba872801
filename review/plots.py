"""What thresholds would do, as geometry: numbers in, the shapes that a template draws as SVG out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from classifiers.evaluation import SweepPoint
from runs.plots import Line, Text

WIDTH, HEIGHT = 360, 200
LEFT, TOP, BASE = 38, 8, 172
TICKS = (0, 0.25, 0.5, 0.75, 1)


@dataclass(frozen=True)
class Curve:
    """``points`` as an SVG polyline takes them; ``kind`` is its class."""

    name: str
    kind: str
    points: str


@dataclass(frozen=True)
class Curves:
    """Shares over thresholds; ``says`` is what is to be seen, in a sentence."""

    says: str
    curves: Sequence[Curve]
    lines: Sequence[Line]
    texts: Sequence[Text]
    width: int = WIDTH
    height: int = HEIGHT


def sweep(points: Sequence[SweepPoint], *, recall: bool) -> Curves:
    """Precision and the share flagged over thresholds, and recall where it is known."""
    kinds: list[tuple[str, str, Callable[[SweepPoint], float | None]]] = [
        ("precision", "line", lambda point: point.precision),
        ("share flagged", "line line-3", lambda point: point.flagged),
    ]
    if recall:
        kinds.insert(1, ("recall", "line line-2", lambda point: point.recall))
    curves = [Curve(name, kind, _polyline(points, value)) for name, kind, value in kinds]
    names = ", ".join(curve.name for curve in curves)
    return Curves(f"{names} at {len(points)} thresholds from 0 to 1.", curves, list(grid()), list(scale()))


def _polyline(points: Sequence[SweepPoint], value: Callable[[SweepPoint], float | None]) -> str:
    known = [(point.threshold, share) for point in points if (share := value(point)) is not None]
    return " ".join(f"{x_at(threshold):.1f},{y_at(share):.1f}" for threshold, share in known)


def grid() -> list[Line]:
    across = [Line(LEFT, y_at(share), WIDTH, y_at(share), "axis" if share == 0 else "grid") for share in TICKS]
    return [*across, *(Line(x_at(share), TOP, x_at(share), BASE) for share in TICKS)]


def scale() -> list[Text]:
    beside = [Text(LEFT - 6, y_at(share) + 4, f"{share:.0%}", "end") for share in TICKS]
    ends: dict[float, str] = {0: "start", 1: "end"}
    return [*beside, *(Text(x_at(share), BASE + 18, f"{share:g}", ends.get(share, "middle")) for share in TICKS)]


def x_at(threshold: float) -> float:
    return LEFT + threshold * (WIDTH - LEFT)


def y_at(share: float) -> float:
    return BASE - share * (BASE - TOP)

"""Drift as geometry: the days one by one, and the scores of both windows. Numbers in, shapes out (runs.plots)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from governance.drift import Spans
from runs.plots import WIDTH, Bar, Line, Plot, Row, Text

LEFT, TOP, BASE = 44, 8, 128
GRID = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
Numbers = Mapping[str, Any]  # of a classifiers.drift.Window


def by_day(days: Sequence[Numbers], spans: Spans) -> Plot:
    """Shares of TOXIC and of errors on each day of both windows, and a line where the recent one begins."""
    known = {each["day"]: each for each in days}
    drawn = [(day, known[f"{day}"]) for day in _days(spans) if f"{day}" in known]
    high = next(step for step in GRID if step >= max((_toxic(of) + _failed(of) for _, of in drawn), default=0))
    slot = (WIDTH - LEFT) / len(_days(spans))
    bars: list[Bar] = []
    for day, of in drawn:
        x, y = LEFT + (day - spans.start).days * slot + 1, float(BASE)
        for share, kind, name in ((_toxic(of), "toxic", "TOXIC"), (_failed(of), "error", "errors")):
            height = share / high * (BASE - TOP)
            y -= height
            if share:
                bars.append(
                    Bar(x, y, slot - 2, height, kind, f"{_named(day)}: {_percent(share)} {name} of {_texts(of):,}")
                )
    return Plot(
        "Day by day",
        f"The line begins the last {spans.recent} days; their shares are held against those before it.",
        BASE + 24,
        ("Day", "Texts", "TOXIC", "by policy", "errors"),
        [_row(day, of) for day, of in drawn],
        bars,
        [*_grid(high), Line(_x(spans, spans.split, slot), TOP, _x(spans, spans.split, slot), BASE, "axis")],
        [
            *(Text(LEFT - 6, BASE - share * (BASE - TOP) + 4, _percent(share * high), "end") for share in (0.5, 1)),
            Text(LEFT, BASE + 16, _named(spans.start)),
            Text(_x(spans, spans.split, slot), BASE + 16, _named(spans.split), "end"),
            Text(WIDTH, BASE + 16, _named(spans.today), "end"),
        ],
        [("toxic", "TOXIC"), ("error", "could not be judged")],
    )


def scores(reference: Numbers, recent: Numbers) -> Plot | None:
    """Shares of the scores in each bin, before beside now; None where there are no scores."""
    both = [_shares(window["scores"]) for window in (reference, recent)]
    if not any(map(any, both)):
        return None
    high = max(max(shares) for shares in both)
    slot = (WIDTH - LEFT) / len(both[0])
    bars, rows = [], []
    for index, pair in enumerate(zip(*both, strict=True)):
        band = f"{index / len(both[0]):.2f} to {(index + 1) / len(both[0]):.2f}"
        rows.append(Row((band, *map(_percent, pair))))
        for place, (share, kind, name) in enumerate(zip(pair, ("6", "1"), ("before", "now"), strict=True)):
            # Square roots, so that rare high scores are seen beside many low ones, as in runs.plots.
            height = (share / high) ** 0.5 * (BASE - TOP)
            x = LEFT + index * slot + 1 + place * (slot - 2) / 2
            if share:
                bars.append(Bar(x, BASE - height, (slot - 2) / 2, height, kind, f"{band}: {_percent(share)} {name}"))
    counts = [sum(window["scores"]) for window in (reference, recent)]
    return Plot(
        "Scores",
        f"{counts[0]:,} scores before and {counts[1]:,} now, as shares of each; heights are square roots.",
        BASE + 24,
        ("Score", "Before", "Now"),
        rows,
        bars,
        [Line(LEFT, BASE, WIDTH, BASE, "axis"), Line(LEFT, TOP, WIDTH, TOP)],
        [
            Text(LEFT - 6, TOP + 4, _percent(high), "end"),
            *(Text(LEFT + at * (WIDTH - LEFT), BASE + 16, f"{at:g}", ANCHORS.get(at, "middle")) for at in (0, 0.5, 1)),
        ],
        [("6", "before"), ("1", "now")],
    )


ANCHORS: Mapping[float, str] = {0: "start", 1: "end"}


def _days(spans: Spans) -> list[date]:
    return [spans.start + timedelta(days=after) for after in range((spans.today - spans.start).days + 1)]


def _x(spans: Spans, day: date, slot: float) -> float:
    return LEFT + (day - spans.start).days * slot


def _row(day: date, of: Numbers) -> Row:
    policy = of["policy_toxic"] / of["judged"] if of["judged"] else 0
    return Row((_named(day), f"{_texts(of):,}", _percent(_toxic(of)), _percent(policy), _percent(_failed(of))))


def _grid(high: float) -> list[Line]:
    return [Line(LEFT, BASE, WIDTH, BASE, "axis"), *(Line(LEFT, y, WIDTH, y) for y in (TOP, (TOP + BASE) / 2))]


def _named(day: date) -> str:
    return f"{day.day}\N{NO-BREAK SPACE}{day:%b}"


def _texts(of: Numbers) -> int:
    return int(of["judged"] + of["errors"])


def _toxic(of: Numbers) -> float:
    """Of all texts, as errors are, so that both stand on one another."""
    return float(of["toxic"] / _texts(of)) if _texts(of) else 0.0


def _failed(of: Numbers) -> float:
    return float(of["errors"] / _texts(of)) if _texts(of) else 0.0


def _shares(counts: Sequence[int]) -> list[float]:
    return [count / (sum(counts) or 1) for count in counts]


def _percent(share: float) -> str:
    return f"{share:.1%}"

"""Plots as geometry: what a template draws as SVG, and the table that says the same. Pure: numbers in, shapes out.

Lengths are in SVG user units, from the top left corner; a plot is WIDTH wide.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import floor, log10, sqrt

WIDTH = 360
ROW = 26
LEFT = 66  # of bars that lie, for their names
CATEGORIES = 12
MAX_NAME = 20


@dataclass(frozen=True)
class Bar:
    """``kind`` is the colour: safe, toxic, error, or a number from 1 to 6. ``says`` is read out and shown on hovering."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    says: str


@dataclass(frozen=True)
class Line:
    x1: float
    y1: float
    x2: float
    y2: float
    kind: str = "grid"


@dataclass(frozen=True)
class Text:
    x: float
    y: float
    text: str
    anchor: str = "start"


@dataclass(frozen=True)
class Row:
    """A row of a plot's table; ``filters`` choose the results behind it (runs.filters), beside those of the whole plot."""

    cells: Sequence[str]
    filters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plot:
    """``says`` is the plot in a sentence; ``head`` and ``rows`` are its table; ``legend`` names the kinds of bars."""

    title: str
    says: str
    height: float
    head: Sequence[str]
    rows: Sequence[Row]
    bars: Sequence[Bar] = ()
    lines: Sequence[Line] = ()
    texts: Sequence[Text] = ()
    legend: Sequence[tuple[str, str]] = ()
    width: int = field(default=WIDTH, init=False)


def labels(counts: Mapping[str, Mapping[str, int]]) -> Plot:
    """Each stage as a bar of shares. ``counts`` is the number of each label by stage, as a run keeps it."""
    bars: list[Bar] = []
    texts: list[Text] = []
    rows: list[Row] = []
    says: list[str] = []
    kinds = ("SAFE", "TOXIC", "ERROR")
    for index, (stage, title) in enumerate(_TITLES.items()):
        of = [counts.get(stage, {}).get(label, 0) for label in kinds]
        y, total = index * ROW + 4, sum(of)
        texts.append(Text(0, y + 14, title))
        names = [f"{title} {label}: {_number(n)} ({_share(n, total)})" for label, n in zip(kinds, of, strict=True)]
        bars.extend(_stacked(of, [label.lower() for label in kinds], names, y))
        rows.append(Row((title, *map(_number, of), _number(total))))
        says.append(f"{title}: {_number(of[1])} of {_number(total)} toxic, {_number(of[2])} with errors.")
    legend = [(label.lower(), label) for label in kinds]
    head = ("Judged", *kinds, "all")
    return Plot("Labels by stage", " ".join(says), 2 * ROW + 4, head, rows, bars, (), texts, legend)


def scores(stage: str, safe: Sequence[int], toxic: Sequence[int]) -> Plot:
    """A histogram of scores from 0 to 1, SAFE beside TOXIC in each bin.

    Heights are square roots of the numbers, so that a handful of high scores is seen beside thousands of low ones
    (a rootogram: J. W. Tukey, Exploratory Data Analysis, 1977).
    """
    top, base, left, high = 8, 128, 44, max([*safe, *toxic, 1])
    slot = (WIDTH - left) / len(safe)
    bars, rows = [], []
    for index, pair in enumerate(zip(safe, toxic, strict=True)):
        low, top_of_bin = (f"{(index + end) / len(safe):.2f}" for end in (0, 1))
        band = f"{low} to {top_of_bin}"
        rows.append(Row((band, *map(_number, pair)), {"stage": stage, "min_score": low, "max_score": top_of_bin}))
        for place, (n, label) in enumerate(zip(pair, ("SAFE", "TOXIC"), strict=True)):
            height = sqrt(n / high) * (base - top)
            x = left + index * slot + 1 + place * (slot - 2) / 2
            says = f"{band}: {_number(n)} {label}"
            bars.append(Bar(x, base - height, (slot - 2) / 2, height, label.lower(), says))
    lines = [Line(left, base, WIDTH, base, "axis")]
    texts = [
        Text(left + share * (WIDTH - left), base + 16, f"{share:g}", _anchor(share))
        for share in (0, 0.25, 0.5, 0.75, 1)
    ]
    for tick in _ticks(high):
        y = base - sqrt(tick / high) * (base - top)
        lines.append(Line(left, y, WIDTH, y))
        texts.append(Text(left - 6, y + 4, _number(tick), "end"))
    says = f"{_number(sum(safe[10:]) + sum(toxic[10:]))} of {_number(sum(safe) + sum(toxic))} scores are 0.5 or more."
    legend = [("safe", "SAFE"), ("toxic", "TOXIC")]
    return Plot(
        f"Scores of {_TITLES[stage].lower()}",
        says,
        base + 24,
        ("Score", "SAFE", "TOXIC"),
        rows,
        _seen(bars),
        lines,
        texts,
        legend,
    )


def categories(counts: Mapping[str, int]) -> Plot:
    """The most frequent categories of flagged results, each as a bar; the table holds them all."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown, left, right = ranked[:CATEGORIES], 130, 46
    high = max(counts.values(), default=1)
    bars, texts = [], []
    for index, (name, n) in enumerate(shown):
        y, width = index * ROW + 4, (WIDTH - left - right) * n / high
        texts.append(Text(0, y + 14, name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}…"))
        texts.append(Text(left + width + 5, y + 14, _number(n)))
        bars.append(Bar(left, y, width, ROW - 8, "1", f"{name}: {_number(n)}"))
    more = f" {len(ranked) - len(shown)} rarer ones stand in the table alone." if len(ranked) > len(shown) else ""
    says = f"The most frequent is {ranked[0][0]}, with {_number(high)}.{more}" if ranked else "No category was flagged."
    rows = [Row((name, _number(n)), {"category": name}) for name, n in ranked]
    return Plot(
        "Categories of flagged results", says, len(shown) * ROW + 4, ("Category", "Results"), rows, bars, (), texts
    )


def agreement(counts: Iterable[tuple[str, str, str, int]]) -> Plot | None:
    """Where people agree with the machine, by stage. ``counts`` are (stage, machine's label, people's label, number).

    What the machine could not judge is in the table only. None when people have agreed on no label.
    """
    table = {(stage, machine, people): n for stage, machine, people, n in counts}
    if not table:
        return None
    bars: list[Bar] = []
    texts: list[Text] = []
    rows: list[Row] = []
    says: list[str] = []
    for stage, title in _TITLES.items():
        of = [table.get((stage, machine, people), 0) for machine, people, _, _ in _PAIRS]
        if not (total := sum(of)):
            continue
        y = len(texts) * ROW + 4
        texts.append(Text(0, y + 14, title))
        names = [f"{title}, {name}: {_number(n)}" for n, (_, _, _, name) in zip(of, _PAIRS, strict=True)]
        bars.extend(_stacked(of, [kind for _, _, kind, _ in _PAIRS], names, y))
        says.append(f"{title}: people agree with the machine on {_number(of[0] + of[1])} of {_number(total)} reviewed.")
    for (stage, machine, people), n in sorted(table.items()):
        chosen = {f"{stage}_label": machine, "stage": stage, "human": people}
        rows.append(Row((_TITLES[stage], machine, people, _number(n)), chosen))
    legend = [(kind, name) for _, _, kind, name in _PAIRS]
    head = ("Judged", "Machine", "People", "Results")
    return Plot("People and machine", " ".join(says), len(texts) * ROW + 4, head, rows, bars, (), texts, legend)


_TITLES = {"input": "Prompts", "output": "Answers"}
_PAIRS = (
    ("SAFE", "SAFE", "safe", "both say SAFE"),
    ("TOXIC", "TOXIC", "toxic", "both say TOXIC"),
    ("TOXIC", "SAFE", "4", "machine TOXIC, people SAFE"),
    ("SAFE", "TOXIC", "2", "machine SAFE, people TOXIC"),
)


def _stacked(numbers: Sequence[int], kinds: Sequence[str], says: Sequence[str], y: float) -> Iterator[Bar]:
    """One bar in parts, as wide as their shares; what is rare is still seen."""
    x, room, total = float(LEFT), WIDTH - LEFT, sum(numbers) or 1
    least = 2.0
    spare = room - least * sum(n > 0 for n in numbers)
    for n, kind, sentence in zip(numbers, kinds, says, strict=True):
        if n:
            width = least + spare * n / total
            yield Bar(x, y, width, ROW - 8, kind, sentence)
            x += width


def _seen(bars: Iterable[Bar]) -> list[Bar]:
    return [bar for bar in bars if bar.height > 0]


def _ticks(high: int) -> list[int]:
    """At most three round numbers, spread over the height of a square-root axis up to ``high``."""
    return sorted({_round(high * share) for share in (1, 0.4, 0.08)} - {0})


def _round(value: float) -> int:
    """The next number below of the form 1, 2 or 5 times a power of ten; 0 below 1."""
    if value < 1:
        return 0
    power = 10 ** floor(log10(value))
    return int(max(step for step in (1, 2, 5) if step * power <= value) * power)


def _anchor(share: float) -> str:
    return "start" if share == 0 else "end" if share == 1 else "middle"


def _number(n: int) -> str:
    return f"{n:,}"


def _share(n: int, total: int) -> str:
    return f"{n / total:.1%}" if total else "none"

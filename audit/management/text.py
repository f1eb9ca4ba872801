"""Text for a terminal: what comes from outside cannot steer it."""

from __future__ import annotations

from collections.abc import Sequence


def one_line(text: str, width: int = 100) -> str:
    """The beginning of a text; control characters, bidi marks and the like are made visible."""
    beginning = " ".join(text[: 4 * width].split())
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in beginning)
    return shown if len(shown) <= width and len(text) <= 4 * width else f"{shown[: width - 1]}…"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns as wide as what stands in them, numbers to the right; a table without rows is its head."""
    lines = [head, *(["" if cell is None else str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    numeric = [bool(rows) and all(isinstance(row[i], int | float) for row in rows) for i in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in lines
    )

"""Sentences and words of a text, each with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from classifiers import batching

END = re.compile(r"""(?:[.!?…]+["'”\u2019)\]]*\s+|\n\s*)(?=\S)""")
ABBREVIATED = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|etc|e\.g|i\.e|No|Inc|Ltd|Co|approx|[A-Z])|^\s*\d+)\.\s+$"
)
WORD = re.compile(r"\w+(?:['\u2019]\w+)?")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text: characters ``start`` to ``end``, end excluded."""

    text: str
    start: int
    end: int


def sentences(text: str) -> list[Piece]:
    """The sentences and lines of ``text`` in order, without the white space around them; none when it is blank."""
    return [piece for start, end in _cuts(text) if (piece := _trimmed(text, start, end)).text]


def words(text: str) -> list[str]:
    """Lower-case words and numbers."""
    return [word.lower() for word in WORD.findall(text)]


def _cuts(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for mark in END.finditer(text):
        if not ABBREVIATED.search(text, max(start, mark.end() - 12), mark.end()):
            yield start, mark.end()
            start = mark.end()
    yield start, len(text)


def _trimmed(text: str, start: int, end: int) -> Piece:
    part = text[start:end]
    start += len(part) - len(part.lstrip())
    return Piece(part.strip(), start, start + len(part.strip()))


PART = re.compile(r"\S{1,24}")
WINDOW, OVERLAP = 60, 20  # words


def windows(text: str) -> list[Piece]:
    """Overlapping stretches of ``text`` that together hold all of it but white space; none when it is blank."""
    spans = [found.span() for found in PART.finditer(text)]
    if not spans:
        return []
    parts = [spans[part] for part in batching.windows(len(spans), WINDOW, OVERLAP)]
    return [Piece(text[part[0][0] : part[-1][1]], part[0][0], part[-1][1]) for part in parts]

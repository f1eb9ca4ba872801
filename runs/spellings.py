"""Values found again in other texts, however they are written there; the time is that of reading the text, for any number of them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

from classifiers.types import Span

LONG = 7  # digits from which on a number is known again however it is grouped
BEGINNING = 4  # characters by which values are looked up
NAME = re.compile(r"[^\W\d_]+(\s+[^\W\d_]+)*|\W*.{1,5}\W*", re.DOTALL)
GROUPED = re.compile(r"\d(?:[ .()/+-]{0,3}\d)*")
SPACE = re.compile(r"\s")


def plain(value: str) -> str:
    """The same for all spellings: in capitals or small, over lines or not, digits grouped or not."""
    return re.sub(r"\D", "", value) if is_long_number(value) else _flat(value)


def is_long_number(value: str) -> bool:
    return len(re.findall(r"\d", value)) >= LONG and not re.search(r"[^\W\d]", value)


class Spellings:
    """``values`` have the kind of each."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._words: dict[int, dict[str, list[tuple[str, str]]]] = defaultdict(lambda: defaultdict(list))
        self._numbers: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for value, kind in values.items():
            form = plain(value)
            if is_long_number(value):
                self._numbers[form[:LONG]].append((form, kind))
            elif form.strip():
                size = min(len(form), BEGINNING)
                self._words[size][form[:size]].append((form, kind))

    def spans(self, text: str) -> Iterator[Span]:
        """Where they stand; they may overlap."""
        yield from self._in_words(_flat(text))
        if self._numbers:
            yield from self._in_digits(text)

    def _in_words(self, flat: str) -> Iterator[Span]:
        for size, known in self._words.items():
            for start in range(len(flat) - size + 1):
                for value, kind in known.get(flat[start : start + size], ()):
                    if flat.startswith(value, start) and _is_whole(flat, start, start + len(value)):
                        yield Span(start, start + len(value), kind)

    def _in_digits(self, text: str) -> Iterator[Span]:
        places = [found.start() for found in re.finditer(r"\d", text)]
        digits = "".join(text[place] for place in places)
        for first in range(len(digits) - LONG + 1):
            for value, kind in self._numbers.get(digits[first : first + LONG], ()):
                last = first + len(value) - 1
                if digits.startswith(value, first) and GROUPED.fullmatch(text, places[first], places[last] + 1):
                    yield Span(places[first], places[last] + 1, kind)


def _flat(text: str) -> str:
    """In small letters and with plain spaces, each character in its place."""
    small = text.lower()
    if len(small) != len(text):
        small = "".join(low if len(low := letter.lower()) == 1 else letter for letter in text)
    return SPACE.sub(" ", small)


def _is_whole(flat: str, start: int, end: int) -> bool:
    """A name may be a part of another word; what holds more than letters is itself wherever it stands."""
    if not NAME.fullmatch(flat, start, end):
        return True
    return not (_in_word(flat, start - 1) or _in_word(flat, end))


def _in_word(flat: str, place: int) -> bool:
    return 0 <= place < len(flat) and (flat[place].isalnum() or flat[place] == "_")

"""Texts that belong together with placeholders in the place of personal data: a prompt, its answer, what was said of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from classifiers.types import Span
from guardrails.pii import Redactor

NAME = re.compile(r"[^\W\d_]+(\s+[^\W\d_]+)*|\W*.{1,5}\W*", re.DOTALL)
LONG_NUMBER = 7  # digits from which on a value is known again however it is grouped


class _Spellings(Redactor):
    """One placeholder for all spellings of a value: in capitals or small, its digits grouped or not."""

    def __init__(self, texts: Iterable[str]) -> None:
        super().__init__(texts)
        self._first: dict[str, tuple[str, str]] = {}

    def name(self, kind: str, value: str) -> str:
        plain = re.sub(r"\D", "", value) if _is_long_number(value) else " ".join(value.lower().split())
        return super().name(*self._first.setdefault(plain, (kind, value)))


class Redaction:
    """``found`` has the personal data that was found in each of the texts. What was found in one is replaced in all.

    The same value has the same placeholder everywhere. ``done`` says whether there was anything to replace.
    """

    def __init__(self, found: Mapping[str, Sequence[Span]]) -> None:
        self._found = found
        self._redactor = _Spellings(found)
        self._values = {text[span.start : span.end]: span.kind for text, spans in found.items() for span in spans}
        self._spans: dict[str, list[Span]] = {}

    @property
    def done(self) -> bool:
        return bool(self._values)

    def text(self, text: str) -> str:
        return self._redactor.redact(text, self._in(text)) if self.done else text

    def value(self, value: Any) -> Any:
        """The same of a JSON value, with its keys and its long numbers."""
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.text(key): self.value(item) for key, item in value.items()}
            case list() | tuple():
                return [self.value(item) for item in value]
            case _ if (digits := _digits(value)) and (hidden := self.text(digits)) != digits:
                return hidden
        return value

    def moved(self, span: Span, text: str) -> Span:
        """A place in ``text``, where it is after the redaction: at least around the placeholders that it touched."""
        return replace(span, start=self._place(text, span.start, end=False), end=self._place(text, span.end, end=True))

    def payload(self, sent: Any, text: str, sources: Sequence[str]) -> Any:
        """What a provider sent about ``text`` and its sources, its places moved too."""
        return self.value(self._replaced(sent, text, sources)) if self.done else sent

    def _replaced(self, sent: Any, text: str, sources: Sequence[str]) -> Any:
        if isinstance(sent, list):
            return [self._replaced(each, text, sources) for each in sent]
        if not isinstance(sent, dict):
            return sent
        of = _of(sources, sent["source"]) if isinstance(sent.get("source"), int) else text
        given = {name: self._replaced(each, text, sources) for name, each in sent.items()}
        match sent:
            case {"start": int() as start, "end": int() as end}:
                given |= {"start": self._place(of, start, end=False), "end": self._place(of, end, end=True)}
            case {"source": int(), "spans": list() as spans}:
                pairs = [each for each in spans if isinstance(each, list) and len(each) == 2]
                given["spans"] = [[self._place(of, s, end=False), self._place(of, e, end=True)] for s, e in pairs]
        return given

    def _place(self, text: str, place: int, *, end: bool) -> int:
        shift = 0
        for span in self._in(text):
            if place <= span.start:
                break
            length = len(self._redactor.name(span.kind, text[span.start : span.end]))
            if place < span.end or (end and place == span.end):
                return span.start + shift + (length if end else 0)
            shift += length - (span.end - span.start)
        return place + shift

    def _in(self, text: str) -> list[Span]:
        """What was found in the text, and where else in it stands what was found in others."""
        if text not in self._spans:
            self._spans[text] = _merged([*self._found.get(text, ()), *self._known(text)])
        return self._spans[text]

    def _known(self, text: str) -> Iterator[Span]:
        low = text.lower()
        for value, (pattern, kind) in self._patterns.items():
            if value.lower().split()[0] in low or _is_long_number(value):
                yield from (Span(*found.span(), kind) for found in pattern.finditer(text))

    @cached_property
    def _patterns(self) -> dict[str, tuple[re.Pattern[str], str]]:
        return {value: (_pattern(value), kind) for value, kind in self._values.items() if value.strip()}


def strings(value: Any) -> Iterator[str]:
    """The texts in a JSON value, keys included, and numbers so long that they may be somebody's."""
    match value:
        case str():
            yield value
        case dict():
            for key, item in value.items():
                yield key
                yield from strings(item)
        case list() | tuple():
            for item in value:
                yield from strings(item)
        case _ if digits := _digits(value):
            yield digits


def _digits(value: Any) -> str:
    """Of a whole number that has many."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        return ""
    digits = str(int(value))
    return digits if len(digits) >= LONG_NUMBER else ""


def _is_long_number(value: str) -> bool:
    return len(re.findall(r"\d", value)) >= LONG_NUMBER and not re.search(r"[^\W\d]", value)


def _pattern(value: str) -> re.Pattern[str]:
    if _is_long_number(value):
        return re.compile(r"(?<!\d)" + r"[ .()/+-]{0,3}".join(re.findall(r"\d", value)) + r"(?!\d)")
    words = r"\s+".join(map(re.escape, value.split()))
    # A name may be part of another word; what holds more than letters is itself wherever it stands.
    return re.compile(rf"(?<!\w){words}(?!\w)" if NAME.fullmatch(value) else words, re.IGNORECASE)


def _merged(spans: Sequence[Span]) -> list[Span]:
    """In order and apart: what overlaps becomes one, of the longer one's kind."""
    merged: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if merged and span.start < merged[-1].end:
            longer = max(merged[-1], span, key=lambda each: each.end - each.start)
            merged[-1] = replace(longer, start=merged[-1].start, end=max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return merged


def _of(sources: Sequence[str], number: int) -> str:
    return sources[number] if 0 <= number < len(sources) else ""

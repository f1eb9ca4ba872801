"""Texts that belong together with placeholders in the place of personal data: a prompt, its answer, what was said of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from classifiers.types import Span
from guardrails.pii import Redactor
from runs.spellings import LONG, Spellings, plain


class _SameName(Redactor):
    """One placeholder for all spellings of a value: in capitals or small, its digits grouped or not."""

    def __init__(self, texts: Iterable[str]) -> None:
        super().__init__(texts)
        self._first: dict[str, tuple[str, str]] = {}

    def name(self, kind: str, value: str) -> str:
        return super().name(*self._first.setdefault(plain(value), (kind, value)))


class Redaction:
    """``found`` has the personal data that was found in each of the texts. What was found in one is replaced in all.

    The same value has the same placeholder everywhere. ``done`` says whether there was anything to replace.
    """

    def __init__(self, found: Mapping[str, Sequence[Span]]) -> None:
        self._found = found
        self._redactor = _SameName(found)
        self._known = Spellings({t[span.start : span.end]: span.kind for t, spans in found.items() for span in spans})
        self.done = any(found.values())
        self._spans: dict[str, list[Span]] = {}

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
            self._spans[text] = _merged([*self._found.get(text, ()), *self._known.spans(text)])
        return self._spans[text]


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
    return digits if len(digits) >= LONG else ""


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

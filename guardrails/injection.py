"""Prompt injection and jailbreaks: attempts to take over a model's instructions, in what a person or a document says."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from classifiers.loading import check_threshold
from classifiers.types import Classification, Label, ModelInfo, Span, Subject
from guardrails.heads import TextHead
from guardrails.normalise import Variant, variants
from guardrails.sentences import Piece, sentences, windows

DIRECT, INDIRECT = "injection", "indirect_injection"
MOST_CHARACTERS = 200_000

OLD = r"(?:previous|prior|above|earlier|preceding|initial|original|system|developer|existing|current|safety)"
RULES = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b(?:ignore|disregard|forget|override|bypass|discard|neglect)\s+(?:(?:all|any|every|each|the|of|your|my|these|those)\s+){{0,4}}{OLD}\s+"
        r"(?:\w+\s+){0,2}(?:instructions?|prompts?|rules?|guidelines?|directives?|directions?|commands?|messages?|polic(?:y|ies))",
        r"\b(?:reveal|print|show|output|repeat|display|disclose|leak|dump)\s+(?:me\s+)?(?:your|the)\s+"
        r"(?:\w+\s+){0,3}(?:system prompt|hidden prompt|initial prompt|system message|secret instructions)",
        r"\b(?:do anything now|developer mode (?:enabled|activated|on)|jailbr(?:eak|oken) mode|(?:dan|god) mode (?:enabled|on))\b",
        r"\byou are (?:now )?(?:dan|an? (?:unrestricted|unfiltered|uncensored|amoral|jailbroken))\b",
        r"<\|(?:im_start|system|endoftext)\|>|\[/?INST\]|<<SYS>>|<start_of_turn>",
        r"\b(?:without|no|free (?:of|from)) (?:any )?(?:ethical|moral|content|safety) "
        r"(?:restrictions?|guidelines?|filters?|limits?|constraints?|policies)\b",
    )
]


@dataclass(frozen=True, slots=True)
class _Window:
    text: str
    start: int
    end: int


class InjectionRules:
    """Plain patterns of known attacks; quick, no model. Whoever only quotes such a phrase trips them too."""

    def classify(self, subjects: Sequence[Subject]) -> list[Classification]:
        return [self._judged(subject) for subject in subjects]

    def describe(self) -> ModelInfo:
        return ModelInfo(
            "guardrails.InjectionRules", settings={"rules": [r.pattern for r in RULES]}, reads_context=True
        )

    def problems(self) -> list[str]:
        return []

    def _judged(self, subject: Subject) -> Classification:
        start = time.perf_counter()
        if too_long := _too_long(subject):
            return too_long
        spans = _matches(subject.text, DIRECT)
        elsewhere = _elsewhere([[(s.start, s.end) for s in _matches(text, INDIRECT)] for text in subject.sources])
        categories = {DIRECT: float(bool(spans)), INDIRECT: float(bool(elsewhere))}
        return _classification(categories, 1.0, tuple(spans), elsewhere, time.perf_counter() - start)


class InjectionDetector:
    """A trained head over sentences and overlapping windows of the text and of the sources: documents, tool results.

    Disguises are undone first. ``threshold`` is the score from which on something is an attack, the head's own without
    it; what reaches it is a span, or stands in ``raw`` where a source holds it. A text that has, with its sources, more
    than ``max_windows`` different sentences and windows is an ERROR.
    """

    def __init__(self, *, threshold: float | None = None, max_windows: int = 512, threads: int | None = None) -> None:
        if threshold is not None:
            check_threshold(threshold)
        self.head = TextHead("injection", threads=threads)
        self._threshold, self.max_windows = threshold, max_windows

    def classify(self, subjects: Sequence[Subject]) -> list[Classification]:
        """One Classification a subject, with the categories injection and, where there are sources, indirect_injection."""
        start = time.perf_counter()
        read = [self._read(subject) for subject in subjects]
        texts = sorted({w.text for found in read if isinstance(found, list) for each in found for w in each})
        score = dict(zip(texts, self.head.scores(texts), strict=True))
        latency = (time.perf_counter() - start) / max(len(subjects), 1)
        return [self._judged(found, score, latency) if isinstance(found, list) else found for found in read]

    def describe(self) -> ModelInfo:
        settings = {"threshold": self.threshold, "max_windows": self.max_windows}
        return ModelInfo(
            "guardrails.InjectionDetector", "injection", self.head.revision, settings=settings, reads_context=True
        )

    def problems(self) -> list[str]:
        return self.head.problems()

    @property
    def threshold(self) -> float:
        return self.head.threshold if self._threshold is None else self._threshold

    def _read(self, subject: Subject) -> list[list[_Window]] | Classification:
        """The windows of the text, then of each source; an ERROR when they are too many to be judged as a whole."""
        if too_long := _too_long(subject):
            return too_long
        found = [_windows(text) for text in (subject.text, *subject.sources)]
        if len({w.text for each in found for w in each}) <= self.max_windows:
            return found
        return Classification.error(
            f"The text with its sources is too long to be judged as a whole: the limit is {self.max_windows} sentences "
            "and windows of 60 words. Split it, or raise max_windows."
        )

    def _judged(self, found: list[list[_Window]], score: dict[str, float], latency: float) -> Classification:
        best = [max((score[w.text] for w in each), default=0.0) for each in found]
        categories = {DIRECT: best[0]} | ({INDIRECT: max(best[1:])} if best[1:] else {})
        places = [self._places(each, score) for each in found]
        spans = tuple(Span(w.start, w.end, DIRECT, score[w.text]) for w in places[0])
        elsewhere = _elsewhere([[(w.start, w.end) for w in each] for each in places[1:]])
        return _classification(categories, self.threshold, spans, elsewhere, latency)

    def _places(self, found: list[_Window], score: dict[str, float]) -> list[_Window]:
        """The windows that reach the threshold, but none that merely holds a smaller one."""
        hits = [w for w in found if score[w.text] >= self.threshold]
        return [w for w in hits if not any(w.start <= o.start and o.end <= w.end and _size(o) < _size(w) for o in hits)]


def _size(window: _Window) -> int:
    return window.end - window.start


def _elsewhere(places: Sequence[Sequence[tuple[int, int]]]) -> list[dict[str, object]]:
    """The sources that hold something, by number, and where."""
    return [{"source": number, "spans": list(map(list, each))} for number, each in enumerate(places) if each]


def by_sentence(text: str) -> list[Piece]:
    """Its sentences, long ones in windows, when there are several: one sentence among many is lost in a window."""
    found = sentences(text)
    return [
        Piece(piece.text, sentence.start + piece.start, sentence.start + piece.end)
        for sentence in (found if len(found) > 1 else [])
        for piece in windows(sentence.text)
    ]


def _windows(text: str) -> list[_Window]:
    """The windows and sentences of all readings of ``text``, each with its place in ``text`` itself, equal ones once."""
    found: dict[str, _Window] = {}
    for reading in variants(text):
        for piece in [*windows(reading.text), *by_sentence(reading.text)]:
            found.setdefault(piece.text, _placed(piece, reading))
    return list(found.values())


def _placed(piece: Piece, reading: Variant) -> _Window:
    return _Window(piece.text, *reading.span(piece.start, piece.end))


def _matches(text: str, kind: str) -> list[Span]:
    found = (
        reading.span(*match.span())
        for reading in variants(text)
        for rule in RULES
        for match in rule.finditer(reading.text)
    )
    return [Span(start, end, kind, 1.0) for start, end in sorted(set(found))]


def _too_long(subject: Subject) -> Classification | None:
    length = len(subject.text) + sum(map(len, subject.sources))
    if length <= MOST_CHARACTERS:
        return None
    return Classification.error(
        f"The text with its sources has {length} characters; at most {MOST_CHARACTERS} can be judged. Split it."
    )


def _classification(
    categories: dict[str, float],
    threshold: float,
    spans: tuple[Span, ...],
    elsewhere: list[dict[str, object]],
    latency: float,
) -> Classification:
    flagged = tuple(name for name, score in categories.items() if score >= threshold)
    where = " and ".join({DIRECT: "the text", INDIRECT: "a source"}[name] for name in flagged)
    return Classification(
        Label.TOXIC if flagged else Label.SAFE,
        score=max(categories.values()),
        categories=categories,
        flagged=flagged,
        thresholds=dict.fromkeys(categories, threshold),
        spans=spans,
        reason=f"There is an attempt to change the model's instructions in {where}." if flagged else "",
        raw={"sources": elsewhere} if elsewhere else None,
        latency=latency,
    )

"""Personal data in a text: found, told apart into what blocks and what only informs, redacted and restored.

What has a form is found by rules (``patterns``), names and places by a trained tagger (``tagging``), everything else
that Presidio knows (https://microsoft.github.io/presidio/supported_entities/) by Presidio's own recognisers.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from classifiers.errors import InputError, ProviderError
from classifiers.loading import check_threshold, need
from classifiers.types import Classification, Label, ModelInfo, Span, Subject, digest
from guardrails.patterns import FINDERS
from guardrails.tagging import MODEL, SPACY_MODEL, Tagger

TAGGED = ("PERSON", "LOCATION", "STREET_ADDRESS", "DATE_TIME", "ORGANIZATION", "NRP", "AGE", "TITLE")
ENTITIES = (*FINDERS, "PERSON", "LOCATION", "STREET_ADDRESS", "DATE_TIME")
# What opens an account, a door or a mailbox blocks. A name, a place, a date or a machine's address is in half of all
# texts: it is shown and redacted, and blocks only where a policy says so.
BLOCKING = ("CREDIT_CARD", "IBAN_CODE", "US_SSN", "US_PASSPORT", "MEDICAL_LICENSE", "EMAIL_ADDRESS", "PHONE_NUMBER")
THRESHOLD = 0.5
SHORT = {
    "CREDIT_CARD": "CARD",
    "EMAIL_ADDRESS": "EMAIL",
    "IBAN_CODE": "IBAN",
    "IP_ADDRESS": "IP",
    "PHONE_NUMBER": "PHONE",
    "STREET_ADDRESS": "ADDRESS",
}
CHUNK, OVERLAP = 4_000, 200  # characters that are tagged at a time, and again with the next
SURROGATES = re.compile("[\ud800-\udfff]")
BETWEEN_LINES = re.compile(r"[\s,]*(?:[A-Z]{2,3}[\s,]+)?(?:\d[\d-]*[\s,]*)?")  # of an address: state and postcode
POSTCODE = re.compile(r"[ ,]*\d[\d-]{2,9}\b")
PLACEHOLDER = re.compile(r"<([A-Z_]+)_(\d{1,9})>")


class PiiCheck:
    """TOXIC where a text holds personal data of a kind that blocks; spans and scores tell of every kind.

    ``entities`` are the kinds to look for, ``block`` those among them that block; the others inform. ``thresholds`` is
    one number or one for each kind: what scores less is not found. A text of any length is read, in overlapping parts.
    """

    def __init__(
        self,
        entities: Sequence[str] = ENTITIES,
        *,
        block: Sequence[str] | None = None,
        thresholds: Mapping[str, float] | float = THRESHOLD,
    ) -> None:
        given = thresholds if isinstance(thresholds, Mapping) else dict.fromkeys(entities, thresholds)
        for kind, threshold in given.items():
            check_threshold(threshold, of=kind)
        self.entities = tuple(entities)
        self.block = tuple(kind for kind in BLOCKING if kind in self.entities) if block is None else tuple(block)
        self.thresholds = {kind: float(given.get(kind, THRESHOLD)) for kind in self.entities}
        for kind in (*self.block, *given):
            if kind not in self.entities:
                raise InputError(f"{kind} is not among the entities that are looked for: {', '.join(self.entities)}.")

    def classify(self, subjects: Sequence[Subject]) -> list[Classification]:
        """One Classification a subject: its score is that of the surest find of a kind that blocks, else 0."""
        if not subjects:
            return []
        start = time.perf_counter()
        found = self.detect_all([subject.text for subject in subjects])
        latency = (time.perf_counter() - start) / len(subjects)
        return [self._classification(spans, latency) for spans in found]

    def describe(self) -> ModelInfo:
        return ModelInfo(
            provider="presidio",
            model=SPACY_MODEL,
            revision=digest(version("spacy"), version("presidio-analyzer"), MODEL.read_bytes().hex()),
            settings={"entities": self.entities, "block": self.block, "thresholds": self.thresholds},
        )

    def problems(self) -> list[str]:
        wanted = {"presidio_analyzer": self._others, SPACY_MODEL: self._tagged, "pycrfsuite": self._tagged}
        missing = [package for package, use in wanted.items() if use and not find_spec(package)]
        return [f"The package {p} is not installed. Install it with: pip install -r requirements.txt" for p in missing]

    def detect(self, text: str) -> list[Span]:
        """Spans in order; none overlaps another."""
        return self.detect_all([text])[0]

    def detect_all(self, texts: Sequence[str]) -> list[list[Span]]:
        """The spans of each text. Raises ProviderError when a model or a package is missing, or a kind is unknown."""
        plain = [SURROGATES.sub("\ufffd", text) for text in texts]
        tagged = self._tagged_spans(plain)
        found = [self._settled([*self._formed(text), *next(tagged), *self._presidio(text)]) for text in plain]
        return [list(_whole_addresses(text, spans)) for text, spans in zip(plain, found, strict=True)]

    def redact(self, text: str) -> tuple[str, dict[str, str]]:
        """``text`` with a placeholder for each find, <EMAIL_1>, and the vault: what each placeholder stands for. The same
        value has the same placeholder."""
        return redact(text, self.detect(text))

    def restore(self, text: str, vault: Mapping[str, str]) -> str:
        return restore(text, vault)

    def check_safe_to_log(self, text: str) -> bool:
        """Whether nothing in ``text`` is of a kind that blocks."""
        return not any(span.kind in self.block for span in self.detect(text))

    @property
    def _tagged(self) -> list[str]:
        return [kind for kind in self.entities if kind in TAGGED]

    @property
    def _others(self) -> list[str]:
        return [kind for kind in self.entities if kind not in (*FINDERS, *TAGGED)]

    @cached_property
    def _tagger(self) -> Tagger:
        return Tagger()

    @cached_property
    def _analyzer(self) -> Any:
        return _presidio_analyzer(self._others)

    def _formed(self, text: str) -> Iterator[Span]:
        for kind in self.entities:
            if kind in FINDERS:
                yield from FINDERS[kind](text)

    def _tagged_spans(self, texts: Sequence[str]) -> Iterator[list[Span]]:
        if not self._tagged:
            yield from ([] for _ in texts)
            return
        for text in texts:
            parts = list(_parts(text))
            found = self._tagger.spans([text[low:high] for low, high in parts])
            yield [
                Span(span.start + low, span.end + low, span.kind, span.score)
                for (low, high), spans in zip(parts, found, strict=True)
                for span in spans
                if not (span.start == 0 < low or span.end == high - low < len(text) - low)
            ]

    def _presidio(self, text: str) -> Iterator[Span]:
        if self._others:
            for low, high in _parts(text):
                for found in self._analyzer.analyze(text[low:high], "en", entities=self._others):
                    yield Span(found.start + low, found.end + low, found.entity_type, min(found.score, 1.0))

    def _settled(self, spans: Sequence[Span]) -> list[Span]:
        """Spans of wanted kinds that score enough; where two overlap, the surer, then the longer, counts."""
        wanted = [s for s in spans if s.kind in self.entities and (s.score or 0) >= self.thresholds[s.kind]]
        wanted.sort(key=lambda s: (s.kind in TAGGED, -(s.score or 0), s.start - s.end))
        return sorted(_apart(wanted), key=lambda span: span.start)

    def _classification(self, spans: Sequence[Span], latency: float) -> Classification:
        scores: dict[str, float] = {}
        for span in spans:
            scores[span.kind] = max(scores.get(span.kind, 0.0), span.score or 0.0)
        flagged = tuple(kind for kind in self.block if kind in scores)
        return Classification(
            Label.TOXIC if flagged else Label.SAFE,
            score=max((scores[kind] for kind in flagged), default=0.0),
            categories=scores,
            flagged=flagged,
            thresholds={kind: self.thresholds[kind] for kind in self.block},
            spans=tuple(spans),
            reason=_told(spans),
            latency=latency,
        )


class Redactor:
    """Placeholders for texts that belong together: the same value has the same one in each, and none stands in them already."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.vault: dict[str, str] = {}
        self._names: dict[tuple[str, str], str] = {}
        # What only looks like a placeholder stays what it is.
        self._used = {found[0] for text in texts for found in PLACEHOLDER.finditer(text)}
        self._counts: dict[str, int] = {}

    def redact(self, text: str, spans: Sequence[Span]) -> str:
        """``text`` with placeholders for ``spans``, which are in order and apart."""
        parts: list[str] = []
        done = 0
        for span in spans:
            parts += text[done : span.start], self.name(span.kind, text[span.start : span.end])
            done = span.end
        return "".join([*parts, text[done:]])

    def name(self, kind: str, value: str) -> str:
        """The placeholder of a value, a new one when it is new."""
        if (kind, value) not in self._names:
            name = self._names[kind, value] = _placeholder(kind, self._counts, self._used)
            self.vault[name] = value
        return self._names[kind, value]


def redact(text: str, spans: Sequence[Span]) -> tuple[str, dict[str, str]]:
    """``text`` with placeholders for ``spans`` (in order, apart), and the vault that ``restore`` needs."""
    redactor = Redactor([text])
    return redactor.redact(text, spans), redactor.vault


def restore(text: str, vault: Mapping[str, str]) -> str:
    """``text`` with what the placeholders stand for; those that the vault does not know stay."""
    return PLACEHOLDER.sub(lambda found: vault.get(found[0], found[0]), text)


def _placeholder(kind: str, counts: dict[str, int], used: set[str]) -> str:
    while True:
        counts[kind] = counts.get(kind, 0) + 1
        name = f"<{SHORT.get(kind, kind)}_{counts[kind]}>"
        if name not in used:
            return name


def _parts(text: str) -> Iterator[tuple[int, int]]:
    """Overlapping parts of a long text, cut at white space where there is any."""
    low = 0
    while True:
        high = min(low + CHUNK, len(text))
        if high == len(text):
            yield low, high
            return
        cut = max(text.rfind(" ", high - OVERLAP, high), text.rfind("\n", high - OVERLAP, high))
        high = cut if cut > 0 else high
        yield low, high
        low = high - OVERLAP


def _whole_addresses(text: str, spans: Sequence[Span]) -> Iterator[Span]:
    """A street with its town and country is one address where it is told in a sentence; in a block of lines each stands
    for itself."""
    at = 0
    while at < len(spans):
        end = at + 1
        while end < len(spans) and _goes_on(text, spans[end - 1], spans[end]):
            end += 1
        parts = spans[at:end]
        if _in_a_sentence(text, spans[at]) and sum(part.kind == "LOCATION" for part in parts) > 1:
            code = POSTCODE.match(text, parts[-1].end)
            yield Span(parts[0].start, code.end() if code else parts[-1].end, "STREET_ADDRESS", parts[0].score)
        else:
            yield from parts
        at = end


def _goes_on(text: str, part: Span, following: Span) -> bool:
    kinds = {part.kind, following.kind}
    return kinds <= {"STREET_ADDRESS", "LOCATION"} and bool(
        BETWEEN_LINES.fullmatch(text, part.end, following.start) and following.kind == "LOCATION"
    )


def _in_a_sentence(text: str, street: Span) -> bool:
    """Whether something stands before it on its line."""
    before = text[text.rfind("\n", 0, street.start) + 1 : street.start]
    return street.kind == "STREET_ADDRESS" and bool(before.strip(" >*-"))


def _apart(spans: Sequence[Span]) -> list[Span]:
    """The first of those that overlap."""
    taken: list[Span] = []
    covered: set[int] = set()
    for span in spans:
        places = range(span.start, span.end)
        if covered.isdisjoint(places):
            covered.update(places)
            taken.append(span)
    return taken


def _told(spans: Sequence[Span]) -> str:
    counts: dict[str, int] = {}
    for span in spans:
        counts[span.kind] = counts.get(span.kind, 0) + 1
    found = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    return f"Found {found}." if found else ""


def _presidio_analyzer(entities: Sequence[str]) -> Any:
    """Presidio's engine over a tokenizer alone: its pattern recognisers need words for context, no model."""
    logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)  # it warns of every language that it leaves out
    presidio = need("presidio_analyzer", feature=f"Finding {', '.join(entities)}")
    engines = need("presidio_analyzer.nlp_engine", feature="Presidio")
    nlp = need("spacy", feature="Presidio").blank("en")
    registry = presidio.RecognizerRegistry()
    registry.load_predefined_recognizers(languages=["en"])
    unknown = sorted(set(entities) - set(registry.get_supported_entities(["en"])))
    if unknown:
        raise ProviderError(f"Presidio knows no {', '.join(unknown)}. Take them out of the option entities.")
    engine = engines.SpacyNlpEngine()
    engine.nlp = {"en": nlp}
    return presidio.AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"])

"""What a check found, and where: places in the text, each sentence against its sources, and attacks in documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models.functions import Length

from classifiers.types import Span
from runs.models import Payload, Verdict

MOST = 200  # of each kind on a page
LONGEST = 1_000_000  # characters of what a check sent
GUARDRAILS = "guardrails."  # whose payloads have a form that is known


@dataclass(frozen=True, slots=True)
class Found:
    """Characters ``start`` to ``end`` of the text, or of a document (counted from 1); ``quote`` is empty where it is hidden.

    A sentence has its ``support``: the sentence of a document nearest to it, empty when there is none.
    """

    start: int
    end: int
    quote: str = ""
    kind: str = ""
    score: float | None = None
    document: int | None = None
    support: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    places: Sequence[Found] = ()
    sentences: Sequence[Found] = ()
    more: int = 0

    def __bool__(self) -> bool:
        return bool(self.places or self.sentences)


def findings(spans: Sequence[Span], raw: Any, text: str | None, sources: Sequence[str]) -> Findings:
    """``raw`` is what the check sent beside its verdict; ``text`` is None where nothing may be quoted."""
    said = raw if isinstance(raw, Mapping) else {}
    places = [Found(s.start, s.end, (text or "")[s.start : s.end], s.kind, s.score) for s in spans]
    places += _elsewhere(said, sources if text is not None else ())
    sentences = list(_sentences(said, text or "", sources)) if text is not None else []
    return Findings(places[:MOST], sentences[:MOST], max(0, len(places) - MOST) + max(0, len(sentences) - MOST))


def _elsewhere(said: Mapping[str, Any], sources: Sequence[str]) -> Iterator[Found]:
    for each in said.get("sources") or ():
        match each:
            case {"source": int() as number, "spans": list() as spans}:
                text = _of(sources, number)
                yield from (Found(start, end, text[start:end], document=number + 1) for start, end in spans)


def _sentences(said: Mapping[str, Any], text: str, sources: Sequence[str]) -> Iterator[Found]:
    for each in said.get("sentences") or ():
        match each:
            case {"start": int() as start, "end": int() as end, "score": float() | int() as score}:
                number, support = _support(each.get("support"), sources)
                yield Found(start, end, text[start:end], score=score, document=number, support=support)


def _support(given: Any, sources: Sequence[str]) -> tuple[int | None, str]:
    match given:
        case {"source": int() as number, "start": int() as start, "end": int() as end}:
            return number + 1, _of(sources, number)[start:end]
    return None, ""


def _of(sources: Sequence[str], number: int) -> str:
    return sources[number] if 0 <= number < len(sources) else ""


def sent_for(verdicts: Sequence[Verdict]) -> dict[int, Any]:
    """What the guardrails sent, by verdict; what is too long for a page is left out."""
    ours = [v.pk for v in verdicts if v.version and v.version.provider.startswith(GUARDRAILS)]
    lengths = Payload.objects.annotate(length=Length("body")).filter(verdict__in=ours, length__lte=LONGEST)
    return {payload.pk: payload.value for payload in lengths} if ours else {}

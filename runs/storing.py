"""What is kept of texts: all of them (AI_SAFETY_MONITOR_STORE_TEXT=full), all but personal data (redacted), or nothing (none).

Classifiers judge what came; this decides on what is stored of it. Where redaction fails, nothing is.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from django.conf import settings

from classifiers.errors import ProviderError
from classifiers.pipeline import classify
from classifiers.types import Classification, Label, Outcome, Span, Stage, StageOutcome, Subject, digest
from moderation import services as moderation
from moderation.services import Choice
from runs.models import Result
from runs.redaction import Redaction, strings

logger = logging.getLogger(__name__)

NOT_KEPT = "<NOT_KEPT>"
UNTOLD = "It could not be judged. Why is not kept, since its texts are not."
Texts = Result.Texts
Found: TypeAlias = Mapping[str, Sequence[Span] | None]


@dataclass(frozen=True, slots=True)
class Kept:
    """An outcome as it is stored, what was done to its texts, and the digests of those that are not kept."""

    outcome: Outcome
    texts: Texts | None = None
    digests: Mapping[Stage, str] | None = None

    def at(self, position: int) -> Kept:
        return replace(self, outcome=replace(self.outcome, prompt=replace(self.outcome.prompt, position=position)))


def kept(outcomes: Sequence[Outcome], *, facts: Collection[str] = ()) -> list[Kept]:
    """What is to be stored of each. ``facts`` are the names in the metadata that the site itself wrote: they are no texts."""
    if settings.SAFETY_STORE_TEXT == "full":
        return [Kept(outcome) for outcome in outcomes]
    if settings.SAFETY_STORE_TEXT == "none":
        return [_without_texts(outcome, facts) for outcome in outcomes]
    carried = [_Carried.of(outcome, facts) for outcome in outcomes]
    found = _find({text for each in carried for text in each.texts})
    made = [each.redacted(found) for each in carried]
    if lost := sum(each.texts is Texts.NOT_KEPT for each in made):
        logger.error(
            "The texts of %d of %d results are not kept: the check %s could not redact them. Look whether it works.",
            *(lost, len(made), settings.SAFETY_REDACTOR),
        )
    return made


def _without_texts(outcome: Outcome, facts: Collection[str]) -> Kept:
    def emptied(c: Classification) -> Classification:
        return replace(c, spans=(), raw=None, reason=UNTOLD if c.label is Label.ERROR else "")

    prompt = outcome.prompt
    digests = {Stage.INPUT: digest(prompt.text)}
    if outcome.answer is not None:
        digests[Stage.OUTPUT] = digest(outcome.answer)
    own = {name: value for name, value in prompt.metadata.items() if name in facts}
    bare = replace(
        outcome,
        prompt=replace(prompt, text=NOT_KEPT, metadata=own),
        answer=None if outcome.answer is None else NOT_KEPT,
        input=_each(outcome.input, emptied),
        output=outcome.output and _each(outcome.output, emptied),
    )
    return Kept(bare, Texts.NOT_KEPT, digests)


def _each(stage: StageOutcome, change: Any) -> StageOutcome:
    return StageOutcome(tuple(replace(j, classification=change(j.classification)) for j in stage.judgements))


def _find(texts: Iterable[str]) -> Found:
    """The personal data in each text; None where it could not be looked for."""
    asked = sorted(texts)
    try:
        redactor = moderation.classifier(Choice(settings.SAFETY_REDACTOR))
        said = classify(redactor, [Subject(text, Stage.INPUT) for text in asked], alias=settings.SAFETY_REDACTOR)
    except ProviderError as error:
        logger.error("%s", error.message)
        return dict.fromkeys(asked)
    return {text: None if c.label is Label.ERROR else c.spans for text, c in zip(asked, said, strict=True)}


@dataclass(frozen=True)
class _Carried:
    """An outcome with all the texts that it carries, its own words first."""

    outcome: Outcome
    facts: Collection[str]
    payloads: Mapping[int, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, outcome: Outcome, facts: Collection[str]) -> _Carried:
        said = [c for c in _said(outcome) if c.raw is not None]
        # As it is stored: what is no JSON becomes a text, in which anything may stand.
        return cls(outcome, facts, {id(c): json.loads(json.dumps(c.raw, default=str, skipkeys=True)) for c in said})

    @property
    def texts(self) -> list[str]:
        own = [self.outcome.prompt.text, *([] if self.outcome.answer is None else [self.outcome.answer])]
        more = [self._metadata, [c.reason for c in _said(self.outcome)], *self.payloads.values()]
        return list(dict.fromkeys([*own, *strings(more)]))

    @property
    def _metadata(self) -> dict[str, Any]:
        return {name: value for name, value in self.outcome.prompt.metadata.items() if name not in self.facts}

    def redacted(self, found: Found) -> Kept:
        spans = {text: found[text] for text in self.texts}
        if any(each is None for each in spans.values()):
            return _without_texts(self.outcome, self.facts)
        redaction = Redaction({text: each or () for text, each in spans.items()})
        made = self._made(redaction)
        return Kept(made, Texts.REDACTED if redaction.done else None)

    def _made(self, redaction: Redaction) -> Outcome:
        outcome = self.outcome
        prompt, output = outcome.prompt, outcome.output
        text = redaction.text(prompt.text)
        own = {name: value for name, value in prompt.metadata.items() if name in self.facts}
        return replace(
            outcome,
            prompt=replace(prompt, text=text, metadata={**own, **redaction.value(self._metadata)}),
            answer=None if outcome.answer is None else redaction.text(outcome.answer),
            input=self._stage(redaction, outcome.input, prompt.text),
            output=output and self._stage(redaction, output, outcome.answer or ""),
        )

    def _stage(self, redaction: Redaction, stage: StageOutcome, text: str) -> StageOutcome:
        def changed(c: Classification) -> Classification:
            return replace(
                c,
                spans=tuple(redaction.moved(span, text) for span in c.spans),
                reason=redaction.text(c.reason),
                raw=redaction.payload(self.payloads.get(id(c)), text, self.outcome.prompt.sources),
            )

        return _each(stage, changed)


def _said(outcome: Outcome) -> Iterator[Classification]:
    for stage in (outcome.input, outcome.output):
        yield from (j.classification for j in stage.judgements) if stage else ()

"""What a route with ``ON_BLOCK: "redact"`` does with an answer that would be blocked for personal data, and for nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from django.conf import settings

from classifiers.types import Label, Span, StageOutcome
from guardrails.pii import redact


def mend(text: str, judged: StageOutcome) -> str | None:
    """The text with placeholders for what counts against it; None where more than that does."""
    spans = spans_against(judged)
    return redact(text, spans)[0] if spans else None


def spans_against(judged: StageOutcome) -> Sequence[Span]:
    """The places for which the redactor, and no other check, says TOXIC. None of them where a category has no place."""
    toxic = [each for each in judged.judgements if each.classification.label is Label.TOXIC]
    if [each.check for each in toxic] != [settings.SAFETY_REDACTOR]:
        return ()
    (said,) = (each.classification for each in toxic)
    spans = [span for span in said.spans if span.kind in said.flagged]
    return spans if {span.kind for span in spans} == set(said.flagged) else ()


def counted(judged: StageOutcome) -> dict[str, int]:
    """How many places of each kind."""
    return Counter(span.kind for span in spans_against(judged))

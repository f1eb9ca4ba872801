"""A result in a few lines, for a terminal: what was said of each stage, and by which check if there are several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from audit.management.text import one_line
from classifiers.types import Outcome, Span, StageOutcome
from runs.models import Result

MOST_SPANS = 5


@dataclass(frozen=True, slots=True)
class Said:
    """By a check, or by all of a stage together."""

    label: str
    score: float | None
    flagged: Sequence[str]
    check: str = ""
    spans: Sequence[Span] = ()
    reason: str = ""

    def __str__(self) -> str:
        spans = ", ".join(f"{span.kind} at {span.start}-{span.end}" for span in self.spans[:MOST_SPANS])
        more = f" and {len(self.spans) - MOST_SPANS} more" if len(self.spans) > MOST_SPANS else ""
        parts = [
            *(self.label, "" if self.score is None else f"{self.score:.2f}", ", ".join(self.flagged)),
            *(f"[{spans}{more}]" if spans else "", f"- {one_line(self.reason, 300)}" if self.reason else ""),
        ]
        return " ".join(part for part in parts if part)


def of_outcome(outcome: Outcome) -> str:
    """What has just come out of the pipeline."""
    output = outcome.output and _judged("output", outcome.output)
    judged = _judged("input", outcome.input)
    return _lines(outcome.prompt.position, outcome.prompt.text, judged, outcome.answer, output, outcome.degraded)


def of_result(result: Result) -> str:
    """The same of what is stored; its verdicts had better be fetched with it."""
    output = _stored("output", result) if result.output_label else None
    judged = _stored("input", result)
    return _lines(result.position, result.prompt, judged, result.answer, output, result.degraded)


def _lines(
    position: int,
    prompt: str,
    judged: Sequence[str],
    answer: str | None,
    answer_judged: Sequence[str] | None,
    degraded: bool,
) -> str:
    said = [] if answer is None else [f"    answer  {one_line(answer)}"]
    passed = ["    degraded: it passed though a check could not judge it"] if degraded else []
    return "\n".join([f"[{position}] {one_line(prompt)}", *judged, *said, *(answer_judged or ()), *passed])


def _judged(stage: str, outcome: StageOutcome) -> list[str]:
    by = [
        Said(c.label, c.score, c.flagged, each.check, c.spans, c.reason)
        for each in outcome.judgements
        for c in [each.classification]
    ]
    return list(_told(stage, Said(outcome.label, outcome.score, outcome.flagged), by))


def _stored(stage: str, result: Result) -> list[str]:
    by = [
        Said(v.label, v.score, v.flagged, v.check_name, [Span(**span) for span in v.spans], v.reason)
        for v in result.verdicts.all()
        if v.stage == stage.upper()
    ]
    label, score, categories = (getattr(result, f"{stage}_{name}") for name in ("label", "score", "categories"))
    return list(_told(stage, Said(label, score, categories), by))


def _told(stage: str, together: Said, by: Sequence[Said]) -> Iterator[str]:
    yield f"    {stage:7} {by[0] if len(by) == 1 else together}"
    if len(by) > 1:
        yield from (f"        {one_line(each.check, 100)}: {each}" for each in by)

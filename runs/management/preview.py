"""A result in a few lines, for a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from audit.management.text import one_line
from classifiers.types import Outcome, StageOutcome
from runs.models import Result


def of_outcome(outcome: Outcome) -> str:
    """What has just come out of the pipeline."""
    output = outcome.output and _judged(outcome.output)
    return _lines(outcome.prompt.position, outcome.prompt.text, _judged(outcome.input), outcome.answer, output)


def of_result(result: Result) -> str:
    """The same of what is stored; its verdicts had better be fetched with it."""
    output = _stored(result, "output") if result.output_label else None
    return _lines(result.position, result.prompt, _stored(result, "input"), result.answer, output)


def _lines(position: int, prompt: str, judged: str, answer: str | None, answer_judged: str | None) -> str:
    lines = [f"[{position}] {one_line(prompt)}", f"    input   {judged}"]
    if answer is not None:
        lines.append(f"    answer  {one_line(answer)}")
    if answer_judged is not None:
        lines.append(f"    output  {answer_judged}")
    return "\n".join(lines)


def _judged(stage: StageOutcome) -> str:
    return _said(stage.label, stage.score, stage.flagged, (j.classification.reason for j in stage.judgements))


def _stored(result: Result, stage: str) -> str:
    label, score, categories = (getattr(result, f"{stage}_{name}") for name in ("label", "score", "categories"))
    return _said(label, score, categories, (v.reason for v in result.verdicts.all() if v.stage == stage.upper()))


def _said(label: str, score: float | None, categories: list[str], reasons: Iterable[str]) -> str:
    why = "; ".join(one_line(reason, 300) for reason in reasons if reason)
    parts = [label, "" if score is None else f"{score:.2f}", ", ".join(categories), f"- {why}" if why else ""]
    return " ".join(part for part in parts if part)

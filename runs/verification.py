"""Whether the results of a run are still those that the audit trail committed to when they were saved."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from audit.models import AuditEvent
from audit.services import JSONValue, commitment
from classifiers.policy import Rules
from classifiers.types import Judgement, Stage, StageOutcome
from moderation import policies
from runs.models import Result, Run, Verdict
from runs.recording import classification_of, result_commitment

SAVED, LET_GO = "run.chunk_saved", "run.texts_let_go"


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """What is not as recorded at a position; of the run itself where there is none."""

    position: int | None
    reason: str

    def __str__(self) -> str:
        return f"{'The run' if self.position is None else f'Result {self.position}'} {self.reason}"


@dataclass(frozen=True, slots=True)
class Committed:
    """``earlier``: in the form of the time before policies, when the machine's labels were part of it. ``let_go``: when
    retention took the texts out of it."""

    digest: str
    earlier: bool
    let_go: datetime | None = None

    def holds_for(self, result: Result, verdicts: Sequence[Verdict]) -> bool:
        commit = _earlier_commitment if self.earlier else result_commitment
        return self.digest == commit(result, verdicts)

    @property
    def reason(self) -> str:
        if self.let_go:
            return f"is not as it was when retention let its texts go, at {self.let_go:%Y-%m-%d %H:%M} UTC."
        return "is not as it was when the audit trail recorded it."


def discrepancies(run: Run) -> Iterator[Discrepancy]:
    """What was changed, put in or taken out behind the services' back. Judged again, a result has its newest commitment,
    and so has one whose texts retention let go, having seen that they were as recorded.

    The trail commits to what the classifiers said; the labels must be what the policy of the run makes of that. This
    says nothing about the trail itself: audit.services.verify does.
    """
    if run.policy_version_id != _policy_of(run):
        yield Discrepancy(None, "is not labelled under the policy that the audit trail names.")
    committed, rules = commitments(run), policies.rules_of(run.policy_version)
    results = Result.objects.filter(run=run).defer("metadata").order_by("position").prefetch_related("verdicts")
    for result in results.iterator(chunk_size=1000):
        expected, verdicts = committed.pop(str(result.position), None), list(result.verdicts.all())
        if expected is None:
            yield Discrepancy(result.position, "was never recorded in the audit trail.")
        elif not expected.holds_for(result, verdicts):
            yield Discrepancy(result.position, expected.reason)
        elif not _follows(result, verdicts, rules):
            yield Discrepancy(result.position, "has labels that do not follow from what was said of it and its policy.")
    for position in sorted(map(int, committed)):
        yield Discrepancy(position, "was recorded in the audit trail and is gone.")


Commitments: TypeAlias = "dict[str, Committed]"


def commitments(run: Run) -> Commitments:
    """By position: to a result as it was saved last, or to what retention left of it."""
    saved = AuditEvent.objects.filter(
        action__in=(SAVED, LET_GO), target_type=run._meta.label_lower, target_id=str(run.pk)
    ).order_by("sequence")
    committed: dict[str, Committed] = {}
    for event in saved.iterator(chunk_size=100):
        earlier = "policy" not in event.details
        let_go = event.time if event.action == LET_GO else None
        committed |= {place: Committed(made, earlier, let_go) for place, made in event.details["results"].items()}
    return committed


def _policy_of(run: Run) -> int | None:
    """The version that the trail says it was last labelled under."""
    told = AuditEvent.objects.filter(
        action__in=("run.created", "run.relabelled"), target_type=run._meta.label_lower, target_id=str(run.pk)
    ).order_by("-sequence")
    newest = told.first()
    version: int | None = newest.details.get("policy") if newest else None
    return version


def _follows(result: Result, verdicts: Sequence[Verdict], rules: Rules) -> bool:
    """Whether the labels and categories, of each verdict and of both stages, are what the rules make of what was said."""
    for verdict in verdicts:
        ruled = rules.apply(classification_of(verdict), check=verdict.check_name, stage=verdict.stage)
        if (verdict.label, list(verdict.flagged)) != (ruled.label, list(ruled.flagged)):
            return False
    return all(_stage_follows(result, stage, verdicts) for stage in Stage)


def _stage_follows(result: Result, stage: Stage, verdicts: Sequence[Verdict]) -> bool:
    said = [verdict for verdict in verdicts if verdict.stage == stage]
    labels = {verdict.label for verdict in said}
    label = next((label for label in ("TOXIC", "ERROR", "SAFE") if label in labels), None)
    flagged = sorted({name for verdict in said for name in verdict.flagged})
    score = max((verdict.score for verdict in said if verdict.score is not None), default=None)
    stored = [getattr(result, f"{stage.lower()}_{name}") for name in ("label", "categories", "score")]
    return stored == [label, flagged, score]


def _earlier_commitment(result: Result, verdicts: Sequence[Verdict]) -> str:
    own = [(verdict, classification_of(verdict)) for verdict in verdicts]
    said = sorted([v.stage, v.check_name, c.label, c.score, list(c.flagged), c.reason, v.key] for v, c in own)
    value: dict[str, JSONValue] = {name: getattr(result, name) for name in ("position", "prompt", "answer")}
    for stage in Stage:
        judged = StageOutcome(tuple(Judgement(v.check_name, c, v.key) for v, c in own if v.stage == stage))
        value[f"{stage.lower()}_label"] = judged.label if judged.judgements else None
        value[f"{stage.lower()}_score"] = judged.score
    return commitment({**value, "verdicts": json.dumps(said)}, salt=result.salt)[:32]

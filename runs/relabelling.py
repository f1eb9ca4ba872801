"""Labels a run anew under another version of a policy, from what its classifiers said: no model is asked."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, TypeAlias

import orjson
from django.db import models, transaction
from django.db.models.functions import Cast
from django.utils import timezone

from audit.services import record
from classifiers.errors import ConflictError, InputError
from classifiers.policy import Rules
from classifiers.text import unstorable
from classifiers.types import Classification, Judgement, Label, Stage, StageOutcome
from moderation import policies
from moderation.models import PolicyVersion
from runs import leases
from runs.expressions import Among
from runs.models import Chunk, Result, Run, Verdict

PAGE = 5000
EXAMPLES = 20
MAX_NOTE = 2000
ENDED = (Run.Status.DONE, Run.Status.FAILED, Run.Status.CANCELLED)
# A label and the categories that count, as JSON text.
Labelled: TypeAlias = tuple[str | None, str]
STAGES = [stage.lower() for stage in Stage]
SAID = ("categories", "flagged", "own_flagged")


@dataclass
class Preview:
    """What another version would change. ``labels`` counts by stage, label before and label after."""

    run: Run
    version: PolicyVersion | None
    total: int = 0
    # Results of which a label changes, and those of which only the categories do.
    changed: int = 0
    recategorised: int = 0
    labels: Counter[tuple[Stage, str, str]] = field(default_factory=Counter)
    # Answered once, though their prompt would be TOXIC; never answered, though it would be SAFE.
    answered: int = 0
    unanswered: int = 0
    # Positions of the first whose label changes.
    examples: list[int] = field(default_factory=list)

    @property
    def as_json(self) -> dict[str, Any]:
        labels = [
            {"stage": stage, "before": before, "after": after, "results": n}
            for (stage, before, after), n in sorted(self.labels.items())
        ]
        return {
            "run": self.run.pk,
            "policy": self.version.reference if self.version else None,
            "total": self.total,
            "changed": self.changed,
            "recategorised": self.recategorised,
            "labels": labels,
            "answered": self.answered,
            "unanswered": self.unanswered,
            "examples": self.examples,
        }


def preview(run: Run, version: PolicyVersion | None) -> Preview:
    """What labelling the run anew would change; nothing is. None stands for the classifiers' own word."""
    told = Preview(run, version)
    for page in _pages(run, policies.rules_of(version)):
        _count(told, page)
    return told


def relabel(run: Run, version: PolicyVersion | None, *, note: str, actor: str) -> Preview:
    """Labels an ended run anew and tells what changed. What people said, and the answers, stay as they are.

    ConflictError while the run is worked on, or when it stands under this version already.
    """
    if len(note) > MAX_NOTE or unstorable(note):
        raise InputError(f"The note is text of at most {MAX_NOTE} characters.")
    with transaction.atomic():
        before = _locked(run, version)
        told = Preview(run, version)
        for page in _pages(run, policies.rules_of(version)):
            _count(told, page)
            _save(page)
        counts = Result.objects.filter(run=run).counts() if run.status == Run.Status.DONE else run.counts
        Run.objects.filter(pk=run.pk).update(policy_version=version, relabelled_at=timezone.now(), counts=counts)
        facts = {"from": before, "policy": version.pk if version else None, "note": note}
        record("run.relabelled", actor=actor, target=run, data={**facts, "changed": told.changed})
    run.refresh_from_db()
    return told


def _locked(run: Run, version: PolicyVersion | None) -> int | None:
    """Keeps the run as it is to the end of the transaction; gives the version that it stands under."""
    leases.release_dead(run)
    now = Run.objects.select_for_update(no_key=True).get(pk=run.pk)
    if now.live and now.status == Run.Status.RUNNING:
        raise ConflictError(
            f"Run {run.pk} still records what programs ask. It ends by itself when the day is over or another policy "
            f"is in force; or cancel it, which ends it now. Then it can be labelled anew."
        )
    if now.status not in ENDED or now.chunks.filter(state=Chunk.State.HELD).exists():
        raise ConflictError(f"Run {run.pk} is being worked on. Wait for its end, or cancel it; then label it anew.")
    if now.policy_version_id == (version.pk if version else None):
        raise ConflictError(f"Run {run.pk} is labelled under {version or 'no policy'} already. Nothing was changed.")
    return now.policy_version_id


# What follows from what was said


@dataclass(frozen=True, slots=True)
class Page:
    """Some results, each with the labels of its stages before and after, and the verdicts that change."""

    results: Sequence[Relabelled]
    verdicts: Mapping[tuple[Any, ...], Sequence[int]]


@dataclass(frozen=True, slots=True)
class Relabelled:
    pk: int
    position: int
    answered: bool
    before: tuple[Labelled, ...]
    after: tuple[Labelled, ...]


def _pages(run: Run, rules: Rules) -> Iterator[Page]:
    last = -1
    columns: list[Any] = [name for stage in STAGES for name in (f"{stage}_label", f"{stage}_text")]
    texts = {f"{stage}_text": _as_text(f"{stage}_categories") for stage in STAGES}
    answered = models.ExpressionWrapper(models.Q(answer__isnull=False), models.BooleanField())
    of_run = Result.objects.filter(run=run).annotate(answered=answered, **texts).order_by("position")
    while rows := list(of_run.filter(position__gt=last).values_list("pk", "position", "answered", *columns)[:PAGE]):
        last = rows[-1][1]
        stages, verdicts = _said([row[0] for row in rows], rules)
        results = [
            Relabelled(pk, position, bool(answered), (before[:2], before[2:]), stages[pk])
            for pk, position, answered, *labels in rows
            for before in [(labels[0], _same(labels[1]), labels[2], _same(labels[3]))]
        ]
        yield Page(results, verdicts)


def _said(numbers: Sequence[int], rules: Rules) -> tuple[Mapping[int, tuple[Labelled, ...]], dict[Any, list[int]]]:
    """The new labels of the stages of each result; and the verdicts that change, by what they change to."""
    stages: dict[int, dict[str, Labelled]] = defaultdict(dict)
    changes: dict[Any, list[int]] = defaultdict(list)
    columns: list[Any] = [_as_text(name) for name in SAID]
    rows = Verdict.objects.filter(Among("result_id", numbers=numbers)).values_list(
        "result_id", "stage", "pk", "check_name", "score", "label", "own_label", *columns
    )
    for (result, stage), said in groupby(sorted(rows, key=lambda row: row[:3]), key=lambda row: row[:2]):
        judged = StageOutcome(tuple(_ruled(row, rules, changes) for row in said))
        stages[result][stage] = judged.label, _text(judged.flagged)
    none = None, _text([])
    return {pk: tuple(stages[pk].get(stage, none) for stage in Stage) for pk in numbers}, changes


def _ruled(row: Sequence[Any], rules: Rules, changes: dict[Any, list[int]]) -> Judgement:
    """What the rules make of a verdict, noted among the changes if it is another than is stored."""
    _, stage, pk, check, score, label, own_label, categories, flagged, own_flagged = row
    own = Classification(
        Label(own_label or label),
        score=score,
        categories=orjson.loads(categories),
        flagged=tuple(orjson.loads(own_flagged or flagged) if own_label else orjson.loads(flagged)),
    )
    ruled = rules.apply(own, check=check, stage=stage)
    other = (ruled.label, ruled.flagged) != (own.label, own.flagged)
    after = ruled.label, ruled.flagged, own.label if other else None, own.flagged if other else None
    if (label, tuple(orjson.loads(flagged)), own_label) != after[:3]:
        changes[after].append(pk)
    return Judgement(check, ruled, "")


def _as_text(name: str) -> Cast:
    return Cast(name, models.TextField())


def _same(flagged: str) -> str:
    """Both databases write JSON in their own way."""
    return _text(orjson.loads(flagged))


def _text(flagged: Sequence[str]) -> str:
    return orjson.dumps(flagged).decode()


def _count(told: Preview, page: Page) -> None:
    for result in page.results:
        told.total += 1
        pairs = list(zip(Stage, result.before, result.after, strict=True))
        changed = [(stage, before[0], after[0]) for stage, before, after in pairs if before[0] != after[0]]
        told.labels.update((stage, str(before), str(after)) for stage, before, after in changed)
        told.changed += bool(changed)
        told.recategorised += not changed and result.before != result.after
        told.answered += result.answered and result.after[0][0] == Label.TOXIC
        told.unanswered += not result.answered and bool(changed) and result.after[0][0] == Label.SAFE
        if changed and len(told.examples) < EXAMPLES:
            told.examples.append(result.position)


def _save(page: Page) -> None:
    """One statement for all that change to the same."""
    for (label, flagged, own_label, own_flagged), numbers in page.verdicts.items():
        kept = None if own_flagged is None else list(own_flagged)
        Verdict.objects.filter(Among("pk", numbers=numbers)).update(
            label=label, flagged=list(flagged), own_label=own_label, own_flagged=kept
        )
    same: dict[tuple[Labelled, ...], list[int]] = defaultdict(list)
    for result in page.results:
        if result.before != result.after:
            same[result.after].append(result.pk)
    for after, numbers in same.items():
        values = {
            name: value
            for stage, (label, flagged) in zip(STAGES, after, strict=True)
            for name, value in ((f"{stage}_label", label), (f"{stage}_categories", orjson.loads(flagged)))
        }
        Result.objects.filter(Among("pk", numbers=numbers)).update(relabelled=True, **values)

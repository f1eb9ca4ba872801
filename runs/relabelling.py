"""Labels a run anew under another version of a policy, from what its classifiers said: no model is asked."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson
from django.db import models, transaction
from django.db.models.functions import Cast
from django.utils import timezone

from audit.services import record
from classifiers.errors import ConflictError, InputError
from classifiers.policy import Rules
from classifiers.text import unstorable
from classifiers.types import Label, Stage, precedence
from moderation import policies
from moderation.models import PolicyVersion
from runs import leases
from runs.expressions import Among
from runs.models import Chunk, Result, Run, Verdict

PAGE = 5000
EXAMPLES = 20
MAX_NOTE = 2000
ENDED = (Run.Status.DONE, Run.Status.FAILED, Run.Status.CANCELLED)
# Of a stage, a label and the categories that count, as JSON text.
Labelled: TypeAlias = tuple[str | None, str]
# Of a verdict: the label and the categories that count, then those of the classifier where they are others.
Decided: TypeAlias = "tuple[Label, tuple[str, ...], Label | None, tuple[str, ...] | None]"
STAGES = [stage.lower() for stage in Stage]


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
class Change:
    """What becomes of a result, or that nothing does: whether it was answered, its stages before and after."""

    answered: bool
    before: tuple[Labelled, ...]
    after: tuple[Labelled, ...]

    @property
    def labels(self) -> list[tuple[Stage, str, str]]:
        pairs = zip(Stage, self.before, self.after, strict=True)
        return [(stage, str(was[0]), str(now[0])) for stage, was, now in pairs if was[0] != now[0]]


@dataclass(frozen=True, slots=True)
class Page:
    """Some results, as their numbers and positions, by what becomes of them; and the verdicts that change, likewise."""

    results: Mapping[Change, Sequence[tuple[int, int]]]
    verdicts: Mapping[Decided, Sequence[int]]


def _pages(run: Run, rules: Rules) -> Iterator[Page]:
    last = -1
    columns: list[Any] = [name for stage in STAGES for name in (f"{stage}_label", f"{stage}_text")]
    texts = {f"{stage}_text": _as_text(f"{stage}_categories") for stage in STAGES}
    answered = models.ExpressionWrapper(models.Q(answer__isnull=False), models.BooleanField())
    of_run = Result.objects.filter(run=run).annotate(answered=answered, **texts).order_by("position")
    while rows := list(of_run.filter(position__gt=last).values_list("pk", "position", "answered", *columns)[:PAGE]):
        last = rows[-1][1]
        said, verdicts = _said([row[0] for row in rows], rules)
        alike: dict[Any, list[tuple[int, int]]] = defaultdict(list)
        for pk, position, *was in rows:
            alike[(*was, said[pk, "INPUT"], said[pk, "OUTPUT"])].append((pk, position))
        results: dict[Change, list[tuple[int, int]]] = defaultdict(list)
        for key, numbers in alike.items():  # fewer than results by far
            results[_change(*key)] += numbers
        yield Page(results, verdicts)


def _change(
    answered: Any, first: str, first_text: str, second: str | None, second_text: str, *said: tuple[Decided, ...]
) -> Change:
    before = (first, _same(first_text)), (second, _same(second_text))
    return Change(bool(answered), before, tuple(map(_labelled, said)))


def _said(
    numbers: Sequence[int], rules: Rules
) -> tuple[Mapping[tuple[int, str], tuple[Decided, ...]], dict[Decided, list[int]]]:
    """What is said now of each result at each stage; and the verdicts that change, by what they change to."""
    stages: dict[tuple[int, str], tuple[Decided, ...]] = defaultdict(tuple)
    changes: dict[Decided, list[int]] = defaultdict(list)
    columns: list[Any] = [_as_text(name) for name in ("categories", "flagged", "own_flagged")]
    rows = Verdict.objects.filter(Among("result_id", numbers=numbers)).values_list(
        "result_id", "stage", "pk", "check_name", "label", "own_label", *columns
    )
    for result, stage, pk, check, label, own_label, *texts in rows:
        scores, flagged, own = (orjson.loads(text or "null") for text in texts)
        stored = label, tuple(flagged), own_label, tuple(own) if own_label else None
        said = Label(own_label or label), tuple(own if own_label else flagged)
        decided = rules.decide(said[0], scores, said[1], check=check, stage=stage)
        after = (*decided, None, None) if decided == said else (*decided, *said)
        stages[result, stage] += (after,)
        if after != stored:
            changes[after].append(pk)
    return stages, changes


def _labelled(said: Sequence[Decided]) -> Labelled:
    """Of a stage, from its verdicts."""
    if not said:
        return None, "[]"
    return precedence({label for label, *_ in said}), _text(
        sorted({name for _, flagged, *_ in said for name in flagged})
    )


def _as_text(name: str) -> Cast:
    return Cast(name, models.TextField())


def _same(flagged: str) -> str:
    """Both databases write JSON in their own way."""
    return _text(orjson.loads(flagged))


def _text(flagged: Sequence[str]) -> str:
    return orjson.dumps(flagged).decode()


def _count(told: Preview, page: Page) -> None:
    examples: list[int] = []
    for change, numbers in page.results.items():
        n, labels = len(numbers), change.labels
        told.total += n
        told.labels.update(dict.fromkeys(labels, n))
        told.changed += n * bool(labels)
        told.recategorised += n * (not labels and change.before != change.after)
        told.answered += n * (change.answered and change.after[0][0] == Label.TOXIC)
        told.unanswered += n * (not change.answered and bool(labels) and change.after[0][0] == Label.SAFE)
        examples += [position for _, position in numbers] if labels else []
    told.examples += sorted(examples)[: EXAMPLES - len(told.examples)]


def _save(page: Page) -> None:
    """One statement for all that change to the same."""
    for (label, flagged, own_label, own_flagged), numbers in page.verdicts.items():
        kept = None if own_flagged is None else list(own_flagged)
        Verdict.objects.filter(Among("pk", numbers=numbers)).update(
            label=label, flagged=list(flagged), own_label=own_label, own_flagged=kept
        )
    same: dict[tuple[Labelled, ...], list[int]] = defaultdict(list)
    for change, placed in page.results.items():
        if change.before != change.after:
            same[change.after] += [pk for pk, _ in placed]
    for after, numbers in same.items():
        values = {
            name: value
            for stage, (label, flagged) in zip(STAGES, after, strict=True)
            for name, value in ((f"{stage}_label", label), (f"{stage}_categories", orjson.loads(flagged)))
        }
        Result.objects.filter(Among("pk", numbers=numbers)).update(relabelled=True, **values)

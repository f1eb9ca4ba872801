"""One label on all results of a filter: counted first, given step by step, stopped, and taken back as a whole.

A step is one transaction: some results, their reviews, an entry of the audit trail, and the position in the action's own
row, on the condition that it still stands where the step began. So two who work on the same action label nothing
twice, and one who is killed loses a step.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from django.conf import settings
from django.db import transaction
from django.db.models import F, Max
from django.utils import timezone

from audit.services import record
from classifiers.errors import ConflictError, ForbiddenError, InputError, NotFoundError, SafetyError
from classifiers.text import unstorable
from classifiers.types import Stage, digest
from review import consensus
from review.models import BulkAction, Review
from review.rights import Person, actor, need
from review.services import LABELS, MAX_KEY
from runs import leases
from runs.filters import results
from runs.models import Result
from runs.querysets import ResultQuerySet

State = BulkAction.State
# So many results are labelled while somebody waits; more of them in the background.
AT_ONCE = 1_000
STEP = 500
# So many are looked up at once: for some filters that takes longer than a step.
AHEAD = 10_000
# What was looked up: the positions of the next results, and the results themselves.
Ahead: TypeAlias = list[tuple[int, int]]
MAX_REASON = 1_000
UNDER_WAY: tuple[str, ...] = (State.RUNNING, State.UNDOING)
TAKEN_BACK: tuple[str, ...] = (State.UNDOING, State.UNDONE)


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to be said of which results: at one stage, of all that the filters choose."""

    filters: Mapping[str, str]
    stage: Stage
    label: str
    reason: str

    def __post_init__(self) -> None:
        if self.label not in LABELS:
            raise InputError(f"{self.label!r} is no label. Say one of: {', '.join(LABELS)}.")
        if not self.reason.strip() or len(self.reason) > MAX_REASON or unstorable(self.reason):
            raise InputError(f"Say why, in at most {MAX_REASON} characters of plain text.")


@dataclass(frozen=True, slots=True)
class Reach:
    """What an action would label: ``count`` results up to the number ``until``; its person judged ``kept`` more singly."""

    count: int
    until: int
    kept: int


# Before


def targets(filters: Mapping[str, str], stage: Stage, *, by: Person) -> ResultQuerySet:
    """What can be labelled: results with a text at the stage, but for those on which this person's own word stands."""
    own = Review.objects.filter(reviewer=by, stage=stage, bulk=None).current()
    return _with_text(filters, stage).exclude(pk__in=own.values("result"))


def _with_text(filters: Mapping[str, str], stage: Stage) -> ResultQuerySet:
    found = results(filters)
    return found.filter(answer__isnull=False) if stage is Stage.OUTPUT else found


def reach(filters: Mapping[str, str], stage: Stage, *, by: Person) -> Reach:
    need(by, "review.lead", "label in bulk")
    until = Result.objects.aggregate(newest=Max("pk"))["newest"] or 0
    count = targets(filters, stage, by=by).count()
    return Reach(count, until, kept=_with_text(filters, stage).count() - count)


def start(choice: Choice, seen: Reach, *, key: str, by: Person) -> BulkAction:
    """Stores the action for ``work`` to do. ``seen`` is what the person was told that it reaches.

    Sent again under its key it is the same action. Raises ConflictError when it would reach something else by now.
    """
    need(by, "review.lead", "label in bulk")
    if not 0 < len(key) <= MAX_KEY or unstorable(key):
        raise InputError(f"Every act needs a key of its own, of 1 to {MAX_KEY} characters, so that it counts once.")
    fields: dict[str, Any] = {name: getattr(choice, name) for name in ("filters", "stage", "label", "reason")}
    with transaction.atomic():
        if earlier := BulkAction.objects.filter(reviewer=by, key=key).first():
            return _same(earlier, fields)
        count = targets(choice.filters, choice.stage, by=by).filter(pk__lte=seen.until).count()
        if count != seen.count:
            raise ConflictError(
                f"You saw {seen.count} results, and by now there are {count}. Nothing was labelled; look again.",
                code="stale",
            )
        if not count:
            raise InputError("No result is left to be labelled. Choose another filter or stage.")
        action = BulkAction.objects.create(**fields, total=count, until=seen.until, reviewer=by, key=key)
        record("bulk.started", actor=actor(by), target=action, data={**fields, "total": count, "until": seen.until})
    return action


def _same(earlier: BulkAction, fields: Mapping[str, Any]) -> BulkAction:
    if any(getattr(earlier, name) != value for name, value in fields.items()):
        raise ConflictError("Another bulk action was sent under this key before. Send this one under a new key.")
    return earlier


def find_action(pk: int) -> BulkAction:
    action = BulkAction.objects.select_related("reviewer").filter(pk=pk).first()
    if action is None:
        raise NotFoundError("There is no such bulk action.")
    return action


# Work


def work(action: BulkAction, *, seconds: float = math.inf) -> bool:
    """Goes on with what is under way; True when the time is up and there is more to do."""
    deadline = time.monotonic() + seconds
    ahead: Ahead = []
    try:
        while (step := STEPS.get(action.state)) and step(action, ahead):
            action.refresh_from_db()
            if time.monotonic() > deadline:
                return action.state in UNDER_WAY
    except SafetyError as error:
        _fail(action, error)
    action.refresh_from_db()
    return False


def _label_some(action: BulkAction, ahead: Ahead) -> bool:
    """A step; whether another may follow."""
    if len(ahead) < STEP:
        left = targets(action.filters, Stage(action.stage), by=action.reviewer).filter(pk__lte=action.until)
        ahead[:] = left.filter(pk__gt=action.position).order_by("pk").values_list("pk", "pk")[:AHEAD]
    these = _next(ahead)
    more = len(these) == STEP
    with transaction.atomic():
        if not _advance(action, to=max(these, default=action.until), end=None if more else State.DONE):
            return False
        known = _Known(list(these))
        reviews = Review.objects.bulk_create(_verdicts(action, known))
        known.write(reviews)
        _note(action, "bulk.labelled", reviews, len(reviews))
    return more


def _next(ahead: Ahead) -> dict[int, int]:
    """Those of the next step."""
    these = dict(ahead[:STEP])
    del ahead[:STEP]
    return these


def _verdicts(action: BulkAction, known: _Known) -> Iterator[Review]:
    now, key = timezone.now(), digest("bulk", str(action.pk))
    for pk, texts in known.digests.items():
        mine = [r for r in known.said[pk] if (r.reviewer_id, r.stage) == (action.reviewer_id, action.stage)]
        last = mine[-1] if mine else None
        if action.stage not in texts or (last and last.label and not last.bulk_id):
            continue  # since this step was begun, the answer is gone or this person judged it singly
        yield Review(
            result_id=pk,
            stage=action.stage,
            reviewer_id=action.reviewer_id,
            label=action.label,
            digest=texts[Stage(action.stage)],
            key=key,
            supersedes=last,
            bulk=action,
            created_at=now,
        )


def _take_back_some(action: BulkAction, ahead: Ahead) -> bool:
    """A step of the undo: what is still this person's last word is withdrawn."""
    if len(ahead) < STEP:
        standing = Review.objects.filter(bulk=action, pk__gt=action.position).current()
        ahead[:] = standing.order_by("pk").values_list("pk", "result")[:AHEAD]
    found = _next(ahead)
    more = len(found) == STEP
    with transaction.atomic():
        if not _advance(action, to=max(found, default=action.position), end=None if more else State.UNDONE):
            return False
        known = _Known(sorted(found.values()))
        reviews = Review.objects.bulk_create(_withdrawals(action, known, found))
        known.write(reviews)
        _note(action, "bulk.taken_back", reviews, -len(reviews))
    return more


def _withdrawals(action: BulkAction, known: _Known, found: Mapping[int, int]) -> Iterator[Review]:
    now, key = timezone.now(), digest("bulk undone", str(action.pk))
    for said in known.said.values():
        for given in consensus.current(said):
            if given.pk not in found:
                continue
            before = _held_before(given, said)
            yield Review(
                result_id=given.result_id,
                stage=given.stage,
                reviewer_id=given.reviewer_id,
                label=before.label if before else "",
                digest=(before or given).digest,
                key=key,
                supersedes=given,
                bulk_id=(before or given).bulk_id,
                created_at=now,
            )


def _held_before(given: Review, said: Sequence[Review]) -> Review | None:
    """What an earlier bulk action had said there, which holds again unless that was taken back too."""
    before = next((review for review in said if review.pk == given.supersedes_id), None)
    holds = before and before.label and before.bulk and before.bulk.state not in TAKEN_BACK
    return before if holds else None


STEPS: Mapping[str, Callable[[BulkAction, Ahead], bool]] = {
    State.RUNNING: _label_some,
    State.UNDOING: _take_back_some,
}


class _Known:
    """Some results, locked until the transaction ends: the digests of their texts, and all that was said of them."""

    def __init__(self, pks: Sequence[int]) -> None:
        locked = Result.objects.select_for_update(no_key=True).filter(pk__in=pks).order_by("pk")
        list(locked.values_list("pk"))  # in this order, as all do who lock several
        texts = Result.objects.filter(pk__in=pks).only("prompt", "answer", "digests").order_by("pk")
        self.digests = {result.pk: consensus.digests_of(result) for result in texts.iterator(chunk_size=50)}
        self.said: dict[int, list[Review]] = {pk: [] for pk in self.digests}
        for review in Review.objects.filter(result__in=pks).select_related("item", "bulk").order_by("pk"):
            self.said[review.result_id].append(review)

    def write(self, reviews: Sequence[Review]) -> None:
        """Brings the results up to date with these new reviews; those that come to the same go in one statement."""
        alike: dict[tuple[tuple[str, Any], ...], list[int]] = {}
        for review in reviews:
            pk = review.result_id
            fields = consensus.made_of(self.digests[pk], [*self.said[pk], review])
            alike.setdefault(tuple(fields.items()), []).append(pk)
        for columns, pks in alike.items():
            Result.objects.filter(pk__in=pks).update(**dict(columns))


def _advance(action: BulkAction, *, to: int, end: str | None) -> bool:
    """Takes the step for us; False when somebody else took it, or the action was stopped."""
    here = BulkAction.objects.filter(pk=action.pk, state=action.state, position=action.position)
    ended = {"state": end, "finished_at": timezone.now()} if end else {}
    return bool(here.update(position=to, moved_at=timezone.now(), **ended))


def _note(action: BulkAction, verb: str, reviews: Sequence[Review], change: int) -> None:
    BulkAction.objects.filter(pk=action.pk).update(done=F("done") + change)
    numbers = [review.result_id for review in reviews]
    data: dict[str, Any] = {"results": numbers, "stage": action.stage, "label": action.label}
    record(verb, actor=actor(action.reviewer), target=action, data=data)


def _fail(action: BulkAction, error: SafetyError) -> None:
    with transaction.atomic():
        fields = {"state": State.FAILED, "error": error.message, "finished_at": timezone.now()}
        if BulkAction.objects.filter(pk=action.pk, state__in=UNDER_WAY).update(**fields):
            record("bulk.failed", actor=actor(action.reviewer), target=action, data={"error": error.message})


def is_stalled(action: BulkAction) -> bool:
    """Whether it is under way, and nobody has moved it for long."""
    return action.state in UNDER_WAY and leases.is_silent(action.moved_at)


def take_lost(*, before: datetime) -> list[BulkAction]:
    """Those under way that nobody has moved since; of several who find one lost, one gets it."""
    lost = BulkAction.objects.filter(state__in=UNDER_WAY, moved_at__lt=before)
    return [action for action in lost if lost.filter(pk=action.pk).update(moved_at=timezone.now())]


# After


def cancel(action: BulkAction, *, by: Person) -> BulkAction:
    """Stops it where it is; what was labelled stays, and can be taken back."""
    need(by, "review.lead", "stop bulk actions")
    with transaction.atomic():
        running = BulkAction.objects.filter(pk=action.pk, state=State.RUNNING)
        if running.update(state=State.CANCELLED, finished_at=timezone.now()):
            action.refresh_from_db()
            record("bulk.cancelled", actor=actor(by), target=action, data={"done": action.done, "total": action.total})
            return action
    action.refresh_from_db()
    if action.state != State.CANCELLED:
        raise ConflictError(f"This cannot be stopped any more: {action.get_state_display().lower()}. Undo it instead.")
    return action


def undo_until(action: BulkAction) -> datetime | None:
    """How long it can be taken back; None when it cannot be now."""
    if action.state not in (State.DONE, State.CANCELLED, State.FAILED) or not action.finished_at:
        return None
    until = action.finished_at + timedelta(seconds=settings.SAFETY_UNDO_SECONDS)
    return until if until > timezone.now() else None


def undo(action: BulkAction, *, by: Person) -> BulkAction:
    """Begins to take all of it back, for ``work`` to go on with: within SAFETY_UNDO_SECONDS, by whoever did it."""
    if by.pk != action.reviewer_id:
        raise ForbiddenError("Only who labelled in bulk takes it back. Ask them, or label the results yourself.")
    with transaction.atomic():
        action = BulkAction.objects.select_for_update().get(pk=action.pk)
        if action.state in TAKEN_BACK:
            return action
        if action.state == State.RUNNING:
            raise ConflictError("This is still at work. Stop it first, then take it back.")
        if not undo_until(action):
            raise ConflictError(
                f"A bulk action can be taken back for {settings.SAFETY_UNDO_SECONDS // 60} minutes. "
                "Label the results anew instead."
            )
        action.state, action.position, action.finished_at, action.error = State.UNDOING, 0, None, ""
        action.moved_at = timezone.now()
        action.save()
        record("bulk.undo_started", actor=actor(by), target=action, data={"done": action.done})
    return action

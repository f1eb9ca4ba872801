"""Making and leading queues: what goes in, how many people judge it, and which answers are known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from audit.services import record
from classifiers.errors import ConflictError, InputError, NotFoundError
from classifiers.types import Stage
from review import consensus, filling
from review.models import Queue, QueueItem, Seat, stages_of
from review.rights import Person, actor, need
from runs.filters import parsed
from runs.models import Result
from runs.querysets import ResultQuerySet

# What a lead sets; the filter and the sample are fixed when the queue is filled.
SETTINGS = ("name", "instructions", "needed", "lease_seconds", "gold_percent", "restricted")
FILLING = ("sample_percent", "learner", "compared", "size", "random_percent", "stages", "blind")
# Filters that say nothing of what the machine found: results picked by them alone give nothing away.
NEUTRAL = frozenset({"run", "q"})


def create_queue(queue: Queue, *, by: Person, members: Sequence[Person] = ()) -> Queue:
    """Stores a queue and fills it: what its filter finds, and a random sample of what the machine did not flag. Where a
    check is to learn: a random share of what the filter finds, and what the check would learn most from.
    """
    need(by, "review.lead", "make queues")
    queue.created_by = actor(by)
    parsed(queue.filters)
    _check(queue)
    drawn = filling.draw(queue)
    with transaction.atomic():
        queue.save(force_insert=True)
        filling.fill(queue, drawn)
        _set_members(queue, members)
        size = queue.items.count()
        if not size:
            raise InputError("No result fits this filter, so that there is nothing to review. Choose a wider one.")
        settings = {name: getattr(queue, name) for name in (*SETTINGS, "filters", *FILLING)}
        data = {"size": size, "population": queue.population, "settings": settings, "members": _names(members)}
        record("queue.created", actor=actor(by), target=queue, data=data)
    return queue


def _check(queue: Queue) -> None:
    try:
        queue.full_clean()
    except ValidationError as error:
        raise InputError(" ".join(f"{field}: {' '.join(why)}" for field, why in error.message_dict.items())) from error
    if queue.compared and not queue.learner:
        raise InputError("Name the check that is to learn, or none to compare it with.")
    if queue.learner and queue.sample_percent:
        raise InputError(
            "A queue that chooses what a check learns from has a random share of its own. "
            "Set the random sample of unflagged results to 0, or name no check that is to learn."
        )
    if queue.blind and not queue.sample_percent and not queue.filters.keys() <= NEUTRAL:
        raise InputError(
            "In a blind queue that holds only what a filter picks, to be in the queue tells what the machine found. "
            + ("Filter by the run alone" if queue.learner else "Mix in a random sample of unflagged results")
            + ", or make the queue one that is not blind."
        )


def update_queue(
    queue: Queue, changes: Mapping[str, Any], *, version: int, by: Person, members: Sequence[Person] | None = None
) -> Queue:
    """Changes settings of a queue, and who its members are, as it was seen in ``version``.

    A stale version is a ConflictError with both values.
    """
    need(by, "review.lead", "change queues")
    wanted = {name: changes[name] for name in SETTINGS if name in changes}
    sent = wanted if members is None else {**wanted, "members": _names(members)}
    with transaction.atomic():
        queue = _locked(queue)
        before = settings_of(queue)
        if queue.version != version:
            raise ConflictError(_stale(before, sent), code="stale")
        for name, value in wanted.items():
            setattr(queue, name, value)
        queue.version += 1
        _check(queue)
        queue.save()
        if members is not None:
            _set_members(queue, members)
        if queue.needed != before["needed"]:
            _need(queue)
        record("queue.changed", actor=actor(by), target=queue, data={"before": before, "after": sent})
    return queue


def settings_of(queue: Queue) -> dict[str, Any]:
    """What can be changed of a queue, as it stands."""
    members = queue.seats.filter(member=True).order_by("user__username").values_list("user__username", flat=True)
    return {**{name: getattr(queue, name) for name in SETTINGS}, "members": list(members)}


def _stale(stored: Mapping[str, Any], sent: Mapping[str, Any]) -> str:
    differing = [f"{name} is {stored[name]!r}, you sent {sent[name]!r}" for name in sent if sent[name] != stored[name]]
    what = "; ".join(differing) or "to what you sent"
    return f"Somebody changed this queue meanwhile: {what}. Nothing was changed; look again."


def _locked(queue: Queue) -> Queue:
    found = Queue.objects.select_for_update().filter(pk=queue.pk).first()
    if found is None:
        raise NotFoundError("This queue was deleted meanwhile. Nothing was changed; take another one.")
    return found


def _need(queue: Queue) -> None:
    """Items that are still open take the new number of reviewers; those who hold or judged it already stay."""
    waiting = queue.items.real().filter(state=QueueItem.State.OPEN).annotate(out=F("claimed") + F("done"))
    waiting.filter(out__lte=queue.needed).update(needed=queue.needed)
    waiting.filter(out__gt=queue.needed).update(needed=F("claimed") + F("done"))
    for pk in waiting.filter(done__gte=F("needed")).values_list("pk", flat=True):
        _settle(consensus.lock_item(pk))


def _settle(item: QueueItem) -> None:
    result = consensus.lock_result(item.result_id)
    consensus.settle(item, result, consensus.reviews_of(result))


def close_queue(queue: Queue, *, by: Person, closed: bool = True) -> Queue:
    """Nothing more is handed out; what is held can still be sent. Open again with ``closed=False``."""
    need(by, "review.lead", "close queues")
    with transaction.atomic():
        queue = _locked(queue)
        if bool(queue.closed_at) != closed:
            queue.closed_at = timezone.now() if closed else None
            queue.version += 1
            queue.save(update_fields=["closed_at", "version"])
            record("queue.closed" if closed else "queue.opened", actor=actor(by), target=queue)
    return queue


def _set_members(queue: Queue, members: Sequence[Person]) -> None:
    Seat.objects.filter(queue=queue, member=True).exclude(user__in=members).update(member=False)
    Seat.objects.bulk_create(
        [Seat(queue=queue, user=person, member=True) for person in members],
        update_conflicts=True,
        unique_fields=["queue", "user"],
        update_fields=["member"],
    )


def mark_gold(queue: Queue, result: Result, labels: Mapping[Stage, str] | None, *, by: Person) -> QueueItem:
    """Says what the right answer is: the result then measures reviewers, and counts no more towards agreement.

    None makes it an ordinary one again. A result that is not in the queue yet joins it.
    """
    need(by, "review.lead", "mark known answers")
    known = {f"gold_{stage.lower()}": (labels or {}).get(stage, "") for stage in Stage}
    with transaction.atomic():
        item = _item_for(queue, result, add=labels is not None)
        _check_known(queue, consensus.lock_result(result.pk), labels)
        if item.gold and labels:
            return _same_known(item, known)
        needed = QueueItem.GOLD_NEEDED if labels else max(queue.needed, item.claimed + item.done)
        changes = {"gold": labels is not None, "needed": needed, "state": QueueItem.State.OPEN, "closed_at": None}
        QueueItem.objects.filter(pk=item.pk).update(**known, **changes)
        item.refresh_from_db()
        _settle(item)
        data: dict[str, Any] = {
            "item": item.pk,
            "labels": {stage.value: label for stage, label in (labels or {}).items()},
        }
        record("queue.gold_marked", actor=actor(by), target=queue, data=data)
    return item


def _same_known(item: QueueItem, known: Mapping[str, str]) -> QueueItem:
    stored = {name: getattr(item, name) for name in known}
    if stored != known:
        theirs, yours = (" and ".join(filter(None, labels.values())) for labels in (stored, known))
        raise ConflictError(
            f"The answer is known as {theirs} already; you sent {yours}. Nothing was changed: take that mark away first."
        )
    return item


def _item_for(queue: Queue, result: Result, *, add: bool) -> QueueItem:
    if item := QueueItem.objects.filter(queue=queue, result=result).first():
        return consensus.lock_item(item.pk)
    if not add:
        raise NotFoundError("This result is not in the queue.")
    return QueueItem.objects.create(queue=queue, result=result, needed=queue.needed, order=0.5)


def _check_known(queue: Queue, result: Result, labels: Mapping[Stage, str] | None) -> None:
    if labels is None:
        return
    asked = stages_of(queue, result)
    if set(labels) != set(asked) or any(label not in ("SAFE", "TOXIC") for label in labels.values()):
        raise InputError(f"Say SAFE or TOXIC for each of: {', '.join(stage.lower() for stage in asked)}.")


def find_queue(pk: int) -> Queue:
    """Raises NotFoundError."""
    queue = Queue.objects.filter(pk=pk).first()
    if queue is None:
        raise NotFoundError("There is no such queue: it may have been deleted. Nothing was changed; take another one.")
    return queue


def find_item(queue: Queue, pk: int) -> QueueItem:
    item = queue.items.select_related("queue", "result").filter(pk=pk).first()
    if item is None:
        raise NotFoundError("There is no such result in this queue. Nothing was changed; look at the queue again.")
    return item


def some(found: ResultQuerySet, number: int) -> list[Result]:
    """A random few of them, as lists show them."""
    pks = list(found.order_by("?").values_list("pk", flat=True)[:number])
    return list(Result.objects.listed().filter(pk__in=pks))


def _names(people: Iterable[Person]) -> list[str]:
    return sorted(person.get_username() for person in people)

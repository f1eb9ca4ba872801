"""Handing out results: each to as many reviewers as it needs, and to no one twice.

A slot is taken by one UPDATE whose counters stand in the row that it locks. A count taken from another table would
serve a result twice on PostgreSQL: there a statement that has waited for a lock looks again at the locked row alone.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.utils import timezone

from audit.services import record
from classifiers.errors import ConflictError, ForbiddenError, InputError, NotFoundError
from classifiers.text import unstorable
from review import consensus, places
from review.models import Claim, Queue, QueueItem, Seat
from review.querysets import FREE, ClaimQuerySet
from review.rights import Person, actor, check_work, need

State = Claim.State
MOST_PARKED = 20
ATTEMPTS = 5
SWEPT = 100
MAX_REASON = 500

# The words of the index queue_item_claimable. {more} narrows it down, {lock} is FOR UPDATE SKIP LOCKED on PostgreSQL.
TAKE = """
UPDATE review_queueitem SET claimed = claimed + 1 WHERE id = (
    SELECT item.id FROM review_queueitem item
    WHERE item.queue_id = %s AND item.state = 'OPEN' AND {kind} AND item.needed > (item.claimed + item.done)
        AND item."order" > %s
        AND NOT EXISTS (
            SELECT 1 FROM review_claim mine WHERE mine.item_id = item.id AND mine.reviewer_id = %s
                AND mine.state NOT IN ('RELEASED', 'EXPIRED'))
    ORDER BY item."order" LIMIT 1 {lock}
) AND needed > (claimed + done) AND state = 'OPEN' RETURNING id, "order"
"""


def claim_next(queue: Queue, *, reviewer: Person, besides: int | None = None) -> Claim | None:
    """The claim that the reviewer holds in the queue, else a new one; None when nothing is left for them.

    With ``besides``, the number of the claim in hand, the one after it. Raises ForbiddenError and ConflictError.
    """
    check_work(reviewer, queue)
    for _ in range(ATTEMPTS):
        try:
            with transaction.atomic():
                claim = _held(queue, reviewer, besides) or _take(queue, reviewer)
        except IntegrityError:
            continue  # the same reviewer, in another window, has just taken the same one
        if claim or not sweep(queue):
            return claim
    raise ConflictError("Too many windows ask for results at once. Close some and try again.")


def _held(queue: Queue, reviewer: Person, besides: int | None) -> Claim | None:
    mine = Claim.objects.filter(reviewer=reviewer, state__in=(State.HELD, State.PARKED), item__queue=queue)
    claims = [claim for claim in mine.order_by("claimed_at", "pk") if claim.pk != besides]
    if held := next((claim for claim in claims if claim.state == State.HELD), None):
        return held if held.expires_at and held.expires_at > timezone.now() else _resume(held, queue)
    handed = next((claim for claim in claims if claim.given_by), None)
    return _resume(handed, queue) if handed else None


def _resume(claim: Claim, queue: Queue) -> Claim | None:
    """Takes a kept or handed-over claim into the hand, with a lease of its own; None when it was swept meanwhile."""
    claim.state, claim.expires_at = State.HELD, timezone.now() + timedelta(seconds=queue.lease_seconds)
    mine = Claim.objects.filter(pk=claim.pk).active()
    return claim if mine.update(state=claim.state, expires_at=claim.expires_at) else None


def _take(queue: Queue, reviewer: Person) -> Claim | None:
    seat, _ = Seat.objects.get_or_create(queue=queue, user=reviewer)
    gold = random.random() * 100 < queue.gold_percent  # noqa: S311 - which known answer comes when is no secret worth more
    # Known answers come among others only: alone at the end they would be known for what they are.
    gold = gold and places.left(queue, reviewer) > 0
    taken = (gold and _take_item(queue, reviewer, "item.gold", after=-1)) or _take_work(queue, reviewer, seat)
    if not taken:
        return None
    item_id, order, known = taken
    if not known and order > seat.cursor:
        Seat.objects.filter(pk=seat.pk).update(cursor=order)
    claim = _claim(item_id, reviewer, until=timezone.now() + timedelta(seconds=queue.lease_seconds))
    record("review.claimed", actor=actor(reviewer), target=claim, data={"queue": queue.pk, "item": item_id})
    return claim


def _take_work(queue: Queue, reviewer: Person, seat: Seat) -> tuple[int, float, bool] | None:
    """From where this reviewer has come to; then what others have given back on the way."""
    onward = _take_item(queue, reviewer, "NOT item.gold", after=seat.cursor)
    return onward or (_take_item(queue, reviewer, "NOT item.gold", after=-1) if seat.cursor >= 0 else None)


def _take_item(queue: Queue, reviewer: Person, kind: str, *, after: float) -> tuple[int, float, bool] | None:
    lock = "FOR UPDATE OF item SKIP LOCKED" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(TAKE.format(kind=kind, lock=lock), [queue.pk, after, reviewer.pk])
        row = cursor.fetchone()
    return (row[0], row[1], kind == "item.gold") if row else None


def _claim(item_id: int, reviewer: Person, *, until: datetime, state: str = State.HELD, given_by: str = "") -> Claim:
    """The reviewer's one claim on the item, whose slot has just been taken for it."""
    fields = {"state": state, "expires_at": until, "claimed_at": timezone.now(), "reason": "", "given_by": given_by}
    again = Claim.objects.filter(item=item_id, reviewer=reviewer, state__in=FREE)
    if again.update(**fields):
        return Claim.objects.get(item=item_id, reviewer=reviewer)
    return Claim.objects.create(item_id=item_id, reviewer=reviewer, **fields)


def find_claim(pk: int, *, reviewer: Person) -> Claim:
    """A claim of this reviewer's own, in whatever state."""
    claim = Claim.objects.select_related("item__queue").filter(pk=pk, reviewer=reviewer).first()
    if claim is None:
        raise NotFoundError("You do not hold this result. Take the next one from the queue.")
    claim.reviewer = reviewer
    return claim


def heartbeat(claim: Claim) -> Claim:
    """Makes the lease whole again. Raises ConflictError when it has ended."""
    until = timezone.now() + timedelta(seconds=claim.item.queue.lease_seconds)
    if not Claim.objects.filter(pk=claim.pk, state=State.HELD).update(expires_at=until):
        raise ConflictError("Your time with this result has ended. Send your verdict all the same: it will be kept.")
    claim.expires_at = until
    return claim


def release(claim: Claim, *, by: Person | None = None) -> None:
    """Gives the result back for others, and for the same reviewer later; ``by`` a lead, if not by the reviewer.

    Once given back it stays so.
    """
    by = by or claim.reviewer
    if by != claim.reviewer:
        need(by, "review.lead", "give back what another person holds")
    _end(claim, State.RELEASED, "review.released", by=by)


def skip(claim: Claim, *, reason: str) -> None:
    """Leaves the result to others for good; a reason says why."""
    _end(claim, State.SKIPPED, "review.skipped", reason=_reason(reason))


def escalate(claim: Claim, *, reason: str) -> None:
    """Leaves the result to an adjudicator; nobody else is asked any more."""
    _end(claim, State.ESCALATED, "review.escalated", reason=_reason(reason))


def park(claim: Claim) -> Claim:
    """Keeps the result for its reviewer beyond the lease, while they go on with others."""
    with transaction.atomic():
        parked = Claim.objects.filter(reviewer=claim.reviewer, state=State.PARKED, item__queue=claim.item.queue)
        if parked.count() >= MOST_PARKED:
            raise ConflictError(f"You keep {MOST_PARKED} results of this queue for later. Judge some of them first.")
        claim.state, claim.expires_at = State.PARKED, timezone.now() + timedelta(seconds=settings.SAFETY_HOLD_SECONDS)
        held = Claim.objects.filter(pk=claim.pk, state__in=(State.HELD, State.PARKED))
        if not held.update(state=claim.state, expires_at=claim.expires_at):
            raise ConflictError("Your time with this result has ended, so that it cannot be kept.")
        record("review.parked", actor=actor(claim.reviewer), target=claim, data={"item": claim.item_id})
    return claim


def take_up(claim: Claim) -> Claim:
    """Takes a kept result into the hand again."""
    if held := _resume(claim, claim.item.queue):
        return held
    raise ConflictError("This result is no longer kept for you: its time has ended.")


def hand_to(claim: Claim, *, to: Person, by: Person) -> Claim:
    """Hands a held result to a named colleague, for whom it waits."""
    if by != claim.reviewer:
        need(by, "review.lead", "hand on what another person holds")
    _check_receiver(claim, to)
    until = timezone.now() + timedelta(seconds=settings.SAFETY_HOLD_SECONDS)
    with transaction.atomic():
        consensus.lock_item(claim.item_id)
        held = Claim.objects.filter(pk=claim.pk, state__in=(State.HELD, State.PARKED))
        if not held.update(state=State.RELEASED, expires_at=None):
            raise ConflictError("This result is no longer held, so that it cannot be handed on.")
        given = _claim(claim.item_id, to, until=until, state=State.PARKED, given_by=by.get_username())
        record("review.handed", actor=actor(by), target=given, data={"item": claim.item_id, "to": to.get_username()})
    return given


def _check_receiver(claim: Claim, to: Person) -> None:
    try:
        check_work(to, claim.item.queue)
    except ForbiddenError as error:
        raise InputError(f"{to.get_username()} cannot review in this queue. Choose somebody else.") from error
    if Claim.objects.filter(item=claim.item_id, reviewer=to).exclude(state__in=FREE).exists():
        raise ConflictError(f"{to.get_username()} has, or had, this result already. Choose somebody else.")


def sweep(queue: Queue) -> int:
    """Gives back the slots whose lease has ended; returns how many."""
    now = timezone.now()
    expired = Claim.objects.expired(now).filter(item__queue=queue)
    items = set(expired.values_list("item", flat=True)[:SWEPT])
    if not items:
        return 0
    with transaction.atomic():
        locked = list(QueueItem.objects.filter(pk__in=items).order_by("pk").select_for_update(**_skip_locked()))
        ended = [pk for item in locked for pk in _expire(item, expired)]
        if ended:
            record("review.expired", actor="system", target=queue, data={"claims": ended})
    return len(ended)


def _expire(item: QueueItem, expired: ClaimQuerySet) -> list[int]:
    """Ends the expired claims on an item, which is locked."""
    claims = list(expired.filter(item=item).values_list("pk", flat=True))
    ended = Claim.objects.expired(timezone.now()).filter(pk__in=claims).update(state=State.EXPIRED, expires_at=None)
    QueueItem.objects.filter(pk=item.pk).update(claimed=F("claimed") - ended)
    return claims


def _skip_locked() -> dict[str, Any]:
    return {"no_key": True, "skip_locked": True} if connection.vendor == "postgresql" else {}


def _end(claim: Claim, state: str, action: str, *, reason: str = "", by: Person | None = None) -> None:
    """Ends a held claim without a verdict and frees its slot. A second time changes nothing."""
    with transaction.atomic():
        item = consensus.lock_item(claim.item_id)
        held = Claim.objects.filter(pk=claim.pk, state__in=(State.HELD, State.PARKED))
        if not held.update(state=state, expires_at=None, reason=reason):
            claim.refresh_from_db(fields=["state"])
            if claim.state == state:
                return
            raise ConflictError(f"This result is no longer held: {claim.get_state_display().lower()}.")
        item.claimed -= 1
        item.save(update_fields=["claimed"])
        if state == State.ESCALATED:
            result = consensus.lock_result(item.result_id)
            consensus.settle(item, result, consensus.reviews_of(result), escalated=True)
        data: dict[str, int | str] = {"item": claim.item_id, **({"reason": reason} if reason else {})}
        record(action, actor=actor(by or claim.reviewer), target=claim, data=data)


def _reason(reason: str) -> str:
    reason = reason.strip()
    if not reason or len(reason) > MAX_REASON or unstorable(reason):
        raise InputError(f"Say why, in at most {MAX_REASON} characters of plain text.")
    return reason

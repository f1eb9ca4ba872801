"""How far a queue has come, who is at work in it, and what waits: for those who lead it or look on."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, OuterRef, Q, QuerySet, Subquery, Sum
from django.utils import timezone

from classifiers.errors import NotFoundError
from review.adjudication import ASIDE, SEEN
from review.models import Claim, Draft, Queue, QueueItem, Review, Seat
from review.querysets import ACTIVE

State = QueueItem.State
NAMES: Mapping[str, str] = {State.OPEN: "open", State.NEEDS_ADJUDICATION: "disputed", State.CLOSED: "closed"}
# From so many of the newest verdicts it is told how long people take.
RECENT = 2_000
# Who did nothing for so long was not judging all the while.
PAUSE = timedelta(minutes=10)
# Columns that a list has no use for.
LONG = ("result__prompt", "result__answer", "result__metadata")
AGES = (("an hour", timedelta(hours=1)), ("a day", timedelta(days=1)), ("a week", timedelta(days=7)))


@dataclass(frozen=True, slots=True)
class Standing:
    """How many results of a queue are in which state, and how many verdicts on them were ``given`` and are ``wanted``.

    Known answers stand apart and never end. ``oldest`` is since when the result waits that waits longest.
    """

    open: int
    disputed: int
    closed: int
    known: int
    held: int
    given: int
    wanted: int
    people: int
    oldest: datetime | None

    @property
    def total(self) -> int:
        return self.open + self.disputed + self.closed


def standings(queues: Iterable[Queue]) -> dict[int, Standing]:
    """The standing of each queue, by its number, in two queries however many they are."""
    pks = [queue.pk for queue in queues]
    found = {pk: dict.fromkeys(("open", "disputed", "closed", "known", "held", "given", "wanted"), 0) for pk in pks}
    oldest: dict[int, datetime] = {}
    items = QueueItem.objects.filter(queue__in=pks).order_by().values("queue", "gold", "state")
    sums = {"held": Sum("claimed"), "given": Sum("done"), "wanted": Sum("needed")}
    rows: Iterable[Mapping[str, Any]] = items.annotate(n=Count("pk"), since=Min("created_at"), **sums)
    for row in rows:
        counts = found[row["queue"]]
        counts["held"] += row["held"]
        if row["gold"]:
            counts["known"] += row["n"]
            continue
        counts[NAMES[row["state"]]] += row["n"]
        counts["given"] += row["given"]
        counts["wanted"] += row["wanted"]
        if row["state"] == State.OPEN:
            oldest[row["queue"]] = row["since"]
    people = dict(Seat.objects.filter(queue__in=pks, cursor__gte=0).values_list("queue").annotate(n=Count("pk")))
    return {pk: Standing(**found[pk], people=people.get(pk, 0), oldest=oldest.get(pk)) for pk in pks}


def standing(queue: Queue) -> Standing:
    return standings([queue])[queue.pk]


@dataclass(frozen=True, slots=True)
class Pace:
    """How many results somebody judged in a queue, and how many seconds they take for one, if that is known."""

    name: str
    judged: int
    seconds: float | None


def paces(queue: Queue) -> list[Pace]:
    """Of everybody who judged, those who judged most first."""
    done = Claim.objects.filter(item__queue=queue, state=Claim.State.DONE).order_by()
    judged = done.values_list("reviewer", "reviewer__username").annotate(n=Count("pk"))
    seconds = _seconds(queue)
    found = [Pace(name, n, seconds.get(reviewer)) for reviewer, name, n in judged]
    return sorted(found, key=lambda pace: (-pace.judged, pace.name))


def _seconds(queue: Queue) -> dict[int, float]:
    """The median of how long each reviewer takes.

    The next result is taken while the one before it is still judged, so the time runs from whichever is later: that it
    was taken, or that the one before was done.
    """
    taken = Claim.objects.filter(item=OuterRef("item"), reviewer=OuterRef("reviewer")).values("claimed_at")[:1]
    newest = Review.objects.filter(item__queue=queue, cause="", supersedes=None).annotate(taken=Subquery(taken))
    rows = newest.order_by("-pk").values_list("reviewer", "taken", "created_at")[:RECENT]
    spans: dict[int, list[float]] = {}
    before: dict[int, datetime] = {}
    for reviewer, taken_at, done_at in sorted(set(rows), key=lambda row: row[2]):
        begun = max(filter(None, (taken_at, before.get(reviewer))), default=done_at)
        before[reviewer] = done_at
        if timedelta(0) < done_at - begun < PAUSE:
            spans.setdefault(reviewer, []).append((done_at - begun).total_seconds())
    return {reviewer: statistics.median(given) for reviewer, given in spans.items()}


def waiting(queue: Queue, oldest: datetime | None) -> list[tuple[str, int]]:
    """How many results wait for a first or further reviewer longer than each of AGES; ``oldest`` since then."""
    now = timezone.now()
    if oldest is None or oldest > now - AGES[0][1]:
        return []
    aged = queue.items.filter(state=State.OPEN, gold=False)
    counts = {name: Count("pk", filter=Q(created_at__lt=now - age)) for name, age in AGES}
    found = aged.aggregate(**{name.replace(" ", "_"): count for name, count in counts.items()})
    return [(name, found[name.replace(" ", "_")]) for name, _ in AGES]


def holders(queue: Queue) -> QuerySet[Claim]:
    """What is held or kept in the queue, by whom, the next to end first."""
    return _claims(queue).filter(state__in=ACTIVE).order_by("expires_at")


def find_claim(pk: int) -> Claim:
    """Anybody's. Raises NotFoundError."""
    claim = Claim.objects.select_related("item__queue", "reviewer").filter(pk=pk).first()
    if claim is None:
        raise NotFoundError("Nobody holds this result. Nothing was changed; look at the queue again.")
    return claim


def left_aside(queue: Queue) -> QuerySet[Claim]:
    """What was skipped or escalated, and why, the newest first."""
    return _claims(queue).filter(state__in=ASIDE).exclude(reason=SEEN).order_by("-pk")


def _claims(queue: Queue) -> QuerySet[Claim]:
    texts = [f"item__{name}" for name in LONG]
    claims: QuerySet[Claim] = Claim.objects.filter(item__queue=queue).select_related("reviewer", "item__result")
    return claims.defer(*texts)


def late(queue: Queue) -> QuerySet[Draft]:
    """Verdicts that came too late for their slot, and wait as drafts of those who gave them."""
    return Draft.objects.filter(item__queue=queue).select_related("reviewer").order_by("-saved_at")


def items(queue: Queue, *, state: str = "") -> QuerySet[QueueItem]:
    """The queue's results as a list shows them, without their texts, in the order that an index holds."""
    narrow = queue.items.filter(state=state) if state else queue.items.all()
    return narrow.select_related("result").defer(*LONG).order_by("result_id")


def known(queue: Queue) -> QuerySet[QueueItem]:
    """Those with a known answer."""
    return items(queue).filter(gold=True)

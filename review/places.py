"""The queues that a person can work in, how much is left there for them, and with whom."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Count, Exists, F, OuterRef, QuerySet

from classifiers.errors import NotFoundError
from review.models import Claim, Queue, QueueItem
from review.querysets import FREE
from review.rights import Person, knows_verdicts

# More than these are not counted while somebody waits: "1,000+" says enough.
MANY = 1_000
ACCOUNTS = "django.contrib.auth.backends.ModelBackend"


@dataclass(frozen=True, slots=True)
class Place:
    """A queue as one of its reviewers sees it: how many results are left for them, and which they hold."""

    queue: Queue
    left: int
    held: int

    @property
    def open(self) -> bool:
        return bool(self.left or self.held)


def left(queue: Queue, person: Person) -> int:
    """How many results wait for this person, counted up to MANY + 1."""
    return _left([queue], person)[queue.pk]


def places(person: Person) -> list[Place]:
    """The queues in which the person may work now, those with work first."""
    found = places_in(workable(person), person).values()
    return sorted(found, key=lambda place: (not place.held, not place.left, -place.queue.pk))


def places_in(queues: Iterable[Queue], person: Person) -> dict[int, Place]:
    """By the number of the queue; ``queues`` are some in which the person may work."""
    queues = list(queues)
    waiting = _left(queues, person)
    mine = Claim.objects.filter(reviewer=person, state=Claim.State.HELD, item__queue__in=queues)
    held = dict(mine.order_by().values_list("item__queue").annotate(n=Count("pk")))
    return {queue.pk: Place(queue, waiting[queue.pk], held.get(queue.pk, 0)) for queue in queues}


def closed_to(person: Person) -> int:
    """How many blind queues the person may not work in, because the record is open to them."""
    return Queue.objects.open_to(person).filter(blind=True).count() if knows_verdicts(person) else 0


def colleagues(queue: Queue, person: Person) -> QuerySet[User]:
    """Who else may review in the queue, by name: a held result can be handed to them."""
    able = able_to_review()
    if queue.blind:
        able = able.exclude(pk__in=_knowing("runs.view_result")).exclude(pk__in=_knowing("review.oversee"))
    if queue.restricted:
        able = able.filter(pk__in=queue.seats.filter(member=True).values("user"))
    return able.exclude(pk=person.pk)


def able_to_review() -> QuerySet[User]:
    """Those who may be members of a queue."""
    return User.objects.with_perm("review.work", is_active=True, backend=ACCOUNTS).order_by("username")


def colleague(name: str) -> User:
    """Raises NotFoundError."""
    found = User.objects.filter(username=name, is_active=True).first()
    if found is None:
        raise NotFoundError(f"There is nobody called {name[:150]}. Choose a colleague from the list.")
    return found


def _knowing(permission: str) -> QuerySet[User]:
    return User.objects.with_perm(permission, backend=ACCOUNTS)


def workable(person: Person) -> QuerySet[Queue]:
    """The queues in which the person may work now."""
    if not person.has_perm("review.work"):
        return Queue.objects.none()
    queues = Queue.objects.open_to(person).order_by("-pk")
    return queues.filter(blind=False) if knows_verdicts(person) else queues


def _left(queues: Sequence[Queue], person: Person) -> dict[int, int]:
    """In one statement, which stops counting a queue at MANY + 1.

    Known answers are counted like others: were they left out, a count that stays would tell what they are. They are
    handed out among others only, and so there are none when those are all gone.
    """
    parts: list[str] = []
    params: list[Any] = []
    for queue in queues:
        sql, values = _waiting(queue, person)[: MANY + 1].values("gold").query.sql_with_params()
        parts.append(f"SELECT {queue.pk}, COUNT(*), COUNT(CASE WHEN NOT gold THEN 1 END) FROM ({sql}) waiting")  # noqa: S608
        params += values
    if not parts:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts), params)
        return {queue: everything if real else 0 for queue, everything, real in cursor.fetchall()}


def _waiting(queue: Queue, person: Person) -> QuerySet[QueueItem]:
    mine = Claim.objects.filter(item=OuterRef("pk"), reviewer=person).exclude(state__in=FREE)
    items = QueueItem.objects.filter(queue=queue, state=QueueItem.State.OPEN, needed__gt=F("claimed") + F("done"))
    return items.filter(~Exists(mine))

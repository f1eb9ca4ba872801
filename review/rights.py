"""Who may do what in which queue. Each check raises ForbiddenError with the reason."""

from __future__ import annotations

from typing import TypeAlias

from django.contrib.auth.models import User

from classifiers.errors import ConflictError, ForbiddenError
from review.models import Claim, Queue, QueueItem, Review, Seat

Person: TypeAlias = User


def actor(person: Person) -> str:
    """A person's name in the audit trail."""
    return f"user:{person.get_username()}"


def need(person: Person, permission: str, what: str) -> None:
    if not person.has_perm(permission):
        raise ForbiddenError(f"You may not {what}. Ask an administrator for the right role.")


def knows_verdicts(person: Person) -> bool:
    """Whether the record is open to this person, and with it what the machine and others said."""
    return person.has_perm("runs.view_result") or person.has_perm("review.oversee")


def check_work(person: Person, queue: Queue) -> None:
    """Refuses whoever may not review in the queue."""
    need(person, "review.work", "review results")
    _check_member(person, queue)
    if queue.closed_at:
        raise ConflictError(f"The queue {queue.name} is closed. What was judged is kept; take another queue.")
    if queue.blind and knows_verdicts(person):
        raise ForbiddenError(
            f"{queue.name} is a blind queue, and your role sees the machine's verdicts. "
            "It needs reviewers who do not; you can settle its disagreements, or review in a queue that is not blind."
        )


def check_adjudicate(person: Person, item: QueueItem) -> None:
    """Refuses whoever may not settle this item: an adjudicator is none of those who judged it."""
    need(person, "review.adjudicate", "settle disagreements")
    _check_member(person, item.queue)
    spoke = (Claim.State.DONE, Claim.State.ESCALATED, *(Claim.State.HELD, Claim.State.PARKED))
    judged = Review.objects.filter(result=item.result_id, reviewer=person).votes()
    if item.claims.filter(reviewer=person, state__in=spoke).exists() or judged.exists():
        raise ForbiddenError("You have judged this result, or hold it. Somebody else settles the disagreement.")


def may_work(person: Person, queue: Queue) -> bool:
    try:
        check_work(person, queue)
    except (ForbiddenError, ConflictError):
        return False
    return True


def _check_member(person: Person, queue: Queue) -> None:
    if queue.restricted and not Seat.objects.filter(queue=queue, user=person, member=True).exists():
        raise ForbiddenError(f"{queue.name} is for its members only. Ask its lead for a seat.")

"""How the tests of the reviewer's pages come to them, and to results in a reviewer's hand."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.auth.models import User
from django.db.models import Max
from django.test import Client
from django.utils import timezone

from review import handout
from review.models import Claim, Queue, QueueItem, Seat

JSON = {"Accept": "application/json"}
HTMX = {"HX-Request": "true"}
WORK = "/admin/review/queue/work/"
MINE = "/admin/review/review/mine/"


def at(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def next_url(queue: Queue) -> str:
    return f"/admin/review/queue/{queue.pk}/next/"


def act_url(claim: Claim, act: str) -> str:
    return f"/admin/review/queue/claim/{claim.pk}/{act}/"


def hold(queue: Queue, reviewer: User, *, answered: bool = True) -> Claim:
    """The next result with an answer, or without one: those of the other kind are put behind all others."""
    last = queue.items.aggregate(last=Max("order"))["last"]
    queue.items.filter(result__answer__isnull=answered).update(order=last + 1)
    Seat.objects.filter(queue=queue, user=reviewer).update(cursor=-1)
    claim = handout.claim_next(queue, reviewer=reviewer)
    assert claim
    return handout.find_claim(claim.pk, reviewer=reviewer)


def give(queue: Queue, reviewer: User, *, answered: bool = True, number: int = 0) -> Claim:
    """A result of this kind, into the reviewer's hand."""
    item = queue.items.filter(result__answer__isnull=not answered)[number]
    QueueItem.objects.filter(pk=item.pk).update(claimed=1)
    until = timezone.now() + timedelta(minutes=10)
    return Claim.objects.create(item=item, reviewer=reviewer, expires_at=until)

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from django.apps import apps
from django.db.models import Count, Exists, F, OuterRef, Prefetch, Q, QuerySet

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from review.models import Claim, Queue, QueueItem, Review  # noqa: F401  named in the base classes

ACTIVE = ("HELD", "PARKED")
# They gave the slot back and may be asked again.
FREE = ("RELEASED", "EXPIRED")


class QueueQuerySet(QuerySet["Queue"]):
    def running(self) -> QueueQuerySet:
        return self.filter(closed_at=None)

    def open_to(self, user: User) -> QueueQuerySet:
        """Those that this person may work in, as far as membership goes."""
        return self.running().member_of(user)

    def member_of(self, user: User) -> QueueQuerySet:
        """Those that are for everybody, and those of which this person is a member."""
        seat = apps.get_model("review", "Seat").objects.filter(queue=OuterRef("pk"), user=user, member=True)
        return self.filter(Q(restricted=False) | Exists(seat))

    def with_members(self) -> QueueQuerySet:
        """``members`` are their seats, with the people."""
        seats = apps.get_model("review", "Seat").objects.filter(member=True).select_related("user")
        return self.prefetch_related(Prefetch("seats", seats.order_by("user__username"), to_attr="members"))


class QueueItemQuerySet(QuerySet["QueueItem"]):
    def real(self) -> QueueItemQuerySet:
        """Without those whose answer is known."""
        return self.filter(gold=False)

    def honest(self) -> QueueItemQuerySet:
        """Drawn at random from all that a filter found: what a check does on them is what it does on all of these."""
        return self.filter(origin="RANDOM")

    def claimable(self) -> QueueItemQuerySet:
        return self.filter(state="OPEN", gold=False, needed__gt=F("claimed") + F("done"))

    def counts(self) -> dict[str, int]:
        """How many of each state, without those whose answer is known."""
        return dict(self.real().order_by().values_list("state").annotate(n=Count("pk")))


class ClaimQuerySet(QuerySet["Claim"]):
    def active(self) -> ClaimQuerySet:
        return self.filter(state__in=ACTIVE)

    def expired(self, now: datetime) -> ClaimQuerySet:
        return self.filter(expires_at__lt=now)


class ReviewQuerySet(QuerySet["Review"]):
    def current(self) -> ReviewQuerySet:
        """The last word of each person on each result and stage, unless it was taken back."""
        return self.filter(superseded_by=None).exclude(label="")

    def with_later(self) -> ReviewQuerySet:
        """``has_later`` is whether something else took a review's place."""
        return self.annotate(has_later=Exists(self.model.objects.filter(supersedes=OuterRef("pk"))))

    def votes(self) -> ReviewQuerySet:
        """Current ones that count towards what people agree on: not the answers to known ones, no adjudications."""
        return self.current().filter(cause="").filter(Q(item=None) | Q(item__gold=False))

    def adjudications(self) -> ReviewQuerySet:
        return self.current().exclude(cause="")

"""What a person has said so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from uuid import uuid4

from django.conf import settings
from django.db.models import Count, Q
from django.db.models.functions import Left
from django.utils import timezone

from classifiers.errors import ConflictError, NotFoundError
from classifiers.types import Stage
from review.models import Claim, Preferences, Queue, Review
from review.rights import Person
from review.services import Judgement
from runs import masking

BEGINNING = 80  # characters


@dataclass(frozen=True, slots=True)
class Act:
    """What a person said of a result at one moment, at one stage or both."""

    reviews: Sequence[Review]

    @property
    def first(self) -> Review:
        return self.reviews[0]

    @property
    def taken_back(self) -> bool:
        return not self.first.label

    @property
    def said(self) -> Sequence[tuple[Review, str | None, float | None]]:
        """Each review with the machine's label and score for the same text; neither for what was taken back."""
        return [(review, *_found(review)) for review in sorted(self.reviews, key=lambda review: review.stage)]

    @property
    def corrected(self) -> bool:
        return any(review.supersedes_id for review in self.reviews)

    @property
    def can_undo(self) -> bool:
        since = timezone.now() - timedelta(seconds=settings.SAFETY_UNDO_SECONDS)
        return not self.taken_back and self.first.created_at >= since


def _found(review: Review) -> tuple[str | None, float | None]:
    name = review.stage.lower()
    result = review.result if review.label else None
    return getattr(result, f"{name}_label", None), getattr(result, f"{name}_score", None)


def acts(person: Person, *, before: int | None, most: int) -> tuple[list[Act], bool]:
    """The person's last words, newest first, and whether there are older ones. ``before`` is a review's number."""
    mine = Review.objects.filter(reviewer=person, superseded_by=None).select_related("item__queue", "result")
    mine = mine.filter(pk__lt=before) if before else mine
    mine = mine.defer("result__prompt", "result__answer", "result__metadata")
    rows = list(mine.annotate(beginning=Left("result__prompt", BEGINNING)).order_by("-pk")[: 2 * most + 1])
    found = [Act(list(group)) for _, group in groupby(rows, key=lambda review: (review.result_id, review.key))]
    # The last one may be cut in two; it then begins the next page.
    return found[:most], len(found) > most


def last_act(queue: Queue, person: Person, *, key: str = "", undone_by: str = "") -> Review:
    """A review of the person's act under this key, else of their newest one in the queue. Raises NotFoundError.

    ``undone_by`` is the key of the undoing that asks: sent again, it means the act that it took back before.
    """
    mine = Review.objects.filter(reviewer=person, item__queue=queue).exclude(label="")
    again = Review.objects.filter(reviewer=person, key=undone_by, label="")
    if key or again.exists():
        mine = mine.filter(key=key) if key else mine.filter(pk__in=again.values("supersedes"))
    else:
        mine = mine.current().filter(cause="")
    found = mine.select_related("item__queue", "reviewer").order_by("-pk").first()
    if found is None:
        raise NotFoundError("There is no verdict of yours in this queue that could be taken back.")
    return found


def claim_of(review: Review) -> Claim:
    """The claim under which a review was given in its queue. Raises NotFoundError when it was given otherwise."""
    claims = Claim.objects.select_related("item__queue", "item__result", "reviewer")
    claim = claims.filter(item=review.item_id, reviewer=review.reviewer).first() if review.item_id else None
    if claim is None:
        raise NotFoundError("This verdict was not given in a queue. Look at the page of its result.")
    return claim


def current_reviews(claim: Claim) -> list[Review]:
    """What the reviewer of a claim says of its result at present, by stage."""
    mine = Review.objects.filter(item=claim.item_id, reviewer=claim.reviewer, cause="").current()
    return list(mine.order_by("stage"))


def as_judgement(reviews: Sequence[Review]) -> Judgement:
    """Stored reviews as they were said, under a new key. Raises ConflictError when there are none."""
    if not reviews:
        raise ConflictError("There is no verdict of yours here to correct. Take the result from its queue again.")
    labels = {Stage(review.stage): review.label for review in reviews}
    first = reviews[0]
    return Judgement(labels, key=uuid4().hex, categories=first.categories, note=first.note)


def hides_beginning(act: Act, preferences: Preferences) -> bool:
    """Whether the beginning of the prompt is hidden in a list. What the machine said of it counts once it was judged."""
    if preferences.mask == Preferences.Mask.HARMFUL and any(r.stage == Stage.INPUT and r.label for r in act.reviews):
        return masking.hidden(act.first.result, Stage.INPUT, preferences.mask)
    return preferences.mask != Preferences.Mask.NONE


def today(person: Person) -> dict[str, int]:
    """How many results the person judged today, and how many texts they called TOXIC."""
    midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    mine = Review.objects.filter(reviewer=person, created_at__gte=midnight).current()
    return mine.aggregate(judged=Count("result", distinct=True), toxic=Count("pk", filter=Q(label="TOXIC")))

"""What people disagree on: what waits for whom, and everything that was said of one result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, QuerySet

from audit.services import record
from classifiers.errors import ConflictError, InputError, NotFoundError
from classifiers.types import Stage
from review.desk import TITLES
from review.models import Claim, Queue, QueueItem, Review, stages_of
from review.querysets import FREE
from review.rights import Person, actor, check_adjudicate, knows_verdicts
from runs.models import Result, Verdict

SPOKE = (Claim.State.DONE, Claim.State.ESCALATED, Claim.State.HELD, Claim.State.PARKED)
ASIDE = (Claim.State.SKIPPED, Claim.State.ESCALATED)
SEEN = "Has seen it in order to settle it."


@dataclass(frozen=True, slots=True)
class Opinion:
    """A review, and whether it is its person's last word."""

    review: Review
    stands: bool


@dataclass(frozen=True, slots=True)
class Case:
    """A result that needs an adjudication, with all that the machine and people said of it."""

    item: QueueItem
    stages: Sequence[Stage]
    verdicts: Mapping[Stage, Sequence[Verdict]]
    opinions: Sequence[Opinion]
    aside: Sequence[Claim]

    @property
    def result(self) -> Result:
        return self.item.result


@dataclass(frozen=True, slots=True)
class Summary:
    """Why an item needs an adjudication."""

    item: QueueItem
    said: Mapping[str, Sequence[str]]
    escalated: Sequence[str]


def disputed(queue: Queue) -> QuerySet[QueueItem]:
    """The oldest first."""
    return queue.items.filter(state=QueueItem.State.NEEDS_ADJUDICATION).order_by("result_id")


def waiting_for(person: Person, queue: Queue) -> QuerySet[QueueItem]:
    """Those of them that this person can settle: who judged a result is no judge of it (review.rights)."""
    return _not_by(disputed(queue), person)


def _not_by(items: QuerySet[QueueItem], person: Person) -> QuerySet[QueueItem]:
    held = Claim.objects.filter(item=OuterRef("pk"), reviewer=person, state__in=SPOKE)
    judged = Review.objects.filter(result=OuterRef("result"), reviewer=person).votes()
    return items.filter(~Exists(held), ~Exists(judged))


def waiting_by_queue(person: Person) -> list[tuple[Queue, int]]:
    """The queues in which something waits for this person to be settled, and how much."""
    counts = dict(waiting_anywhere(person).order_by().values_list("queue").annotate(n=Count("pk")))
    return [(queue, counts[queue.pk]) for queue in Queue.objects.filter(pk__in=counts).order_by("pk")]


def waiting_anywhere(person: Person) -> QuerySet[QueueItem]:
    """What waits for this person in all queues that are open to them."""
    items = QueueItem.objects.filter(state=QueueItem.State.NEEDS_ADJUDICATION)
    return _not_by(items.filter(queue__in=Queue.objects.member_of(person)), person)


def find_item(pk: int) -> QueueItem:
    """Raises NotFoundError."""
    item = QueueItem.objects.select_related("queue", "result").filter(pk=pk).first()
    if item is None:
        raise NotFoundError("There is no such result in a queue. List what waits for you.")
    return item


def summaries(items: Sequence[QueueItem]) -> list[Summary]:
    said: dict[int, dict[str, list[str]]] = {item.pk: {} for item in items}
    votes = Review.objects.filter(item__in=items).votes().order_by("pk").values_list("item", "stage", "label")
    for item, stage, label in votes:
        said[item].setdefault(stage, []).append(label)
    escalated: dict[int, list[str]] = {item.pk: [] for item in items}
    claims = Claim.objects.filter(item__in=items, state=Claim.State.ESCALATED).values_list("item", "reason")
    for item, reason in claims:
        escalated[item].append(reason)
    return [Summary(item, said[item.pk], escalated[item.pk]) for item in items]


def asked(item: QueueItem) -> list[Stage]:
    """What an adjudication of the item decides on."""
    return stages_of(item.queue, item.result)


def check_all_asked(item: QueueItem, labels: Mapping[Stage, str]) -> None:
    """An adjudication decides on everything that is asked. Raises InputError."""
    if missing := [TITLES[stage].lower() for stage in asked(item) if not labels.get(stage)]:
        raise InputError(f"Say SAFE or TOXIC for the {' and the '.join(missing)}.")


def open_case(item: QueueItem, *, by: Person) -> Case:
    """Everything that was said of the result, for somebody who may settle it and while it needs it."""
    check_adjudicate(by, item)
    if item.state != QueueItem.State.NEEDS_ADJUDICATION:
        raise ConflictError("There is nothing to settle here any more. Take the next one.", code="settled")
    if item.queue.blind and not knows_verdicts(by):
        _set_aside(item, by)
    reviews = item.result.reviews.select_related("reviewer", "item__queue", "bulk").order_by("pk")
    said = list(reviews)
    later = {review.supersedes_id for review in said}
    verdicts = list(Verdict.objects.filter(result=item.result_id).select_related("version").order_by("pk"))
    return Case(
        item,
        asked(item),
        {stage: [verdict for verdict in verdicts if verdict.stage == stage] for stage in Stage},
        [Opinion(review, bool(review.label) and review.pk not in later) for review in said],
        list(item.claims.filter(state__in=ASIDE).exclude(reason=SEEN).select_related("reviewer").order_by("pk")),
    )


def _set_aside(item: QueueItem, by: Person) -> None:
    """Should the item be open again, it must not be handed blind to somebody who has seen all this."""
    skipped = {"state": Claim.State.SKIPPED, "reason": SEEN}
    with transaction.atomic():
        claim, made = Claim.objects.get_or_create(item=item, reviewer=by, defaults=skipped)
        if made or Claim.objects.filter(pk=claim.pk, state__in=FREE).update(**skipped):
            record("review.case_opened", actor=actor(by), target=claim, data={"queue": item.queue_id, "item": item.pk})

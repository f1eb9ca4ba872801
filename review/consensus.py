"""What people make of a result together: the label in effect, whose it is, and what is still open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from classifiers.types import Stage
from review.models import Claim, QueueItem, Review
from runs.models import Provenance, Result

UNSURE = "UNSURE"
State = QueueItem.State


@dataclass(frozen=True, slots=True)
class Consensus:
    """The label that people give a stage, if they gave one, and the provenance of the label in effect."""

    label: str | None
    provenance: str


NOBODY = Consensus(None, Provenance.MACHINE)


def agreed(labels: Sequence[str], adjudicated: str | None = None) -> Consensus:
    """What comes of the current labels of all reviewers, and of an adjudicator's.

    One of several opinions needs more than half of them. Without that, or when people are unsure, the machine's
    label stays in effect.
    """
    if adjudicated:
        return Consensus(adjudicated, Provenance.ADJUDICATED)
    if not labels:
        return NOBODY
    label, votes = Counter(labels).most_common(1)[0]
    if label == UNSURE or 2 * votes <= len(labels):
        return Consensus(UNSURE, Provenance.MACHINE)
    if len(labels) == 1:
        return Consensus(label, Provenance.SINGLE)
    return Consensus(label, Provenance.UNANIMOUS if votes == len(labels) else Provenance.MAJORITY)


def needs_adjudication(votes: Iterable[tuple[str, str]]) -> bool:
    """Whether those who judged differ at a stage, or one is unsure. ``votes`` are pairs of stage and label."""
    said: dict[str, set[str]] = {}
    for stage, label in votes:
        said.setdefault(stage, set()).add(label)
    return any(len(labels) > 1 or UNSURE in labels for labels in said.values())


def settle(item: QueueItem, result: Result, reviews: Sequence[Review], *, escalated: bool = False) -> str:
    """Brings an item and its result, both locked, up to date with all reviews; gives the state that it came into, if any."""
    before = item.state
    if not item.gold:
        item.state = _state(item, reviews, escalated or _was_escalated(item))
        closed = item.state == State.CLOSED
        item.closed_at = (item.closed_at or timezone.now()) if closed else None
    item.save(update_fields=["claimed", "done", "state", "closed_at"])
    refresh(result, reviews, item)
    return item.state if item.state != before else ""


def lock_item(pk: int) -> QueueItem:
    """Everything locks in this order: item, claim, result, audit chain. So nobody waits for each other in a ring."""
    return QueueItem.objects.select_for_update(no_key=True).get(pk=pk)


def lock_result(pk: int) -> Result:
    """Of two who judge a result at the same moment, the later one counts both."""
    return Result.objects.select_for_update(no_key=True).only("prompt", "answer", "digests", "disputed").get(pk=pk)


def reviews_of(result: Result) -> list[Review]:
    """All that was ever said of the result, in order. It must be locked to be all."""
    return list(Review.objects.filter(result=result).select_related("item").order_by("pk"))


def current(reviews: Sequence[Review]) -> list[Review]:
    """The last word of each, unless it was taken back."""
    superseded = {review.supersedes_id for review in reviews}
    return [review for review in reviews if review.pk not in superseded and review.label]


def refresh(result: Result, reviews: Sequence[Review], item: QueueItem | None = None) -> None:
    """Writes down what people make of a locked result. ``item`` is the one that has just changed."""
    fields = made_of(digests_of(result), reviews)
    Result.objects.filter(pk=result.pk).update(**fields, disputed=_is_disputed(result, item))


def digests_of(result: Result) -> dict[Stage, str]:
    """Of the texts that there are."""
    return {stage: told for stage in Stage if (told := result.digest_of(stage)) is not None}


def made_of(digests: Mapping[Stage, str], reviews: Sequence[Review]) -> dict[str, Any]:
    """What people make of the result with these texts, as columns of its row."""
    said = [review for review in current(reviews) if not (review.item and review.item.gold)]
    fields: dict[str, Any] = {"reviewed_at": max((review.created_at for review in said), default=None)}
    for stage in Stage:
        consensus = _of_text(digests.get(stage), [review for review in said if review.stage == stage])
        fields[f"human_{stage.lower()}_label"] = consensus.label
        fields[f"{stage.lower()}_provenance"] = consensus.provenance
    return fields


def _is_disputed(result: Result, item: QueueItem | None) -> bool:
    """Asks the database only when the answer may have been yes before."""
    if item and item.state == State.NEEDS_ADJUDICATION:
        return True
    if not result.disputed:
        return False
    return QueueItem.objects.filter(result=result, state=State.NEEDS_ADJUDICATION).exists()


def _of_text(text: str | None, reviews: Iterable[Review]) -> Consensus:
    """Of the reviews, those of the text as it is now, by its digest: another answer was another thing to judge."""
    about_it = [review for review in reviews if review.digest == text]
    adjudications = [review.label for review in about_it if review.cause]
    return agreed(
        [review.label for review in about_it if not review.cause], adjudications[-1] if adjudications else None
    )


def _state(item: QueueItem, reviews: Sequence[Review], escalated: bool) -> str:
    # The last word of each here; who judges the result in another queue too takes nothing back.
    last = {(review.reviewer_id, review.stage): review for review in reviews if review.item_id == item.pk}
    said = [review for review in last.values() if review.label]
    if any(review.cause for review in said):
        return State.CLOSED
    full = item.done >= item.needed
    if escalated or (full and needs_adjudication((review.stage, review.label) for review in said)):
        return State.NEEDS_ADJUDICATION
    return State.CLOSED if full else State.OPEN


def _was_escalated(item: QueueItem) -> bool:
    """An escalation puts the item into this state, and an adjudication closes it, so that others need not ask."""
    return item.state != State.OPEN and item.claims.filter(state=Claim.State.ESCALATED).exists()

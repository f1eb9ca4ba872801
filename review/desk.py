"""What a reviewer sees of a result in hand. In a blind queue nothing of it depends on what the machine or others said."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import OuterRef, QuerySet, Subquery
from django.utils import timezone

from classifiers.types import Stage
from review.models import Claim, Draft, Preferences, Queue, Review, text_of
from review.rights import Person
from review.services import Judgement
from runs import masking
from runs.models import Verdict

# A result whose time has ended may still be judged, for as long as nobody else has taken the place.
ON_DESK = (Claim.State.HELD, Claim.State.EXPIRED)
TITLES = {Stage.INPUT: "Prompt", Stage.OUTPUT: "Answer"}


@dataclass(frozen=True, slots=True)
class Found:
    """What the machine said of a text, and why."""

    label: str
    score: float | None
    verdicts: Sequence[Verdict]


@dataclass(frozen=True, slots=True)
class Part:
    """The prompt or the answer on the desk. ``text`` is None while it is hidden, so that no page can hold it then.

    ``asked``: a label is wanted. ``fixed``: ``label`` was given before the answer was shown, and is not changed now.
    """

    stage: Stage
    text: str | None
    why: str
    asked: bool
    label: str
    fixed: bool
    found: Found | None

    @property
    def title(self) -> str:
        return TITLES[self.stage]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A result on the desk, with what was already said of it: a draft, or the label of its prompt."""

    claim: Claim
    parts: Sequence[Part]
    categories: Sequence[str]
    note: str
    key: str

    @property
    def seconds_left(self) -> int:
        return seconds_left(self.claim)


def shown_stages(claim: Claim) -> list[Stage]:
    """What may be read now: an answer belongs to its prompt, but where only prompts are judged it would tell too much."""
    if claim.hides_answer or claim.item.queue.stages == Queue.Stages.INPUT:
        return [Stage.INPUT]
    return [stage for stage in Stage if text_of(claim.item.result, stage) is not None]


def sheet(claim: Claim, preferences: Preferences, *, revealed: bool = False, said: Judgement | None = None) -> Sheet:
    """What the reviewer sees of the result, with what they have ``said`` of it, else with their draft if there is one.

    With ``revealed`` nothing is hidden; whoever asks for that has written it down.
    """
    before = _said_before(claim, said)
    labels = {**before.labels, **({Stage.INPUT: claim.prompt_label} if claim.prompt_label else {})}
    asked, found = claim.stages(claim.item.result), _found(claim)
    fixed = {Stage.INPUT} if claim.prompt_label and not _spoke(claim) else set()
    parts = []
    for stage in shown_stages(claim):
        why = "" if revealed else why_hidden(claim, stage, preferences)
        text = None if why else text_of(claim.item.result, stage)
        label = labels.get(stage, "")
        parts.append(Part(stage, text, why, stage in asked, label, stage in fixed, found.get(stage)))
    return Sheet(claim, parts, before.categories, before.note, uuid.uuid4().hex)


def _said_before(claim: Claim, said: Judgement | None) -> Draft:
    if said:
        return Draft(labels=dict(said.labels), categories=list(said.categories), note=said.note)
    return Draft.objects.filter(item=claim.item_id, reviewer=claim.reviewer).first() or Draft()


def why_hidden(claim: Claim, stage: Stage, preferences: Preferences) -> str:
    """Why a text is hidden until it is asked for; empty when it is not. Blind, the reason is the same for every text."""
    if preferences.mask == Preferences.Mask.NONE:
        return ""
    if claim.item.queue.blind or preferences.mask == Preferences.Mask.ALL:
        return "until you ask for it"
    return "since it is said to be harmful" if masking.hidden(claim.item.result, stage, preferences.mask) else ""


def _found(claim: Claim) -> dict[Stage, Found]:
    if claim.item.queue.blind:
        return {}
    result = claim.item.result
    narrow = ("result", "stage", "check_name", "label", "score", "flagged", "reason")
    verdicts = list(Verdict.objects.filter(result=result).only(*narrow).order_by("pk"))
    return {
        stage: Found(
            getattr(result, f"{stage.lower()}_label"),
            getattr(result, f"{stage.lower()}_score"),
            [verdict for verdict in verdicts if verdict.stage == stage],
        )
        for stage in Stage
    }


def _spoke(claim: Claim) -> bool:
    return Review.objects.filter(result=claim.item.result_id, reviewer=claim.reviewer).exists()


def in_hand(queue: Queue, person: Person) -> Claim | None:
    """The result that the person took first of those they hold in the queue."""
    mine = Claim.objects.filter(reviewer=person, item__queue=queue, state=Claim.State.HELD)
    claim = mine.select_related("item__queue", "item__result").order_by("claimed_at", "pk").first()
    if claim:
        claim.reviewer = person
    return claim


def on_desk(queue: Queue, person: Person, *numbers: int | None) -> list[Claim]:
    """The person's claims with these numbers, in this order, in whatever state they are."""
    mine = Claim.objects.filter(reviewer=person, item__queue=queue).select_related("item__queue")
    found = mine.in_bulk([pk for pk in numbers if pk])
    return [found[pk] for pk in numbers if pk in found]


def seconds_left(claim: Claim) -> int:
    return max(0, int((claim.expires_at - timezone.now()).total_seconds())) if claim.expires_at else 0


def is_waning(claim: Claim) -> bool:
    """Whether enough of the lease is over that it is worth a write to make it whole."""
    return seconds_left(claim) < 0.9 * claim.item.queue.lease_seconds


def kept(person: Person) -> QuerySet[Claim]:
    """What the person keeps for later or was handed, the most urgent first."""
    mine = Claim.objects.filter(reviewer=person, state=Claim.State.PARKED).select_related("item__queue")
    return mine.order_by("expires_at")


def drafts(person: Person) -> QuerySet[Draft]:
    """Verdicts that came too late for their slot, the newest first; with the claim that they were given under."""
    under = Claim.objects.filter(item=OuterRef("item"), reviewer=person, state__in=ON_DESK).values("pk")[:1]
    mine = Draft.objects.filter(reviewer=person).select_related("item__queue")
    return mine.annotate(claim=Subquery(under)).order_by("-saved_at")

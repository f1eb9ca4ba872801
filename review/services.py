"""What people say of results: given, kept, corrected, taken back, settled. Each act is appended, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from audit.services import commitment, record
from classifiers.errors import ConflictError, InputError, NotFoundError
from classifiers.text import unstorable
from classifiers.types import Stage, digest
from review import consensus
from review.models import MAX_NOTE, Claim, Draft, Queue, QueueItem, Review, text_of
from review.rights import Person, actor, check_adjudicate, check_work, knows_verdicts, need
from runs.models import HUMAN_LABELS, Result

LABELS = tuple(label for label, _ in HUMAN_LABELS)
MAX_KEY = 64
MAX_CATEGORIES = 50


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a person says in one act: a label for one or both stages, categories, a note. ``key`` names the act."""

    labels: Mapping[Stage, str]
    key: str
    categories: Sequence[str] = ()
    note: str = ""

    def __post_init__(self) -> None:
        for stage, label in self.labels.items():
            if label not in LABELS:
                raise InputError(f"{label!r} is no label. For the {stage.lower()} say one of: {', '.join(LABELS)}.")
        if not self.labels:
            raise InputError("No label was given. Say SAFE, TOXIC or UNSURE for the prompt, the answer or both.")
        if not 0 < len(self.key) <= MAX_KEY or unstorable(self.key):
            raise InputError(f"Every act needs a key of its own, of 1 to {MAX_KEY} characters, so that it counts once.")
        if len(self.note) > MAX_NOTE:
            raise InputError(f"The note has {len(self.note)} characters; at most {MAX_NOTE} are kept. Shorten it.")
        if len(self.categories) > MAX_CATEGORIES or any(not 0 < len(name) <= 100 for name in self.categories):
            raise InputError(f"At most {MAX_CATEGORIES} categories are kept, with names of 1 to 100 characters.")
        for text, name in ((self.note, "The note"), *((category, "A category") for category in self.categories)):
            if why := unstorable(text, name=name):
                raise InputError(why)


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of an act: stored reviews, or a draft, since others were faster. ``repeated``: it was stored before.

    ``pending``: what was said of the prompt is noted; the answer is shown now, and the act is sent again with both.
    """

    reviews: Sequence[Review] = ()
    draft: Draft | None = None
    repeated: bool = False
    pending: bool = False


@dataclass(frozen=True, slots=True)
class _Act:
    """Who says it of what."""

    reviewer: Person
    judgement: Judgement
    result: Result
    item: QueueItem | None = None
    blind: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)  # further fields of the reviews


# Reviews


def submit(claim: Claim, judgement: Judgement) -> Submitted:
    """Stores the verdict on a held result.

    After the lease has ended it is stored if the slot is still free, else kept as the reviewer's draft. The same act
    sent again changes nothing. In a blind queue the prompt is judged before its answer is shown.
    Raises InputError, ConflictError and ForbiddenError, and then stores nothing.
    """
    with transaction.atomic():
        item = consensus.lock_item(claim.item_id)
        result = consensus.lock_result(item.result_id)
        said = consensus.reviews_of(result)
        if repeated := _repeated(claim.reviewer, judgement, said):
            return repeated
        if _is_prompt_again(claim, result, judgement):
            return Submitted(pending=True)
        _check_stages(claim, result, judgement)
        _check_prompt_label(claim, judgement, said)
        if claim.hides_answer and result.answer is not None:
            return _note_prompt_label(claim, judgement)
        if not _take_slot(claim, item):
            return _keep_draft(claim, judgement)
        act = _Act(claim.reviewer, judgement, result, item, blind=_is_blind(claim, said))
        reviews = _append(act, said)
        Draft.objects.filter(item=item, reviewer=claim.reviewer).delete()
        moved = consensus.settle(item, result, [*said, *reviews])
        record("review.submitted", actor=actor(claim.reviewer), target=result, data=_entry(act, reviews, moved))
    return Submitted(reviews)


def _take_slot(claim: Claim, item: QueueItem) -> bool:
    """Makes the reviewer's slot a done one; False when it was given to somebody else meanwhile. The item is locked."""
    mine = Claim.objects.filter(pk=claim.pk)
    if mine.active().update(state=Claim.State.DONE, expires_at=None):
        item.claimed -= 1
        item.done += 1
        return True
    _check_not_through(claim)
    check_work(claim.reviewer, claim.item.queue)
    if item.state != QueueItem.State.OPEN or item.claimed + item.done >= item.needed:
        return False
    mine.update(state=Claim.State.DONE)
    item.done += 1
    return True


def _check_stages(claim: Claim, result: Result, judgement: Judgement) -> None:
    asked = claim.stages(result)
    if claim.hides_answer and Stage.OUTPUT in judgement.labels:
        raise InputError("In a blind queue the prompt is judged first; then its answer is shown, if it has one.")
    if missing := [stage.lower() for stage in asked if stage not in judgement.labels]:
        raise InputError(f"This queue asks for a label of the {' and the '.join(missing)} too.")
    if beside := [stage.lower() for stage in judgement.labels if stage not in asked]:
        raise InputError(f"There is no {' and no '.join(beside)} to be judged here.")


def _check_prompt_label(claim: Claim, judgement: Judgement, said: Sequence[Review]) -> None:
    """What was said blindly stands; who thinks otherwise after the answer sends it, and then corrects it."""
    first, now = claim.prompt_label, judgement.labels.get(Stage.INPUT)
    if first and now != first and _is_blind(claim, said):
        raise ConflictError(f"You said {first} of the prompt before you saw the answer. Send that, then correct it.")


def _is_prompt_again(claim: Claim, result: Result, judgement: Judgement) -> bool:
    """Whether the label of the prompt comes once more, since the answer to it was lost on its way."""
    both = claim.item.queue.blind and claim.item.queue.stages == Queue.Stages.BOTH and result.answer is not None
    return both and bool(claim.prompt_label) and dict(judgement.labels) == {Stage.INPUT: claim.prompt_label}


def _check_not_through(claim: Claim) -> None:
    """A result that was given back, or taken away when its time ended, may still be judged."""
    claim.refresh_from_db(fields=["state"])
    if claim.state in (Claim.State.DONE, Claim.State.SKIPPED, Claim.State.ESCALATED):
        raise ConflictError(f"You are through with this result: {claim.get_state_display().lower()}. Undo that first.")


def _note_prompt_label(claim: Claim, judgement: Judgement) -> Submitted:
    _check_not_through(claim)
    claim.prompt_label = judgement.labels[Stage.INPUT]
    claim.save(update_fields=["prompt_label"])
    return Submitted(pending=True)


def _is_blind(claim: Claim, said: Sequence[Review]) -> bool:
    """Whether nothing of what others said could be known: not after an own verdict, which discloses it."""
    return claim.item.queue.blind and all(review.reviewer_id != claim.reviewer.pk for review in said)


def _keep_draft(claim: Claim, judgement: Judgement) -> Submitted:
    labels = {stage.value: label for stage, label in judgement.labels.items()}
    this = Draft.objects.filter(item=claim.item_id, reviewer=claim.reviewer)
    if same := this.filter(key=judgement.key).first():
        return Submitted(draft=same, repeated=True)
    fields = {"key": judgement.key, "labels": labels, "note": judgement.note, "saved_at": timezone.now()}
    fields["categories"] = list(judgement.categories)
    draft, _ = Draft.objects.update_or_create(item_id=claim.item_id, reviewer=claim.reviewer, defaults=fields)
    record(
        "review.draft_kept", actor=actor(claim.reviewer), target=claim, data={"item": claim.item_id, "labels": labels}
    )
    return Submitted(draft=draft)


def review_result(result: Result, judgement: Judgement, *, reviewer: Person) -> Submitted:
    """Stores a verdict on a result outside any queue, by somebody to whom the record is open; again: a correction."""
    need(reviewer, "review.work", "review results")
    if not knows_verdicts(reviewer):
        need(reviewer, "runs.view_result", "review results outside a queue")
    with transaction.atomic():
        result = consensus.lock_result(result.pk)
        said = consensus.reviews_of(result)
        if repeated := _repeated(reviewer, judgement, said):
            return repeated
        _check_texts(result, judgement)
        act = _Act(reviewer, judgement, result)
        reviews = _append(act, said)
        consensus.refresh(result, [*said, *reviews])
        record("review.submitted", actor=actor(reviewer), target=result, data=_entry(act, reviews))
    return Submitted(reviews)


def correct(claim: Claim, judgement: Judgement, *, version: int) -> Submitted:
    """Appends a new verdict to an own earlier one. ``version`` is the number of the newest review that was seen.

    Raises ConflictError when there is a newer one, with both values.
    """
    with transaction.atomic():
        item = consensus.lock_item(claim.item_id)
        result = consensus.lock_result(item.result_id)
        said = consensus.reviews_of(result)
        if repeated := _repeated(claim.reviewer, judgement, said):
            return repeated
        _check_stages(claim, result, judgement)
        mine = (claim.reviewer.pk, item.pk)
        earlier = [review for review in consensus.current(said) if (review.reviewer_id, review.item_id) == mine]
        _check_version(earlier, version, judgement)
        act = _Act(claim.reviewer, judgement, result, item)
        reviews = _append(act, said)
        moved = consensus.settle(item, result, [*said, *reviews])
        record("review.corrected", actor=actor(claim.reviewer), target=result, data=_entry(act, reviews, moved))
    return Submitted(reviews)


def _check_version(earlier: Sequence[Review], version: int, judgement: Judgement) -> None:
    if not earlier:
        raise ConflictError("There is no verdict of yours here to correct. Take the result from its queue again.")
    if (newest := max(review.pk for review in earlier)) != version:
        stored = ", ".join(f"{review.stage.lower()} {review.label}" for review in earlier if review.pk <= newest)
        yours = ", ".join(f"{stage.lower()} {label}" for stage, label in judgement.labels.items())
        raise ConflictError(
            f"Your verdict was changed elsewhere meanwhile. Stored is: {stored}. You sent: {yours}. "
            "Nothing was changed; look at it again and decide.",
            code="stale",
        )


# Taking back


def undo(review: Review, *, key: str) -> Sequence[Review]:
    """Takes back all that its reviewer said in the same act, within the time of SAFETY_UNDO_SECONDS.

    A result from a queue is then held by the reviewer again, a settled one is open to adjudication again.
    """
    act = Review.objects.filter(reviewer=review.reviewer, key=review.key, result=review.result).exclude(label="")
    if review.created_at < timezone.now() - timedelta(seconds=settings.SAFETY_UNDO_SECONDS):
        raise ConflictError(
            f"A verdict can be taken back for {settings.SAFETY_UNDO_SECONDS // 60} minutes. Correct it instead."
        )
    with transaction.atomic():
        item = consensus.lock_item(review.item_id) if review.item_id else None
        result = consensus.lock_result(review.result_id)
        if done := list(Review.objects.filter(supersedes__in=act, label="", key=key)):
            return done
        if Review.objects.filter(reviewer=review.reviewer, result=review.result, key=key).exists():
            raise ConflictError(
                "This key was given to another verdict on the result. Every act needs a key of its own."
            )
        current = list(act.current())
        if not current:
            raise ConflictError("This verdict was corrected or taken back already.")
        taken = [_withdrawal(given, key) for given in current]
        Review.objects.bulk_create(taken)
        if item:
            _give_again(item, review)
            consensus.settle(item, result, consensus.reviews_of(result))
        else:
            consensus.refresh(result, consensus.reviews_of(result))
        data = {"reviews": [given.pk for given in current], "queue": item.queue_id if item else None}
        record("review.undone", actor=actor(review.reviewer), target=result, data=data)
    return taken


def _withdrawal(review: Review, key: str) -> Review:
    copied = ("result_id", "item_id", "stage", "reviewer_id", "cause", "digest", "bulk_id")
    return Review(supersedes=review, key=key, label="", **{name: getattr(review, name) for name in copied})


def _give_again(item: QueueItem, review: Review) -> None:
    """The slot that was done is the reviewer's to hold again."""
    if review.cause:
        return
    until = timezone.now() + timedelta(seconds=item.queue.lease_seconds)
    claim = Claim.objects.filter(item=item, reviewer=review.reviewer, state=Claim.State.DONE)
    if claim.update(state=Claim.State.HELD, expires_at=until):
        item.claimed += 1
        item.done -= 1


# Settling


def adjudicate(item: QueueItem, judgement: Judgement, *, adjudicator: Person, cause: str) -> Submitted:
    """Settles a disagreement: SAFE or TOXIC for every stage in question, and why people differed."""
    check_adjudicate(adjudicator, item)
    if cause not in Review.Cause.values:
        raise InputError(f"Say why people differed, one of: {', '.join(Review.Cause.values)}.")
    if "UNSURE" in judgement.labels.values():
        raise InputError("An adjudication decides: say SAFE or TOXIC.")
    with transaction.atomic():
        item = consensus.lock_item(item.pk)
        result = consensus.lock_result(item.result_id)
        said = consensus.reviews_of(result)
        if repeated := _repeated(adjudicator, judgement, said):
            return repeated
        _check_open(item)
        _check_texts(result, judgement)
        act = _Act(adjudicator, judgement, result, item, extra={"cause": cause})
        reviews = _append(act, said)
        consensus.settle(item, result, [*said, *reviews])
        data = {**_entry(act, reviews), "cause": cause}
        record("review.adjudicated", actor=actor(adjudicator), target=result, data=data)
    return Submitted(reviews)


def _check_open(item: QueueItem) -> None:
    if item.state == QueueItem.State.NEEDS_ADJUDICATION:
        return
    decided = Review.objects.filter(item=item).adjudications().select_related("reviewer")
    said = ", ".join(f"{review.stage.lower()} {review.label} by {review.reviewer}" for review in decided)
    raise ConflictError(f"There is nothing to settle any more: {said or 'people agree now'}. Nothing was changed.")


# What they share


def _repeated(reviewer: Person, judgement: Judgement, said: Sequence[Review]) -> Submitted | None:
    """What the same act came to when it was sent before. Raises ConflictError for another act under its key."""
    stored = [review for review in said if (review.reviewer_id, review.key) == (reviewer.pk, judgement.key)]
    if not stored:
        return None
    same = {Stage(review.stage): review.label for review in stored} == dict(judgement.labels)
    if not same or any(review.note != judgement.note for review in stored):
        raise ConflictError("Another verdict was sent under this key before. Send this one under a new key.")
    return Submitted(stored, repeated=True)


def _append(act: _Act, said: Sequence[Review]) -> list[Review]:
    """The act's reviews, one a stage, each after the reviewer's last one there. ``said`` is all that was said before."""
    last = {review.stage: review for review in said if review.reviewer_id == act.reviewer.pk}
    judgement = act.judgement
    reviews = [
        Review(
            result=act.result,
            item=act.item,
            stage=stage,
            reviewer=act.reviewer,
            label=label,
            categories=list(judgement.categories),
            note=judgement.note,
            blind=act.blind,
            digest=act.result.digest_of(stage) or digest(""),
            key=judgement.key,
            supersedes=last.get(stage),
            **act.extra,
        )
        for stage, label in judgement.labels.items()
    ]
    return Review.objects.bulk_create(reviews)


def _check_texts(result: Result, judgement: Judgement) -> None:
    for stage in judgement.labels:
        if text_of(result, stage) is None:
            raise InputError("This prompt has no answer, so that there is no answer to be judged.")


def _entry(act: _Act, reviews: Sequence[Review], moved: str = "") -> dict[str, Any]:
    """For the audit trail: labels and numbers; of the note only what later shows that it was this one."""
    return {
        "reviews": [review.pk for review in reviews],
        "labels": {stage.value: label for stage, label in act.judgement.labels.items()},
        "categories": list(act.judgement.categories)[:10],
        "queue": act.item.queue_id if act.item else None,
        "item": act.item.pk if act.item else None,
        "blind": act.blind,
        **({"moved": moved} if moved else {}),
        **({"note": commitment(act.judgement.note, salt=act.judgement.key)} if act.judgement.note else {}),
    }


def find_review(pk: int, *, reviewer: Person) -> Review:
    """A review of this person's own."""
    review = Review.objects.select_related("item__queue", "reviewer").filter(pk=pk, reviewer=reviewer).first()
    if review is None:
        raise NotFoundError("There is no such verdict of yours.")
    return review

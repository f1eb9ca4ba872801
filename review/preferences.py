"""How a person wants to work, what of harmful text they were shown, and how long they have gone without a pause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from audit.services import record
from classifiers.errors import ConflictError, ForbiddenError, InputError, NotFoundError
from classifiers.types import Stage
from review.desk import shown_stages
from review.models import Claim, Preferences, text_of
from review.rights import Person, actor, need

# What the record's pages call the choices of a mask (runs.masking).
MASKS: dict[str, str] = {
    Preferences.Mask.ALL: "everything",
    Preferences.Mask.HARMFUL: "harmful",
    Preferences.Mask.NONE: "nothing",
}
CHOICES = ("mask", "submit_at_once", "break_minutes")
# Whoever did nothing for so long had a pause.
PAUSE = timedelta(minutes=10)
# How exactly the time of work is kept: each poll writing it would keep the database busy with nothing.
GRAIN = timedelta(seconds=30)
# Who has given a result away has no business with its text any more.
READABLE = (Claim.State.HELD, Claim.State.PARKED, Claim.State.DONE, Claim.State.EXPIRED)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person chose on the page that showed them ``version`` of their preferences."""

    mask: str
    submit_at_once: bool
    break_minutes: int
    version: int


def of(person: Person) -> Preferences:
    """The person's preferences, or the usual ones if they have chosen none."""
    return Preferences.objects.filter(user=person).first() or Preferences(user=person)


def change(person: Person, wish: Wish) -> Preferences:
    """Stores what the person chose. Raises InputError, and ConflictError when it was changed elsewhere meanwhile."""
    with transaction.atomic():
        mine = _locked(person)
        if mine.version != wish.version:
            raise ConflictError("You changed these in another window meanwhile. Nothing was changed.", code="stale")
        before = {name: getattr(mine, name) for name in CHOICES}
        after = {name: getattr(wish, name) for name in CHOICES}
        for name, value in after.items():
            setattr(mine, name, value)
        _check(mine)
        mine.version += 1
        mine.save(update_fields=[*CHOICES, "version"])
        record("preferences.changed", actor=actor(person), target=mine, data={"before": before, "after": after})
    return mine


def _check(mine: Preferences) -> None:
    try:
        mine.clean_fields()
    except ValidationError as error:
        raise InputError(" ".join(f"{name}: {' '.join(why)}" for name, why in error.message_dict.items())) from error


def _locked(person: Person) -> Preferences:
    Preferences.objects.get_or_create(user=person)
    return Preferences.objects.select_for_update().get(user=person)


def reveal(claim: Claim, stage: Stage) -> str:
    """The text of a stage, to the reviewer who asked to see it; counted for them, and written down."""
    need(claim.reviewer, "review.work", "read results of queues")
    if claim.state not in READABLE:
        raise ForbiddenError("You gave this result away, so that its texts are no longer open to you.")
    result = claim.item.result
    text = text_of(result, stage) if stage in shown_stages(claim) else None
    if text is None:
        raise NotFoundError("There is no such text here, or not before the prompt is judged.")
    with transaction.atomic():
        _count_exposure(claim.reviewer)
        data = {"stage": stage.value, "queue": claim.item.queue_id, "item": claim.item_id}
        record("result.revealed", actor=actor(claim.reviewer), target=result, data=data)
    return text


def _count_exposure(person: Person) -> None:
    today = timezone.now().date()
    mine = Preferences.objects.filter(user=_locked(person).user_id)
    if not mine.filter(exposed_on=today).update(exposed=F("exposed") + 1):
        mine.update(exposed_on=today, exposed=1)


def exposed_today(mine: Preferences) -> int:
    return mine.exposed if mine.exposed_on == timezone.now().date() else 0


def note_work(person: Person) -> Preferences:
    """Says that the person is at work now; how long already, without a pause, is ``minutes_at_work`` of what returns."""
    mine, now = of(person), timezone.now()
    if mine.last_seen and now - mine.last_seen < GRAIN:
        return mine
    paused = mine.last_seen is None or mine.working_since is None or now - mine.last_seen >= PAUSE
    fields = {"last_seen": now, **({"working_since": now} if paused else {})}
    mine, _ = Preferences.objects.update_or_create(user=person, defaults=fields)
    return mine


def minutes_at_work(mine: Preferences) -> int:
    """Whole minutes of the present stretch of work; 0 when the last one has ended."""
    if not mine.working_since or not mine.last_seen or timezone.now() - mine.last_seen >= PAUSE:
        return 0
    return int(_since(mine.working_since).total_seconds() // 60)


def needs_break(mine: Preferences) -> bool:
    return 0 < mine.break_minutes <= minutes_at_work(mine)


def _since(moment: datetime) -> timedelta:
    return timezone.now() - moment


def differing(mine: Preferences, wish: Wish) -> Sequence[tuple[str, object, object]]:
    """Of each choice that differs: its name, what is stored, and what was wished."""
    pairs = [(name, getattr(mine, name), getattr(wish, name)) for name in CHOICES]
    return [pair for pair in pairs if pair[1] != pair[2]]

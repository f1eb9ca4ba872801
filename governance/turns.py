"""Work of which each job is a row, done by workers in turns: none is busy with one for long, and a killed one loses a turn at
most. Whoever is at it holds the job by their name; one who was given up for dead stores nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from audit.services import record
from classifiers.errors import ConflictError, NotFoundError, SafetyError
from governance.models import EvaluationJob, TrainingJob
from runs import leases
from runs.discretion import told

KINDS = EvaluationJob, TrainingJob
UNDER_WAY = ("WAITING", "RUNNING")
Job = TypeVar("Job", EvaluationJob, TrainingJob)


class GivenUpError(Exception):
    """Whoever is at it holds the job no more: it was stopped, or given to another."""


def light(kind: type[Job]) -> Any:
    """Jobs without their texts."""
    return kind._default_manager.defer(*kind.EMPTIED)


def find(kind: type[Job], pk: int) -> Job:
    job: Job | None = light(kind).filter(pk=pk).first()
    if job is None:
        raise NotFoundError(f"There is no {kind.ACT} job {pk}.")
    return job


def check_room(kind: type[Job], most: int) -> None:
    """ConflictError when as many are under way as may be."""
    if light(kind).filter(state__in=UNDER_WAY).count() >= most:
        raise ConflictError(f"{most} {kind.ACT}s are under way already. Wait for one of them, or stop it.")


def shown(kind: type[Job]) -> list[Job]:
    """Those under way and the last that failed, for the head of a list."""
    newest: Any = light(kind).order_by("-pk")
    return [*newest.filter(state__in=UNDER_WAY), *newest.filter(state="FAILED")[:3]]


def work(job: Job, turn: Callable[[Job], bool]) -> bool:
    """Goes on with a job that waits, and tells whether something is left of it. What goes wrong stands in the job."""
    waiting = light(type(job)).filter(pk=job.pk, state="WAITING")
    if not waiting.update(state="RUNNING", holder=leases.this_process(), moved_at=timezone.now()):
        return False
    job.refresh_from_db()
    try:
        with leases.beating(lambda: _held(job).update(moved_at=timezone.now()), job):
            return turn(job)
    except GivenUpError:
        return False
    except SafetyError as error:
        _fail(job, told(error))
        return False
    except Exception:
        _fail(job, "It could not be made; the workers' log says why. Ask for it anew.")
        raise


def update(job: Job, **fields: Any) -> None:
    """GivenUpError when the job is not ours any more."""
    if not _held(job).update(**fields):
        raise GivenUpError
    job.refresh_from_db(fields=list(fields))


def pause(job: Job) -> bool:
    """Gives it back for another turn; True, as ``work`` tells it."""
    update(job, state="WAITING", holder="", moved_at=timezone.now())
    return True


def finish(job: Job, **fields: Any) -> None:
    update(job, state="DONE", **_ended(job), **{"done": job.total, **fields})


def cancel(job: Job, *, actor: str) -> Job:
    """Stops it; what is made stays. ConflictError when it has ended otherwise."""
    with transaction.atomic():
        under_way = light(type(job)).filter(pk=job.pk, state__in=UNDER_WAY)
        if under_way.update(state="CANCELLED", **_ended(job)):
            record(f"{job.ACT}.cancelled", actor=actor, target=job)
    job = find(type(job), job.pk)
    if job.state != "CANCELLED":
        raise ConflictError(f"This cannot be stopped any more: {job.get_state_display().lower()}.")
    return job


def _held(job: Job) -> Any:
    return light(type(job)).filter(pk=job.pk, state="RUNNING", holder=job.holder)


def _fail(job: Job, why: str) -> None:
    with suppress(GivenUpError), transaction.atomic():
        update(job, state="FAILED", error=why, **_ended(job))
        record(f"{job.ACT}.failed", actor=job.created_by, target=job, data={"error": why})


def _ended(job: Job) -> dict[str, Any]:
    return {"holder": "", "finished_at": timezone.now(), **job.EMPTIED}


# Lost and found


def holders() -> Iterator[str]:
    """The processes that are at a job, and have said so within a lease."""
    since = timezone.now() - timedelta(seconds=settings.SAFETY_LEASE_SECONDS)
    for kind in KINDS:
        rows: Any = kind.objects
        yield from rows.filter(state="RUNNING", moved_at__gte=since).values_list("holder", flat=True)


def take_lost(kind: type[Job], *, waiting_since: datetime) -> list[Job]:
    """Those that somebody has to go on with."""
    return leases.take_lost(light(kind).filter(state__in=UNDER_WAY), waiting_since=waiting_since)


def is_stalled(job: Job) -> bool:
    """Whether it is under way, and nobody has moved it for long."""
    return job.state in UNDER_WAY and leases.is_silent(job.moved_at)

"""Evaluations that people and programs ask for, made by workers in turns: none is busy with one for long, and a killed one
loses a turn at most. Whoever is at it holds the job by their name; one who was given up for dead stores nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from audit.services import record
from classifiers.errors import ConflictError, InputError, NotFoundError, SafetyError
from classifiers.measuring import Said
from governance import services
from governance.models import Evaluation, EvaluationJob, pack, pack_rows, unpack
from governance.services import Data, Wish
from moderation import policies
from moderation.models import ClassifierVersion
from moderation.services import Choice, check_alias, make_ready, version_of
from runs import leases
from runs.discretion import told
from runs.models import Run

State = EvaluationJob.State
UNDER_WAY: tuple[str, ...] = (State.WAITING, State.RUNNING)
MAX_ALIASES, MAX_UNDER_WAY = 10, 20
TURN = 60.0  # seconds


class GivenUpError(Exception):
    """Whoever is at it holds the job no more: it was stopped, or given to another."""


def ask(
    data: Data, wish: Wish, *, aliases: Sequence[str] = (), run: Run | None = None, policy: str = "", actor: str
) -> EvaluationJob:
    """Notes what is wanted, for ``work`` to do: one evaluation of each classifier, or one of a run.

    InputError, and nothing is stored, when there is no such classifier, or not one or the other.
    """
    if bool(aliases) == bool(run):
        raise InputError("Name classifiers, or a run; one or the other.")
    _check_aliases(aliases)
    if run and policy:
        raise InputError("A run was judged under a policy already. Leave the policy out, or label the run anew first.")
    fields: dict[str, Any] = {"aliases": list(aliases), "run": run, "dataset": data.name, "columns": data.columns}
    version = None if run else policies.chosen(policy)
    with transaction.atomic():
        if EvaluationJob.objects.filter(state__in=UNDER_WAY).count() >= MAX_UNDER_WAY:
            raise ConflictError(f"{MAX_UNDER_WAY} evaluations are under way already. Wait for one of them, or stop it.")
        job = EvaluationJob.objects.create(
            **fields, wish=asdict(wish), policy_version=version, rows=pack_rows(data.rows), created_by=actor,
            total=len(data.rows) * max(len(aliases), 1), moved_at=timezone.now(),
        )  # fmt: skip
        record("evaluation.asked", actor=actor, target=job, data={"of": job.of, "n": len(data.rows)})
    return job


def _check_aliases(aliases: Sequence[str]) -> None:
    if len(aliases) > MAX_ALIASES or len({*aliases}) < len(aliases):
        raise InputError(f"An evaluation compares at most {MAX_ALIASES} classifiers, each of them once.")
    for alias in aliases:
        check_alias("classifier", alias)


def find_job(pk: int) -> EvaluationJob:
    job = EvaluationJob.objects.select_related("run", "policy_version").defer("rows", "said").filter(pk=pk).first()
    if job is None:
        raise NotFoundError(f"There is no evaluation job {pk}.")
    return job


# At work


def work(job: EvaluationJob, *, seconds: float = TURN) -> bool:
    """Goes on with a job that waits, and tells whether something is left of it. What goes wrong stands in the job."""
    waiting = EvaluationJob.objects.filter(pk=job.pk, state=State.WAITING)
    if not waiting.update(state=State.RUNNING, holder=leases.this_process(), moved_at=timezone.now()):
        return False
    job.refresh_from_db()
    try:
        with leases.beating(lambda: _held(job).update(moved_at=timezone.now()), job):
            return _turn(job, until=time.monotonic() + seconds)
    except GivenUpError:
        return False
    except SafetyError as error:
        _fail(job, told(error))
        return False
    except Exception:
        _fail(job, "It could not be made; the workers' log says why. Ask for it anew.")
        raise


def _turn(job: EvaluationJob, *, until: float) -> bool:
    data, wish = Data(job.dataset, job.columns, job.labelled), Wish.from_json(job.wish)
    if job.run:
        said = services.said_in_run(job.run, data.rows)
        _store(job, services.of_run(job.run, said, data, wish), said)
    for choice in map(Choice, job.aliases[job.evaluations.count() :]):
        version = _begun(job, choice)
        found = _said(job, choice, data, until=until)
        if found is None:
            _update(job, state=State.WAITING, holder="", moved_at=timezone.now())
            return True
        _store(job, services.of_classifier(version, found, data, wish, policy=job.policy_version), found)
    _finish(job)
    return False


def _begun(job: EvaluationJob, choice: Choice) -> ClassifierVersion:
    """The version of the classifier that is at work; what another one said under this alias is forgotten."""
    make_ready("classifier", choice)
    version = version_of(choice)
    if job.version != version:
        _update(job, said="[]", version=version, done=F("done") - len(unpack(job.said)))
    return version


def _said(job: EvaluationJob, choice: Choice, data: Data, *, until: float) -> list[Said] | None:
    """All that a classifier says, with what it said in earlier turns; None when the turn is over before."""
    said = unpack(job.said)
    for part in _in_parts(services.saying(choice, data.rows[len(said) :], policy=job.policy_version)):
        said += part
        _update(job, said=pack(said), done=F("done") + len(part), moved_at=timezone.now())
        if time.monotonic() > until and len(said) < len(data.rows):
            return None
    return said


def _in_parts(said: Iterator[Said], seconds: float = 2.0) -> Iterator[list[Said]]:
    """What comes within some seconds, together."""
    part: list[Said] = []
    since = time.monotonic()
    for each in said:
        part.append(each)
        if time.monotonic() - since > seconds:
            yield part
            part, since = [], time.monotonic()
    yield part


def _store(job: EvaluationJob, evaluation: Evaluation, said: Sequence[Said]) -> None:
    evaluation.job = job
    with transaction.atomic():
        _update(job, said="[]", version=None)
        services.store(evaluation, said, actor=job.created_by)


def _finish(job: EvaluationJob) -> None:
    ended: dict[str, Any] = {"state": State.DONE, "holder": "", "rows": "[]", "finished_at": timezone.now()}
    _update(job, **ended, done=job.total)


def _update(job: EvaluationJob, **fields: Any) -> None:
    """GivenUpError when the job is not ours any more."""
    if not _held(job).update(**fields):
        raise GivenUpError
    job.refresh_from_db(fields=list(fields))


def _held(job: EvaluationJob) -> Any:
    return EvaluationJob.objects.filter(pk=job.pk, state=State.RUNNING, holder=job.holder)


ENDED: dict[str, Any] = {"holder": "", "rows": "[]", "said": "[]"}


def _fail(job: EvaluationJob, why: str) -> None:
    with suppress(GivenUpError), transaction.atomic():
        _update(job, state=State.FAILED, error=why, finished_at=timezone.now(), **ENDED)
        record("evaluation.failed", actor=job.created_by, target=job, data={"error": why})


def cancel(job: EvaluationJob, *, actor: str) -> EvaluationJob:
    """Stops it; evaluations that are made stay. ConflictError when it has ended otherwise."""
    with transaction.atomic():
        under_way = EvaluationJob.objects.filter(pk=job.pk, state__in=UNDER_WAY)
        if under_way.update(state=State.CANCELLED, finished_at=timezone.now(), **ENDED):
            record("evaluation.cancelled", actor=actor, target=job)
    job = find_job(job.pk)
    if job.state != State.CANCELLED:
        raise ConflictError(f"This cannot be stopped any more: {job.get_state_display().lower()}.")
    return job


# Lost and found


def holders() -> Iterator[str]:
    """The processes that are at a job, and have said so within a lease."""
    alive = EvaluationJob.objects.filter(state=State.RUNNING, moved_at__gte=timezone.now() - _lease())
    yield from alive.values_list("holder", flat=True)


def take_lost(*, waiting_since: datetime) -> list[EvaluationJob]:
    """Those that somebody has to go on with."""
    under_way = EvaluationJob.objects.filter(state__in=UNDER_WAY).defer("rows", "said")
    return leases.take_lost(under_way, waiting_since=waiting_since)


def is_stalled(job: EvaluationJob) -> bool:
    """Whether it is under way, and nobody has moved it for long."""
    return job.state in UNDER_WAY and leases.is_silent(job.moved_at)


def _lease() -> timedelta:
    return timedelta(seconds=settings.SAFETY_LEASE_SECONDS)

"""Evaluations that people and programs ask for, made by workers in turns (governance.turns)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from audit.services import record
from classifiers.errors import InputError
from classifiers.measuring import Said
from governance import services, turns
from governance.models import Evaluation, EvaluationJob, pack, pack_rows, unpack
from governance.services import Data, Wish
from moderation import policies
from moderation.models import ClassifierVersion
from moderation.services import Choice, check_alias, make_ready, version_of
from runs.models import Run

MAX_ALIASES, MAX_UNDER_WAY = 10, 20
TURN = 60.0  # seconds


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
        turns.check_room(EvaluationJob, MAX_UNDER_WAY)
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
    return turns.find(EvaluationJob, pk)


def work(job: EvaluationJob, *, seconds: float = TURN) -> bool:
    """A turn at it, of so many seconds; True when something is left."""
    return turns.work(job, lambda job: _turn(job, until=time.monotonic() + seconds))


def _turn(job: EvaluationJob, *, until: float) -> bool:
    data, wish = Data(job.dataset, job.columns, job.labelled), Wish.from_json(job.wish)
    if job.run:
        said = services.said_in_run(job.run, data.rows)
        _store(job, services.of_run(job.run, said, data, wish), said)
    for choice in map(Choice, job.aliases[job.evaluations.count() :]):
        version = _begun(job, choice)
        found = _said(job, choice, data, until=until)
        if found is None:
            return turns.pause(job)
        _store(job, services.of_classifier(version, found, data, wish, policy=job.policy_version), found)
    turns.finish(job)
    return False


def _begun(job: EvaluationJob, choice: Choice) -> ClassifierVersion:
    """The version of the classifier that is at work; what another one said under this alias is forgotten."""
    make_ready("classifier", choice)
    version = version_of(choice)
    if job.version != version:
        turns.update(job, said="[]", version=version, done=F("done") - len(unpack(job.said)))
    return version


def _said(job: EvaluationJob, choice: Choice, data: Data, *, until: float) -> list[Said] | None:
    """All that a classifier says, with what it said in earlier turns; None when the turn is over before."""
    said = unpack(job.said)
    for part in _in_parts(services.saying(choice, data.rows[len(said) :], policy=job.policy_version)):
        said += part
        turns.update(job, said=pack(said), done=F("done") + len(part), moved_at=timezone.now())
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
        turns.update(job, said="[]", version=None)
        services.store(evaluation, said, actor=job.created_by)

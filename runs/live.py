"""What programs ask, kept as results of live runs: one a day for each route, version of its checks and of the policy."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, TypeAlias

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from audit.services import record
from classifiers.errors import TransientError
from classifiers.types import ModelInfo, Outcome, digest
from moderation import services as moderation
from moderation.models import ClassifierVersion, PolicyVersion
from moderation.services import Choice, Kind
from runs import services, storing
from runs.configuration import MAX_BATCH
from runs.models import Result, Run
from runs.recording import save_new
from runs.storing import Kept

IDLE = timedelta(minutes=5)
TRIES = 5
# What the gateway itself writes into the metadata; all else there is what programs and models said.
FACTS = frozenset(
    {
        *("asked_by", "token", "index", "route", "outcome", "withheld", "released_characters", "redacted"),
        *("finish_reason", "model_seconds", "not_sent"),
    }
)


@dataclass(frozen=True)
class Line:
    """What is recorded together: a name, the aliases of its checks and of its generator."""

    name: str
    input_checks: tuple[str, ...]
    generator: str | None = None
    output_checks: tuple[str, ...] = ()

    @property
    def choices(self) -> list[tuple[Kind, Choice]]:
        checks: list[tuple[Kind, Choice]] = [
            ("classifier", Choice(alias)) for alias in dict.fromkeys((*self.input_checks, *self.output_checks))
        ]
        return [*checks, ("generator", Choice(self.generator))] if self.generator else checks

    @property
    def configuration(self) -> dict[str, Any]:
        return {
            "live": self.name,
            "input": list(self.input_checks),
            "generator": self.generator,
            "output": list(self.output_checks),
            "fail_open": settings.SAFETY_FAIL_OPEN,
        }

    def infos(self) -> dict[str, ModelInfo]:
        """Which models stand behind it now. Raises ProviderError when one of them cannot say."""
        return {f"{kind} {choice.alias}": moderation.info_of(kind, choice) for kind, choice in self.choices}


@dataclass(frozen=True)
class Entry:
    """Exchanges that ended together, the versions of models and policy that they met, and who asked."""

    line: Line
    infos: dict[str, ModelInfo]
    policy: PolicyVersion | None
    outcomes: Sequence[Kept]
    actor: str
    via: str

    @cached_property
    def key(self) -> str:
        """Of the live run that it belongs to."""
        versions = [f"{name} {info.fingerprint}" for name, info in self.infos.items()]
        if self.policy:
            versions.append(f"policy {self.policy.pk}")
        return digest(str(timezone.now().date()), json.dumps(self.line.configuration), *versions)


@dataclass(frozen=True)
class Opened:
    run: Run
    versions: dict[str, ClassifierVersion]


Waiting: TypeAlias = "tuple[Entry, Future[list[Result]]]"
Batch: TypeAlias = "list[Waiting]"


class GroupCommit:
    """Saves what many bring at the same moment in one transaction: who gets the turn saves for all that wait.

    The audit chain lets one transaction in at a time, so one for each exchange would queue up.
    """

    def __init__(self) -> None:
        self._waiting: deque[Waiting] = deque()
        self._turn = threading.Lock()

    def save(self, entry: Entry) -> list[Result]:
        """Returns when the entry is committed; raises whatever kept it from that."""
        future: Future[list[Result]] = Future()
        self._waiting.append((entry, future))
        while not future.done():
            with self._turn:
                if not future.done():
                    self._save_some()
        return future.result()

    def _save_some(self) -> None:
        """Of one run at a time: two transactions that lock several runs could wait for one another."""
        batch: Batch = [self._waiting.popleft()]
        others: Batch = []
        size = len(batch[0][0].outcomes)
        while self._waiting:
            entry, future = self._waiting.popleft()
            fits = entry.key == batch[0][0].key and size + len(entry.outcomes) <= MAX_BATCH
            (batch if fits else others).append((entry, future))
            size += len(entry.outcomes) if fits else 0
        self._waiting.extendleft(reversed(others))
        _finish(batch)


def _finish(batch: Batch) -> None:
    """Saves a batch; one that cannot be saved does not take the others with it."""
    try:
        for (_, future), results in zip(batch, _save([entry for entry, _ in batch]), strict=True):
            future.set_result(results)
    except BaseException as error:  # noqa: BLE001 - raised again in save(), for each of those who wait
        if isinstance(error, Exception) and len(batch) > 1:
            for each in batch:
                _finish([each])
            return
        for _, future in batch:
            future.set_exception(error)


_commits = GroupCommit()
_opened: dict[str, Opened] = {}


def forget() -> None:
    """What this process knows of live runs; for tests, whose databases are emptied behind it."""
    _opened.clear()


def keep(
    line: Line,
    infos: dict[str, ModelInfo],
    outcomes: Sequence[Outcome],
    *,
    policy: PolicyVersion | None,
    actor: str,
    via: str,
) -> list[Result]:
    """Saves exchanges in the live run that they belong to; gives their results when they are committed."""
    stored = storing.kept(outcomes, facts=FACTS)
    return _commits.save(Entry(line, infos, policy, stored, actor, via))


def finish_past() -> int:
    """Ends the live runs of days that are over; gives their number."""
    past = Run.objects.filter(live__isnull=False, status=Run.Status.RUNNING, created_at__date__lt=_today())
    return sum(services.finish_run(run, actor="system") for run in past)


def _save(entries: Sequence[Entry]) -> list[list[Result]]:
    for _ in range(TRIES):
        opened = _opened.get(entries[0].key) or _open(entries[0])
        with transaction.atomic():
            if results := _save_in(opened, entries):
                return results
        # It was closed since; what comes now belongs to a new one.
        _opened.pop(entries[0].key, None)
    raise TransientError("The live run is closed again and again, so nothing can be recorded. Try again later.")


def _save_in(opened: Opened, entries: Sequence[Entry]) -> list[list[Result]]:
    """The results of each entry, in order of arrival; none when the run takes no more."""
    outcomes = [(outcome, entry) for entry in entries for outcome in entry.outcomes]
    first = _positions(opened.run, entries[0].key, len(outcomes))
    if first is None:
        return []
    placed = [outcome.at(first + place) for place, (outcome, _) in enumerate(outcomes)]
    askers = [(entry.actor, entry.via) for _, entry in outcomes]
    saved = iter(save_new(opened.run, placed, versions=opened.versions, askers=askers))
    return [[next(saved) for _ in entry.outcomes] for entry in entries]


def _positions(run: Run, key: str, count: int) -> int | None:
    """The first of so many new positions, the run being locked from then on; None when it takes no more.

    One statement: the fewer there are, the sooner the next transaction gets the lock.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE runs_run SET total = total + %s WHERE id = %s AND live = %s AND status = 'RUNNING' RETURNING total",
            [count, run.pk, key],
        )
        row = cursor.fetchone()
    return None if row is None else row[0] - count


def _open(entry: Entry) -> Opened:
    """The live run of today's entries of this kind, made if there is none; of other days, they are ended."""
    versions = {
        choice.alias: moderation.stored_version(choice.alias, entry.infos[f"classifier {choice.alias}"])
        for kind, choice in entry.line.choices
        if kind == "classifier"
    }
    run = Run.objects.filter(live=entry.key, status=Run.Status.RUNNING).first() or _create(entry)
    opened = _opened[entry.key] = Opened(run, versions)
    return opened


def _create(entry: Entry) -> Run:
    try:
        with transaction.atomic():
            run = Run.objects.create(
                name=f"{entry.line.name} {_today()}",
                status=Run.Status.RUNNING,
                live=entry.key,
                configuration=entry.line.configuration,
                policy_version=entry.policy,
                versions=services.versions_of(entry.infos),
                created_by="system",
                started_at=timezone.now(),
            )
            facts = {**entry.line.configuration, "policy": run.policy_version_id}
            record("run.created", actor="system", target=run, data=facts)
    except IntegrityError:  # another process was first
        return Run.objects.get(live=entry.key, status=Run.Status.RUNNING)
    _finish_earlier(run)
    return run


def _finish_earlier(run: Run) -> None:
    """Those of the same line that nothing goes into any more: an older process may still have its own for a while."""
    earlier = Run.objects.filter(live__isnull=False, status=Run.Status.RUNNING, pk__lt=run.pk)
    for each in earlier.filter(configuration__live=run.configuration["live"]):
        if services.last_sign(each) < timezone.now() - IDLE or each.created_at.date() < _today():
            services.finish_run(each, actor="system")


def _today() -> Any:
    return timezone.now().date()

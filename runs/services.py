"""What can be done with runs. Every door (command, page, API, task) calls these and nothing else."""

from __future__ import annotations

import json
import logging
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from tempfile import TemporaryFile
from typing import IO, Any

from django.conf import settings
from django.db import transaction
from django.db.models import Max, Q
from django.utils import timezone

from audit.services import JSONValue, record
from classifiers.errors import ConflictError, InputError, NotFoundError, SafetyError
from classifiers.pipeline import Check, Generation, Pipeline
from classifiers.policy import Rules
from classifiers.prompts import inline_prompts, read_prompts
from classifiers.protocols import Recall
from classifiers.text import unstorable
from classifiers.types import Classification, ModelInfo, Outcome, Prompt, Stage, digest
from moderation import policies
from moderation import services as moderation
from moderation.services import Choice
from runs import leases, storing
from runs.configuration import Configuration
from runs.discretion import told
from runs.logs import stored_logs
from runs.models import Chunk, Result, Run, Verdict, pack
from runs.recording import Versions, classification_of, printable, save_chunk

logger = logging.getLogger(__name__)

Status = Run.Status
PACKAGES = ("django", "torch", "transformers", "peft", "bitsandbytes", "openai", "datasets")
MAX_NAME = 200
LOGGED_SKIPS = 20
ACTIVE = {Status.QUEUED, Status.RUNNING}


def find_run(reference: str) -> Run:
    """A run by its number, or the newest with this name."""
    runs = Run.objects.filter(pk=int(reference)) if reference.isdecimal() else Run.objects.filter(name=reference)
    if not unstorable(reference) and (run := runs.order_by("-pk").first()):
        return run
    raise NotFoundError(f"There is no run {reference}. List the runs with: python manage.py list_runs")


# Making one


def create_run(
    configuration: Configuration,
    *,
    actor: str,
    name: str = "",
    queued: bool = False,
    sent: Sequence[Prompt] | None = None,
    policy: str = "",
) -> Run:
    """Reads all prompts once and stores them with the run. A source with a fault leaves nothing behind.

    ``sent`` are prompts that were sent along; the source then only stands for them (``inline_source``). ``policy``
    names the one that labels follow from (moderation.policies.chosen), by default the one in force. Adapters that are
    promoted now hold to its end.

    Unless the run is ``queued`` for workers, which may have what this machine lacks, its providers must be able to
    work here: they are made ready first, so that a missing key or model is told before anything is stored.
    """
    name = _name_of(configuration, name)
    version = policies.chosen(policy)
    for kind, choice in configuration.choices:
        moderation.check_alias(kind, choice.alias)
    configuration = configuration.pinned()
    if not queued:
        for kind, choice in configuration.choices:
            moderation.make_ready(kind, choice)
    run = Run(name=name, configuration=configuration.as_json(), created_by=actor, queued=queued, policy_version=version)
    # To a temporary file first: a slow source must not keep a transaction open, nor all prompts be kept in memory.
    with TemporaryFile("w+") as spool:
        skipped = _spool(run, configuration, spool, sent)
        with transaction.atomic():
            run.save(force_insert=True)
            _store_chunks(run, spool)
            facts: dict[str, JSONValue] = {"total": run.total, "prompts": run.prompts_digest}
            facts |= {"policy": run.policy_version_id, "fail_open": configuration.fail_open}
            record("run.created", actor=actor, target=run, data=facts)
    _log_skipped(run, skipped)
    return run


def _name_of(configuration: Configuration, name: str) -> str:
    if len(name) > MAX_NAME or unstorable(name):
        raise InputError(f"A run's name is Unicode text of at most {MAX_NAME} characters.")
    time = f" {timezone.now():%Y-%m-%d %H:%M:%S}"
    return name or configuration.source.dataset_id[-(MAX_NAME - len(time)) :] + time


def _spool(run: Run, configuration: Configuration, spool: IO[str], sent: Sequence[Prompt] | None) -> list[str]:
    """Writes a line for each chunk, counts and digests the prompts, and gives why the first rows were skipped."""
    skipped: list[str] = []

    def skip(reason: str) -> None:
        run.skipped += 1
        if len(skipped) < LOGGED_SKIPS:
            skipped.append(reason)

    prompts = read_prompts(configuration.source, on_skip=skip) if sent is None else inline_prompts(sent)
    while batch := list(islice(prompts, configuration.chunk_size)):
        spool.write(json.dumps([batch[0].position, batch[-1].position + 1, pack(batch)]) + "\n")
        run.total += len(batch)
        for prompt in batch:
            run.prompts_digest = digest(run.prompts_digest, prompt.text)
    return skipped


def _store_chunks(run: Run, spool: IO[str]) -> None:
    spool.seek(0)
    lines = enumerate(map(json.loads, spool))
    while some := list(islice(lines, 10)):  # few, since each may hold megabytes
        Chunk.objects.bulk_create(Chunk(run=run, index=i, lo=lo, hi=hi, payload=text) for i, (lo, hi, text) in some)


def _log_skipped(run: Run, skipped: Sequence[str]) -> None:
    with stored_logs(run):
        for reason in skipped:
            logger.warning("Skipped: %s", reason)
        if more := run.skipped - len(skipped):
            logger.warning("Skipped %d more rows.", more)


# Doing the work


def execute_run(run: Run, *, actor: str) -> Iterator[list[Outcome]]:
    """Works on a run in this process, yielding what has been saved, chunk by chunk, until nothing is left.

    Whoever stops pulling leaves a run that can be resumed, and should cancel it. A provider that cannot work, or any
    other error, fails the run and is raised; what was saved stays.
    """
    _start(run, actor=actor)
    while chunk := leases.claim_next(run, holder=leases.this_process()):
        yield _work_on(chunk, actor=actor)
    finish_run(run, actor=actor)


def execute_chunk(chunk_id: int, *, actor: str) -> bool:
    """Works on one chunk, for a worker. False when there is nothing to do: taken by another, done, or cancelled."""
    run = Run.objects.filter(chunks=chunk_id).first()
    if run is None:
        return False
    _start(run, actor=actor)
    chunk = leases.claim(chunk_id, holder=leases.this_process())
    if chunk is None:
        return False
    _work_on(chunk, actor=actor)
    finish_run(run, actor=actor)
    return True


def _start(run: Run, *, actor: str) -> None:
    """Several workers may come at once; the first starts a run that is queued."""
    with suppress(ConflictError):
        _move(run, Status.RUNNING, {Status.QUEUED}, actor=actor, started_at=timezone.now())


def _work_on(chunk: Chunk, *, actor: str) -> list[Outcome]:
    """Judges and answers what is in a held chunk and saves it; gives the chunk back if that fails."""
    with stored_logs(chunk.run):
        try:
            with leases.kept(chunk):
                pipeline, versions = _pipeline(chunk.run)
                kept = storing.kept(list(pipeline.run(chunk.prompts)))
            saved = save_chunk(chunk, kept, versions=versions, actor=actor)
        except BaseException as error:
            moderation.forget_versions()
            leases.release(chunk)
            if reason := _fatal(error, chunk):
                fail_run(chunk.run, actor=actor, reason=reason)
            raise
        if not saved:
            logger.warning("%s was taken over by another process; what was done here is dropped.", chunk)
            return []
        logger.info("Prompts %d to %d are done.", chunk.lo, chunk.hi - 1)
        # As they are stored: what a command prints may end in a log.
        return [each.outcome for each in kept]


def _fatal(error: BaseException, chunk: Chunk) -> str:
    """Why the run fails with its chunk; empty when the chunk may be tried again."""
    if isinstance(error, SafetyError):
        return told(error)
    # Ctrl-C, or a worker's accident (a lost connection, a full disk), which may have passed by the next time.
    if not isinstance(error, Exception) or (chunk.run.queued and chunk.attempts < settings.SAFETY_CHUNK_ATTEMPTS):
        return ""
    return told(error)


def _pipeline(run: Run) -> tuple[Pipeline, Versions]:
    configuration = Configuration.from_json(run.configuration)
    choices = {choice.alias: choice for kind, choice in configuration.choices if kind == "classifier"}
    versions = {alias: moderation.version_of(choice) for alias, choice in choices.items()}
    generation = None
    if configuration.generator:
        generation = Generation(configuration.generator.alias, moderation.generator(configuration.generator))
    if not run.versions:
        _store_versions(run, configuration)
    rules = policies.rules_of(run.policy_version)
    return Pipeline(
        [check_of(choice, rules) for choice in configuration.input_checks],
        generation,
        [check_of(choice, rules) for choice in configuration.output_checks],
        batch_size=configuration.chunk_size,
        recall=_recall(None if configuration.reuse_verdicts else run),
        alternatives=configuration.alternatives,
        # Switched off, it holds for no run any more; switched on, only for those that are made from then on.
        fail_open=configuration.fail_open and settings.SAFETY_FAIL_OPEN,
    ), versions


def check_of(choice: Choice, rules: Rules) -> Check:
    return Check(choice.alias, moderation.classifier(choice), moderation.info_of("classifier", choice), rules)


def _recall(run: Run | None) -> Recall:
    """Looks up what was said of identical texts, in one run or in all."""

    def recall(keys: Sequence[str]) -> Mapping[str, Classification]:
        verdicts = Verdict.objects.recallable(keys)
        return {verdict.key: classification_of(verdict) for verdict in (verdicts.said_in(run) if run else verdicts)}

    return recall


def _store_versions(run: Run, configuration: Configuration) -> None:
    run.versions = versions_of(
        {f"{kind} {choice.alias}": moderation.info_of(kind, choice) for kind, choice in configuration.choices}
    )
    run.save(update_fields=["versions"])


def versions_of(infos: Mapping[str, ModelInfo]) -> dict[str, Any]:
    """Of the packages here and of models, as a run keeps them."""
    packages = {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}}
    return packages | {name: {**asdict(info), "fingerprint": info.fingerprint} for name, info in infos.items()}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


# Its states


def _move(run: Run, to: Status, of: set[Status], *, actor: str, data: Any = None, **fields: Any) -> None:
    """Brings a run into a state, if it is in one of those it may come from; ConflictError if not."""
    with transaction.atomic():
        moved = Run.objects.filter(pk=run.pk, status__in=of).update(status=to, **fields)
        if not moved:
            run.refresh_from_db(fields=["status"])
            raise ConflictError(f"Run {run.pk} is {run.status}, so it cannot become {to}.")
        record(f"run.{to.lower()}", actor=actor, target=run, data=data)
    run.refresh_from_db()


def finish_run(run: Run, *, actor: str) -> bool:
    """Ends a run whose chunks are all done; only the first who comes does."""
    if run.chunks.unfinished().exists():
        return False
    with transaction.atomic():
        # Looked at again under the lock: it may have been finished, and its errors taken up again, in between.
        if not _locked(run, Status.RUNNING) or run.chunks.unfinished().exists():
            return False
        counts = Result.objects.filter(run=run).counts()
        ended = {"counts": counts, "finished_at": timezone.now(), "error": ""}
        _move(run, Status.DONE, {Status.RUNNING}, actor=actor, data=counts, **ended)
    return True


def _locked(run: Run, status: Status) -> bool:
    """Whether the run is in this state, in which it then stays to the end of the transaction."""
    return bool(Run.objects.select_for_update(no_key=True).filter(pk=run.pk, status=status))


def fail_run(run: Run, *, actor: str, reason: str) -> bool:
    """False when the run has ended already."""
    try:
        _move(run, Status.FAILED, ACTIVE, actor=actor, error=printable(reason), finished_at=timezone.now())
    except ConflictError:
        return False
    logger.error("Run %d failed: %s", run.pk, reason)
    return True


def cancel_run(run: Run, *, actor: str, reason: str = "") -> Run:
    """No further chunk is begun; those at work are still saved. The run can be resumed.

    A live run has nothing left to do: it is done, and what programs ask next is recorded in another one.
    """
    if run.live:
        if not finish_run(run, actor=actor):
            raise ConflictError(f"Run {run.pk} is done already.")
        run.refresh_from_db()
        return run
    _move(run, Status.CANCELLED, ACTIVE, actor=actor, error=reason, finished_at=timezone.now())
    return run


def resume_run(run: Run, *, actor: str) -> Run:
    """Makes a run that failed, was cancelled or was killed ready to be worked on again; what is saved stays."""
    _require_prompts(run)
    if run.status == Status.DONE:
        raise ConflictError(
            f"Run {run.pk} is done: nothing is left to resume. Its errors can be judged again with --retry-errors."
        )
    leases.release_dead(run)
    if run.chunks.unfinished().filter(payload="").exists():
        raise ConflictError(
            f"Prompts of run {run.pk} were let go by retention before they were judged. Make a new run."
        )
    if busy := run.chunks.filter(state=Chunk.State.HELD).values_list("holder", flat=True).first():
        raise ConflictError(
            f"Run {run.pk} is being worked on by {busy}. Wait for it, or stop it with: manage.py cancel_run {run.pk}. "
            f"A process that was killed on another machine is noticed after {settings.SAFETY_LEASE_SECONDS} s."
        )
    run.chunks.unfinished().update(attempts=0, enqueued_at=None)
    unended = ACTIVE | {Status.FAILED, Status.CANCELLED}
    begun = {"started_at": run.started_at or timezone.now(), "finished_at": None}
    _move(run, Status.RUNNING, unended, actor=actor, data={"resumed": True}, error="", **begun)
    return run


def retry_errors(run: Run, *, actor: str) -> int:
    """Makes the results that hold an ERROR ready to be judged again; gives their number."""
    _require_prompts(run)
    with transaction.atomic():
        # Read under the lock: else what another retry has judged again meanwhile would be judged once more.
        if not _locked(run, Status.DONE):
            raise ConflictError(
                f"Run {run.pk} is not done. Finish it first, with --resume {run.pk}, then retry its errors."
            )
        retried = _store_retry_chunks(run)
        if not retried:
            raise InputError(f"Run {run.pk} has no errors to retry.{_unretried(run)}")
        _move(run, Status.RUNNING, {Status.DONE}, actor=actor, data={"retried": retried}, error="", finished_at=None)
    return retried


def _require_prompts(run: Run) -> None:
    if run.live:
        raise ConflictError(
            f"Run {run.pk} records what programs asked, so there is nothing to take up again: whoever got no answer "
            "asked again by themselves."
        )


def _store_retry_chunks(run: Run) -> int:
    """Makes chunks of the prompts that ended in an ERROR, one in memory at a time; gives the number of prompts."""
    size = Configuration.from_json(run.configuration).chunk_size
    index = (run.chunks.aggregate(last=Max("index"))["last"] or 0) + 1
    errors = Result.objects.filter(run=run, texts=None).errors().order_by("position")
    last, total = -1, 0
    while rows := list(errors.filter(position__gt=last).values_list("prompt", "position", "metadata")[:size]):
        prompts = [Prompt(*row) for row in rows]
        first, last = prompts[0].position, prompts[-1].position
        run.chunks.create(index=index, lo=first, hi=last + 1, payload=pack(prompts), retry=True)
        index, total = index + 1, total + len(prompts)
    return total


def _unretried(run: Run) -> str:
    """A sentence on the errors whose prompts are not there any more as they came; "" when there are none."""
    count = Result.objects.filter(run=run, texts__isnull=False).errors().count()
    return f" The prompts of {count} errors are not kept as they came: send them again, in a new run." if count else ""


# For workers


def hand_over(run: Run) -> list[int]:
    """Leaves a run to the workers; gives the chunks that are left to do."""
    Run.objects.filter(pk=run.pk).update(queued=True)
    return list(run.chunks.unfinished().order_by("index").values_list("pk", flat=True))


def note_enqueued(chunk_id: int, *, before: datetime) -> bool:
    """Notes that a chunk is enqueued now, unless that was done since ``before``: then it is somebody else's doing."""
    due = Q(enqueued_at=None) | Q(enqueued_at__lt=before)
    return bool(Chunk.objects.filter(due, pk=chunk_id).update(enqueued_at=timezone.now()))


# Those that nobody works on any more


def lost_chunks(run: Run, *, waiting: timedelta) -> list[int]:
    """Chunks of a queued run that no worker holds and that were enqueued longer ago than ``waiting``, or never.

    Fails the run when one of them was tried too often: whatever ends its worker would end the next one too.
    """
    leases.release_dead(run)
    chunks = run.chunks.filter(state=Chunk.State.OPEN)
    if worn := chunks.filter(attempts__gte=settings.SAFETY_CHUNK_ATTEMPTS).defer("payload").first():
        reason = (
            f"Prompts {worn.lo} to {worn.hi - 1} were tried {worn.attempts} times without an end: their worker died or "
            f"ran out of time. Look into the workers' log, then resume the run."
        )
        fail_run(run, actor="system", reason=reason)
        return []
    late = timezone.now() - waiting
    return [chunk.pk for chunk in chunks.defer("payload") if chunk.enqueued_at is None or chunk.enqueued_at < late]


def fail_stalled_runs(*, idle: timedelta, actor: str) -> list[Run]:
    """Fails the runs that nobody holds a chunk of and that saved nothing for ``idle``; they can be resumed.

    Not those that wait for workers, which nobody works on yet, nor live ones, which wait for programs.
    """
    stalled = []
    for run in Run.objects.active().filter(live=None).exclude(status=Status.QUEUED, queued=True):
        leases.release_dead(run)
        if run.chunks.filter(state=Chunk.State.HELD).exists() or last_sign(run) > timezone.now() - idle:
            continue
        minutes = int(idle.total_seconds() / 60)
        if fail_run(run, actor=actor, reason=f"Stalled: nobody worked on it for {minutes} minutes. It can be resumed."):
            stalled.append(run)
    return stalled


def last_sign(run: Run) -> datetime:
    """When something of a run was saved, or it was begun."""
    saved = Result.objects.filter(run=run).order_by("-pk").values_list("created_at", flat=True).first()
    enqueued = run.chunks.unfinished().aggregate(last=Max("enqueued_at"))["last"]
    return max(time for time in (saved, enqueued, run.started_at, run.created_at) if time)


# Of its texts


def reveal_text(result: Result, *, stage: Stage, what: str, actor: str) -> None:
    """Records that somebody was shown ``what`` of a stage (its text, or what a provider sent for it) though it is masked."""
    with transaction.atomic():
        record("result.revealed", actor=actor, target=result, data={"stage": stage, "what": what})

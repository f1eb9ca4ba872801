"""Texts, payloads and logs are let go when they are old enough, unless somebody still needs them. What was decided stays.

Each kind of them has a function that works in pages, each in a transaction of its own: whoever stops it, or kills it, loses
nothing, and whoever begins again begins with what is left. It yields what it counted: "let go", "held" (by a legal hold, by
people who have yet to judge it, or since it is still worked on) and "doubtful" (not as the audit trail recorded it: that is
to be looked into first).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Case, Q, QuerySet, Value, When
from django.utils import timezone
from django.utils.module_loading import import_string

from audit.models import AuditEvent
from audit.services import new_salt, record
from classifiers.errors import InputError
from classifiers.types import Label, Stage
from runs import verification
from runs.live import FACTS
from runs.models import Chunk, Payload, Result, Run, RunLog, Verdict
from runs.recording import result_commitment
from runs.storing import NOT_KEPT, UNTOLD

PAGE = 500
EVERY = timedelta(days=1)
APPLIED = "retention.applied"
WITH_TEXTS = Q(texts=None) | Q(texts=Result.Texts.REDACTED)
ENDED = (Run.Status.DONE, Run.Status.FAILED, Run.Status.CANCELLED)
Counts: TypeAlias = "Counter[str]"


def apply(*, actor: str, seconds: float = float("inf")) -> tuple[dict[str, Counts], bool]:
    """Lets go of all that is old enough, for so many seconds at most: what was counted by kind, and whether that is all."""
    until, counts = time.monotonic() + seconds, {kind: Counter[str]() for kind in settings.SAFETY_RETENTION}
    finished = all(_applied(kind, counts[kind], actor=actor, until=until) for kind in counts)
    counts = {kind: +counted for kind, counted in counts.items()}
    with transaction.atomic():
        data = {kind: dict(counted) for kind, counted in counts.items() if counted}
        record(APPLIED, actor=actor, data={"finished": finished, **data})
    return counts, finished


def is_due() -> bool:
    """Whether anything is ever let go, and it is a day since that was last looked after."""
    last = AuditEvent.objects.filter(action=APPLIED).order_by("-sequence").first()
    asked = any(days for _, days in settings.SAFETY_RETENTION.values())
    return asked and (last is None or last.time < timezone.now() - EVERY)


def hold(run: Run, *, reason: str, actor: str) -> None:
    """Keeps the texts of a run, its payloads and its log from being let go, until ``release``."""
    if not 0 < len(reason.strip()) <= 200:
        raise InputError("Say why its texts are to be kept, in at most 200 characters.")
    _set_hold(run, reason.strip(), actor=actor)


def release(run: Run, *, actor: str) -> None:
    _set_hold(run, None, actor=actor)


def _set_hold(run: Run, reason: str | None, *, actor: str) -> None:
    with transaction.atomic():
        Run.objects.filter(pk=run.pk).update(hold=reason)
        record("run.held" if reason else "run.hold_released", actor=actor, target=run, data={"reason": reason})
    run.refresh_from_db(fields=["hold"])


def _applied(kind: str, counts: Counts, *, actor: str, until: float) -> bool:
    """Whether the kind came to its end in time."""
    path, days = settings.SAFETY_RETENTION[kind]
    forget: Callable[..., Iterator[Counts]] = import_string(path)
    for counted in forget(before=timezone.now() - timedelta(days=days), actor=actor) if days else ():
        counts.update(counted)
        if time.monotonic() > until:
            return False
    return True


# Texts


def let_texts_go(*, before: datetime, actor: str) -> Iterator[Counts]:
    """Of results that were saved before a time, and of prompts that were never judged in runs that ended before it."""
    yield from _let_go_in(Run.objects.all(), before=before, actor=actor)


def let_live_texts_go(*, before: datetime, actor: str) -> Iterator[Counts]:
    """Of what programs asked."""
    yield from _let_go_in(Run.objects.filter(live__isnull=False), before=before, actor=actor)


def _let_go_in(runs: QuerySet[Run], *, before: datetime, actor: str) -> Iterator[Counts]:
    old = runs.filter(let_go_at=None, created_at__lt=before)
    yield Counter(held=Result.objects.filter(WITH_TEXTS, run__in=old.filter(hold__isnull=False)).count())
    any_gone = False
    for run in old.filter(hold=None).order_by("pk").iterator(chunk_size=100):
        for counts in _of_run(run, before=before, actor=actor):
            any_gone = any_gone or bool(counts["let go"])
            yield counts
        _note_the_end(run, before=before)
    if any_gone and connection.vendor == "sqlite":
        with connection.cursor() as cursor:  # else the words of the texts stay in the index until it is merged some day
            cursor.execute("INSERT INTO runs_result_text (runs_result_text) VALUES ('optimize')")


def _of_run(run: Run, *, before: datetime, actor: str) -> Iterator[Counts]:
    texts = Result.objects.filter(WITH_TEXTS, run=run, created_at__lt=before).order_by("position")
    last, committed = -1, None
    while page := list(texts.filter(position__gt=last).values_list("pk", "position")[:PAGE]):
        committed = verification.commitments(run) if committed is None else committed
        last = page[-1][1]
        with transaction.atomic():
            counts = _page(run, [pk for pk, _ in page], committed, actor=actor)
        yield counts


def _page(run: Run, pks: Sequence[int], committed: verification.Commitments, *, actor: str) -> Counts:
    locked = Result.objects.select_for_update(no_key=True).filter(WITH_TEXTS, pk__in=pks).order_by("pk")
    results = list(locked)
    of: dict[int, list[Verdict]] = {result.pk: [] for result in results}
    for verdict in Verdict.objects.filter(result__in=results).order_by("pk"):
        of[verdict.result_id].append(verdict)
    needed: Collection[int] = import_string(settings.SAFETY_NEEDED)(pks)
    free = [result for result in results if not result.disputed and result.pk not in needed]
    whole = [result for result in free if _is_whole(result, of[result.pk], committed)]
    if whole:
        _let_go(run, whole, of, actor=actor)
    return Counter({"let go": len(whole), "held": len(results) - len(free), "doubtful": len(free) - len(whole)})


def _is_whole(result: Result, verdicts: Sequence[Verdict], committed: verification.Commitments) -> bool:
    expected = committed.get(str(result.position))
    return expected is not None and expected.holds_for(result, verdicts)


def _let_go(run: Run, results: Sequence[Result], of: dict[int, list[Verdict]], *, actor: str) -> None:
    """The trail commits anew to what is left, under a new salt: the old one would tell whether a text guessed is right."""
    for result in results:
        result.digests = {stage: told for stage in Stage if (told := result.digest_of(stage))}
        result.prompt, result.answer = NOT_KEPT, None if result.answer is None else NOT_KEPT
        result.metadata = {n: value for n, value in result.metadata.items() if n in FACTS} if run.live else {}
        result.salt = new_salt()
        for verdict in of[result.pk]:
            verdict.reason = UNTOLD if Label.ERROR in (verdict.label, verdict.own_label) else ""
    _write(results)
    left = {str(result.position): result_commitment(result, of[result.pk]) for result in results}
    record(verification.LET_GO, actor=actor, target=run, data={"policy": run.policy_version_id, "results": left})


def _write(results: Sequence[Result]) -> None:
    """What is alike for all in one statement: each value of its own makes a longer one."""
    rows = Result.objects.filter(pk__in=[result.pk for result in results])
    answer = Case(When(answer__isnull=False, then=Value(NOT_KEPT)))
    gone = {"texts": Result.Texts.LET_GO, "let_go_at": timezone.now()}
    rows.update(prompt=NOT_KEPT, answer=answer, metadata={}, **gone)
    Result.objects.bulk_update(results, ["salt", "digests"], batch_size=100)
    Result.objects.bulk_update([result for result in results if result.metadata], ["metadata"], batch_size=100)
    Payload.objects.filter(verdict__result__in=results).delete()
    failed = When(Q(label=Label.ERROR) | Q(own_label=Label.ERROR), then=Value(UNTOLD))
    Verdict.objects.filter(result__in=results).update(reason=Case(failed, default=Value("")), spans=[])


def _note_the_end(run: Run, *, before: datetime) -> None:
    """Lets go of prompts that nobody will judge any more, and notes that nothing is left to look for."""
    ended = Run.objects.filter(pk=run.pk, status__in=ENDED, finished_at__lt=before)
    if not ended.exists():
        return
    run.chunks.exclude(payload="").exclude(state=Chunk.State.HELD).update(payload="")
    if not Result.objects.filter(WITH_TEXTS, run=run).exists():
        ended.update(let_go_at=timezone.now())


# What stands beside them


def forget_payloads(*, before: datetime, actor: str) -> Iterator[Counts]:
    """What providers sent for results that were saved before a time."""
    yield from forget(
        Payload.objects.filter(verdict__result__run__hold=None), age="verdict__result__created_at", before=before
    )


def forget_logs(*, before: datetime, actor: str) -> Iterator[Counts]:
    yield from forget(RunLog.objects.filter(run__hold=None), age="time", before=before)


def forget(rows: QuerySet[Any], *, age: str, before: datetime) -> Iterator[Counts]:
    """Deletes the rows that are older, whose numbers follow their age: it ends with the first page that holds none."""
    last = 0
    while page := list(rows.filter(pk__gt=last).order_by("pk").values_list("pk", age)[:PAGE]):
        last, old = page[-1][0], [pk for pk, made in page if made < before]
        if not old:
            return
        with transaction.atomic():
            rows.model._base_manager.filter(pk__in=old).delete()
        yield Counter({"let go": len(old)})

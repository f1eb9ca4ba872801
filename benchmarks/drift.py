"""Looking for drift in many stored verdicts: the first look, one when nothing has changed, and one after another day.

    python -m benchmarks.drift [--database postgresql] [--verdicts 1000000]

The verdicts lie in one live run a day over 35 days. Beside it: one count of the verdicts of a version, by label.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from benchmarks.api_lists import Few, columns, settle
from benchmarks.console import _result, _verdicts
from benchmarks.site import database

DAYS = 35
AT_MOST = 1.0  # times as long as that count: a look after another day, once an hour


def build(verdicts: int) -> None:
    """The run of today is made one by one, and the database copies it for the days before."""
    from django.utils import timezone

    from moderation.models import ClassifierVersion
    from runs.models import Result, Verdict

    chance = random.Random(0)
    words, today = Few(chance), _run(0)
    size = int(verdicts / 1.87 / DAYS)  # a result in eight has no answer
    results = Result.objects.bulk_create(
        (_result(today, place, words, chance) for place in range(size)), batch_size=1000
    )
    Verdict.objects.bulk_create(_verdicts(results), batch_size=1000)
    Verdict.objects.update(
        version=ClassifierVersion.objects.create(alias="openai", provider="benchmark", fingerprint="0")
    )
    for day in range(1, DAYS):
        run = _run(day)
        _copy(today, run, timezone.now() - timedelta(days=day))
    settle()


def _run(days_ago: int) -> Any:
    from django.utils import timezone

    from runs.models import Run

    at = timezone.now() - timedelta(days=days_ago)
    return Run.objects.create(
        name=f"{days_ago} days ago",
        status="DONE",
        live=f"{days_ago}",
        created_by="benchmark",
        started_at=at,
        finished_at=at,
    )


def _copy(first: Any, run: Any, at: Any) -> None:
    from django.db import connection, transaction

    results, verdicts = columns("runs_result", "id", "run_id", "created_at"), columns("runs_verdict", "id", "result_id")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO runs_result (run_id, created_at, {results}) SELECT %s, %s, {results} FROM runs_result "
            "WHERE run_id = %s ORDER BY position",
            [run.pk, connection.ops.adapt_datetimefield_value(at), first.pk],
        )
        of = ", ".join(f"verdict.{name}" for name in verdicts.split(", "))
        cursor.execute(
            f"INSERT INTO runs_verdict (result_id, {verdicts}) SELECT made.id, {of} FROM runs_result first "
            "JOIN runs_result made ON made.run_id = %s AND made.position = first.position "
            "JOIN runs_verdict verdict ON verdict.result_id = first.id WHERE first.run_id = %s",
            [run.pk, first.pk],
        )


def timed(what: Callable[[], Any]) -> float:
    started = time.perf_counter()
    what()
    return time.perf_counter() - started


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--verdicts", type=int, default=1_000_000)
    given = parser.parse_args()
    with database(given.database):
        from django.db.models import Count

        from governance.drift import check_drift
        from governance.models import DriftAssessment, TalliedRun
        from runs.models import Verdict

        build(given.verdicts)
        counting = timed(lambda: list(Verdict.objects.order_by().values_list("label").annotate(n=Count("*"))))
        print(f"{Verdict.objects.count():,} verdicts in {DAYS} runs; one count by label {counting:.2f} s", flush=True)
        first = timed(lambda: check_drift(actor="benchmark"))
        nothing = timed(lambda: check_drift(actor="benchmark"))
        TalliedRun.objects.order_by("run").first().delete()
        a_day = timed(lambda: check_drift(actor="benchmark"))
        reading = timed(lambda: list(DriftAssessment.objects.ranked()))
        print({each.stage: each.level for each in DriftAssessment.objects.all()})
    print(
        f"The first look {first:.2f} s, {first / counting:.1f} times that count; nothing new {1000 * nothing:.0f} ms; "
        f"a day anew {1000 * a_day:.0f} ms, {a_day / counting:.2f} times; reading what was found {1000 * reading:.1f} ms"
    )
    missed = a_day > AT_MOST * counting
    print(f"A day anew at most {AT_MOST:g} times as long as that count: {'missed' if missed else 'met'}.")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())

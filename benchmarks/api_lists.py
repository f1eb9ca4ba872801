"""Lists over REST at many results: the first page beside one that lies 99 % of the way down, over HTTP.

    python -m benchmarks.api_lists [--database postgresql] [--results 1000000] [--rounds 100]

The results stand in one run and have about two verdicts each; their texts are short and come again, so that a million
of them are made in minutes. The site is gunicorn with two processes; one program asks for one page after another, the
first and the deep one of a list in turn. The database is a new one, unless AI_SAFETY_MONITOR_DB names one; a run that was
made there before is used again.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from base64 import b64encode
from collections.abc import Sequence
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from benchmarks.console import Words, _result, _verdicts, percentiles
from benchmarks.site import database, served

NAME = "benchmark of lists"
DIFFERENT = 10_000
AT_MOST, EQUAL = 200, 1.5  # milliseconds, and how many times as long a deep page may take


class Few(Words):
    """A fifth of the words."""

    def text(self, mean: int) -> str:
        return super().text(mean // 5)


def build(count: int) -> Any:
    """One run: the first results are made one by one, and the database copies them."""
    from django.utils import timezone

    from runs.models import Result, Run, Verdict

    if run := Run.objects.filter(name=NAME, total=count, status="DONE").first():
        return run
    chance, first = random.Random(0), min(count, DIFFERENT)
    words = Few(chance)
    run = Run.objects.create(
        name=NAME, total=count, status="RUNNING", created_by="benchmark", started_at=timezone.now()
    )
    results = Result.objects.bulk_create(
        (_result(run, place, words, chance) for place in range(first)), batch_size=1000
    )
    Verdict.objects.bulk_create(_verdicts(results), batch_size=1000)
    for offset in range(first, count, first):
        copy(run, offset, min(first, count - offset))
    run.status, run.counts, run.finished_at = "DONE", Result.objects.filter(run=run).counts(), timezone.now()
    run.save()
    settle()
    return run


def copy(run: Any, offset: int, number: int) -> None:
    """The first results of a run and their verdicts once more, from a position on."""
    from django.db import connection, transaction

    results = columns("runs_result", "id", "position")
    verdicts = columns("runs_verdict", "id", "result_id")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO runs_result (position, {results}) SELECT position + %s, {results} FROM runs_result "
            "WHERE run_id = %s AND position < %s ORDER BY position",
            [offset, run.pk, number],
        )
        of = ", ".join(f"verdict.{name}" for name in verdicts.split(", "))
        cursor.execute(
            f"INSERT INTO runs_verdict (result_id, {verdicts}) SELECT made.id, {of} FROM runs_result first "
            "JOIN runs_result made ON made.run_id = first.run_id AND made.position = first.position + %s "
            "JOIN runs_verdict verdict ON verdict.result_id = first.id "
            "WHERE first.run_id = %s AND first.position < %s",
            [offset, run.pk, number],
        )


def columns(table: str, *but: str) -> str:
    from django.db import connection

    with connection.cursor() as cursor:
        found = connection.introspection.get_table_description(cursor, table)
    return ", ".join(f'"{column.name}"' for column in found if column.name not in but)


def settle() -> None:
    """What PostgreSQL does by itself some minutes after so many rows."""
    from django.db import connection

    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")


def lists(run: Any) -> dict[str, tuple[str, str]]:
    """By name the addresses of the first page and of the deep one."""
    from runs import paging
    from runs.models import Result, Verdict

    def of_results(query: str, order: str) -> tuple[str, str]:
        keys, descending = paging.ORDERS[order]
        ranked = paging._sorted(Result.objects.filter(run=run), order)
        ranked = ranked.order_by(*(f"-{key}" if descending else key for key in keys))
        at = ranked.values_list("pk", flat=True)[run.total * 99 // 100]
        address = f"/api/v1/results/?order={order}&{query}"
        return address, f"{address}&cursor=a{at}"

    def of_verdicts(query: str) -> tuple[str, str]:
        number = Verdict.objects.count()
        at = Verdict.objects.order_by("-pk").values_list("pk", flat=True)[number * 99 // 100]
        at = run.total * 99 // 100 if "run" in query else at
        cursor = b64encode(f"p={at}".encode()).decode().replace("=", "%3D")
        address = f"/api/v1/verdicts/?{query}"
        return address, f"{address}&cursor={cursor}"

    within = f"run={run.pk}"
    return {
        "results": of_results("limit=50", "newest"),
        "results of a run": of_results(within, "place"),
        "results by score": of_results(within, "input_score"),
        "flagged": of_results(f"{within}&flagged=true", "place"),
        "not flagged": of_results(f"{within}&flagged=false", "place"),
        "reviewed": of_results(f"{within}&reviewed=true", "place"),
        "score from .5": of_results(f"{within}&min_score=.5", "place"),
        "of a category": of_results(f"{within}&category=hate", "place"),
        "200 a page": of_results(f"{within}&limit=200", "place"),
        "verdicts": of_verdicts("limit=50"),
        "verdicts of a run": of_verdicts(within),
        "errors of a run": of_verdicts(f"{within}&label=ERROR"),
        "toxic verdicts": of_verdicts("label=TOXIC"),
    }


def token() -> str:
    from django.contrib.auth.models import User

    from integrations.services import create_token

    user = User.objects.filter(username="benchmark").first() or User.objects.create_superuser("benchmark")
    return create_token(user, name=f"lists {time.time()}", scopes=["read"], expires_at=None, actor="benchmark")[1]


def asked(connection: HTTPConnection, key: str, path: str) -> float:
    """Milliseconds that a page took."""
    started = time.perf_counter()
    connection.request("GET", path, headers={"Authorization": f"Bearer {key}", "Host": "localhost"})
    response = connection.getresponse()
    said = response.read()
    if response.status != 200:
        raise SystemExit(f"{path} was answered with {response.status}: {said[:300]!r}")
    return 1000 * (time.perf_counter() - started)


def measured(address: str, key: str, paths: Sequence[str], rounds: int) -> list[tuple[float, float]]:
    """The median and the 95th percentile of each, asked for in turn."""
    connection = HTTPConnection(urlsplit(address).netloc, timeout=60)
    for path in [*paths] * 5:  # both processes warm up
        asked(connection, key, path)
    times = [[asked(connection, key, path) for path in paths] for _ in range(rounds)]
    return [percentiles(of_path) for of_path in zip(*times, strict=True)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--results", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=100, help="how often each page is asked for")
    given = parser.parse_args()
    os.environ["AI_SAFETY_MONITOR_API_RATE"] = "1000000"
    missed = 0
    with database(given.database) as folder:
        started = time.perf_counter()
        run = build(given.results)
        print(f"{run.total:,} results, made in {time.perf_counter() - started:.0f} s", flush=True)
        key, pages = token(), lists(run)
        with served(folder) as address:
            for name, paths in pages.items():
                (middle, late), (deep_middle, deep_late) = measured(address, key, paths, given.rounds)
                ratio = deep_late / late
                missed += max(late, deep_late) > AT_MOST or ratio > EQUAL
                first, deep = f"p50 {middle:4.0f}, p95 {late:4.0f}", f"p50 {deep_middle:4.0f}, p95 {deep_late:4.0f}"
                print(f"{name:18} first page {first} ms   deep {deep} ms   {ratio:.2f} times", flush=True)
    print(
        f"At most {AT_MOST} ms at the 95th percentile, and {EQUAL} times as long deep down: {missed} lists missed it."
    )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

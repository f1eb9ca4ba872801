"""The console over 100,000 results: how long its pages take over HTTP, served by gunicorn with two processes.

    python -m benchmarks.console [--database postgresql] [--results 100000] [--rounds 20]

The results stand in one run, with texts of words as frequent as in a natural language. Pages are looked at one after
another. On a machine that is at work on other things too, a page waits for a processor; how long it would have taken
without them is told by the time that the site's and the database's processes were at work for it. The database is a new
one, unless AI_SAFETY_MONITOR_DB names one; a run that was made there before is used again.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from http.client import HTTPConnection
from itertools import islice
from pathlib import Path
from statistics import quantiles
from typing import Any
from urllib.parse import urlsplit

from benchmarks.site import database, served

NAME = "benchmark of the console"
BATCH = 2_000
CATEGORIES = ("hate", "violence", "harassment", "self-harm", "sexual", "illicit")


def build(count: int) -> Any:
    """One run with its results, verdicts and payloads, the same with each call."""
    from django.utils import timezone

    from runs.models import Payload, Result, Run, Verdict

    if run := Run.objects.filter(name=NAME, total=count, status="DONE").first():
        return run
    chance = random.Random(0)
    words = Words(chance)
    run = Run.objects.create(
        name=NAME, total=count, status="RUNNING", created_by="benchmark", started_at=timezone.now()
    )
    rows = (_result(run, position, words, chance) for position in range(count))
    while batch := Result.objects.bulk_create(islice(rows, BATCH)):
        verdicts = Verdict.objects.bulk_create(_verdicts(batch))
        body = json.dumps({"id": "modr-1", "results": [dict.fromkeys(CATEGORIES, 0.01)]})
        Payload.objects.bulk_create(Payload(verdict=verdict, body=body) for verdict in verdicts)
    run.status, run.counts, run.finished_at = "DONE", Result.objects.filter(run=run).counts(), timezone.now()
    run.save()
    return run


class Words:
    """Texts of made-up words, whose frequencies fall with their rank as in a language (Zipf)."""

    def __init__(self, chance: random.Random, size: int = 30_000) -> None:
        self.chance = chance
        syllables = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er", "is")]
        self.words = ["".join(chance.choices(syllables, k=chance.randint(1, 4))) for _ in range(size)]
        total, self.cumulated = 0.0, []
        for rank in range(1, size + 1):
            total += 1 / rank
            self.cumulated.append(total)

    def text(self, mean: int) -> str:
        """Some words, in number most often around ``mean``, sometimes many times that."""
        number = max(1, int(mean * self.chance.lognormvariate(-0.3, 0.8)))
        return " ".join(self.chance.choices(self.words, cum_weights=self.cumulated, k=number))


def _result(run: Any, position: int, words: Words, chance: random.Random) -> Any:
    from django.utils import timezone

    from runs.models import Result

    kind = chance.random()
    result = Result(run=run, position=position, prompt=words.text(45), created_at=timezone.now())
    result.metadata = {"source": "made up", "id": position}
    result.input_label = "TOXIC" if kind < 0.08 else "ERROR" if kind < 0.09 else "SAFE"
    result.input_score = chance.betavariate(8, 2) if kind < 0.08 else chance.betavariate(1, 12)
    result.input_categories = chance.sample(CATEGORIES, 2) if kind < 0.08 else []
    if result.input_label == "SAFE":
        result.answer = words.text(90)
        result.output_label = "TOXIC" if kind > 0.96 else "SAFE"
        result.output_score = chance.betavariate(8, 2) if kind > 0.96 else chance.betavariate(1, 12)
        result.output_categories = chance.sample(CATEGORIES, 1) if kind > 0.96 else []
    if chance.random() < 0.05:
        _reviewed(result, chance)
    return result


def _reviewed(result: Any, chance: random.Random) -> None:
    from django.utils import timezone

    result.reviewed_at = timezone.now()
    result.disputed = chance.random() < 0.05
    if not result.disputed:
        result.input_provenance = "unanimous"
        result.human_input_label = result.input_label if result.input_label != "ERROR" else "SAFE"
        if chance.random() < 0.1:
            result.human_input_label = "SAFE" if result.input_label == "TOXIC" else "TOXIC"


def _verdicts(results: list[Any]) -> Iterator[Any]:
    from runs.models import Verdict

    for result in results:
        for stage in ("input", "output"):
            if label := getattr(result, f"{stage}_label"):
                scores = {name: (getattr(result, f"{stage}_score") or 0.0) for name in CATEGORIES}
                flagged = getattr(result, f"{stage}_categories")
                score = None if label == "ERROR" else scores["hate"]
                yield Verdict(
                    result=result, stage=stage.upper(), check_name="openai", label=label, score=score,
                    categories=scores, flagged=flagged, thresholds=dict.fromkeys(CATEGORIES, 0.5), key=f"{result.pk}{stage}",
                )  # fmt: skip


# What is asked for, with its target for the 95th percentile in milliseconds.
LIST, SEARCH = 250, 400


def addresses(run: Any) -> dict[str, tuple[int, list[str]]]:
    from runs.models import Result

    frequent, often, rare = _words_of(run)
    some = list(
        Result.objects.filter(run=run, position__in=range(500, run.total, run.total // 20)).values_list("pk", flat=True)
    )
    of_run = f"/admin/runs/result/?run={run.pk}"
    filters = {
        "list": ["", "&order=newest"],
        "list, far down": [f"&after={pk}" for pk in some],
        "list by score": [
            "&order=input_score",
            "&order=output_score",
            *(f"&order=input_score&after={pk}" for pk in some[:4]),
        ],
        "flagged": ["&flagged=true", "&flagged=true&stage=output", "&output_label=TOXIC", "&flagged=false"],
        "category": [f"&category={name}" for name in CATEGORIES] + ["&category=none"],
        "score band": [
            "&min_score=.45&max_score=.55",
            "&min_score=.99",
            "&stage=output&min_score=.9999",
            "&max_score=.001",
        ],
        "people": ["&reviewed=true", "&disagreement=people", "&disagreement=machine", "&human=TOXIC", "&human=UNSURE"],
        "several filters": [
            "&flagged=false&reviewed=false&min_score=.4",
            "&errors=false&reviewed=true&provenance=unanimous",
        ],
    }
    searches = {
        "search, frequent word": [f"&q={frequent[0]}", f"&q={frequent[1]}"],
        "search, rare word": [f"&q={word}" for word in rare],
        "search, two words": [f"&q={frequent[0]}+{often[0]}", f"&q={often[0]}+{often[1]}"],
        "search, phrase": [f"&q=%22{frequent[0]}+{often[0]}%22", f"&q=%22{frequent[0]}+{frequent[1]}%22"],
        "search, beginning": [f"&q={word[:4]}*" for word in rare],
        "search, with filters": [f"&q={frequent[0]}&flagged=true", f"&q={frequent[0]}&min_score=.999", f"&q={often[0]}&order=input_score"],
    }  # fmt: skip
    return {
        "list of runs": (LIST, ["/admin/runs/run/"]),
        "page of a run": (LIST, [f"/admin/runs/run/{run.pk}/"]),
        "page of a result": (LIST, [f"/admin/runs/result/{pk}/?run={run.pk}&flagged=false" for pk in some]),
        **{name: (LIST, [of_run + each for each in queries]) for name, queries in filters.items()},
        **{name: (SEARCH, [of_run + each for each in queries]) for name, queries in searches.items()},
    }


def _words_of(run: Any) -> tuple[list[str], list[str], list[str]]:
    """The two most frequent words, two of which every twentieth prompt has one, and four that few have."""
    from collections import Counter

    from runs.models import Result

    prompts = Result.objects.filter(run=run, position__lt=4000).values_list("prompt", flat=True)
    ranked = [word for word, _ in Counter(word for prompt in prompts for word in set(prompt.split())).most_common()]
    return ranked[:2], ranked[40:42], ranked[-4:]


def login() -> str:
    """The session cookie of a superuser."""
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.auth.models import User
    from django.contrib.sessions.backends.db import SessionStore

    user = User.objects.filter(username="benchmark").first() or User.objects.create_superuser("benchmark")
    session = SessionStore()
    session[SESSION_KEY], session[HASH_SESSION_KEY] = str(user.pk), user.get_session_auth_hash()
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session.save()
    return f"{settings.SESSION_COOKIE_NAME}={session.session_key}"


def asked(address: str, cookie: str, paths: Sequence[str], pids: Sequence[int] = ()) -> list[tuple[float, float]]:
    """Milliseconds that each page took, and of these at work on a processor; one page after another."""
    connection, times = HTTPConnection(urlsplit(address).netloc, timeout=60), []
    for path in paths:
        started, worked = time.perf_counter(), at_work(pids)
        connection.request("GET", path, headers={"Cookie": cookie, "Host": "localhost"})
        response = connection.getresponse()
        response.read()
        times.append((1000 * (time.perf_counter() - started), at_work(pids) - worked))
        if response.status != 200:
            raise SystemExit(f"{path} was answered with {response.status}.")
    return times


def processes() -> list[int]:
    """Those of the site and, with PostgreSQL, of its database."""
    import psutil
    from django.db import connection

    pids = [process.pid for process in psutil.Process().children(recursive=True)]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
            pids += [pid for (pid,) in cursor.fetchall()]
    return pids


def at_work(pids: Sequence[int]) -> float:
    """Milliseconds that all threads of these processes have been on a processor."""
    spent = 0
    for pid in pids:
        for file in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            with suppress(FileNotFoundError):
                spent += int(file.read_text().split()[0])
    return spent / 1e6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--results", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=40, help="how often each kind of page is looked at, at least")
    given = parser.parse_args()
    # All the work of a page is then done by processes that are there before and after it.
    os.environ["PGOPTIONS"] = "-c max_parallel_workers_per_gather=0"
    missed = 0
    with database(given.database) as folder:
        run, cookie = build(given.results), login()
        pages = addresses(run)
        with served(folder) as address:
            for _ in range(3):  # both processes warm up
                asked(address, cookie, [path for _, paths in pages.values() for path in paths])
            for name, (target, paths) in pages.items():
                times = asked(address, cookie, paths * -(-given.rounds // len(paths)), processes())
                (middle, late), (_, busy) = map(percentiles, zip(*times, strict=True))
                missed += late > target
                took = f"p50 {middle:5.0f} ms   p95 {late:5.0f} ms, {busy:4.0f} ms at work"
                print(f"{name:24} {took}   (at most {target})", flush=True)
    return 1 if missed else 0


def percentiles(times: Sequence[float]) -> tuple[float, float]:
    """The median and the 95th percentile."""
    cut = quantiles(times, n=20)
    return cut[9], cut[18]


if __name__ == "__main__":
    sys.exit(main())

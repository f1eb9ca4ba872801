"""What the pipeline adds to bare inserts: wall time against bulk_create of the same rows, and memory growth.

    python -m benchmarks.overhead [--prompts 100000]

Each size runs in a process of its own, so that its memory is its own.
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import subprocess
import sys
import time
from collections.abc import Iterator

BATCH = 500


def measure(count: int) -> dict[str, float]:
    from benchmarks.setup import prepare

    folder = prepare()
    logging.disable(logging.INFO)
    from classifiers.sources import PromptSource
    from moderation.services import Choice
    from runs import services
    from runs.configuration import Configuration

    file = folder / "prompts.jsonl"
    with file.open("w") as stream:
        for i in range(count):
            word = "toxic" if i % 10 == 0 else "plain"
            stream.write(json.dumps({"prompt": f"Prompt number {i} is {word}. " * 4, "id": i, "group": "a"}) + "\n")
    fake = Choice("fake")
    source = PromptSource(str(file), limit=0)
    configuration = Configuration(source, (fake,), fake, (fake,), batch_size=BATCH)

    before = rss()
    started = time.perf_counter()
    run = services.create_run(configuration, actor="benchmark")
    made = time.perf_counter() - started
    for _ in services.execute_run(run, actor="benchmark"):
        pass
    wall = time.perf_counter() - started
    grown = peak() - before
    return {"prompts": count, "wall": wall, "create": made, "bare": bare(run), "memory": grown}


def bare(run: object) -> float:
    """Seconds that bulk_create takes for copies of the run's results and verdicts, in the same batches."""
    from django.db import transaction

    from runs.models import Result, Run, Verdict

    copy = Run.objects.create(name="copy")
    seconds = 0.0
    for results in pages(Result.objects.filter(run=run).order_by("position")):
        verdicts = list(Verdict.objects.filter(result__in=[r.pk for r in results]))
        of = {r.pk: r for r in results}
        owners = [of[v.result_id] for v in verdicts]
        for row in (*results, *verdicts):
            row.pk = None
            row._state.adding = True
        for result in results:
            result.run = copy
        started = time.perf_counter()
        with transaction.atomic():
            Result.objects.bulk_create(results)
            for verdict, owner in zip(verdicts, owners, strict=True):
                verdict.result = owner
            Verdict.objects.bulk_create(verdicts)
        seconds += time.perf_counter() - started
    return seconds


def pages(rows: object) -> Iterator[list]:
    last = -1
    while page := list(rows.filter(position__gt=last)[:BATCH]):  # type: ignore[attr-defined]
        last = page[-1].position
        yield page


def rss() -> float:
    import psutil

    return psutil.Process().memory_info().rss / 2**20


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=100_000)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one)))
        return
    for count in (options.prompts // 10, options.prompts):
        line = subprocess.run(
            [sys.executable, __file__, "--one", str(count)], capture_output=True, text=True, check=True
        )
        m = json.loads(line.stdout)
        print(
            f"{count} prompts: pipeline {m['wall']:.1f} s (of it {m['create']:.1f} s reading and storing the prompts), "
            f"bare bulk_create {m['bare']:.1f} s, ratio {m['wall'] / m['bare']:.2f} (at most 2.5); "
            f"memory growth {m['memory']:.0f} MB (at most 100)"
        )


if __name__ == "__main__":
    main()

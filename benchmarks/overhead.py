"""What the pipeline adds to bare inserts: wall time against bulk_create of the same rows, and memory growth.

    python -m benchmarks.overhead [--prompts 100000]

For the ratio, after each batch that the pipeline has saved, copies of its results and verdicts are inserted by
bulk_create into the same tables, so that both meet the same machine and the same growing indexes. Memory is measured
in a process of its own, without the copies.
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import subprocess
import sys
import time
from typing import Any

BATCH = 500


def measure(count: int, *, against_bare: bool) -> dict[str, float]:
    """Seconds of the pipeline and of bare inserts, and the growth of the process in MB."""
    from benchmarks.setup import prepare

    folder = prepare()
    logging.disable(logging.INFO)
    from classifiers.sources import PromptSource
    from moderation.services import Choice
    from runs import services
    from runs.configuration import Configuration
    from runs.models import Run

    file = folder / "prompts.jsonl"
    with file.open("w") as stream:
        for i in range(count):
            word = "toxic" if i % 10 == 0 else "plain"
            stream.write(json.dumps({"prompt": f"Prompt number {i} is {word}. " * 4, "id": i, "group": "a"}) + "\n")
    fake = Choice("fake")
    configuration = Configuration(PromptSource(str(file), limit=0), (fake,), fake, (fake,), batch_size=BATCH)

    before = rss()
    started = time.perf_counter()
    run = services.create_run(configuration, actor="benchmark")
    pipeline, bare, done = time.perf_counter() - started, 0.0, 0
    copy = Run.objects.create(name="copy") if against_bare else None
    work = services.execute_run(run, actor="benchmark")
    while True:
        started = time.perf_counter()
        outcomes = next(work, None)
        pipeline += time.perf_counter() - started
        if outcomes is None:
            break
        if copy:
            bare += insert_copies(run, copy, done)
        done += len(outcomes)
    return {"pipeline": pipeline, "bare": bare, "memory": peak() - before}


def insert_copies(run: Any, copy: Any, start: int) -> float:
    """Seconds that bulk_create takes for copies of the results from ``start`` on and of their verdicts."""
    from django.db import transaction

    from runs.models import Result, Verdict

    results = list(Result.objects.filter(run=run, position__gte=start).order_by("position"))
    verdicts = list(Verdict.objects.filter(result__in=[result.pk for result in results]))
    of = {result.pk: result for result in results}
    owners = [of[verdict.result_id] for verdict in verdicts]
    for row in (*results, *verdicts):
        row.pk, row._state.adding = None, True
    for result in results:
        result.run = copy
    started = time.perf_counter()
    with transaction.atomic():
        Result.objects.bulk_create(results)
        for verdict, owner in zip(verdicts, owners, strict=True):
            verdict.result = owner
        Verdict.objects.bulk_create(verdicts)
    return time.perf_counter() - started


def rss() -> float:
    import psutil

    return psutil.Process().memory_info().rss / 2**20


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_own_process(count: int, *flags: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.overhead", "--one", str(count), *flags]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=100_000)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--against-bare", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, against_bare=options.against_bare)))
        return
    for count in (options.prompts // 10, options.prompts):
        alone, m = in_own_process(count), in_own_process(count, "--against-bare")
        print(
            f"{count} prompts: alone {alone['pipeline']:.1f} s, memory growth {alone['memory']:.0f} MB (at most 100); "
            f"in turns with bare bulk_create {m['pipeline']:.1f} s against {m['bare']:.1f} s, "
            f"ratio {m['pipeline'] / m['bare']:.2f} (at most 2.5)"
        )


if __name__ == "__main__":
    main()

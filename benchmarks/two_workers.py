"""Two workers against one: wall time of the same queued run, on the fake provider with 50 ms latency, on PostgreSQL.

    python -m benchmarks.two_workers [--chunks 100] [--rounds 3]

The server is the one of TEST_DATABASE_URL, whose database the runs are written to, else one started for this. Each
measurement begins when the workers are at work, so that their start does not count, and ends with the run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TARGET = 1.7
BATCH = 8


@contextmanager
def postgresql(folder: Path) -> Iterator[None]:
    from tests import databases

    os.environ["AI_SAFETY_MONITOR_DB"] = os.environ.get("TEST_DATABASE_URL") or databases._start_postgresql(folder)
    os.environ["AI_SAFETY_MONITOR_LOG_LEVEL"] = "ERROR"
    try:
        yield
    finally:
        databases.pytest_unconfigure()


@contextmanager
def at_work(count: int, configuration: Any) -> Iterator[None]:
    """Workers that have shown that they work."""
    command = [sys.executable, str(ROOT / "manage.py"), "run_workers", "--log-level", "ERROR"]
    process = subprocess.Popen([*command, "--workers", str(count)])
    try:
        seconds(configuration)
        yield
    finally:
        process.terminate()
        process.wait()


def seconds(configuration: Any) -> float:
    """From handing a run to the workers to its end."""
    from runs import services, tasks

    run = services.create_run(configuration, actor="benchmark", queued=True)
    start = time.perf_counter()
    tasks.enqueue_run(run)
    while run.status != "DONE":
        time.sleep(0.02)
        run.refresh_from_db(fields=["status"])
    return time.perf_counter() - start


def configured(folder: Path, chunks: int) -> Any:
    from classifiers.sources import PromptSource
    from moderation.services import Choice
    from runs.configuration import Configuration

    file = folder / f"{chunks}.jsonl"
    file.write_text("".join(json.dumps({"prompt": f"Prompt number {i}"}) + "\n" for i in range(chunks * BATCH)))
    slow = Choice("fake-slow")
    return Configuration(PromptSource(str(file), limit=0), (slow,), Choice("fake"), (slow,), batch_size=BATCH)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--chunks", type=int, default=100, help=f"of {BATCH} prompts each")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="safety-bench-"))
    folder.chmod(0o755)
    with postgresql(folder):
        from benchmarks.setup import prepare

        prepare()
        warm, full = configured(folder, 4), configured(folder, given.chunks)
        ratios = []
        for _ in range(given.rounds):
            walls = {}
            for count in (1, 2):
                with at_work(count, warm):
                    walls[count] = seconds(full)
            ratios.append(walls[1] / walls[2])
            print(f"one worker {walls[1]:.2f} s, two {walls[2]:.2f} s, ratio {ratios[-1]:.2f}", flush=True)
    print(f"{given.chunks * BATCH} prompts: median ratio {median(ratios):.2f} (target {TARGET})")
    return 0 if median(ratios) >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())

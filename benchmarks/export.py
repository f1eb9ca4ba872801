"""The export of a run against reading the same rows, and what it takes of memory.

    python -m benchmarks.export [--database postgresql] [--results 1000000] [--as jsonl]

The results, with verdicts, stand in one run, as in benchmarks.console. Reading is ``values_list().iterator()`` over the
results alone, without their verdicts and without anything being done with them. Both are done in turns in this process, the
least time of each counts; memory is the growth of the resident set from before the first export to its highest during it.
The database is a new one, unless AI_SAFETY_MONITOR_DB names one; a run that was made there before is used again.
"""

from __future__ import annotations

import argparse
import threading
import time
from typing import Any

import psutil

from benchmarks.site import database

MAX_RATIO, MAX_GROWTH = 3.0, 150


class Memory:
    """The highest resident set of this process, looked at a hundred times a second, in MB above the beginning."""

    def __enter__(self) -> Memory:
        self.process, self.ended = psutil.Process(), threading.Event()
        self.begin = self.most = self.process.memory_info().rss
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()
        return self

    def _look(self) -> None:
        while not self.ended.wait(0.01):
            self.most = max(self.most, self.process.memory_info().rss)

    def __exit__(self, *_: Any) -> None:
        self.ended.set()
        self.thread.join()
        self.growth = (self.most - self.begin) / 2**20


def read(run: Any) -> float:
    from runs.models import Result

    start = time.perf_counter()
    for _ in Result.objects.filter(run=run).order_by("position").values_list().iterator():
        pass
    return time.perf_counter() - start


def export(run: Any, form: str) -> tuple[float, int]:
    """Seconds, and bytes written."""
    from runs.exports import Reading, pieces

    start = time.perf_counter()
    size = sum(len(piece) for piece in pieces(Reading(run), form))
    return time.perf_counter() - start, size


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--results", type=int, default=1_000_000)
    parser.add_argument("--as", dest="form", choices=("jsonl", "json", "csv", "parquet"), default="jsonl")
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    with database(given.database):
        from benchmarks import console

        start = time.perf_counter()
        run = console.build(given.results)
        print(f"{given.results} results made in {time.perf_counter() - start:.0f} s", flush=True)
        if given.form == "parquet":
            import pyarrow.parquet  # noqa: F401  what loading it takes is not of the export

        read(run)  # both find the rows in the system's cache
        with Memory() as memory:
            times = [export(run, given.form) for _ in range(given.rounds)]
        reading = min(read(run) for _ in range(given.rounds))
    exporting, size = min(times)
    ratio = exporting / reading
    print(f"{given.database}, {given.form}: {exporting:.1f} s for {size / 2**20:.0f} MB")
    print(f"reading the rows: {reading:.1f} s; ratio {ratio:.2f} (at most {MAX_RATIO})")
    print(f"memory growth: {memory.growth:.0f} MB (at most {MAX_GROWTH})")
    return int(ratio > MAX_RATIO or memory.growth > MAX_GROWTH)


if __name__ == "__main__":
    raise SystemExit(main())

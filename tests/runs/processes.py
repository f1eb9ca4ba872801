"""Workers and commands as real processes, and what a run holds, comparable with another run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import psutil

from audit.services import verify
from runs.models import Chunk, Result, Run
from tests.conftest import ROOT, test_database_url

T = TypeVar("T")
# Signs of death are believed sooner than in earnest, so that tests needn't wait for them.
IMPATIENT = {"AI_SAFETY_MONITOR_LEASE_SECONDS": "2", "AI_SAFETY_MONITOR_WATCHDOG_SECONDS": "6"}
WORDS = ("hello", "toxic thing", "fail on this", "unanswerable thing", "good day", "hello", "rainy Sunday", "why")


def texts(count: int) -> list[str]:
    """Some of every kind: SAFE, TOXIC, ERROR, without an answer, and duplicates."""
    return [WORDS[i % len(WORDS)] if i % 3 else f"{WORDS[i % len(WORDS)]} {i}" for i in range(count)]


def write_prompts(folder: Path, count: int) -> Path:
    path = folder / "texts.jsonl"
    path.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in texts(count)))
    return path


def manage(log: Path, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    """``manage.py`` on the test database, impatient, its output appended to a file: a pipe that nobody reads fills up."""
    with log.open("ab") as stream:
        return subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            env={**os.environ, "AI_SAFETY_MONITOR_DB": test_database_url(), **IMPATIENT, **environment},
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_for(condition: Callable[[], T], *, seconds: float = 60, every: float = 0.05) -> T:
    """What the condition gives as soon as that is true."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"Waited {seconds} s in vain."
        time.sleep(every)
    return value


class Workers:
    """``run_workers`` in processes of their own."""

    def __init__(self, log: Path, **environment: str) -> None:
        self.log = log
        self.seen: set[psutil.Process] = set()
        self.process = manage(log, "run_workers", "--workers", "2", **environment)

    @property
    def cluster(self) -> list[psutil.Process]:
        """django-q2's processes in the order in which they were started: main, sentinel, two workers, monitor, pusher."""
        with suppress(psutil.NoSuchProcess):
            found = psutil.Process(self.process.pid).children(recursive=True)
            self.seen.update(found)
            return sorted(found, key=lambda process: process.pid)
        return []

    def ready(self) -> list[psutil.Process]:
        return wait_for(lambda: len(self.cluster) == 6 and self.cluster)

    def kill(self) -> None:
        self.cluster  # noqa: B018  remembers what is there
        self.process.kill()
        self.process.wait()

    def gone(self) -> bool:
        return not [p for p in self.seen if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


@contextmanager
def workers(folder: Path, **environment: str) -> Iterator[Workers]:
    """Stopped at the end, and none left behind."""
    started = Workers(folder / "workers.log", **environment)
    try:
        yield started
    except BaseException:
        print(started.log.read_text())
        raise
    finally:
        started.kill()
        wait_for(started.gone, seconds=5)


def state_of(run: Run) -> str:
    run.refresh_from_db()
    return run.status


def wait_until_done(run: Run, *, seconds: float = 60) -> None:
    wait_for(lambda: state_of(run) in ("DONE", "FAILED"), seconds=seconds)
    assert run.status == "DONE", run.error


def holders(run: Run) -> list[int]:
    """The processes that hold a chunk of the run."""
    held = Chunk.objects.filter(run=run, state="HELD").values_list("holder", flat=True)
    return [int(holder.rsplit(":", 2)[1]) for holder in held]


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def record_of(run: Run) -> list[Any]:
    """All that was decided about each prompt. Who judged a text first, and how long it took, may differ between runs."""
    rows = Result.objects.filter(run=run).order_by("position", "pk").prefetch_related("verdicts")
    return [
        (
            row.position,
            row.prompt,
            row.answer,
            (row.input_label, row.input_score, row.input_categories),
            (row.output_label, row.output_score, row.output_categories),
            sorted((v.stage, v.check_name, v.label, v.score, v.flagged, v.reason) for v in row.verdicts.all()),
        )
        for row in rows
    ]


def assert_equal_runs(run: Run, undisturbed: Run, *, prompts: Sequence[str]) -> None:
    """Every prompt once, each stage its verdicts once, as in a run that nothing happened to; and the audit is whole."""
    record = record_of(run)
    assert [(row[0], row[1]) for row in record] == list(enumerate(prompts))
    assert record == record_of(undisturbed)
    assert run.counts == undisturbed.counts
    assert not run.chunks.exclude(state="DONE").exists()
    assert verify().fault is None

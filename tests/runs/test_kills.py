"""``kill -9`` at random points, then on with it: every prompt once, each stage its verdicts once, nothing else."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from runs import tasks
from runs.models import Result, Run
from tests.runs.processes import (
    assert_equal_runs,
    kill,
    manage,
    texts,
    wait_for,
    wait_until_done,
    workers,
    write_prompts,
)

pytestmark = pytest.mark.slow

SEED = 20
TEXTS = texts(300)
BATCH = 3
FAKES = ("--input-classifier", "fake-slow", "--answer-generator", "fake", "--output-classifier", "fake")


class Command:
    """``run_pipeline``, started as often as it takes: anew while there is no run, else to resume it."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "command.log"
        self.new = (*FAKES, "--dataset-id", str(write_prompts(folder, len(TEXTS))), "--limit", "0")

    def start(self, **environment: str) -> subprocess.Popen[bytes]:
        run = Run.objects.first()
        arguments = ("--resume", str(run.pk)) if run else (*self.new, "--batch-size", str(BATCH))
        return manage(self.log, "run_pipeline", *arguments, **environment)

    def killed_in_transaction(self, statement: int) -> None:
        """Killed before a statement, counting only those inside transactions."""
        fuse = {"DJANGO_SETTINGS_MODULE": "tests.kill_settings", "AI_SAFETY_TEST_FUSE": str(statement)}
        assert self.start(**fuse).wait() == -signal.SIGKILL, self.log.read_text()

    def killed_after(self, seconds: float) -> None:
        """Killed that long after something new was saved: anywhere, mostly while a provider is asked."""
        before = Result.objects.count()
        process = self.start()
        wait_for(lambda: Result.objects.count() > before or process.poll() is not None, every=0.005)
        time.sleep(seconds)
        process.kill()
        assert process.wait() == -signal.SIGKILL, self.log.read_text()


@pytest.fixture
def command(transactional_db: None, tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.fixture
def undisturbed(done_run: Callable[..., Run]) -> Callable[[], Run]:
    return lambda: done_run(TEXTS, batch_size=BATCH, check="fake-slow")


def points(random: Random) -> Iterator[int | float]:
    """20: the first while the run is being made, then statements and moments by turns."""
    yield from (random.randint(1, 5), random.randint(2, 12))
    for _ in range(9):
        yield random.randint(1, 60)
        yield random.uniform(0, 0.25)


def test_a_command_killed_at_20_random_points(command: Command, undisturbed: Callable[[], Run]) -> None:
    for point in points(Random(SEED)):
        command.killed_in_transaction(point) if isinstance(point, int) else command.killed_after(point)
        assert Run.objects.count() <= 1
    run = Run.objects.get()
    assert run.status == "RUNNING", "It was done before all kills: more prompts are needed."
    assert command.start().wait() == 0, command.log.read_text()
    run.refresh_from_db()
    assert run.status == "DONE"
    assert_equal_runs(run, undisturbed(), prompts=TEXTS)


def test_workers_killed_at_10_random_points(
    transactional_db: None, make_run: Callable[..., Run], undisturbed: Callable[[], Run], tmp_path: Path
) -> None:
    random = Random(SEED)
    run = make_run(TEXTS, batch_size=BATCH, check="fake-slow", queued=True)
    tasks.enqueue_run(run)
    with workers(tmp_path) as started:
        for _ in range(10):
            before = run.results.count()
            wait_for(lambda before=before: run.results.count() > before and started.cluster)
            time.sleep(random.uniform(0, 0.3))
            kill(random.choice(started.cluster or started.ready()).pid)
        run.refresh_from_db()
        assert run.status == "RUNNING", "It was done before all kills: more prompts are needed."
        wait_until_done(run)
    assert_equal_runs(run, undisturbed(), prompts=TEXTS)


def test_a_retry_killed_in_its_transactions(
    transactional_db: None, done_run: Callable[..., Run], tmp_path: Path
) -> None:
    prompts = [f"unanswerable {i}" for i in range(9)]
    run = done_run(prompts, batch_size=3)
    for statement in (2, 5, 8, 12, 17, 23):
        again = ["--resume", str(run.pk), *(["--retry-errors"] if run.status == "DONE" else [])]
        fuse = {"DJANGO_SETTINGS_MODULE": "tests.kill_settings", "AI_SAFETY_TEST_FUSE": str(statement)}
        killed = manage(tmp_path / "log", "run_pipeline", *again, **fuse)
        assert killed.wait() == -signal.SIGKILL, (tmp_path / "log").read_text()
        run.refresh_from_db()
    assert run.status == "RUNNING", "It was done before all kills: more prompts are needed."
    assert manage(tmp_path / "log", "run_pipeline", "--resume", str(run.pk)).wait() == 0
    run.refresh_from_db()
    assert_equal_runs(run, done_run(prompts, batch_size=3), prompts=prompts)

"""Workers: whatever dies, stalls or is lost, a queued run ends with every prompt once."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from django_q.models import OrmQ
from django_q.tasks import async_task

from runs import services, tasks
from runs.models import Chunk, Run
from tests.runs.processes import (
    Workers,
    assert_equal_runs,
    holders,
    kill,
    manage,
    record_of,
    state_of,
    texts,
    wait_for,
    wait_until_done,
    workers,
    write_prompts,
)

TEXTS = texts(60)


@pytest.fixture
def make_queued(transactional_db: None, make_run: Callable[..., Run]) -> Callable[..., Run]:
    """A run of 20 slow chunks, handed to the workers."""

    def make() -> Run:
        run = make_run(TEXTS, check="fake-slow", batch_size=3, queued=True)
        tasks.enqueue_run(run)
        return run

    return make


@pytest.fixture
def undisturbed(done_run: Callable[..., Run]) -> Callable[[], Run]:
    return lambda: done_run(TEXTS, check="fake-slow", batch_size=3)


# What a task does


def test_a_task_delivered_twice_does_nothing(make_queued: Callable[[], Run]) -> None:
    run = make_queued()
    first = run.chunks.get(index=0)
    assert tasks.execute_chunk(first.pk)
    once = record_of(run)
    assert not tasks.execute_chunk(first.pk)
    assert record_of(run) == once
    assert len(once) == 3


def test_a_task_of_a_run_that_is_gone_does_nothing(db: None) -> None:
    assert not tasks.execute_chunk(1)


def test_a_task_of_a_cancelled_run_does_nothing(make_queued: Callable[[], Run]) -> None:
    run = make_queued()
    services.cancel_run(run, actor="test")
    assert not tasks.execute_chunk(run.chunks.get(index=0).pk)
    assert state_of(run) == "CANCELLED"


def test_handing_a_run_over_twice_enqueues_what_is_left(make_queued: Callable[[], Run]) -> None:
    run = make_queued()
    tasks.execute_chunk(run.chunks.get(index=0).pk)
    assert tasks.enqueue_run(run) == 19


# What the broker lost


def lose(run: Run) -> None:
    OrmQ.objects.all().delete()
    run.chunks.update(enqueued_at=timezone.now() - timedelta(minutes=5))


def test_lost_tasks_are_enqueued_again_and_once(make_queued: Callable[[], Run]) -> None:
    run = make_queued()
    lose(run)
    assert tasks.requeue_lost() == 20
    assert OrmQ.objects.count() == 20
    assert tasks.requeue_lost() == 0


def test_tasks_that_wait_are_not_lost(make_queued: Callable[[], Run]) -> None:
    run = make_queued()
    lose(run)
    async_task("runs.tasks.beat")
    assert tasks.requeue_lost() == 0


def test_tasks_that_wait_for_hours_are_enqueued_again(make_queued: Callable[[], Run]) -> None:
    run = make_queued()
    run.chunks.update(enqueued_at=timezone.now() - timedelta(hours=2))
    assert tasks.requeue_lost() == 20


def test_a_run_whose_last_worker_died_at_the_last_step_is_ended(make_queued: Callable[[], Run]) -> None:
    run = make_queued()
    Run.objects.filter(pk=run.pk).update(status="RUNNING")
    run.chunks.update(state="DONE")
    tasks.requeue_lost()
    assert state_of(run) == "DONE"


def test_a_chunk_tried_too_often_fails_the_run(make_queued: Callable[[], Run]) -> None:
    run = make_queued()
    lose(run)
    run.chunks.filter(index=1).update(attempts=5)
    assert tasks.requeue_lost() == 0
    assert state_of(run) == "FAILED"
    assert run.error.startswith("Prompts 3 to 5 were tried 5 times without an end")


# Real processes


@pytest.mark.slow
def test_a_queued_run_is_finished(
    make_queued: Callable[[], Run], undisturbed: Callable[[], Run], tmp_path: Path
) -> None:
    run = make_queued()
    for chunk in run.chunks.all():
        async_task("runs.tasks.execute_chunk", chunk.pk)
    with workers(tmp_path) as started:
        wait_until_done(run)
        wait_for(lambda: not OrmQ.objects.exists())
        started.process.send_signal(signal.SIGTERM)
        assert started.process.wait(timeout=40) == 0
        assert started.gone()
    assert_equal_runs(run, undisturbed(), prompts=TEXTS)


def kill_busy_worker(started: Workers, run: Run) -> None:
    kill(wait_for(lambda: holders(run))[0])


def kill_idle_worker(started: Workers, run: Run) -> None:
    kill(started.cluster[2].pid)


def kill_monitor(started: Workers, run: Run) -> None:
    kill(started.cluster[4].pid)


def kill_sentinel(started: Workers, run: Run) -> None:
    kill(started.cluster[1].pid)


def kill_main(started: Workers, run: Run) -> None:
    kill(started.cluster[0].pid)


@pytest.mark.slow
@pytest.mark.parametrize("strike", [kill_busy_worker, kill_monitor, kill_sentinel, kill_main])
def test_a_run_survives_the_death_of_a_process_at_work(
    make_queued: Callable[[], Run],
    undisturbed: Callable[[], Run],
    tmp_path: Path,
    strike: Callable[[Workers, Run], None],
) -> None:
    run = make_queued()
    with workers(tmp_path) as started:
        started.ready()
        wait_for(lambda: run.results.exists())
        strike(started, run)
        wait_until_done(run)
    assert_equal_runs(run, undisturbed(), prompts=TEXTS)


@pytest.mark.slow
@pytest.mark.parametrize("strike", [kill_idle_worker, kill_monitor])
def test_a_run_survives_the_death_of_an_idle_process(
    make_queued: Callable[[], Run],
    undisturbed: Callable[[], Run],
    tmp_path: Path,
    strike: Callable[[Workers, Run], None],
) -> None:
    with workers(tmp_path) as started:
        started.ready()
        time.sleep(1)
        run = Run()
        strike(started, run)
        run = make_queued()
        wait_until_done(run)
    assert_equal_runs(run, undisturbed(), prompts=TEXTS)


@pytest.mark.slow
def test_a_run_survives_the_death_of_everything(
    make_queued: Callable[[], Run], undisturbed: Callable[[], Run], tmp_path: Path
) -> None:
    run = make_queued()
    with workers(tmp_path) as started:
        wait_for(lambda: run.results.exists() and holders(run))
        cluster = started.ready()
        started.kill()
        for process in cluster:
            kill(process.pid)
    with workers(tmp_path):
        wait_until_done(run)
    assert_equal_runs(run, undisturbed(), prompts=TEXTS)


@pytest.mark.slow
def test_killed_workers_leave_no_orphans(transactional_db: None, tmp_path: Path) -> None:
    with workers(tmp_path) as started:
        started.ready()
        started.kill()
        wait_for(started.gone, seconds=3)


@pytest.mark.slow
def test_a_stalled_cluster_is_replaced(make_queued: Callable[[], Run], tmp_path: Path) -> None:
    with workers(tmp_path) as started:
        stalled = started.ready()
        stalled[4].suspend()
        wait_for(lambda: (now := started.cluster) and now[0] != stalled[0], seconds=30)
        wait_for(lambda: not any(process.is_running() for process in stalled), seconds=5)
        run = make_queued()
        wait_until_done(run)


@pytest.mark.slow
def test_a_cluster_busy_with_a_long_chunk_is_let_work(
    transactional_db: None, make_run: Callable[..., Run], tmp_path: Path
) -> None:
    run = make_run(TEXTS[:3], check="fake-stuck", batch_size=3, queued=True)
    tasks.enqueue_run(run)
    with workers(tmp_path) as started:
        before = started.ready()
        wait_until_done(run)
        assert started.cluster == before
    assert run.chunks.get().attempts == 1


@pytest.mark.slow
def test_prompts_that_end_their_worker_fail_the_run(
    transactional_db: None, make_run: Callable[..., Run], tmp_path: Path
) -> None:
    run = make_run(TEXTS[:3], check="fake-deadly", batch_size=3, queued=True)
    tasks.enqueue_run(run)
    with workers(tmp_path, AI_SAFETY_MONITOR_CHUNK_ATTEMPTS="2"):
        wait_for(lambda: state_of(run) == "FAILED")
    assert run.error.startswith("Prompts 0 to 2 were tried 2 times without an end")


# The Redis broker, which forgets what its workers had


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [program, "--port", str(port), "--save", "", "--dir", tmp_path], stdout=subprocess.DEVNULL
    )
    yield f"redis://127.0.0.1:{port}/0"
    server.kill()
    server.wait()


@pytest.mark.slow
def test_what_redis_loses_is_found(
    undisturbed: Callable[[], Run], transactional_db: None, tmp_path: Path, redis_url: str
) -> None:
    broker = {"AI_SAFETY_MONITOR_REDIS_URL": redis_url}
    fakes = ("--input-classifier", "fake-slow", "--answer-generator", "fake", "--output-classifier", "fake")
    source = ("--dataset-id", str(write_prompts(tmp_path, 60)), "--limit", "0", "--batch-size", "3")
    command = manage(tmp_path / "command.log", "run_pipeline", *fakes, *source, "--queue", **broker)
    assert command.wait() == 0, (tmp_path / "command.log").read_text()
    run = Run.objects.get()
    with workers(tmp_path, **broker):
        wait_for(lambda: run.results.exists() and holders(run))
    assert Chunk.objects.filter(run=run, state="HELD").exists(), "Nothing was in flight."
    with workers(tmp_path, **broker):
        wait_until_done(run)
    assert_equal_runs(run, undisturbed(), prompts=TEXTS)

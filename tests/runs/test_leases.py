"""Claims: of any number that come at once, one gets the chunk."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psutil
import pytest
from django.db import connection
from django.utils import timezone

from runs import leases
from runs.models import Chunk, Run
from runs.recording import save_chunk

THREADS = 8
AN_HOUR = timedelta(hours=1)


@pytest.fixture
def run(make_run: Callable[..., Run]) -> Run:
    made = make_run([f"prompt {i}" for i in range(20)], batch_size=1)
    Run.objects.filter(pk=made.pk).update(status="RUNNING")
    return made


@pytest.fixture
def chunk(run: Run) -> Chunk:
    found = run.chunks.first()
    assert found
    return found


def race(chunk_id: int) -> list[Chunk]:
    """What the winners of a claim got, all starting at once."""
    barrier = threading.Barrier(THREADS)

    def claim(number: int) -> Chunk | None:
        try:
            connection.ensure_connection()
            barrier.wait()
            return leases.claim(chunk_id, holder=f"host:{number}:0")
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        return [chunk for chunk in pool.map(claim, range(THREADS)) if chunk]


def test_one_of_many_claims_of_an_open_chunk_wins(transactional_db: None, run: Run) -> None:
    for chunk in run.chunks.all():
        (won,) = race(chunk.pk)
        chunk.refresh_from_db()
        assert (chunk.state, chunk.holder, chunk.attempts) == ("HELD", won.holder, 1)


def test_one_of_many_claims_of_an_expired_lease_wins(transactional_db: None, run: Run) -> None:
    # On PostgreSQL the losers wait for the winner's row and look at it again: only if the condition stands in that row
    # do they see that it was taken.
    run.chunks.update(state="HELD", holder="host:99:0", lease_until=timezone.now() - AN_HOUR)
    for chunk in run.chunks.all():
        (won,) = race(chunk.pk)
        chunk.refresh_from_db()
        assert (chunk.state, chunk.holder, chunk.attempts) == ("HELD", won.holder, 1)


def test_a_claim_is_one_statement(
    chunk: Chunk, django_assert_num_queries: Callable[..., object], transactional_db: None
) -> None:
    with django_assert_num_queries(2) as queries:  # type: ignore[attr-defined]
        leases.claim(chunk.pk, holder="host:1:0")
    assert queries[0]["sql"].startswith("UPDATE")


def test_a_held_chunk_is_not_claimed(chunk: Chunk) -> None:
    assert leases.claim(chunk.pk, holder="host:1:0")
    assert leases.claim(chunk.pk, holder="host:2:0") is None


def test_a_chunk_of_a_cancelled_run_is_not_claimed(chunk: Chunk, run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(status="CANCELLED")
    assert leases.claim(chunk.pk, holder="host:1:0") is None
    assert leases.claim_next(run, holder="host:1:0") is None


def test_the_next_free_chunk_is_claimed_in_order(run: Run) -> None:
    assert [getattr(leases.claim_next(run, holder="host:1:0"), "index", None) for _ in range(3)] == [0, 1, 2]


def test_what_is_saved_after_the_lease_was_lost_is_dropped(chunk: Chunk) -> None:
    slow = leases.claim(chunk.pk, holder="host:1:0")
    Chunk.objects.filter(state="HELD").update(lease_until=timezone.now() - AN_HOUR)
    quick = leases.claim(chunk.pk, holder="host:2:0")
    assert slow
    assert quick
    assert not save_chunk(slow, [], versions={}, actor="test")
    assert save_chunk(quick, [], versions={}, actor="test")
    assert not save_chunk(quick, [], versions={}, actor="test")


def test_only_the_holder_releases(chunk: Chunk) -> None:
    held = leases.claim(chunk.pk, holder="host:1:0")
    assert held
    Chunk.objects.update(holder="host:2:0")
    leases.release(held)
    chunk.refresh_from_db()
    assert chunk.state == "HELD"


def test_the_lease_is_renewed_while_a_chunk_is_kept(
    transactional_db: None, chunk: Chunk, settings: pytest.FixtureRequest
) -> None:
    settings.SAFETY_LEASE_SECONDS = 0.3  # type: ignore[attr-defined]
    held = leases.claim(chunk.pk, holder=leases.this_process())
    assert held
    with leases.kept(held):
        threading.Event().wait(0.8)
        chunk.refresh_from_db()
        assert chunk.lease_until
        assert chunk.lease_until > timezone.now()
        assert leases.held_by({os.getpid()})
        assert not leases.held_by({1})
    assert threading.active_count() < THREADS


def test_chunks_of_the_dead_are_freed(run: Run) -> None:
    here, later = leases.this_process(), timezone.now() + AN_HOUR
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    holders = [here, f"{socket.gethostname()}:{ended.pid}:0.0", f"{here.rpartition(':')[0]}:0.0", "elsewhere:1:0.0"]
    for index, holder in enumerate(holders):
        run.chunks.filter(index=index).update(state="HELD", holder=holder, lease_until=later)
    run.chunks.filter(index=4).update(state="HELD", holder="elsewhere:1:0.0", lease_until=timezone.now() - AN_HOUR)
    leases.release_dead(run)
    assert list(run.chunks.filter(state="HELD").order_by("index").values_list("holder", flat=True)) == [
        here,
        "elsewhere:1:0.0",
    ]


def test_a_later_process_with_the_same_number_is_another() -> None:
    host, pid, _ = leases.this_process().rsplit(":", 2)
    assert leases.is_dead(f"{host}:{pid}:1000000.00")
    assert not leases.is_dead(leases.this_process())


def test_a_killed_process_that_nobody_has_waited_for_is_dead() -> None:
    process = subprocess.Popen(["sleep", "60"])
    holder = f"{socket.gethostname()}:{process.pid}:{psutil.Process(process.pid).create_time():.2f}"
    assert not leases.is_dead(holder)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert leases.is_dead(holder)
    process.wait()

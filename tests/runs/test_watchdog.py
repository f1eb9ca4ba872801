"""The watchdog's judgement, with a process that sleeps in the place of a cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone
from django_q.models import OrmQ, Success
from django_q.signing import SignedPackage

from runs import leases, tasks, watchdog
from runs.models import Run
from runs.watchdog import BEAT, Watchdog


@pytest.fixture
def dog(transactional_db: None) -> Iterator[Watchdog]:
    """Its patience is half a second, and none has passed yet."""
    made = Watchdog(["sleep", "60"], patience=0.5)
    made.start()
    yield made
    made.kill()


def after(dog: Watchdog, seconds: float) -> int:
    """The process that the dog guards, after a time without a sign of life and one look."""
    dog.last_sign -= seconds
    dog.look()
    return dog.cluster.pid


def answer(name: str) -> None:
    """The beat that waits is answered by the cluster of this name, as its worker and monitor do it."""
    OrmQ.objects.all().delete()
    now = timezone.now()
    Success.objects.create(
        id=f"{time.monotonic_ns():032}", name="a beat", func=BEAT, result=name, started=now, stopped=now
    )


def test_a_silent_cluster_is_replaced(dog: Watchdog) -> None:
    before = dog.cluster.pid
    assert after(dog, 0.3) == before
    assert after(dog, 0.6) != before
    assert dog.cluster.poll() is None


def test_a_cluster_that_answers_is_let_be(dog: Watchdog) -> None:
    before = dog.cluster.pid
    answer(dog.name)
    assert after(dog, 0.6) == before


def test_an_answer_counts_once(dog: Watchdog) -> None:
    before = dog.cluster.pid
    answer(dog.name)
    after(dog, 0)
    assert after(dog, 0.6) != before


def test_the_answer_of_another_cluster_does_not_count(dog: Watchdog) -> None:
    before = dog.cluster.pid
    answer("another")
    assert after(dog, 0.6) != before


def test_beats_do_not_pile_up(dog: Watchdog) -> None:
    for _ in range(5):
        dog.last_sign = time.monotonic() - 0.1
        dog.look()
    waiting = [SignedPackage.loads(each.payload)["func"] for each in OrmQ.objects.all()]
    assert waiting.count(BEAT) == 1


def test_the_next_beat_follows_when_one_was_answered_even_by_another(dog: Watchdog) -> None:
    after(dog, 0.1)
    task, _ = dog.beat or ("", 0.0)
    answer("another")
    Success.objects.update(id=task)
    after(dog, 0.1)
    assert OrmQ.objects.count() == 1


def test_answers_are_not_kept(dog: Watchdog) -> None:
    answer("another")
    Success.objects.update(stopped=timezone.now() - timedelta(minutes=1))
    after(dog, 0.1)
    assert not Success.objects.exists()


def test_a_cluster_that_holds_a_chunk_is_let_be(
    dog: Watchdog, make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(["hello"])
    Run.objects.filter(pk=run.pk).update(status="RUNNING")
    assert leases.claim_next(run, holder=f"{leases.this_process().partition(':')[0]}:4711:0.0")
    monkeypatch.setattr(Watchdog, "_pids", lambda self: {4711})
    before = dog.cluster.pid
    assert after(dog, 0.6) == before
    run.chunks.update(lease_until=timezone.now())
    assert after(dog, 0.6) != before


def test_a_cluster_that_ended_is_started_again_after_a_pause(dog: Watchdog, monkeypatch: pytest.MonkeyPatch) -> None:
    before = dog.cluster.pid
    dog.cluster.kill()
    dog.cluster.wait()
    assert after(dog, 0) == before
    monkeypatch.setattr(watchdog, "PAUSE", 0)
    assert after(dog, 0) != before


def test_an_outage_of_the_database_is_not_held_against_the_cluster(
    dog: Watchdog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_: object) -> None:
        raise OperationalError("the server closed the connection")

    monkeypatch.setattr(tasks, "requeue_lost", away)
    monkeypatch.setattr(leases, "held_by", away)
    before = dog.cluster.pid
    assert after(dog, 0.6) == before
    assert "the server closed the connection" in caplog.text


def test_stopping_ends_the_cluster(dog: Watchdog) -> None:
    dog.stop()
    assert dog.cluster.returncode == -15


def test_a_second_order_to_stop_ends_the_grace(transactional_db: None) -> None:
    stubborn = Watchdog(["bash", "-c", "trap '' TERM; while true; do sleep 0.1; done"], patience=1)
    stubborn.start()
    time.sleep(0.3)
    stubborn.orders = 2
    stubborn.stop()
    assert stubborn.cluster.returncode == -9

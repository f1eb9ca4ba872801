"""The retry layer and the adaptive limit, without a network."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers import remote
from classifiers.errors import InputError, ProviderError, SafetyError, TransientError
from classifiers.remote import AdaptiveLimit, AdaptivePool, RateLimited, retry_after


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(remote, "FIRST_WAIT", 0.002)
    monkeypatch.setattr(remote, "LONGEST_WAIT", 0.01)


class Service:
    """Answers an item with its double; ``errors`` are raised first, one a call, by item."""

    def __init__(self, errors=None, latency=0.0):
        self.errors = {item: list(raised) for item, raised in (errors or {}).items()}
        self.latency = latency
        self.lock = threading.Lock()
        self.calls = []
        self.out = self.most_out = 0

    def __call__(self, item):
        with self.lock:
            self.calls.append((item, time.monotonic()))
            self.out += 1
            self.most_out = max(self.out, self.most_out)
        try:
            time.sleep(self.latency)
            if self.errors.get(item):
                raise self.errors[item].pop(0)
            return item * 2
        finally:
            with self.lock:
                self.out -= 1


def test_replies_come_in_the_order_of_the_items():
    def slow_for_even(item):
        time.sleep(0.01 * (item % 2 == 0))
        return item

    assert AdaptivePool().map(slow_for_even, list(range(50))) == list(range(50))


def test_no_items_no_calls():
    assert AdaptivePool().map(Service(), []) == []


def test_no_more_calls_at_once_than_the_limit():
    service = Service(latency=0.005)
    AdaptivePool(concurrency=3, max_concurrency=3).map(service, list(range(30)))
    assert service.most_out == 3


def test_the_limit_grows_while_calls_succeed_and_stays_below_the_highest():
    pool = AdaptivePool(concurrency=2, max_concurrency=6)
    service = Service(latency=0.002)
    pool.map(service, list(range(200)))
    assert service.most_out == 6
    assert pool.limit.value == 6


def test_a_limit_that_is_not_reached_does_not_grow():
    pool = AdaptivePool(concurrency=10)
    for item in range(30):
        pool.map(Service(), [item])
    assert pool.limit.value == 10


def test_transient_faults_are_tried_again():
    service = Service({1: [TransientError("500"), TransientError("500")]})
    assert AdaptivePool().map(service, [0, 1, 2]) == [0, 2, 4]
    assert [item for item, _ in service.calls].count(1) == 3


def test_faults_end_after_some_attempts_with_the_last_one_as_the_result():
    service = Service({1: [TransientError("It is broken.", code="fault")] * 99})
    first, second, third = AdaptivePool().map(service, [0, 1, 2])
    assert (first, third) == (0, 4)
    assert second.code == "fault"
    assert second.message.startswith(f"It is broken. Gave up after {remote.ATTEMPTS} attempts")


def test_a_429_is_no_fault_and_waits_longer():
    service = Service({1: [RateLimited("slow down")] * 12})
    assert AdaptivePool().map(service, [1]) == [2]
    assert len(service.calls) == 13


def test_patience_ends():
    service = Service({1: [RateLimited("slow down")] * 10_000})
    start = time.monotonic()
    (result,) = AdaptivePool(give_up_after=0.2).map(service, [1])
    assert isinstance(result, TransientError)
    assert "slow down Gave up after" in result.message
    assert time.monotonic() - start < 0.6


def test_other_errors_are_results_at_once():
    service = Service({1: [SafetyError("rejected")]})
    first, second = AdaptivePool().map(service, [0, 1])
    assert (first, second.message, len(service.calls)) == (0, "rejected", 2)


@pytest.mark.parametrize("error", [ProviderError("no key"), ZeroDivisionError()])
def test_a_provider_that_cannot_work_ends_it_all(error):
    service = Service({5: [error]}, latency=0.002)
    with pytest.raises(type(error)):
        AdaptivePool(concurrency=2, max_concurrency=2).map(service, list(range(1000)))
    assert len(service.calls) < 20


def test_a_provider_error_does_not_wait_for_hanging_calls():
    released = threading.Event()

    def call(item):
        if item == 1:
            raise ProviderError("no key")
        released.wait(10)

    start = time.monotonic()
    with pytest.raises(ProviderError):
        AdaptivePool().map(call, [0, 1, 2])
    assert time.monotonic() - start < 1
    released.set()


def test_a_thread_that_cannot_start_takes_no_place(monkeypatch):
    def full(thread):
        raise RuntimeError("can't start new thread")

    pool = AdaptivePool(concurrency=2, max_concurrency=2)
    with monkeypatch.context() as machine:
        machine.setattr(threading.Thread, "start", full)
        for _ in range(3):
            with pytest.raises(RuntimeError):
                pool.map(Service(), [0])
    assert pool.map(Service(), [0, 1, 2]) == [0, 2, 4]


def test_after_a_failure_the_pool_works_on():
    pool = AdaptivePool(concurrency=2, max_concurrency=2)
    for _ in range(5):
        with pytest.raises(ProviderError):
            pool.map(Service({0: [ProviderError("no key")]}), [0, 1, 2])
    assert pool.map(Service(), [0, 1, 2]) == [0, 2, 4]


def test_no_call_goes_out_before_retry_after():
    service = Service({3: [RateLimited("429", retry_after=0.3)]}, latency=0.01)
    pool = AdaptivePool(concurrency=4)
    assert pool.map(service, list(range(40))) == [item * 2 for item in range(40)]
    refused = next(moment for item, moment in service.calls if item == 3) + 0.01
    assert not [moment for _, moment in service.calls if refused + 0.02 < moment < refused + 0.3]
    assert [moment for _, moment in service.calls if moment >= refused + 0.3]


def test_retry_after_is_kept_by_the_next_map_and_by_other_threads():
    pool = AdaptivePool()
    service = Service({0: [SafetyError("rejected")]})
    pool.map(Service({0: [TransientError("503", retry_after=0.2), SafetyError("rejected")]}), [0])
    start = time.monotonic()
    stopper = threading.Thread(target=pool.map, args=(Service({0: [RateLimited("429", retry_after=0.2)]}), [0]))
    stopper.start()
    time.sleep(0.05)
    pool.map(service, [1])
    assert time.monotonic() - start >= 0.2
    stopper.join()


def test_a_retry_after_beyond_patience_is_an_error_at_once():
    service = Service({0: [RateLimited("429", retry_after=3600)]})
    pool = AdaptivePool(give_up_after=0.5)
    start = time.monotonic()
    results = pool.map(service, [0])
    results += pool.map(service, [1, 2, 3])
    assert time.monotonic() - start < 0.4
    assert [type(result) for result in results] == [TransientError] * 4
    assert "asks to wait another 3600 s" in results[1].message
    assert len(service.calls) == 1


def test_one_episode_of_429s_shrinks_the_limit_once():
    service = Service({item: [RateLimited("429")] for item in range(10)}, latency=0.02)
    pool = AdaptivePool(concurrency=10, max_concurrency=10)
    assert pool.map(service, list(range(10))) == [item * 2 for item in range(10)]
    assert pool.limit.value == pytest.approx(8.0, abs=0.5)  # 10 × .8, and a little growth since


def test_faults_never_shrink_the_limit():
    service = Service({item: [TransientError("500")] * 3 for item in range(10)})
    pool = AdaptivePool(concurrency=10, max_concurrency=10)
    pool.map(service, list(range(10)))
    assert pool.limit.value == 10


def test_a_429_of_a_call_from_before_the_shrink_belongs_to_its_episode(monkeypatch):
    monkeypatch.setattr(remote, "COOLDOWN", 1.0)
    limit = AdaptiveLimit(10, 20)
    limit.refused(started=0, now=5)
    limit.refused(started=4.9, now=100)  # out for long: not news
    limit.refused(started=5.5, now=5.9)  # within the cooldown
    assert limit.value == 8.0
    limit.refused(started=6.1, now=6.2)
    assert limit.value == 6.4


@given(
    start=st.integers(1, 50),
    room=st.integers(0, 50),
    events=st.lists(st.tuples(st.booleans(), st.floats(0, 30), st.floats(0, 60)), max_size=200),
)
def test_the_limit_stays_in_its_bounds_and_shrinks_at_most_once_a_cooldown(start, room, events):
    limit, now, shrinks = AdaptiveLimit(start, start + room), 0.0, []
    for success, pause, duration in events:
        now += pause
        before = limit.value
        if success:
            limit.succeeded()
            assert before <= limit.value <= before + 1
        else:
            limit.refused(started=now - duration, now=now)
            assert limit.value in (before, max(1.0, before * remote.SHRINK))
            if limit.value < before:
                shrinks.append((now - duration, now))
        assert 1 <= limit.value <= limit.most
    for (_, earlier), (started, later) in pairwise(shrinks):
        assert later >= earlier + remote.COOLDOWN
        assert started >= earlier


def test_a_concurrency_below_one_is_refused():
    with pytest.raises(InputError):
        AdaptivePool(concurrency=0)


def test_an_interrupt_does_not_wait_for_hanging_calls():
    code = (
        "import time\nfrom classifiers.remote import AdaptivePool\n"
        "print('ready', flush=True)\nAdaptivePool().map(lambda item: time.sleep(60), range(5))"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    child.stdout.readline()
    time.sleep(0.1)
    start = time.monotonic()
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=10)
    assert time.monotonic() - start < 2
    assert "KeyboardInterrupt" in errors


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "tomorrow"}, None),
        ({"retry-after": "Wed, 21 Oct 99999999999999999999 07:28:00 GMT"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    ],
)
def test_retry_after_is_read(headers, seconds):
    assert retry_after(headers) == seconds


def test_retry_after_as_a_date():
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert retry_after({"retry-after": date}) == pytest.approx(30, abs=1.5)

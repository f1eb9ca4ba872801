"""Calls to services that limit their callers: one retry layer, Retry-After, and a concurrency that adapts."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeVar

import tenacity

from classifiers.errors import InputError, ProviderError, SafetyError, TransientError

Item = TypeVar("Item")
Reply = TypeVar("Reply")

SHRINK = 0.8  # of the limit is left after an episode of 429s
COOLDOWN = 15.0  # seconds in which further 429s belong to the same episode
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # seconds of back-off where the service names none, doubled from one to the other
ATTEMPTS = 5  # that may fail by a fault; a 429 is no fault and only costs time


class RateLimited(TransientError):
    """The service refused a call because there were too many of them."""

    code = "rate_limited"


class AdaptiveLimit:
    """How many calls may be out at once: additive increase, multiplicative decrease (Chiu and Jain, 1989).

    ``value`` stays in [1, most]. It grows by one for each round of ``value`` calls that succeed and shrinks once
    for an episode of 429s: those of calls that started before the last shrink, or that come within its cooldown.
    Times are in seconds, of any one clock.
    """

    def __init__(self, start: int, most: int) -> None:
        if not 1 <= start <= most:
            raise InputError(f"A concurrency of {start} does not lie between 1 and max_concurrency, {most}.")
        self.value = float(start)
        self.most = most
        self._shrunk_at = -math.inf

    def succeeded(self) -> None:
        self.value = min(self.most, self.value + 1 / self.value)

    def refused(self, *, started: float, now: float) -> None:
        if started >= self._shrunk_at and now >= self._shrunk_at + COOLDOWN:
            self.value = max(1.0, self.value * SHRINK)
            self._shrunk_at = now


class AdaptivePool:
    """Maps a call over items, in order, as fast as the service allows.

    ``call(item)`` returns a reply or raises: TransientError is tried again, RateLimited among them for as long as
    time allows; ProviderError ends the whole map; any other SafetyError is the item's result. One pool stands for
    one service: its limit and its pauses are shared by all threads that use it and kept from one map to the next.

    ``concurrency`` is the limit at the start, ``max_concurrency`` the highest. An item is tried again for at most
    ``give_up_after`` seconds; how long one attempt may take is for ``call`` to bound.
    """

    def __init__(self, *, concurrency: int = 20, max_concurrency: int = 64, give_up_after: float = 300.0) -> None:
        self.limit = AdaptiveLimit(min(concurrency, max_concurrency), max_concurrency)
        self.give_up_after = give_up_after
        self._changed = threading.Condition()
        self._active = 0  # items begun and not done, those that wait for their next attempt among them
        self._out = 0  # calls that the service has not answered yet
        self._resume_at = -math.inf  # no call goes out before

    def map(self, call: Callable[[Item], Reply], items: Sequence[Item]) -> list[Reply | SafetyError]:
        """A reply for each item, or the error that was left when patience ended.

        Raises ProviderError as soon as one call does. An interrupt ends it at once: calls that are out are left to
        themselves, in daemon threads, for a thread that waits for a silent server cannot be stopped.
        """
        batch: _Batch[Reply] = _Batch()
        try:
            for position, item in enumerate(items):
                if not self._begin(batch):
                    break
                self._start(call, item, position, batch)
            with self._changed:
                self._changed.wait_for(lambda: batch.failure or len(batch.results) == len(items))
        finally:
            with self._changed:
                batch.stop.set()
                self._changed.notify_all()
        if batch.failure:
            raise batch.failure
        return [batch.results[position] for position in range(len(items))]

    def _begin(self, batch: _Batch[Reply]) -> bool:
        """Waits for a free place; False when the batch has ended instead."""
        with self._changed:
            self._changed.wait_for(lambda: batch.failure or self._active < int(self.limit.value))
            self._active += not batch.failure
            return not batch.failure

    def _start(self, call: Callable[[Item], Reply], item: Item, position: int, batch: _Batch[Reply]) -> None:
        work = (call, item, position, batch)
        try:
            threading.Thread(target=self._work, args=work, name="remote-call", daemon=True).start()
        except BaseException:  # "can't start new thread", or an interrupt: the place is free again
            with self._changed:
                self._active -= 1
            raise

    def _work(self, call: Callable[[Item], Reply], item: Item, position: int, batch: _Batch[Reply]) -> None:
        result: Reply | SafetyError | None = None
        failure: BaseException | None = None
        try:
            result = self._persist(call, item, batch.stop)
        except ProviderError as error:
            failure = error
        except SafetyError as error:
            result = error
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits in map()
            failure = error
        with self._changed:
            self._active -= 1
            if failure is not None:
                batch.failure = batch.failure or failure
                batch.stop.set()
            else:
                batch.results[position] = result  # type: ignore[assignment]
            self._changed.notify_all()

    def _persist(self, call: Callable[[Item], Reply], item: Item, stop: threading.Event) -> Reply | SafetyError:
        """The one retry layer: attempts until one succeeds, fails for good, or patience ends."""
        deadline = time.monotonic() + self.give_up_after
        retrying: Callable[..., Reply | SafetyError] = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TransientError),
            wait=_wait,
            stop=tenacity.stop_any(tenacity.stop_before_delay(self.give_up_after), _StopAfterFaults()),
            sleep=tenacity.sleep_using_event(stop),
            retry_error_callback=_gave_up,
        )
        return retrying(self._attempt, call, item, deadline, stop)

    def _attempt(self, call: Callable[[Item], Reply], item: Item, deadline: float, stop: threading.Event) -> Reply:
        started = self._wait_for_turn(deadline, stop)
        error: BaseException | None = None
        try:
            return call(item)
        except BaseException as caught:
            error = caught
            raise
        finally:
            with self._changed:
                self._learn(error, started)
                self._out -= 1
                self._changed.notify_all()

    def _wait_for_turn(self, deadline: float, stop: threading.Event) -> float:
        """Waits until a call may go out, counts it, and returns the time."""
        with self._changed:
            while True:
                now = time.monotonic()
                if stop.is_set():
                    raise _Stopped
                if self._resume_at > max(deadline, now):
                    pause = self._resume_at - now
                    raise RateLimited(f"The service asks to wait another {pause:.0f} s.", retry_after=pause)
                if now >= self._resume_at and self._out < int(self.limit.value):
                    self._out += 1
                    return now
                self._changed.wait(self._resume_at - now if self._resume_at > now else None)

    def _learn(self, error: BaseException | None, started: float) -> None:
        """What a call's end says about the service. A fault says nothing about the load, so it changes no limit."""
        now = time.monotonic()
        if error is None and self._out >= int(self.limit.value):  # a limit that is not reached proves nothing
            self.limit.succeeded()
        if isinstance(error, RateLimited):
            self.limit.refused(started=started, now=now)
        if isinstance(error, TransientError) and error.retry_after is not None:
            self._resume_at = max(self._resume_at, now + error.retry_after)


class _Batch(Generic[Reply]):
    """What one map has so far."""

    def __init__(self) -> None:
        self.results: dict[int, Reply | SafetyError] = {}
        self.failure: BaseException | None = None
        self.stop = threading.Event()


class _Stopped(Exception):
    pass


class _StopAfterFaults(tenacity.stop.stop_base):
    """Ends an item after ATTEMPTS faults; 429s are not counted."""

    def __init__(self) -> None:
        self.faults = 0

    def __call__(self, state: tenacity.RetryCallState) -> bool:
        self.faults += not isinstance(_error(state), RateLimited)
        return self.faults >= ATTEMPTS


def _wait(state: tenacity.RetryCallState) -> float:
    """Seconds until the next attempt: what the service asked for, and jittered exponential back-off on top."""
    backoff = tenacity.wait_random_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT)
    return (_error(state).retry_after or 0.0) + backoff(state)


def _gave_up(state: tenacity.RetryCallState) -> TransientError:
    error = _error(state)
    spent = f"Gave up after {state.attempt_number} attempts in {state.seconds_since_start or 0:.1f} s."
    return TransientError(f"{error.message} {spent}", code=error.code, retry_after=error.retry_after)


def _error(state: tenacity.RetryCallState) -> TransientError:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, TransientError)  # noqa: S101 - only these are tried again
    return error


def retry_after(headers: Mapping[str, Any]) -> float | None:
    """Seconds to wait from ``retry-after-ms``, or ``Retry-After`` as seconds or an HTTP date (RFC 9110, 10.2.3).

    None when neither is there or can be read. ``headers`` must find names in lower case.
    """
    seconds = _number(headers.get("retry-after-ms"), scale=1000)
    if seconds is None:
        seconds = _number(headers.get("retry-after"))
    if seconds is None:
        seconds = _until(headers.get("retry-after"))
    return None if seconds is None else max(0.0, seconds)


def _number(value: str | None, *, scale: float = 1) -> float | None:
    try:
        number = float(value or "") / scale
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _until(date: str | None) -> float | None:
    try:
        moment = parsedate_to_datetime(date or "")
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:  # "-0000", or no zone at all: HTTP dates are in UTC
        moment = moment.replace(tzinfo=UTC)
    return (moment - datetime.now(UTC)).total_seconds()

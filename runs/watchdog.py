"""Keeps a cluster of workers alive: django-q2's qcluster as a process group of its own, killed and begun anew if it stalls.

A cluster can stand still though all its processes live: a worker killed while it waits for a task takes the queue's
lock with it, a killed monitor leaves all later results unsaved. So life is judged by what comes out, in two ways:

- a process of the cluster holds a chunk and renews its lease: busy, however long the chunk takes;
- a beat, a small task, was answered under the cluster's name. The row that says so was fetched by its pusher, worked on
  by its worker and written by its monitor, so all three are at work.

A cluster that shows neither for the length of ``patience`` is killed and started again. Work in hand is taken up by its
lease; nothing is lost or done twice. Tasks that hold no chunk must therefore end within ``patience``.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import psutil
from django.conf import settings
from django.db import close_old_connections
from django.utils import timezone
from django.utils.module_loading import import_string
from django_q.models import Success
from django_q.tasks import async_task

from moderation.inference import Supervisor
from runs import leases

logger = logging.getLogger(__name__)

BEAT = "runs.tasks.beat"
TICK = 1.0  # seconds between two looks
LOOK = 5.0  # seconds between two looks for what happened meanwhile
PAUSE = 5.0  # seconds that a cluster which ended by itself has lasted, or waits, before the next one begins
GRACE = 30.0  # seconds that a cluster gets to finish what it has in hand when it is told to stop


class Watchdog:
    """Watches the cluster that ``command`` is, and the models that it asks. ``patience`` is in seconds."""

    def __init__(self, command: Sequence[str], *, patience: float, models: Supervisor | None = None) -> None:
        self.command = command
        self.patience = patience
        self.models = models
        self.orders = 0  # to stop; the second one ends the grace
        self.last_requeue = self.last_look = float("-inf")
        self.beat: tuple[str, float] | None = None  # the last one sent: its task and when

    def run(self) -> None:
        """Until SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._told_to_stop)
        self.start()
        logger.info("Workers are started and watched. Stop them with Ctrl-C or SIGTERM.")
        try:
            while not self.orders:
                time.sleep(TICK)
                self.look()
                if self.models:
                    self.models.look()
        finally:
            self.stop()
            if self.models:
                self.models.stop(hurry=lambda: self.orders > 1)

    def _told_to_stop(self, *_: Any) -> None:
        self.orders += 1

    def start(self) -> None:
        self.name = uuid.uuid4().hex
        self.answers: set[str] = set()
        self.started = self.last_sign = time.monotonic()
        environment = {**os.environ, "AI_SAFETY_MONITOR_WATCHDOG": self.name}
        self.cluster = subprocess.Popen(self.command, env=environment, start_new_session=True)  # noqa: S603  ours

    def look(self) -> None:
        """Once a tick: is the cluster at work, and is any chunk lost?"""
        if self.cluster.poll() is not None:
            if time.monotonic() - self.started > PAUSE:
                self.restart(f"ended by themselves (exit code {self.cluster.returncode})")
            return
        # Before a beat is sent, which would look like a task that waits.
        if time.monotonic() - self.last_requeue > settings.SAFETY_LEASE_SECONDS:
            self.last_requeue = time.monotonic()
            _tried(_requeue_lost)
        if time.monotonic() - self.last_look > LOOK:
            self.last_look = time.monotonic()
            _tried(_look_around)
        if not _tried(self._listen):
            # Nothing can be said of the cluster while the database or the broker is away.
            self.last_sign = time.monotonic()
        if self._silence() > self.patience:
            self.restart(f"stalled: no sign of life for {self.patience:.0f} s")

    def restart(self, reason: str) -> None:
        logger.error("The workers %s. They are started again.", reason)
        self.kill()
        self.start()

    def stop(self) -> None:
        """Lets the cluster finish what it has in hand, for a time, and leaves no process of it behind."""
        # To the main process alone: django-q2's others would end at once.
        self.cluster.terminate()
        deadline = time.monotonic() + GRACE
        while self.cluster.poll() is None and time.monotonic() < deadline and self.orders < 2:
            time.sleep(0.1)
        self.kill()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.cluster.pid, signal.SIGKILL)
        self.cluster.wait()

    def _silence(self) -> float:
        return time.monotonic() - self.last_sign

    def _listen(self) -> None:
        if leases.held_by(self._pids()) or self._answered():
            self.last_sign = time.monotonic()
        elif self._silence() > self.patience / 20 and not self._waits():
            Success.objects.filter(
                func=BEAT, stopped__lt=timezone.now() - 2 * timedelta(seconds=self.patience)
            ).delete()
            self.beat = async_task(BEAT, save=True), time.monotonic()

    def _pids(self) -> set[int]:
        with suppress(psutil.NoSuchProcess):
            return {child.pid for child in psutil.Process(self.cluster.pid).children(recursive=True)}
        return set()

    def _answered(self) -> bool:
        """Whether a beat came back under this cluster's name since the last look, whoever sent it.

        The broker gives a beat to whichever cluster comes first, on any machine; of many beats each gets some. Rows
        are not deleted when they are read, because another watchdog may wait for them; the sender removes old ones.
        """
        answers = {beat.pk for beat in Success.objects.filter(func=BEAT) if beat.result == self.name}
        new, self.answers = answers - self.answers, answers
        return bool(new)

    def _waits(self) -> bool:
        """Whether the last beat is still on its way.

        The next one is sent only when it came back, to whomever, so that beats don't pile up behind a long queue; one
        that is not back after half of the patience was swallowed by a cluster that stalled, perhaps another's.
        """
        if self.beat is None:
            return False
        task, sent = self.beat
        return time.monotonic() - sent < self.patience / 2 and not Success.objects.filter(pk=task).exists()


def _requeue_lost() -> None:
    for name in settings.SAFETY_REQUEUE:
        if count := import_string(name)():
            logger.info("%d tasks that nobody works on are enqueued again, by %s.", count, name)


def _look_around() -> None:
    for name in settings.SAFETY_LOOKS:
        import_string(name)()


def _tried(action: Callable[[], None]) -> bool:
    """A watchdog outlives whatever is wrong around it: logs what went wrong and goes on."""
    close_old_connections()
    try:
        action()
    except Exception as error:  # noqa: BLE001  the database, the broker, and whatever their drivers raise
        logger.warning("The workers could not be watched for a moment: %s", " ".join(str(error).split()))
        return False
    return True

"""Keeps the models' process of this machine alive: one serve_models an address, started again when it dies or hangs.

Whoever asks while it is away gets an error, and with it an ERROR verdict; nothing waits for it, nothing passes as safe.
"""

from __future__ import annotations

import fcntl
import logging
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ipaddress import ip_address
from typing import IO
from urllib.parse import urlsplit

from django.conf import settings

from moderation import processes

logger = logging.getLogger(__name__)

EVERY = 2.0  # seconds between two questions whether it is well
ANSWER = 2.0  # seconds that an answer may take
PATIENCE = 30.0  # seconds without an answer until it is held to hang
LOADING = 3600.0  # the same until its first answer: a model may have to be downloaded
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds until it is started again, doubled each time it ends without an answer
GRACE = 35.0  # a little more than serve_models gives the batch in hand


class Supervisor:
    """Starts ``serve_models`` with ``arguments`` at an address, unless another supervisor or anybody else keeps one there.

    ``look`` is called about once a second by the main thread, takes ``ANSWER`` seconds at most, and never fails.
    """

    def __init__(self, url: str, arguments: Sequence[str], *, patience: float = PATIENCE) -> None:
        self.url, self.arguments, self.patience = url, arguments, patience
        self.child: subprocess.Popen[bytes] | None = None
        self.pause = FIRST_PAUSE
        self.next_look = self.last_sign = 0.0
        self.ready = False
        self._lock: IO[str] | None = None

    def look(self) -> None:
        """Is it there and well? If not, and it is ours to keep, it is started, or ended and started."""
        now = time.monotonic()
        if self.child and self.child.poll() is not None:
            self._over(f"ended by itself (exit code {self.child.returncode})")
        elif now >= self.next_look:
            self.next_look = now + EVERY
            if answers(self.url):
                self._well(now)
            elif self.child is None:
                self._start(now)
            elif now - self.last_sign > (self.patience if self.ready else LOADING):
                self._over(f"has not answered for {now - self.last_sign:.0f} s")

    def stop(self, hurry: Callable[[], bool] = lambda: False) -> None:
        """Lets it finish the batch in hand, unless there is hurry, and lets others keep the address."""
        if self.child:
            processes.end(self.child, grace=GRACE, hurry=hurry)
            self.child = None
        if self._lock:
            self._lock.close()
            self._lock = None

    def _well(self, now: float) -> None:
        if self.child and not self.ready:
            logger.info("The model server is ready at %s.", self.url)
        self.last_sign, self.ready, self.pause = now, True, FIRST_PAUSE

    def _start(self, now: float) -> None:
        try:
            if not self._ours():
                return
            # Without the variable that makes the aliases clients: here they are the models themselves.
            environment = {k: v for k, v in os.environ.items() if k != "AI_SAFETY_MONITOR_MODEL_SERVER"}
            self.child = processes.start([*_command(self.url), *self.arguments], environment)
        except OSError as error:
            self._over(f"cannot be started: {error}")
            return
        self.last_sign, self.ready = now, False
        logger.info("The model server is started at %s. Until it is ready, its callers get errors.", self.url)

    def _over(self, why: str) -> None:
        logger.error("The model server at %s %s. It is started again in %.0f s.", self.url, why, self.pause)
        if self.child:
            processes.end(self.child)
            self.child = None
        self.next_look = time.monotonic() + self.pause
        self.pause = min(2 * self.pause, LONGEST_PAUSE)

    def _ours(self) -> bool:
        """Takes the lock of the address. The kernel lets go of it when this process ends, however it does."""
        if self._lock:
            return True
        settings.CACHE_DIR.mkdir(parents=True, exist_ok=True)
        parts = urlsplit(self.url)
        lock = (settings.CACHE_DIR / f"models-{platform.node()}-{parts.port}.lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._lock = lock
        return True


def supervisor() -> Supervisor | None:
    """Of the server that settings name, if it is on this machine and ours to keep."""
    arguments = settings.SAFETY_SERVED_MODELS
    if arguments == ["none"] or not _on_this_machine(settings.MODEL_SERVER):
        return None
    return Supervisor(settings.MODEL_SERVER, arguments)


def answers(url: str) -> bool:
    """Whether a serve_models is well at the address."""
    parts = urlsplit(url)
    try:
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=ANSWER)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        finally:
            connection.close()
    except (OSError, HTTPException, ValueError):
        return False


def _on_this_machine(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        here = host == "localhost" or ip_address(host).is_loopback
        return here and parts.scheme == "http" and parts.port is not None
    except ValueError:
        return False


def _command(url: str) -> list[str]:
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return [sys.executable, str(settings.BASE_DIR / "manage.py"), "serve_models", "--bind", f"{host}:{parts.port}"]

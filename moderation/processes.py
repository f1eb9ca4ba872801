"""Processes that end with the one that started them, however it ends."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path


def start(
    command: Sequence[str], environment: Mapping[str, str], *, cwd: Path | None = None
) -> subprocess.Popen[bytes]:
    """In a process group of its own, out of the reach of the terminal's Ctrl-C; what it prints on stdout is dropped.

    To be called by a thread that lasts as long as this process: the death of either ends the child.
    """
    return subprocess.Popen(  # noqa: S603  our own commands
        command,
        env=environment,
        cwd=cwd,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        preexec_fn=partial(die_with, os.getpid()),
    )


def end(process: subprocess.Popen[bytes], *, grace: float = 0.0, hurry: Callable[[], bool] = lambda: False) -> None:
    """Asks it to end, and after ``grace`` seconds, or as soon as there is hurry, kills its whole group."""
    if grace:
        process.terminate()
    deadline = time.monotonic() + grace
    while process.poll() is None and time.monotonic() < deadline and not hurry():
        time.sleep(0.05)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def die_with(parent: int) -> None:
    """Ties this process to its parent, and each process that it forks to itself, however they are killed.

    Else they would live on, unwatched, beside the next ones. Only Linux does this for us; elsewhere what a killed
    process has started lives on, which does no harm to the record but must be ended by hand.
    """
    if sys.platform != "linux":
        return
    _die_with_parent()
    if os.getppid() != parent:
        # It ended before it could be watched.
        os._exit(1)
    os.register_at_fork(after_in_child=_die_with_parent)


def _die_with_parent() -> None:
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)

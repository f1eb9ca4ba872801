"""A pytest plugin: the test run fails, with a sentence, when a test has left a thread behind.

A thread that comes back from native code (torch, Arrow) when the interpreter has ended has the process aborted: the tests
pass, and the exit code is 134. It happens to one run in many, so what may lead to it is named each time.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Generator
from weakref import WeakKeyDictionary

import pytest

PATIENCE = 5.0  # seconds until a thread that has been told to end has ended
FOREIGN = ("tqdm_monitor", "Dummy-")  # packages' own; those of native pools that have once called Python
_begun_in: WeakKeyDictionary[threading.Thread, str] = WeakKeyDictionary()
_left: list[str] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    done = yield
    for thread in threading.enumerate():
        _begun_in.setdefault(thread, item.nodeid)
    return done


def pytest_sessionfinish(session: pytest.Session) -> None:
    gc.collect()  # what only garbage keeps open ends here
    deadline = time.monotonic() + PATIENCE
    while (left := _left_behind()) and time.monotonic() < deadline:
        time.sleep(0.05)
    _left.extend(f"{thread.name}, first seen in {_begun_in.get(thread, 'no test')}" for thread in left)
    if _left and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _left:
        terminalreporter.section("threads left behind", red=True)
        terminalreporter.write_line(
            "Tests must end the threads that they begin: stop and join, in the test or its fixture,"
        )
        for line in _left:
            terminalreporter.write_line(f"- {line}")


def _left_behind() -> list[threading.Thread]:
    others = (thread for thread in threading.enumerate() if thread is not threading.main_thread())
    return [thread for thread in others if not thread.name.startswith(FOREIGN)]

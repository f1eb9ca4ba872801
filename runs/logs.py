"""The log of a run: what the code logs while a run is at work is stored with the run as well as printed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from runs.models import Run, RunLog
from runs.recording import printable

LOGGED = ("classifiers", "moderation", "runs")


class _Collector(logging.Handler):
    """Keeps lines until they are flushed: they come from other threads too, and from inside transactions."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run
        self.lines: list[RunLog] = []

    def emit(self, record: logging.LogRecord) -> None:
        time = datetime.fromtimestamp(record.created, UTC)
        message = printable(self.format(record))
        self.lines.append(RunLog(run=self.run, time=time, level=record.levelname, message=message))

    def flush_lines(self) -> None:
        lines, self.lines = self.lines, []
        RunLog.objects.bulk_create(lines)


@contextmanager
def stored_logs(run: Run) -> Iterator[None]:
    """What is logged inside, by any thread, is stored with the run at the end of the block."""
    collector = _Collector(run)
    loggers = [logging.getLogger(name) for name in LOGGED]
    for each in loggers:
        each.addHandler(collector)
    try:
        yield
    finally:
        for each in loggers:
            each.removeHandler(collector)
        collector.flush_lines()

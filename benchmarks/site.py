"""The real site for a benchmark: gunicorn with two processes on a database of its own, SQLite or PostgreSQL."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def database(vendor: str) -> Iterator[Path]:
    """Django on a new database (or the one of AI_SAFETY_MONITOR_DB), with its tables; gives a folder for files."""
    from tests import databases

    folder = Path(tempfile.mkdtemp(prefix="safety-bench-"))
    if "AI_SAFETY_MONITOR_DB" not in os.environ:
        sqlite = f"sqlite:///{folder}/bench.db"
        os.environ["AI_SAFETY_MONITOR_DB"] = sqlite if vendor == "sqlite" else databases._start_postgresql(folder)
    os.environ |= {"DJANGO_SETTINGS_MODULE": "tests.settings", "AI_SAFETY_MONITOR_LOG_LEVEL": "ERROR"}
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    try:
        yield folder
    finally:
        databases.pytest_unconfigure()


@contextmanager
def served(folder: Path, *, threads: int = 4) -> Iterator[str]:
    """The address of the site while two processes serve it."""
    log = folder / "gunicorn.log"
    command = [sys.executable, "-m", "gunicorn", "safetysite.wsgi", "--bind", "127.0.0.1:0", "--preload"]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*command, "--workers", "2", "--threads", str(threads)], stdout=stream, stderr=stream, cwd=ROOT
        )
    try:
        while not (found := re.search(r"Listening at: (http://[\d.:]+)", log.read_text())):
            if process.poll() is not None:
                raise SystemExit(log.read_text())
            time.sleep(0.05)
        yield found[1]
    finally:
        process.terminate()
        process.wait()

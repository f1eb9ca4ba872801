"""Serves the site and, beside it, the process that holds the local models, until it is stopped with Ctrl-C or SIGTERM.

The models are started where AI_SAFETY_MONITOR_MODEL_SERVER names this machine (http://127.0.0.1:8100/v1), unless somebody
keeps some there; AI_SAFETY_MONITOR_SERVED_MODELS says which. The site is up at once and does not wait for them.

Example: python manage.py serve --bind 127.0.0.1:8000 --processes 2
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from audit.management.base import SafetyCommand
from moderation import processes
from moderation.inference import supervisor

TICK = 0.2  # seconds between two looks
GRACE = 35.0  # seconds for requests at work; gunicorn itself gives them 30


class Command(SafetyCommand):
    help = __doc__

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--bind", default="127.0.0.1:8000", metavar="HOST:PORT", help="where to listen (default %(default)s)"
        )
        parser.add_argument("--processes", type=int, default=1, metavar="N", help="of the site (default %(default)s)")
        parser.add_argument("--threads", type=int, default=8, metavar="N", help="of each (default %(default)s)")

    def run(self, *, bind: str, **options: Any) -> None:
        orders: list[int] = []
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda received, _: orders.append(received))
        counts = [f"--workers={options['processes']}", f"--threads={options['threads']}"]
        models = supervisor()
        with tempfile.TemporaryDirectory(prefix="safety-metrics-") as folder:
            # Where the processes of the site count together (safetysite.metrics).
            environment = {"PROMETHEUS_MULTIPROC_DIR": folder, **os.environ}
            command = [
                sys.executable,
                "-m",
                "gunicorn",
                "safetysite.wsgi",
                "--bind",
                bind,
                "--limit-request-line",
                "8190",
                *counts,
            ]
            site = processes.start(command, environment, cwd=settings.BASE_DIR)
            try:
                while site.poll() is None and not orders:
                    time.sleep(TICK)
                    if models:
                        models.look()
            finally:
                ended = site.poll()
                processes.end(site, grace=GRACE, hurry=lambda: len(orders) > 1)
                if models:
                    models.stop(hurry=lambda: len(orders) > 1)
        if ended is not None:
            raise CommandError(f"The site ended by itself (exit code {ended}). Its last lines say why.")

"""Runs workers for queued runs, on this machine, until it is stopped.

Start it on as many machines as there are, on one database: each chunk of a run goes to one worker. The workers are
watched: should they stall, as after an out-of-memory kill, they are ended and started again, and what they had in hand
is taken up. Ctrl-C or SIGTERM lets them finish what they have in hand, for up to 30 seconds; a second one ends them at
once. Nothing is lost either way.

Where AI_SAFETY_MONITOR_MODEL_SERVER names this machine (http://127.0.0.1:8100/v1), the process that holds the local
models is started and watched as well, unless there is one.

Example: python manage.py run_workers --workers 4
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandParser

from audit.management.base import SafetyCommand
from classifiers.errors import InputError
from moderation.inference import supervisor
from moderation.processes import die_with
from runs.models import Run
from runs.watchdog import Watchdog


class Command(SafetyCommand):
    help = __doc__

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--workers",
            type=int,
            default=settings.WORKERS,
            metavar="N",
            help="how many processes (default %(default)s)",
        )
        # How the watchdog starts the cluster: this command once more, in a process of its own.
        parser.add_argument("--under", type=int, help=argparse.SUPPRESS)

    def run(self, **options: Any) -> None:
        if options["workers"] < 1:
            raise InputError(f"--workers is at least 1, not {options['workers']}.")
        if options["under"]:
            die_with(options["under"])
            call_command("qcluster")
            return
        # Says in a sentence what is wrong with the database, which the workers would only log, again and again.
        Run.objects.exists()
        os.environ["AI_SAFETY_MONITOR_WORKERS"] = str(options["workers"])
        cluster = ["run_workers", "--under", str(os.getpid()), "--log-level", options["log_level"]]
        command = [sys.executable, str(settings.BASE_DIR / "manage.py"), *cluster]
        Watchdog(command, patience=settings.SAFETY_WATCHDOG_SECONDS, models=supervisor()).run()

"""Marks as failed the runs that say they are running while nobody works on them: their process was killed, or their last
worker is gone. What they saved stays, and they can be resumed.

Example, once an hour from cron: python manage.py fail_stalled_runs --idle-minutes 30
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandParser

from audit.management.base import SafetyCommand
from runs.services import fail_stalled_runs


class Command(SafetyCommand):
    help = __doc__

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--idle-minutes",
            type=int,
            default=30,
            metavar="N",
            help="how long a run may go without saving anything, when nobody holds a part of it (default %(default)s)",
        )

    def run(self, *, idle_minutes: int, **options: Any) -> str:
        stalled = fail_stalled_runs(idle=timedelta(minutes=idle_minutes), actor=self.actor)
        lines = [f"Run {run.pk} has stalled. Go on: python manage.py run_pipeline --resume {run.pk}" for run in stalled]
        return "\n".join(lines) or "No run has stalled."

"""Stops a run: no further prompts are begun, and what is being judged at this moment is still saved.

It can be taken up again with run_pipeline --resume. Example: python manage.py cancel_run 3
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from audit.management.base import SafetyCommand
from runs.services import cancel_run, find_run


class Command(SafetyCommand):
    help = __doc__

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("reference", metavar="RUN", help="its number or name")

    def run(self, *, reference: str, **options: Any) -> str:
        run = cancel_run(find_run(reference), actor=self.actor)
        return f"Run {run.pk} is cancelled. Go on with it: python manage.py run_pipeline --resume {run.pk}"

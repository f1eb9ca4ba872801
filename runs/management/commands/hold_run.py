"""Keeps the texts of a run, its payloads and its log, however old they become, until the hold is released.

Example: python manage.py hold_run 3 --reason "case 17"; python manage.py hold_run 3 --release
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from audit.management.base import SafetyCommand
from runs import retention
from runs.services import find_run


class Command(SafetyCommand):
    help = __doc__

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("reference", metavar="RUN", help="its number or name")
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--reason", help="why they are to be kept; it stands in the audit trail")
        what.add_argument("--release", action="store_true", help="let retention go on")

    def run(self, *, reference: str, reason: str | None, release: bool, **options: Any) -> str:
        run = find_run(reference)
        if release:
            retention.release(run, actor=self.actor)
            return f"Run {run.pk} is held no longer."
        retention.hold(run, reason=reason or "", actor=self.actor)
        return f"The texts of run {run.pk} are kept until: python manage.py hold_run {run.pk} --release"

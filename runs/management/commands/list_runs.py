"""Lists the runs, the newest first: how far each is, and what it found.

Example: python manage.py list_runs --status FAILED
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from audit.management.base import SafetyCommand
from audit.management.text import one_line, table
from runs.models import Run

HEAD = ["id", "name", "status", "prompts", "done", "toxic", "errors", "started (UTC)", "by"]


class Command(SafetyCommand):
    help = __doc__

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--status", choices=Run.Status.values, type=str.upper, help="only the runs in this state")
        parser.add_argument(
            "--limit", type=int, default=20, metavar="N", help="how many; 0 is all (default %(default)s)"
        )

    def run(self, *, status: str | None, limit: int, **options: Any) -> str:
        runs = Run.objects.filter(status=status) if status else Run.objects.all()
        shown = runs.with_progress().defer("configuration", "versions").order_by("-pk")[: limit if limit > 0 else None]
        rows = [_row(run) for run in shown]
        if not rows:
            return (
                "There are no such runs."
                if status
                else "There are no runs yet. Make one: python manage.py run_pipeline"
            )
        return table(HEAD, rows)


def _row(run: Any) -> list[object]:
    started = run.started_at and f"{run.started_at:%Y-%m-%d %H:%M:%S}"
    counts = [run.total, run.done, run.flagged, run.errors]
    return [run.pk, one_line(run.name, 50), run.status, *counts, started, one_line(run.created_by, 40)]

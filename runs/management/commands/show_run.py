"""Shows everything about a run: its configuration, versions, times, progress and counts, its error if it has one, and,
when asked for, its log and its results. Results hold the prompts and answers as they are, harmful ones too.

Example: python manage.py show_run 3 --logs 50 --results 10 --flagged
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.core.management.base import CommandParser

from audit.management.base import SafetyCommand
from audit.management.text import one_line
from runs.management import preview
from runs.models import Result, Run
from runs.services import find_run


class Command(SafetyCommand):
    help = __doc__

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("reference", metavar="RUN", help="its number or name")
        parser.add_argument(
            "--logs", type=int, default=10, metavar="N", help="the last N lines of its log (default %(default)s)"
        )
        parser.add_argument("--results", type=int, default=0, metavar="N", help="its first N results (default none)")
        only = parser.add_mutually_exclusive_group()
        only.add_argument("--flagged", action="store_true", help="of the results, only those judged TOXIC")
        only.add_argument("--errors", action="store_true", help="of the results, only those that hold an ERROR")

    def run(self, *, reference: str, logs: int, results: int, **options: Any) -> str:
        run = Run.objects.with_progress().get(pk=find_run(reference).pk)
        parts = [_facts(run), _json("configuration", run.configuration), _json("versions", run.versions)]
        parts.append(_json("counts", Result.objects.filter(run=run).counts()))
        if lines := run.logs.order_by("-pk")[: max(logs, 0)]:
            parts.append("\n".join(["log", *(f"  {one_line(str(line), 500)}" for line in reversed(lines))]))
        if options["flagged"] or options["errors"]:
            results = results or 10
        found = run.results.flagged() if options["flagged"] else run.results.all()
        found = found.errors() if options["errors"] else found
        first = found.order_by("position").prefetch_related("verdicts")[: max(results, 0)]
        return "\n".join([*parts, *map(preview.of_result, first)])


def _facts(run: Any) -> str:
    share = f" ({run.done / run.total:.0%})" if run.total else ""
    took = f" ({run.finished_at - run.started_at})" if run.finished_at and run.started_at else ""
    facts = {
        "run": f"{run.pk}: {one_line(run.name)}",
        "status": run.status + (", for workers" if run.queued else ""),
        "error": one_line(run.error, 1000),
        "prompts": f"{run.total}" + (f", {run.skipped} bad rows skipped" if run.skipped else ""),
        "done": f"{run.done}{share}: {run.flagged} toxic, {run.errors} with errors",
        "created": f"{_time(run.created_at)} by {one_line(run.created_by)}",
        "started": _time(run.started_at),
        "finished": _time(run.finished_at) + took,
        "policy": run.policy_version.reference if run.policy_version else "none: the classifiers' own word",
        "relabelled": _time(run.relabelled_at),
        "fails": "open: what could not be judged passed" if run.configuration.get("fail_open") else "",
        "digest": run.prompts_digest,
    }
    return "\n".join(f"{name:10} {value}" for name, value in facts.items() if value)


def _time(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC" if time else ""


def _json(name: str, value: dict[str, Any]) -> str:
    return f"{name} {json.dumps(value, indent=2)}"

"""Checks that the results of a run are those that were saved: against what the audit trail committed to.

Names each result that was changed, put in or taken out since, and exits 1 if there is one. Together with audit_verify,
which checks the trail itself, it shows that what is reviewed is what the classifiers said.

Example: python manage.py verify_run 3
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db.models import Count, Max

from audit.management.base import SafetyCommand
from runs import services
from runs.models import Result, Run
from runs.verification import discrepancies

SHOWN = 20


class Command(SafetyCommand):
    help = __doc__

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("run_reference", metavar="RUN", help="its number, or its name")

    def run(self, **options: Any) -> str:
        run = services.find_run(options["run_reference"])
        found = [str(each) for each in islice(discrepancies(run), SHOWN + 1)]
        if found:
            more = "\nThere are more." if len(found) > SHOWN else ""
            raise CommandError("\n".join(found[:SHOWN]) + more)
        return f"Run {run.pk}: every result is as the audit trail recorded it.{_let_go(run)}"


def _let_go(run: Run) -> str:
    gone = Result.objects.filter(run=run, texts=Result.Texts.LET_GO).aggregate(n=Count("pk"), last=Max("let_go_at"))
    if not gone["n"]:
        return ""
    return f" The texts of {gone['n']} were let go by retention, the last at {gone['last']:%Y-%m-%d %H:%M} UTC."

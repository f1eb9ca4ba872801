"""Writes the results of a run to a file, which appears when it is whole.

json and jsonl hold everything but the raw answers of the providers; csv and parquet hold the columns of the database view
moderation_results, one row a result, then metadata, verdicts and reviews as JSON. In csv a text that a spreadsheet would
take for a formula has a ' before it; read jsonl or parquet back as a data set (run_pipeline --dataset-id).

Example: python manage.py export_run 3 --output results.parquet --filter flagged=true
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from audit.management.base import SafetyCommand
from classifiers.errors import InputError
from runs.exports import FORMS, Reading, export_run, form_of
from runs.services import find_run


class Command(SafetyCommand):
    help = __doc__

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("reference", metavar="RUN", help="its number or name")
        parser.add_argument("--output", type=Path, metavar="FILE", required=True, help="where to write")
        parser.add_argument("--as", choices=list(FORMS), dest="form", help="how (default: what the file's name says)")
        parser.add_argument(
            "--filter", action="append", default=[], metavar="NAME=VALUE", help="only such results, as on the site"
        )
        parser.add_argument("--pseudonyms", action="store_true", help="leave the names of reviewers out")

    def run(self, *, reference: str, output: Path, form: str | None, **options: Any) -> str:
        run = find_run(reference)
        reading = Reading(run, dict(map(_pair, options["filter"])), pseudonyms=options["pseudonyms"])
        export_run(reading, form=form or form_of(output), path=output, actor=self.actor)
        unfinished = "" if run.status == run.Status.DONE else f" It is {run.status}, so these may not be all."
        return f"The results of run {run.pk} are in {output}.{unfinished}"


def _pair(given: str) -> tuple[str, str]:
    name, equals, value = given.partition("=")
    if not equals:
        raise InputError(f"{given!r} is no filter. Write its name, = and its value: flagged=true.")
    return name, value

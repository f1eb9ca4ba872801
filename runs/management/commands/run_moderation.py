"""Judges prompts and nothing more: no answers are made.

Example: python manage.py run_moderation --provider openai --dataset-id prompts.csv --limit 0
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from moderation.services import aliases
from runs.management.pipeline import RunCommand, choice, named


class Command(RunCommand):
    help = __doc__

    def arguments(self, parser: CommandParser) -> None:
        known = ", ".join(aliases("classifier"))
        parser.add_argument(
            *("--input-checks", "--provider"),
            type=named,
            default=("openai",),
            metavar="ALIAS,…",
            help=f"who judges, one or several: {known} (default openai)",
        )
        super().arguments(parser)

    def checks(self, **options: Any) -> dict[str, Any]:
        return {"input_checks": tuple(map(choice, options["input_checks"]))}

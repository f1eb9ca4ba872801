"""Judges prompts and nothing more: no answers are made.

Example: python manage.py run_moderation --provider openai --dataset-id prompts.csv --limit 0
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from moderation.services import aliases
from runs.management.pipeline import RunCommand, choice


class Command(RunCommand):
    help = __doc__

    def arguments(self, parser: CommandParser) -> None:
        known = ", ".join(aliases("classifier"))
        parser.add_argument(
            "--provider", default="openai", metavar="ALIAS", help=f"who judges: {known} (default %(default)s)"
        )
        super().arguments(parser)

    def checks(self, **options: Any) -> dict[str, Any]:
        return {"input_checks": (choice(options["provider"]),)}

"""Has a classifier load what it loaded before its last promotion.

Runs that are under way keep what they began with. Each further call goes one promotion further back.

Example: python manage.py roll_back_adapter gemma --note "Complaints about jokes."
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from audit.management.base import SafetyCommand
from classifiers.errors import ConflictError
from governance import promotion


class Command(SafetyCommand):
    help = __doc__

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("alias", metavar="ALIAS", help="the classifier, as settings name it")
        parser.add_argument("--note", default="", help="why")

    def run(self, *, alias: str, note: str, **options: Any) -> str:
        holding = promotion.standing(alias)
        if not holding:
            raise ConflictError(f"{alias} loads no promoted adapter; there is nothing to roll back.")
        made = promotion.roll_back(holding[-1], note=note, actor=self.actor)
        return f"{alias} loads {made.adapter or 'no promoted adapter'} again (promotion {made.pk})."

"""Has texts judged: those that are named, the lines of a file, or those of the standard input. Prints what was said, as
POST /api/v1/moderations/ answers it; exit code 1 when one of them could not be judged, unless the site is told to fail
open (AI_SAFETY_MONITOR_FAIL_OPEN).

Example: python manage.py moderate_text "You are kind." --provider toxicity,pii
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from audit.management.base import SafetyCommand
from classifiers.errors import InputError
from classifiers.types import Label
from moderation.services import aliases, check_alias
from runs.gateway.askers import Asker
from runs.gateway.moderating import as_json, moderate
from runs.gateway.routes import find_classifiers
from runs.management.pipeline import named


class Command(SafetyCommand):
    help = __doc__

    def arguments(self, parser: CommandParser) -> None:
        known = ", ".join(aliases("classifier"))
        parser.add_argument("texts", nargs="*", metavar="TEXT", help="left out, the lines of the standard input")
        parser.add_argument("--file", type=Path, help="a text a line; empty lines are passed over")
        parser.add_argument(
            "--provider", metavar="ALIAS,…", help=f"who judges, one or several: {known}; left out, that of the settings"
        )

    def run(self, *, texts: Sequence[str], file: Path | None, provider: str | None, **options: Any) -> None:
        for alias in named(provider) if provider else ():
            check_alias("classifier", alias)
        chosen = find_classifiers(provider)
        moderated = moderate(_texts(texts, file), aliases=chosen, asker=Asker(self.actor))
        self.stdout.write(json.dumps(as_json(chosen, moderated), indent=2, ensure_ascii=False))
        if errors := sum(each.judged.label is Label.ERROR for each in moderated):
            said = f"{errors} of {len(moderated)} texts could not be judged"
            if not any(each.degraded for each in moderated):
                raise CommandError(f"{said}.")
            self.stderr.write(f"{said}, and pass all the same: the site is told to fail open.")


def _texts(texts: Sequence[str], file: Path | None) -> list[str]:
    if texts and file:
        raise InputError("Give either texts or a file.")
    if texts:
        return list(texts)
    try:
        content = file.read_text(encoding="utf-8") if file else sys.stdin.read()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The texts cannot be read: {error}.") from error
    return [line for line in content.split("\n") if line.strip()]

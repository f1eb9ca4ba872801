"""Makes the weights of a trained guardrail anew, beside its code, from the data sets that training/README.md names.

The same data give the same weights on the same kind of processor. Injection reads 45,000 texts: half an hour of one core;
the others take minutes.

Example: python manage.py train_guardrail refusal --data ../shared/data
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from audit.management.base import SafetyCommand
from training.parts import PARTS, train


class Command(SafetyCommand):
    help = __doc__

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("part", choices=sorted(PARTS), help="which part")
        parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="the folder of data sets")

    def run(self, *, part: str, data: Path, **options: Any) -> None:
        if not data.is_dir():
            raise CommandError(f"There is no folder {data}. Name the folder that holds the data sets with --data.")
        self.stdout.write(train(part, data))

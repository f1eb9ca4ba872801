from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError
from django.utils import timezone

from audit import services
from audit.management.base import SafetyCommand
from audit.models import ChainCheck


class Command(SafetyCommand):
    help = (
        "Checks the audit chain from its first entry to its last: every entry still gives its hash and holds the hash "
        "of the one before it. Prints the size and the head of the chain. If an entry is bad, names the first one and "
        "what is wrong with it, and exits with 1. A cut tail or a wholly rebuilt chain looks whole by itself: it is "
        "found with a checkpoint that audit_checkpoint wrote earlier and that was kept elsewhere. The audit page of the "
        "site then shows when the chain was checked and what was found."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--checkpoint", type=Path, metavar="FILE", help="also hold the chain against this checkpoint"
        )

    def run(self, *, checkpoint: Path | None, **options: Any) -> None:
        check = ChainCheck(actor=self.actor, asked_at=timezone.now())
        try:
            verification = services.verify(checkpoint=_read(checkpoint) if checkpoint else services.last_mark())
        except DatabaseError as error:
            raise CommandError(f"The audit chain cannot be read from the database: {error}") from error
        try:
            services.store_check(check, verification)
        except DatabaseError as error:  # whoever may only read verifies all the same
            self.stderr.write(f"What was found is not stored for the audit page: {error}")
        if verification.fault:
            raise CommandError(
                f"The audit chain is not whole. {verification.fault} "
                f"Entries found whole before it: {verification.size}, the last with hash {verification.head}."
            )
        self.stdout.write(self.style.SUCCESS("The audit chain is whole."))
        self.stdout.write(f"size {verification.size}\nhead {verification.head}")


def _read(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CommandError(f"The checkpoint {file} cannot be read: {error}") from error
    return value if isinstance(value, dict) else {}

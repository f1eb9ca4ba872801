from __future__ import annotations

import json
import os
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from django.core.management.base import CommandError, CommandParser

from audit import services
from audit.management.base import SafetyCommand


class Command(SafetyCommand):
    help = (
        "Writes the size, the head and the date of the audit chain to a JSON file. Keep the file where whoever can "
        "write to the database cannot change it: audit_verify --checkpoint FILE then finds a cut tail or a rebuilt "
        "chain. The file appears whole or not at all; an earlier one of that name is replaced."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--out", type=Path, metavar="FILE", required=True, help="the file to write")

    def run(self, *, out: Path, **options: Any) -> None:
        checkpoint = services.checkpoint()
        try:
            _write(out, json.dumps(checkpoint, indent=2) + "\n")
        except OSError as error:
            raise CommandError(
                f"The checkpoint cannot be written to {out}: {error.strerror}. Name a file in a folder that you may write to."
            ) from error
        self.stdout.write(f"Checkpoint of {checkpoint['size']} entries, head {checkpoint['head']}, written to {out}.")


def _write(file: Path, text: str) -> None:
    """Written beside the file, flushed to the disk, then renamed over it."""
    with NamedTemporaryFile("w", dir=file.parent, prefix=f".{file.name}.", delete=False, encoding="utf-8") as stream:
        try:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
            Path(stream.name).replace(file)
        except OSError:
            Path(stream.name).unlink()
            raise

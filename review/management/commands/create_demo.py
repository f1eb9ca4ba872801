"""Makes an account for each role and a queue over the newest run, so that the site can be tried at once.

What is there already is left alone. The passwords are printed once, here; with --logins they are kept in a file, too.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandParser

from audit.management.base import SafetyCommand
from audit.management.text import table
from review.demo import make_demo
from runs.files import check_writable


class Command(SafetyCommand):
    help = __doc__

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--logins", type=Path, metavar="FILE", help="a file for the passwords, for your eyes alone")
        parser.add_argument("--if-empty", action="store_true", help="do nothing when anybody has an account already")

    def run(self, **options: Any) -> str:
        file: Path | None = options["logins"]
        if options["if_empty"] and User.objects.exists():
            return "There are accounts already, so none were made."
        if file:
            check_writable(file)
        made = make_demo(actor=self.actor)
        if not made:
            return "The accounts are there already. A new password: python manage.py changepassword NAME"
        logins = table(["user name", "password"], list(made.items()))
        if file:
            _write_for_owner(file, logins)
        return f"Accounts to try the site with, one for each role:\n{logins}"


def _write_for_owner(file: Path, text: str) -> None:
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(text + "\n")

"""What all commands share: one way to say what went wrong, and the options that all of them take."""

from __future__ import annotations

import getpass
import logging
import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser, DjangoHelpFormatter
from django.db import DatabaseError, OperationalError, connection

from classifiers.errors import SafetyError


class SafetyCommand(BaseCommand):
    """A command whose errors are sentences: each SafetyError becomes a CommandError, exit code 1.

    Subclasses write ``arguments`` and ``run``; the docstring of the module is their help.
    """

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        # A shortened --database-url would be taken here, where it comes too late to have an effect.
        kwargs = {"formatter_class": _HelpFormatter, "allow_abbrev": False, **kwargs}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        self.arguments(parser)
        group = parser.add_argument_group("where and how much")
        group.add_argument(
            "--database-url",
            metavar="URL",
            help="the database (sqlite:///./ai_monitor.db, postgresql+psycopg://user:password@host/name); "
            "wins over the environment variable AI_SAFETY_MONITOR_DB",
        )
        group.add_argument(
            "--log-level",
            choices=["DEBUG", "INFO", "WARNING", "ERROR"],
            default="INFO",
            help="what is printed, and stored with a run (default INFO)",
        )

    def arguments(self, parser: CommandParser) -> None:
        """Adds the command's own options."""

    def handle(self, *args: Any, **options: Any) -> str | None:
        for name in ("classifiers", "moderation", "runs", "audit"):
            logging.getLogger(name).setLevel(options["log_level"])
        if options["database_url"] is not None:
            raise CommandError("--database-url is empty. Write the address, or leave the option out.")
        try:
            return self.run(**options)
        except SafetyError as error:
            raise CommandError(error.message) from error
        except DatabaseError as error:
            raise CommandError(_about_database(error)) from error
        except KeyboardInterrupt as error:
            raise CommandError("Stopped.", returncode=130) from error

    def run(self, *args: Any, **options: Any) -> str | None:
        """The command; what it returns is printed."""
        raise NotImplementedError

    @property
    def actor(self) -> str:
        return actor_of(self)


def actor_of(command: BaseCommand) -> str:
    """Who the audit trail names when a command does something."""
    name = type(command).__module__.rpartition(".")[2]
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # in a container, one that no file of users names
        user = str(os.getuid())
    return f"command:{name} by {user}"


class _HelpFormatter(DjangoHelpFormatter):
    """Keeps the paragraphs of a command's description."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n\n".join(super(_HelpFormatter, self)._fill_text(part, width, indent) for part in text.split("\n\n"))


def _about_database(error: Exception) -> str:
    where = connection.settings_dict
    place = f"{where['HOST'] or 'localhost'}/{where['NAME']}" if connection.vendor == "postgresql" else where["NAME"]
    # PostgreSQL says the same words of a whole database or a user, which setup_db cannot make.
    missing = "does not exist" in str(error) and not isinstance(error, OperationalError)
    if missing or "no such table" in str(error) or "no such column" in str(error):
        return f"The database {place} is not set up. Run: python manage.py setup_db"
    reason = " ".join(str(error).split())
    return f"The database {place} cannot be used: {reason}. Check --database-url or AI_SAFETY_MONITOR_DB."

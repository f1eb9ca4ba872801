"""Makes a token with which a program acts for an account, and prints its key: this once.

The token never gives more than the account has. Example: python manage.py create_token robot --name nightly --scope moderate
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandParser

from audit.management.base import SafetyCommand
from classifiers.errors import NotFoundError
from integrations.models import Scope
from integrations.services import create_token, ends_in


class Command(SafetyCommand):
    help = __doc__

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", metavar="USER", help="the name of the account")
        parser.add_argument("--name", required=True, help="what it is for")
        parser.add_argument(
            "--scope", action="append", choices=Scope.values, required=True, help="what it may be used for; repeatable"
        )
        parser.add_argument("--expires", type=int, default=90, metavar="DAYS", help="(default %(default)s)")

    def run(self, *, user: str, name: str, scope: list[str], expires: int, **options: Any) -> str:
        account = User.objects.filter(username=user).first()
        if account is None:
            raise NotFoundError(f"There is no account {user!r}. Make it in the console, or with createsuperuser.")
        _, key = create_token(account, name=name, scopes=scope, expires_at=ends_in(expires), actor=self.actor)
        return key

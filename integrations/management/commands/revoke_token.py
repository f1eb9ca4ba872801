"""Revokes a token: from now on its key opens nothing. Example: python manage.py revoke_token 3"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from audit.management.base import SafetyCommand
from integrations.services import find_token, revoke_token


class Command(SafetyCommand):
    help = __doc__

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("token", type=int, metavar="ID", help="its number, as list_tokens gives it")

    def run(self, *, token: int, **options: Any) -> str:
        revoked = revoke_token(find_token(token), actor=self.actor)
        return f"The token {revoked.name} of {revoked.user.get_username()} is revoked."

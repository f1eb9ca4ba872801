"""Lists the tokens of programs, the newest first. Example: python manage.py list_tokens --user robot"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.management.base import CommandParser

from audit.management.base import SafetyCommand
from audit.management.text import one_line, table
from integrations.models import ApiToken

HEAD = ["id", "account", "name", "key", "scopes", "expires (UTC)", "last used (UTC)", "revoked (UTC)"]


class Command(SafetyCommand):
    help = __doc__

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user", metavar="USER", help="only the tokens of this account")

    def run(self, *, user: str | None, **options: Any) -> str:
        tokens = ApiToken.objects.select_related("user").order_by("-pk")
        rows = [_row(token) for token in (tokens.filter(user__username=user) if user else tokens)]
        return table(HEAD, rows) if rows else "There are no such tokens. Make one: python manage.py create_token"


def _row(token: ApiToken) -> list[object]:
    times = [_minute(moment) for moment in (token.expires_at, token.last_used_at, token.revoked_at)]
    named = [one_line(token.user.get_username(), 40), one_line(token.name, 50)]
    return [token.pk, *named, f"{token.prefix}…", ",".join(token.scopes), *times]


def _minute(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""

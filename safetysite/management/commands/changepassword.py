"""Django's command; the audit trail names whose password was changed."""

from __future__ import annotations

import getpass
from typing import Any

from django.contrib.auth.management.commands import changepassword
from django.contrib.auth.models import User

from audit.management.base import actor_of
from safetysite import accounts


class Command(changepassword.Command):
    def handle(self, *args: Any, **options: Any) -> str | None:
        name = options["username"] or getpass.getuser()
        said: str | None = super().handle(*args, **{**options, "username": name})
        accounts.note_password(User.objects.get(username=name), actor=actor_of(self))
        return said

"""Django's command; the audit trail names whom it made."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.contrib.auth.models import User

from audit.management.base import actor_of
from safetysite import accounts


class Command(createsuperuser.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        # No transaction is held while somebody types: afterwards, whoever was not there before is new.
        before = list(User.objects.filter(is_superuser=True).values_list("pk", flat=True))
        super().handle(*args, **options)
        for user in User.objects.filter(is_superuser=True).exclude(pk__in=before):
            accounts.note_saved(user, before=None, after=accounts.rights_of(user), actor=actor_of(self))

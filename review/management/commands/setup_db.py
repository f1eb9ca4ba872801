"""Makes the database ready: creates or updates its tables, view, triggers and roles. Safe to run again at any time."""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.db import connection

from audit.management.base import SafetyCommand
from review.roles import ensure_roles


class Command(SafetyCommand):
    help = __doc__

    def run(self, **options: Any) -> str:
        connection.ensure_connection()
        call_command("migrate", verbosity=0, interactive=False)
        ensure_roles(actor=self.actor)
        where = connection.settings_dict
        return f"The database is ready: {connection.vendor}, {where['NAME']}"

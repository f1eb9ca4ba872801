from __future__ import annotations

import pytest
from django.core.management import call_command

from runs.models import ModerationResult


@pytest.mark.django_db(transaction=True)
def test_all_migrations_go_back_and_forth() -> None:
    try:
        for app in ("runs", "moderation", "audit"):
            call_command("migrate", app, "zero", verbosity=0)
    finally:
        call_command("migrate", verbosity=0)
    assert not ModerationResult.objects.exists()

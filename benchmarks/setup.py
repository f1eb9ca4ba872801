"""A database of its own for a benchmark: `with database():` on SQLite, or the one of AI_SAFETY_MONITOR_DB."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def prepare() -> Path:
    """Django on an empty database, with the fake providers; gives a folder for files. Call it before importing apps."""
    folder = Path(tempfile.mkdtemp(prefix="safety-bench-"))
    os.environ.setdefault("AI_SAFETY_MONITOR_DB", f"sqlite:///{folder}/bench.db")
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    return folder

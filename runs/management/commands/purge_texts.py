"""Lets go of texts, payloads, logs and messages that are older than the settings of this site keep them.

Labels, scores and reviews stay, and the audit trail commits to what is left. Kept are the texts of runs under a hold
(hold_run), those that people have yet to judge, and those that are not as the audit trail recorded them: verify_run names
these. It works in small steps, so it may be stopped at any time and begins again with what is left.

Example: AI_SAFETY_MONITOR_KEEP_TEXT_DAYS=90 python manage.py purge_texts
"""

from __future__ import annotations

from typing import Any

from django.conf import settings

from audit.management.base import SafetyCommand
from classifiers.errors import InputError
from runs import retention

WORDS = {
    "let go": "let go",
    "held": "held",
    "doubtful": "kept, since they are not as the audit trail recorded them",
}


class Command(SafetyCommand):
    help = __doc__

    def run(self, **options: Any) -> str:
        if not any(days for _, days in settings.SAFETY_RETENTION.values()):
            raise InputError(
                "Settings keep everything for ever. Say for how many days, with AI_SAFETY_MONITOR_KEEP_TEXT_DAYS and its kin."
            )
        counts, _ = retention.apply(actor=self.actor)
        return "\n".join(_line(kind, counted) for kind, counted in counts.items())


def _line(kind: str, counts: retention.Counts) -> str:
    days = settings.SAFETY_RETENTION[kind][1]
    if not days:
        return f"{kind}: kept for ever."
    said = [f"{counts[name]} {what}" for name, what in WORDS.items() if counts[name] or name == "let go"]
    return f"{kind}, older than {days} days: {', '.join(said)}."

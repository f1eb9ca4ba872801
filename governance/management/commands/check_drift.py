"""Looks whether classifiers say something else than they used to: prints each version's last days against those before.

Workers look once an hour (run_workers); this looks now, and is for sites without workers, from cron. Each version of a
classifier is compared with its own past: its scores, how often it and the policy flag, and how often it cannot judge. What
programs ask ("live") is told apart from runs over files. Limits and windows: docs/operations.md, "Drift".

Example: python manage.py check_drift
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.core.management.base import CommandParser

from audit.management.base import SafetyCommand
from audit.management.text import table
from governance.drift import check_drift
from governance.models import DriftAssessment

HEAD = (
    "classifier",
    "version",
    "stage",
    "of",
    "level",
    "texts",
    "before",
    "PSI",
    "toxic",
    "before",
    "errors",
    "before",
)


class Command(SafetyCommand):
    help = __doc__

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON instead of a table")

    def run(self, **options: Any) -> str:
        check_drift(actor=self.actor)
        found = list(DriftAssessment.objects.ranked())
        if options["json"]:
            return json.dumps([_as_json(each) for each in found], indent=2)
        return _as_text(found) if found else "No classifier judged a text in these days, so nothing can be said."


def _as_json(each: DriftAssessment) -> dict[str, Any]:
    return {
        "classifier": each.version.alias,
        "version": each.version_id,
        **{name: getattr(each, name) for name in ("stage", "live", "level", "why", "reference", "recent", "findings")},
        "since": each.since and each.since.isoformat(),
    }


def _as_text(found: Sequence[DriftAssessment]) -> str:
    why = [f"{each.version.alias}, {each.get_stage_display().lower()}: {each.why}" for each in found if each.why]
    return "\n".join([table(HEAD, [_row(each) for each in found]), *([""] if why else []), *why])


def _row(each: DriftAssessment) -> Sequence[object]:
    of = {finding["respect"]: finding for finding in each.findings}
    psi = of.get("scores", {}).get("psi")
    shares = [_share(of[respect][window]) for respect in ("labels", "errors") for window in ("recent", "reference")]
    return (
        *(each.version.alias, each.version_id, each.stage, "live" if each.live else "files", each.level),
        *(each.texts_of("recent"), each.texts_of("reference"), "unknown" if psi is None else f"{psi:.3f}", *shares),
    )


def _share(share: float | None) -> str:
    return "unknown" if share is None else f"{share:.1%}"

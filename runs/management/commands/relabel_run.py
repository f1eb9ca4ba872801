"""Labels an ended run anew under another version of a policy, from what its classifiers said: no model is asked.

What people said, and the answers, stay as they are. Look at what would change first, with --dry-run; to bring everything
back, label the run under the version that it stood under before ("none" is the classifiers' own word).

Example: python manage.py relabel_run 3 --policy Team@2 --note "Fewer false alarms on medical questions."
"""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandParser

from audit.management.base import SafetyCommand
from audit.management.text import table
from classifiers.errors import InputError
from moderation.policies import chosen
from runs.relabelling import Preview, preview, relabel
from runs.services import find_run


class Command(SafetyCommand):
    help = __doc__

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("reference", metavar="RUN", help="its number or name")
        parser.add_argument(
            "--policy", required=True, metavar="NAME@N", help="a version; NAME is the newest one, none is no policy"
        )
        parser.add_argument("--note", default="", help="why; it stands in the audit trail, and must be given")
        parser.add_argument("--dry-run", action="store_true", help="only show what would change")
        parser.add_argument("--json", action="store_true", help="print JSON instead of tables")

    def run(self, *, reference: str, policy: str, note: str, dry_run: bool, **options: Any) -> str:
        run, version = find_run(reference), chosen(policy)
        if dry_run:
            told = preview(run, version)
        elif note.strip():
            told = relabel(run, version, note=note, actor=self.actor)
        else:
            raise InputError("Say why with --note, or look at what would change with --dry-run.")
        return json.dumps(told.as_json, indent=2) if options["json"] else _as_text(told, dry_run=dry_run)


def _as_text(told: Preview, *, dry_run: bool) -> str:
    under = told.version or "no policy"
    does = "Nothing is changed yet. Under" if dry_run else "Labelled anew. Under"
    lines = [
        f"{does} {under}, {told.changed} of {told.total} results of run {told.run.pk} have another label, and "
        f"{told.recategorised} other categories only."
    ]
    if told.labels:
        rows = [[stage, before, after, n] for (stage, before, after), n in sorted(told.labels.items())]
        lines.append(table(["stage", "before", "after", "results"], rows))
    if told.answered:
        lines.append(f"Answered, though the prompt is TOXIC now: {told.answered}. Their answers are kept.")
    if told.unanswered:
        lines.append(f"Not answered, though the prompt is SAFE now: {told.unanswered}. Make a new run to have answers.")
    if told.examples:
        lines.append(f"The first are at {', '.join(map(str, told.examples))}.")
    return "\n".join(lines)

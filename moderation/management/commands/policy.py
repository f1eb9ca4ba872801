"""Policies: what counts as harm, and from which score on. Each is a row of versions, which never change.

"list" names them and "show" says what one holds. "create" and "add" make a policy, or its next version, from a file:
"export" writes such a file, YAML, and a JSON one of the same form is read too. "diff" compares two versions, and
"default" has new runs judged under a policy unless they name another one. A policy is named as Team, for its newest
version, or as Team@3.

Example: python manage.py policy export Team > team.yaml, then policy add Team team.yaml --seen 3 --note "Why"
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from audit.management.base import SafetyCommand
from audit.management.text import one_line, table
from classifiers.errors import InputError
from moderation import policies
from moderation.documents import as_yaml, read_file
from moderation.models import PolicyVersion


class Command(SafetyCommand):
    help = __doc__

    def arguments(self, parser: CommandParser) -> None:
        acts = parser.add_subparsers(
            dest="act", help="what to do: policy ACT --help says how", required=True, metavar="ACT"
        )
        acts.add_parser("list", help="which policies there are")
        for act, says in (("show", "what a version says"), ("export", "the same as a file in YAML")):
            acts.add_parser(act, help=says).add_argument("policy", metavar="NAME[@N]")
        for act, says in (("create", "make a policy from a file"), ("add", "make its next version from a file")):
            made = acts.add_parser(act, help=says)
            made.add_argument("policy", metavar="NAME")
            made.add_argument("file", type=Path, metavar="FILE", help="YAML, or JSON if it is named .json")
            made.add_argument("--note", required=True, help="why it is made")
        made.add_argument("--seen", type=int, required=True, metavar="N", help="the newest version that you looked at")
        acts.choices["create"].add_argument("--description", default="", help="what the policy is for")
        compared = acts.add_parser("diff", help="what differs between two versions")
        compared.add_argument("before", metavar="NAME[@N]")
        compared.add_argument("after", metavar="NAME[@N]")
        acts.add_parser("default", help="have new runs judged under it").add_argument("policy", metavar="NAME")

    def run(self, *, act: str, **options: Any) -> str:
        doing: str = getattr(self, f"_{act}")(**options)
        return doing

    def _list(self, **options: Any) -> str:
        rows = [
            [one_line(policy.name, 60), policy.newest, policy.under, "default" if policy.default else ""]
            for policy in policies.listed()
        ]
        return table(["policy", "version", "runs", ""], rows) if rows else "There is no policy yet."

    def _show(self, *, policy: str, **options: Any) -> str:
        version = _version(policy)
        content = policies.content_of(version)
        head = f"{version}, by {version.created_by}: {one_line(version.note)}"
        changes = policies.difference(policies.Content(), content)
        return "\n".join([head, *(f"{each.what:10} {each.place}: {one_line(each.after or '')}" for each in changes)])

    def _export(self, *, policy: str, **options: Any) -> str:
        return as_yaml(policies.content_of(_version(policy))).rstrip("\n")

    def _create(self, *, policy: str, file: Path, note: str, description: str, **options: Any) -> str:
        made = policies.create_policy(policy, read_file(file), note=note, description=description, actor=self.actor)
        return f"{made} is made{', and the default' if made.policy.default else ''}."

    def _add(self, *, policy: str, file: Path, note: str, seen: int, **options: Any) -> str:
        found = _version(policy).policy
        return f"{policies.add_version(found, read_file(file), note=note, seen=seen, actor=self.actor)} is made."

    def _diff(self, *, before: str, after: str, **options: Any) -> str:
        one, other = _version(before), _version(after)
        changes = policies.difference(policies.content_of(one), policies.content_of(other))
        lines = [
            f"{each.what} {each.place}\n  - {one_line(each.before or 'nothing')}\n  + {one_line(each.after or 'nothing')}"
            for each in changes
        ]
        return "\n".join([f"{one} and {other} differ in {len(changes)} places.", *lines])

    def _default(self, *, policy: str, **options: Any) -> str:
        made = policies.make_default(_version(policy).policy, actor=self.actor)
        return f"New runs are judged under {made} unless they name another policy."


def _version(reference: str) -> PolicyVersion:
    version = policies.chosen(reference)
    if version is None:
        raise InputError("Name a policy; list them with: python manage.py policy list")
    return version

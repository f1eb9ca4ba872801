"""Policies from a terminal: made from files, compared, taken out, and never overwritten unseen."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.models import AuditEvent
from moderation import policies
from moderation.models import PolicyVersion
from tests.runs.commands import refused, said

pytestmark = pytest.mark.django_db
FILE = """
thresholds:
- category: hate
  threshold: 0.7
- category: "*"
  check: pii
  action: INFORM
categories:
- name: hate
  definition: Demeans groups.
  examples: [{text: They are all thieves., label: TOXIC}]
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "team.yaml").write_text(FILE)
    return str(tmp_path / "team.yaml")


def make(file: str) -> str:
    return said("policy", "create", "Team", file, "--note", "The beginning.")


def test_a_policy_is_made_from_a_file(file: str) -> None:
    assert make(file) == "Team v1 is made, and the default.\n"
    assert policies.rules_of(policies.chosen("Team")).thresholds(["hate"], check="x", stage="INPUT") == {"hate": 0.7}
    assert AuditEvent.objects.get(action="policy.created").actor.startswith("command:policy by ")
    assert said("policy", "list").splitlines()[1].split() == ["Team", "1", "0", "default"]


def test_what_is_exported_changed_and_added_is_the_next_version(file: str, tmp_path: Path) -> None:
    make(file)
    (tmp_path / "next.yaml").write_text(said("policy", "export", "Team@1").replace("0.7", "0.4"))
    assert (
        said("policy", "add", "Team", str(tmp_path / "next.yaml"), "--note", "x", "--seen", "1") == "Team v2 is made.\n"
    )
    assert said("policy", "diff", "Team@1", "Team") == (
        "Team v1 and Team v2 differ in 1 places.\nthreshold hate\n  - blocks from 0.7 on\n  + blocks from 0.4 on\n"
    )


def test_a_version_that_was_not_seen_is_not_overwritten(file: str) -> None:
    make(file)
    said("policy", "add", "Team", file, "--note", "x", "--seen", "1")
    assert "was made meanwhile" in refused("policy", "add", "Team", file, "--note", "y", "--seen", "1")
    assert PolicyVersion.objects.count() == 2


def test_a_version_is_shown(file: str) -> None:
    make(file)
    shown = said("policy", "show", "Team")
    assert "The beginning." in shown
    assert "threshold  * of pii: informs from its own threshold on" in shown
    assert "category   hate: Demeans groups. TOXIC: They are all thieves." in shown


def test_another_becomes_the_default(file: str) -> None:
    make(file)
    said("policy", "create", "Strict", file, "--note", "x", "--description", "For launches.")
    said("policy", "default", "Strict")
    assert str(policies.in_force()) == "Strict v1"


@pytest.mark.parametrize("name", ["Nobody's", "Team@7", "none"])
def test_what_is_not_there_is_refused(file: str, name: str) -> None:
    make(file)
    assert "policy" in refused("policy", "show", name)


def test_without_policies_the_list_says_so() -> None:
    assert said("policy", "list") == "There is no policy yet.\n"

"""The doors to drift: the command and the background task."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from audit.models import AuditEvent
from governance import tasks
from governance.models import DriftAssessment, DriftCheck
from tests.governance.drifting import HIGH, days, version_of

pytestmark = pytest.mark.django_db


def said(*arguments: str) -> str:
    out = StringIO()
    call_command("check_drift", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def enqueued(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(tasks, "async_task", found.append)
    return found


def test_the_command_says_what_it_found() -> None:
    days(range(7, 14), 100)
    days(range(7), 100, HIGH)
    head, line = said().splitlines()
    assert head.split()[:5] == ["classifier", "version", "stage", "of", "level"]
    assert line.split()[:7] == ["guard", str(version_of().pk), "INPUT", "live", "drift", "700", "700"]
    assert AuditEvent.objects.get(action="classifier.drifted").actor.startswith("command:check_drift")


def test_the_command_says_why_nothing_can_be_said() -> None:
    assert "nothing can be said" in said()
    days(range(3), 5, HIGH)
    assert "guard, input: Each window needs 200 texts" in said()


def test_the_command_as_json() -> None:
    days(range(14), 100)
    (found,) = json.loads(said("--json"))
    assert (found["classifier"], found["level"], found["since"]) == ("guard", "none", None)
    assert found["recent"]["judged"] == 700


def test_workers_look_once_an_hour(enqueued: list[str]) -> None:
    for _ in range(3):
        tasks.look_for_drift()
    assert enqueued == ["governance.tasks.check_drift"]


def test_a_task_that_has_not_counted_all_hands_on(enqueued: list[str], monkeypatch: Any) -> None:
    days(range(14), 100)
    monkeypatch.setattr(tasks, "TURN", 0)
    tasks.check_drift()
    assert enqueued == ["governance.tasks.check_drift"]
    assert not DriftAssessment.objects.exists()
    monkeypatch.setattr(tasks, "TURN", 60)
    tasks.check_drift()
    assert len(enqueued) == 1
    assert DriftAssessment.objects.get().level == "none"
    assert DriftCheck.objects.get().finished_at

"""System checks: settings with which the task queue would lose or repeat work stop the start."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings

from runs.checks import task_queue_is_sound, texts_can_be_redacted


def complaints(**changed: Any) -> list[str | None]:
    with override_settings(Q_CLUSTER={**settings.Q_CLUSTER, **changed}):
        return [message.id for message in task_queue_is_sound()]


def test_the_settings_as_they_come_are_sound() -> None:
    assert complaints() == []


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"max_attempts": 0}, "runs.E001"),
        ({"timeout": None}, "runs.E002"),
        ({"timeout": 60, "retry": 60}, "runs.E002"),
        ({"save_limit": 250}, "runs.E003"),
        ({"workers": 2, "queue_limit": 50}, "runs.E004"),
    ],
)
def test_a_queue_that_loses_or_repeats_work_is_refused(changed: dict[str, Any], complaint: str) -> None:
    assert complaints(**changed) == [complaint]


def test_what_is_left_out_counts_as_the_queues_own_default() -> None:
    with override_settings(Q_CLUSTER={"name": "safety"}):
        found = {message.id for message in task_queue_is_sound()}
    assert found == {"runs.E001", "runs.E002", "runs.E003", "runs.E004"}


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [("SAFETY_LEASE_SECONDS", 0, "runs.E005"), ("SAFETY_WATCHDOG_SECONDS", 1, "runs.E006")],
)
def test_times_too_short_to_be_told_from_death_are_refused(name: str, value: int, complaint: str) -> None:
    with override_settings(**{name: value}):
        assert [message.id for message in task_queue_is_sound()] == [complaint]


def test_every_complaint_says_what_to_do() -> None:
    with override_settings(Q_CLUSTER={"name": "safety"}):
        assert all(message.hint for message in task_queue_is_sound())


@pytest.mark.parametrize(
    ("kept", "redactor", "complaint"),
    [("redacted", "pii", []), ("redacted", "nobody", ["runs.E010"]), ("none", "nobody", [])],
)
def test_a_redactor_must_be_there_where_it_is_needed(kept: str, redactor: str, complaint: list[str]) -> None:
    with override_settings(SAFETY_STORE_TEXT=kept, SAFETY_REDACTOR=redactor):
        assert [message.id for message in texts_can_be_redacted()] == complaint

"""Periodic runs, from the command to the run that django-q2's scheduler makes of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.models import OrmQ, Schedule
from django_q.scheduler import scheduler
from django_q.signing import SignedPackage

from audit.models import AuditEvent
from runs import schedules, tasks
from runs.models import Run

FAKES = {"input_checks": ("fake",), "answer_generator": "fake", "output_checks": ("fake",), "limit": 0}


@pytest.fixture
def prompts(prompts_file: Callable[..., Path], transactional_db: None) -> Path:
    return prompts_file(["hello", 'it\'s "quoted"', "toxic"])


def add(prompts: Path, **options: Any) -> str:
    options = {"name": "nightly", "every": "daily", "dataset_id": str(prompts), **FAKES, **options}
    return str(call_command("schedule_run", **options))


def due_tasks() -> list[dict[str, Any]]:
    """What the scheduler hands to the workers, without the tasks of chunks."""
    scheduler(get_broker())
    packages = [SignedPackage.loads(task.payload) for task in OrmQ.objects.all()]
    return [package for package in packages if package["func"] == schedules.TASK]


def test_a_run_is_made_whenever_it_is_due_and_once(prompts: Path) -> None:
    add(prompts)
    (task,) = due_tasks()
    first = tasks.start_scheduled_run(*task["args"], **task["kwargs"])
    assert tasks.start_scheduled_run(*task["args"], **task["kwargs"]) == first
    Schedule.objects.update(next_run=timezone.now() - timedelta(days=3))
    OrmQ.objects.all().delete()
    (task,) = due_tasks()
    tasks.start_scheduled_run(*task["args"], **task["kwargs"])
    runs = Run.objects.order_by("pk")
    assert [(run.queued, run.total, run.created_by) for run in runs] == [(True, 3, "schedule:nightly")] * 2
    assert runs[0].name.startswith("nightly 20")
    assert Schedule.objects.get().next_run > timezone.now()


def test_a_scheduled_run_is_worked_on_as_any_other(prompts: Path) -> None:
    add(prompts)
    (task,) = due_tasks()
    run = Run.objects.get(pk=tasks.start_scheduled_run(*task["args"], **task["kwargs"]))
    for chunk in run.chunks.all():
        tasks.execute_chunk(chunk.pk)
    run.refresh_from_db()
    assert run.status == "DONE"
    assert run.counts["input"] == {"SAFE": 2, "TOXIC": 1}


def test_the_configuration_is_kept_as_json_with_an_absolute_path(
    prompts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(prompts.parent)
    add(Path(prompts.name), name='it\'s "quoted"')
    (task,) = due_tasks()
    assert json.loads(task["args"][0])["source"]["dataset_id"] == str(prompts)
    assert task["args"][1] == 'it\'s "quoted"'


def test_a_cron_expression_says_when(prompts: Path) -> None:
    said = add(prompts, every="", cron="0 3 * * *")
    assert "03:00 UTC" in said
    assert due_tasks() == []


def test_schedules_are_listed_and_removed(prompts: Path) -> None:
    add(prompts)
    assert str(call_command("schedule_run", list=True)).startswith("nightly: daily, next due 20")
    call_command("schedule_run", remove="nightly")
    assert call_command("schedule_run", list=True) == "Nothing is scheduled."
    assert list(AuditEvent.objects.order_by("pk").values_list("action", flat=True)) == [
        "schedule.created",
        "schedule.removed",
    ]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"every": "", "cron": "every day"}, "is no time that comes"),
        ({"every": "", "cron": "0 25 * * *"}, "is no time that comes"),
        ({"every": "", "cron": "0 3 31 2 *"}, "is no time that comes"),
        ({"every": "", "cron": "0 3 * * * *"}, "five fields"),
        ({"every": ""}, "--every or --cron"),
        ({"name": ""}, "--name"),
        ({"name": "n" * 101}, "at most 100"),
        ({"input_checks": ("nobody",)}, "nobody"),
    ],
)
def test_what_cannot_be_scheduled_is_told(prompts: Path, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        add(prompts, **options)
    assert not Schedule.objects.exists()


def test_a_name_is_taken_once(prompts: Path) -> None:
    add(prompts)
    with pytest.raises(CommandError, match="already"):
        add(prompts)


def test_an_unknown_schedule_is_not_removed(db: None) -> None:
    with pytest.raises(CommandError, match="no schedule 'weekly'"):
        call_command("schedule_run", remove="weekly")

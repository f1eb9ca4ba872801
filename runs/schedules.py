"""Periodic runs: a django-q2 schedule for each, which makes a queued run whenever it is due."""

from __future__ import annotations

import json
from datetime import datetime

from croniter import CroniterError, croniter
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django_q.models import Schedule
from django_q.tasks import schedule

from audit.services import record
from classifiers.errors import ConflictError, InputError, NotFoundError
from classifiers.text import unstorable
from moderation import policies
from moderation.services import check_alias
from runs.configuration import Configuration

TASK = "runs.tasks.start_scheduled_run"
EVERY = {
    "hourly": Schedule.HOURLY,
    "daily": Schedule.DAILY,
    "weekly": Schedule.WEEKLY,
    "monthly": Schedule.MONTHLY,
    "quarterly": Schedule.QUARTERLY,
    "yearly": Schedule.YEARLY,
}
MAX_NAME = 100


def schedules() -> QuerySet[Schedule]:
    made: QuerySet[Schedule] = Schedule.objects.filter(func=TASK)
    return made.order_by("name")


def schedule_run(
    configuration: Configuration, *, name: str, actor: str, every: str = "", cron: str = "", policy: str = ""
) -> Schedule:
    """A run of this configuration, now and then ``every`` so often, or at the times (UTC) of a ``cron`` expression.

    The prompts are read anew each time, and ``policy`` (moderation.policies.chosen) is looked up anew. Raises InputError and ConflictError with what is wrong.
    """
    if not 1 <= len(name) <= MAX_NAME or unstorable(name):
        raise InputError(f"A schedule needs a name, Unicode text of at most {MAX_NAME} characters.")
    if bool(every) == bool(cron):
        raise InputError("Say how often: either every so often, or a cron expression.")
    for kind, choice in configuration.choices:
        check_alias(kind, choice.alias)
    policies.chosen(policy)
    if cron:
        _check_cron(cron)
    with transaction.atomic():
        if schedules().filter(name=name).exists():
            raise ConflictError(f"There is a schedule {name!r} already. Remove it first, or choose another name.")
        made = schedule(
            TASK,
            # As text: django-q2 keeps arguments as Python literals, which JSON is not.
            json.dumps(configuration.as_json()),
            name,
            name=name,
            schedule_type=EVERY[every] if every else Schedule.CRON,
            cron=cron or None,
            intended_date_kwarg="due",
            policy=policy,
            # A run that cannot be made is told among the failed tasks and made when it is due again.
            q_options={"ack_failure": True},
        )
        record("schedule.created", actor=actor, target=made, data={"name": name, "when": when(made)})
    return made


def remove_schedule(name: str, *, actor: str) -> None:
    """No further run is made; those there are stay."""
    with transaction.atomic():
        found = schedules().filter(name=name).first()
        if found is None:
            raise NotFoundError(f"There is no schedule {name!r}. List them with: python manage.py schedule_run --list")
        record("schedule.removed", actor=actor, target=found, data={"name": name})
        found.delete()


def when(scheduled: Schedule) -> str:
    """How often, in words or as the cron expression."""
    return scheduled.cron or next(word for word, code in EVERY.items() if code == scheduled.schedule_type)


def _check_cron(cron: str) -> None:
    try:
        if len(cron.split()) != 5:
            raise CroniterError("it has not five fields")
        # Some that can be read never come, like the 31st of February.
        croniter(cron, timezone.now()).get_next(datetime)
    except CroniterError as error:
        raise InputError(
            f"{cron!r} is no time that comes: {error}. Give minute, hour, day, month and weekday: '0 3 * * *' is 3:00 "
            "UTC every day."
        ) from error

"""The background door: a run becomes one task for each chunk, which any worker on any machine may take."""

from __future__ import annotations

import json
import os
import socket
from datetime import datetime, timedelta

from django.conf import settings
from django.core.cache import cache
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.tasks import async_task

from runs import live, retention, services
from runs.configuration import Configuration
from runs.discretion import discreetly
from runs.models import Run

# A chunk that waits behind other tasks isn't lost; one that waits this long may be, and a duplicate costs little.
BACKLOG = timedelta(hours=1)
TURN = 20.0  # seconds


def enqueue_run(run: Run) -> int:
    """Hands what is left of a run to the workers; gives the number of tasks. Delivered twice, a task does nothing."""
    return _enqueue(services.hand_over(run), before=timezone.now())


def execute_chunk(chunk_id: int) -> bool:
    with discreetly():
        return services.execute_chunk(chunk_id, actor=worker())


def patience() -> timedelta:
    """How long something may wait for the workers before it is taken for lost."""
    return BACKLOG if get_broker().queue_size() else timedelta(seconds=settings.SAFETY_LEASE_SECONDS)


def requeue_lost() -> int:
    """Enqueues again what the broker lost, and ends runs whose last worker died at the last step, or whose day is over."""
    live.finish_past()
    age, enqueued = patience(), 0
    for run in Run.objects.active().filter(queued=True):
        lost = services.lost_chunks(run, waiting=age)
        enqueued += _enqueue(lost, before=timezone.now() - age)
        services.finish_run(run, actor=worker())
    return enqueued


def start_scheduled_run(configuration: str, name: str, *, due: str, policy: str = "") -> int:
    """Makes the run of a schedule that was due at a time, once, and hands it to the workers; gives its number."""
    named = f"{name} {due}"
    run = Run.objects.filter(name=named).first()
    if run is None:
        chosen = Configuration.from_json(json.loads(configuration))
        with discreetly():
            run = services.create_run(chosen, actor=f"schedule:{name}", name=named, queued=True, policy=policy)
    enqueue_run(run)
    return run.pk


def look_after_retention() -> int:
    """Once a day; asked by several machines at once, it does no harm. Gives the number of tasks."""
    if not retention.is_due() or not cache.add("runs.retention.asked", True, timeout=BACKLOG.total_seconds()):
        return 0
    async_task("runs.tasks.apply_retention")
    return 1


def apply_retention() -> None:
    """For a while, so that chunks get their turn; then it goes on as another task."""
    if not retention.apply(actor=worker(), seconds=TURN)[1]:
        async_task("runs.tasks.apply_retention")


def beat() -> str:
    """Shows that a cluster takes tasks and stores their results; the result names the cluster (runs.watchdog)."""
    return os.environ.get("AI_SAFETY_MONITOR_WATCHDOG", "")


def worker() -> str:
    """Who the audit trail names."""
    return f"worker:{socket.gethostname()}"


def _enqueue(chunk_ids: list[int], *, before: datetime) -> int:
    """Each chunk that was not enqueued since; of several machines that found it lost, one enqueues it."""
    due = [chunk_id for chunk_id in chunk_ids if services.note_enqueued(chunk_id, before=before)]
    for chunk_id in due:
        async_task("runs.tasks.execute_chunk", chunk_id)
    return len(due)

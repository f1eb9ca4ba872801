"""The background door: a run becomes one task for each chunk, which any worker on any machine may take."""

from __future__ import annotations

import os
import socket
from datetime import timedelta

from django.conf import settings
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.tasks import async_task

from runs import services
from runs.models import Chunk, Run


def enqueue_run(run: Run) -> int:
    """Hands what is left of a run to the workers; gives the number of tasks. Delivered twice, a task does nothing."""
    return _enqueue(list(run.chunks.unfinished().order_by("index").values_list("pk", flat=True)))


def execute_chunk(chunk_id: int) -> bool:
    return services.execute_chunk(chunk_id, actor=f"worker:{socket.gethostname()}")


def requeue_lost() -> int:
    """Enqueues again what the broker lost, and ends runs whose last worker died at the last step."""
    enqueued = 0
    # A chunk that waits in a long queue isn't lost; one that is open while nothing waits is.
    waiting = get_broker().queue_size() > 0
    for run in Run.objects.active().filter(queued=True):
        lost = services.lost_chunks(run, waiting=timedelta(seconds=settings.SAFETY_LEASE_SECONDS))
        if not waiting:
            enqueued += _enqueue(lost)
        services.finish_run(run, actor=f"worker:{socket.gethostname()}")
    return enqueued


def beat() -> str:
    """Shows that a cluster takes tasks and stores their results; the result names the watchdog it works under."""
    return os.environ.get("AI_SAFETY_MONITOR_WATCHDOG", "")


def _enqueue(chunk_ids: list[int]) -> int:
    for chunk_id in chunk_ids:
        async_task("runs.tasks.execute_chunk", chunk_id)
    Chunk.objects.filter(pk__in=chunk_ids).update(enqueued_at=timezone.now())
    return len(chunk_ids)

"""The background door: looks for events, and hands messages that are due to the workers."""

from __future__ import annotations

from datetime import timedelta

from django_q.brokers import get_broker
from django_q.tasks import async_task

from integrations import deliveries, events

# One that waits behind other tasks isn't lost; one that waits this long may be, and a duplicate costs little.
BACKLOG = timedelta(hours=1)


def look() -> int:
    """Run_workers calls it every few seconds; with no webhook it costs two small queries."""
    events.collect()
    due = deliveries.hand_out(wait=BACKLOG if get_broker().queue_size() else deliveries.LEASE)
    for pk, attempts in due:
        async_task("integrations.tasks.deliver", pk, attempts)
    return len(due)


def deliver(delivery_id: int, attempts: int) -> bool:
    return deliveries.deliver(delivery_id, attempts)

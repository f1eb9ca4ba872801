"""The background door: long bulk actions, in turns, so that no worker is busy with one for long; and exports."""

from __future__ import annotations

from django.utils import timezone
from django_q.tasks import async_task

from review import bulk, export_files
from review.models import BulkAction
from runs.models import Export
from runs.tasks import patience

TURN = 30.0  # seconds


def enqueue_bulk(action: BulkAction) -> None:
    """Hands an action to the workers. Delivered twice, it is still done once."""
    async_task("review.tasks.work_on", action.pk)


def go_on(action: BulkAction) -> None:
    """Few results are labelled, or taken back, now; many in the background."""
    if action.total <= bulk.AT_ONCE:
        bulk.work(action)
    else:
        enqueue_bulk(action)


def work_on(action_id: int) -> None:
    action = bulk.find_action(action_id)
    if bulk.work(action, seconds=TURN):
        enqueue_bulk(action)


def requeue_lost() -> int:
    """Enqueues again what a killed worker left, or the broker lost."""
    lost = bulk.take_lost(before=timezone.now() - patience())
    for action in lost:
        enqueue_bulk(action)
    return len(lost)


def enqueue_export(export: Export) -> None:
    """Hands an export to the workers. Delivered twice, it is still written once."""
    async_task("review.tasks.write_export", export.pk)


def write_export(export_id: int) -> None:
    export_files.write(export_files.find_export(export_id))


def requeue_exports() -> int:
    """Enqueues again what a killed worker left, or the broker lost, and forgets what is old."""
    export_files.prune()
    lost = export_files.take_lost(waiting_since=timezone.now() - patience())
    for export in lost:
        enqueue_export(export)
    return len(lost)

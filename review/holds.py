"""Which results people have yet to judge: retention (runs.retention) leaves them their texts."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from review.models import QueueItem


def needed(results: Sequence[int]) -> Collection[int]:
    """Of these, the numbers of those that stand in a running queue and are not settled there."""
    waiting = QueueItem.objects.filter(result__in=results, queue__closed_at=None).exclude(state=QueueItem.State.CLOSED)
    return set(waiting.values_list("result_id", flat=True))

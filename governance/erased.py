"""Adapters that have learnt from texts which are no longer there."""

from __future__ import annotations

from governance.models import TrainingRun
from moderation.models import Adapter
from runs.models import Result


def erased_since(adapter: Adapter) -> int:
    """How many of the texts that it learnt from the record has let go of since: its weights may still tell of them.

    None are known of an adapter whose training is not on record.
    """
    learnt = TrainingRun.objects.filter(adapter=adapter).values_list("texts", flat=True).first()
    return len(Result.objects.let_go_of(learnt or []))


def warning(adapter: Adapter) -> str:
    """What to do about it, in words; empty where there is nothing to do."""
    count = erased_since(adapter)
    if not count:
        return ""
    which = "a text that was" if count == 1 else f"{count} texts that were"
    return (
        f"It learnt from {which} let go since, and may still know what stood there. "
        "Train a new one from what is kept, and not on from this one."
    )

"""Adapters that have learnt from texts which are no longer there."""

from __future__ import annotations

from governance.models import TrainingRun
from runs.models import Result


def erased_since(training: TrainingRun) -> int:
    """How many of the texts that it learnt from the record has let go of since: its weights may still tell of them."""
    return len(Result.objects.let_go_of(training.texts))


def warning(training: TrainingRun) -> str:
    """What to do about it, in words; empty where there is nothing to do."""
    count = erased_since(training)
    if not count:
        return ""
    which = "a text that was" if count == 1 else f"{count} texts that were"
    return (
        f"It learnt from {which} let go since, and may still know what stood there. "
        "Train a new one from what is kept, and not on from this one."
    )

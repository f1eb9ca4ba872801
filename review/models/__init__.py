"""What is stored of reviewing."""

from __future__ import annotations

from review.models.own import Preferences, SavedView
from review.models.queues import MAX_NOTE, Claim, Queue, QueueItem, Seat, stages_of, text_of
from review.models.reviews import BulkAction, Draft, Review

__all__ = [
    "MAX_NOTE",
    "BulkAction",
    "Claim",
    "Draft",
    "Preferences",
    "Queue",
    "QueueItem",
    "Review",
    "SavedView",
    "Seat",
    "stages_of",
    "text_of",
]

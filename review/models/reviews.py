"""What people said: reviews, labels in bulk, and what came too late."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from review.models.queues import MAX_NOTE, QueueItem
from review.querysets import ReviewQuerySet
from runs.models import HUMAN_LABELS, STAGES, Result


class BulkAction(models.Model):
    """One label put on all results of a filter by one person, at once or in the background."""

    class State(models.TextChoices):
        RUNNING = "RUNNING", "Running"
        DONE = "DONE", "Done"
        CANCELLED = "CANCELLED", "Cancelled"
        FAILED = "FAILED", "Failed"
        UNDOING = "UNDOING", "Being undone"
        UNDONE = "UNDONE", "Undone"

    filters = models.JSONField(default=dict)
    stage = models.CharField(max_length=6, choices=STAGES)
    label = models.CharField(max_length=6, choices=HUMAN_LABELS)
    reason = models.CharField(max_length=1000)
    state = models.CharField(max_length=9, choices=State, default=State.RUNNING)
    total = models.PositiveIntegerField()
    done = models.PositiveIntegerField(default=0)
    # The newest result that was there when the action was made, and the last one dealt with: the way to go on.
    until = models.BigIntegerField()
    position = models.BigIntegerField(default=0)
    error = models.TextField(blank=True)
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    key = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)
    # The last sign of life of whoever works on it.
    moved_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reviewer", "key"],
                name="bulk_action_once",
                violation_error_message="This has been asked for already.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.label} on {self.total} results"


class Review(models.Model):
    """What a person said of a result at a stage. Add-only: a correction supersedes, an undo supersedes with no label.

    Of a chain the last one counts. An adjudication is a review with a cause; it settles what others disagreed on.
    """

    class Cause(models.TextChoices):
        AMBIGUOUS = "ambiguous", "The text is ambiguous"
        POLICY_GAP = "policy_gap", "The policy says nothing about it"
        REVIEWER_ERROR = "reviewer_error", "A reviewer erred"
        MACHINE_LED = "machine_led", "The machine led people astray"

    result = models.ForeignKey(Result, on_delete=models.CASCADE, related_name="reviews", db_index=False)
    item = models.ForeignKey(QueueItem, on_delete=models.CASCADE, related_name="reviews", null=True)
    stage = models.CharField(max_length=6, choices=STAGES)
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False)
    # Empty: taken back.
    label = models.CharField(max_length=6, choices=HUMAN_LABELS, blank=True)
    categories = models.JSONField(default=list)
    note = models.TextField(blank=True, max_length=MAX_NOTE)
    cause = models.CharField(max_length=14, choices=Cause, blank=True)
    # Given without knowing what the machine, or anybody else, had said.
    blind = models.BooleanField(default=False)
    # Of the text that was judged: what was said of one answer says nothing of another.
    digest = models.CharField(max_length=32)
    # Of the act, from whoever sent it: the same act sent twice is one.
    key = models.CharField(max_length=64)
    supersedes = models.OneToOneField("self", on_delete=models.CASCADE, null=True, related_name="superseded_by")
    bulk = models.ForeignKey(BulkAction, on_delete=models.PROTECT, null=True, related_name="reviews")
    created_at = models.DateTimeField(default=timezone.now)

    objects = ReviewQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["result", "stage", "reviewer"],
                condition=Q(supersedes=None),
                name="review_one_chain",
                violation_error_message="This reviewer has judged this stage of the result already.",
            ),
            models.UniqueConstraint(
                fields=["reviewer", "key", "result", "stage"],
                name="review_key_once",
                violation_error_message="This verdict is stored already.",
            ),
            models.CheckConstraint(
                condition=Q(label__in=["", "SAFE", "TOXIC", "UNSURE"]),
                name="review_label_known",
                violation_error_message="A reviewer says SAFE, TOXIC or UNSURE.",
            ),
            models.CheckConstraint(
                condition=Q(cause="") | Q(label__in=["", "SAFE", "TOXIC"]),
                name="review_adjudication_decides",
                violation_error_message="An adjudication says SAFE or TOXIC.",
            ),
        ]
        indexes = [
            models.Index(fields=["result", "stage"], name="review_of_result"),
            models.Index(fields=["reviewer", "created_at"], name="review_of_reviewer"),
            models.Index(fields=["created_at"], name="review_time"),
        ]

    def __str__(self) -> str:
        return f"{self.label or 'taken back'} on {self.stage.lower()} by {self.reviewer_id}"


class Draft(models.Model):
    """A verdict that came too late for its slot: kept for its reviewer, never dropped."""

    item = models.ForeignKey(QueueItem, on_delete=models.CASCADE, related_name="drafts")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    key = models.CharField(max_length=64)
    labels = models.JSONField(default=dict)
    categories = models.JSONField(default=list)
    note = models.TextField(blank=True, max_length=MAX_NOTE)
    saved_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["item", "reviewer"],
                name="draft_once",
                violation_error_message="There is a draft for this result already.",
            )
        ]

    def __str__(self) -> str:
        return f"Draft {self.pk} on item {self.item_id}"

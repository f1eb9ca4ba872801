from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from integrations.querysets import ApiTokenQuerySet, DeliveryQuerySet

MAX_NAME = 100


class Scope(models.TextChoices):
    """What a token may be used for, as far as its person may do it at all."""

    READ = "read", "Read what its person may see"
    RUN = "run", "Make, cancel and resume runs"
    REVIEW = "review", "Review, lead queues and settle, as far as its person may"
    MODERATE = "moderate", "Have texts judged and answered: /v1/ and moderations"
    ADMIN = "admin", "Look after webhooks, revoke tokens, and check the audit trail"


class ApiToken(models.Model):
    """A key with which a program acts for a person. Only a digest of it is stored; the key itself is shown once."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=MAX_NAME)
    # The beginning of the key, so that people can tell their keys apart.
    prefix = models.CharField(max_length=12)
    digest = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list)
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    # To the minute: a write with each request would cost more than the request.
    last_used_at = models.DateTimeField(null=True)

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        verbose_name = "API token"
        constraints = [
            models.UniqueConstraint(
                fields=["user", "name"],
                condition=Q(revoked_at=None),
                name="api_token_name_once",
                violation_error_message="This person has a token with this name already. Revoke it, or choose another name.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class Webhook(models.Model):
    """An address that is told of what happens here, after the Standard Webhooks scheme."""

    class Event(models.TextChoices):
        RUN_FINISHED = "run.finished", "A run ended: done, failed or cancelled"
        RESULT_FLAGGED = "result.flagged", "Results were found TOXIC"
        RESULT_ESCALATED = "result.escalated", "A reviewer asked for a decision"
        REVIEW_DISAGREED = "review.disagreed", "Reviewers disagree on a result"
        CLASSIFIER_DRIFTED = "classifier.drifted", "A classifier says something else than it used to"

    name = models.CharField(max_length=MAX_NAME)
    url = models.URLField(max_length=2000)
    events = models.JSONField(default=list)
    # Needed to sign, so it cannot be a digest; shown once, when it is made.
    secret = models.CharField(max_length=100)
    active = models.BooleanField(default=True)
    version = models.PositiveIntegerField(default=1, editable=False)
    # How far into the audit chain events were looked for.
    cursor = models.PositiveBigIntegerField(default=0)
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["name"],
                name="webhook_name_once",
                violation_error_message="There is a webhook with this name already.",
            )
        ]

    def __str__(self) -> str:
        return self.name


class Delivery(models.Model):
    """One message to one webhook, and what became of it."""

    class State(models.TextChoices):
        WAITING = "WAITING", "Waiting"
        DELIVERED = "DELIVERED", "Delivered"
        FAILED = "FAILED", "Failed"

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    # The same with every attempt, so that a receiver can tell that it had it already.
    message_id = models.CharField(max_length=64)
    event = models.CharField(max_length=40, choices=Webhook.Event)
    body = models.TextField()
    state = models.CharField(max_length=9, choices=State, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(null=True)
    status = models.PositiveSmallIntegerField(null=True)
    error = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["webhook", "message_id"],
                name="delivery_once",
                violation_error_message="This message goes to this webhook already.",
            ),
            models.CheckConstraint(
                condition=Q(state="WAITING", due_at__isnull=False) | Q(state__in=["DELIVERED", "FAILED"], due_at=None),
                name="delivery_due_while_waiting",
                violation_error_message="A delivery has a time at which it is due exactly while it waits.",
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="delivery_due"),
            models.Index(fields=["webhook", "state"], name="delivery_of_webhook"),
        ]

    def __str__(self) -> str:
        return f"{self.event} to {self.webhook_id}: {self.state}"

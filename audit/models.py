from __future__ import annotations

import hashlib
import json
from datetime import UTC
from typing import Any

import rfc8785
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from audit.querysets import AuditEventQuerySet, ChainCheckQuerySet

GENESIS = "0" * 64


def storable(text: str) -> None:
    """PostgreSQL takes no NUL, and lone surrogates have no UTF-8."""
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValidationError("The text holds a NUL character or a lone surrogate, which cannot be stored.")


class AuditEvent(models.Model):
    """Who did what, to what and when: one link of a chain in which every entry holds the hash of the one before it.

    Add-only: database triggers (audit.triggers) refuse every change. There are no foreign keys, since the chain
    outlives the users and objects that it speaks of. ``sequence`` counts from 1 without gaps. ``data`` is canonical
    JSON (RFC 8785), kept as text because the text is what is hashed.
    """

    sequence = models.PositiveBigIntegerField(primary_key=True)
    time = models.DateTimeField()
    actor = models.CharField(max_length=200, validators=[storable])
    action = models.CharField(max_length=100, validators=[storable])
    target_type = models.CharField(max_length=100, blank=True, validators=[storable])
    target_id = models.CharField(max_length=200, blank=True, validators=[storable])
    data = models.TextField(default="null")
    previous = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        default_permissions = ["view"]
        indexes = [
            models.Index(fields=["time"], name="audit_event_time"),
            models.Index(fields=["actor", "sequence"], name="audit_event_actor"),
            models.Index(fields=["action", "sequence"], name="audit_event_action"),
            models.Index(fields=["target_type", "target_id", "sequence"], name="audit_event_target"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["previous"],
                name="audit_event_one_successor",
                violation_error_message="The audit chain cannot fork: another event already follows this one.",
            ),
            models.UniqueConstraint(
                fields=["hash"],
                name="audit_event_hash_once",
                violation_error_message="This event is already in the audit chain.",
            ),
            models.CheckConstraint(
                condition=Q(sequence=1, previous=GENESIS) | (Q(sequence__gt=1) & ~Q(previous=GENESIS)),
                name="audit_event_one_genesis",
                violation_error_message="The first event of the audit chain, and no other, follows 64 zeros.",
            ),
            models.CheckConstraint(
                condition=~Q(actor="") & ~Q(action=""),
                name="audit_event_actor_and_action",
                violation_error_message="An audit event says who did something and what was done.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.sequence}: {self.action} by {self.actor}"

    @property
    def details(self) -> Any:
        """``data`` as Python values."""
        return json.loads(self.data, parse_int=_number)

    @property
    def target(self) -> str:
        return f"{self.target_type} {self.target_id}".strip()

    def digest(self) -> str:
        """SHA-256 over the canonical JSON of everything in the entry but ``hash``: what ``hash`` must be."""
        entry: dict[str, str | int] = {
            "sequence": self.sequence,
            "time": self.time.astimezone(UTC).isoformat(timespec="microseconds"),
            "actor": self.actor,
            "action": self.action,
            "target_type": self.target_type,
            "target_id": self.target_id,
            "data": self.data,
            "previous": self.previous,
        }
        return hashlib.sha256(rfc8785.dumps(entry)).hexdigest()


class ChainCheck(models.Model):
    """One look at the whole chain: asked for, and when finished, how far it was whole and what is wrong after that."""

    actor = models.CharField(max_length=200)
    asked_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    size = models.PositiveBigIntegerField(default=0)
    head = models.CharField(max_length=64, default=GENESIS)
    # When the first of the unbroken series of good checks was finished that this one belongs to.
    whole_since = models.DateTimeField(null=True)
    fault = models.TextField(blank=True)
    fault_at = models.PositiveBigIntegerField(null=True)

    objects = ChainCheckQuerySet.as_manager()

    class Meta:
        default_permissions = []
        indexes = [models.Index(fields=["finished_at"], name="audit_check_finished")]

    def __str__(self) -> str:
        return f"check {self.pk} of the audit chain: {self.fault or 'whole' if self.finished_at else 'not finished'}"


class Act(models.Model):
    """A POST of a program under an Idempotency-Key, and the answer that it got; kept for a day."""

    user_id = models.BigIntegerField()
    path = models.CharField(max_length=200)
    key = models.CharField(max_length=64)
    # Digest of what was sent.
    body = models.CharField(max_length=32)
    # None until it is done.
    status = models.PositiveSmallIntegerField(null=True)
    answer = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        default_permissions = []
        constraints = [
            models.UniqueConstraint(
                fields=["user_id", "path", "key"],
                name="act_once",
                violation_error_message="This act was begun already.",
            )
        ]
        indexes = [models.Index(fields=["created_at"], name="act_age")]

    def __str__(self) -> str:
        return f"{self.path}: {self.status or 'begun'}"


def _number(digits: str) -> int | float:
    """Canonical JSON writes the double 1e16 as 10000000000000000; an integer so large is never recorded."""
    return int(digits) if abs(int(digits)) < 2**53 else float(digits)

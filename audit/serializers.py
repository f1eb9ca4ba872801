"""The audit trail as the REST API shows it."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from audit import services
from audit.models import AuditEvent, ChainCheck
from audit.querysets import BEGINNING
from audit.rest import Paged


class EntryQuestion(Paged):
    """The filters of the console."""

    cursor = serializers.RegexField(
        r"^[ab](0|[1-9][0-9]{0,15})$", required=False, help_text="From next or previous of another page."
    )
    action = serializers.CharField(max_length=100, required=False, help_text="What was done: run.created.")
    actor = serializers.CharField(max_length=200, required=False, help_text="Who; a bare name means that user.")
    target = serializers.RegexField(
        r"^\S+ \S+$", max_length=320, required=False, help_text="Kind and key of what it was done to: runs.run 12."
    )
    since = serializers.DateField(required=False, help_text="From this day on (UTC).")
    until = serializers.DateField(required=False, help_text="To the end of this day (UTC).")
    text = serializers.CharField(
        max_length=200,
        required=False,
        trim_whitespace=False,
        help_text="In the details. A page then goes through a part of the trail, and may hold less than there is.",
    )


class EntryRowSerializer(serializers.ModelSerializer):
    """An entry of the trail; its details stand in the entry itself."""

    beginning = serializers.SerializerMethodField(help_text=f"The first {BEGINNING} characters of the details.")

    class Meta:
        model = AuditEvent
        fields: tuple[str, ...] = ("sequence", "time", "actor", "action", "target_type", "target_id", "beginning")

    def get_beginning(self, event: Any) -> str:
        return event.beginning[:BEGINNING]


class EntrySerializer(EntryRowSerializer):
    """An entry with its details and its place in the chain."""

    details = serializers.SerializerMethodField(help_text="JSON; as text, if somebody changed it to what is none.")
    fault = serializers.SerializerMethodField(help_text="What is wrong with it as the successor of the one before.")

    class Meta(EntryRowSerializer.Meta):
        fields = (*EntryRowSerializer.Meta.fields, "details", "previous", "hash", "fault")

    def get_beginning(self, event: AuditEvent) -> str:
        return event.data[:BEGINNING]

    def get_details(self, event: AuditEvent) -> Any:
        try:
            return event.details
        except ValueError:
            return event.data

    def get_fault(self, event: AuditEvent) -> str:
        return str(services.fault_of(event) or "")


class CheckSerializer(serializers.ModelSerializer):
    """A look at the whole chain."""

    class Meta:
        model = ChainCheck
        fields = ("id", "actor", "asked_at", "finished_at", "size", "head", "whole_since", "fault", "fault_at")

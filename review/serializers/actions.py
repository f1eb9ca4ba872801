"""Bulk actions, saved views and preferences."""

from __future__ import annotations

from datetime import datetime

from rest_framework import serializers

from review import bulk, saved
from review.bulk import MAX_REASON
from review.models import BulkAction, Preferences, SavedView
from review.scopes import MAX_ID
from review.serializers.shared import Filters
from runs.models import HUMAN_LABELS, STAGES


class BulkSerializer(serializers.ModelSerializer):
    """One label on all results of a filter, and how far it has come."""

    filters = serializers.DictField(child=serializers.CharField())
    words = serializers.SerializerMethodField(help_text="The filters as a person reads them.")
    reviewer = serializers.CharField(source="reviewer.username")
    stalled = serializers.SerializerMethodField(help_text="Under way, and nobody has moved it for long: go on with it.")
    undo_until = serializers.SerializerMethodField(help_text="Until when its person can take it back.")

    class Meta:
        model = BulkAction
        fields = (
            *("id", "filters", "words", "stage", "label", "reason", "state", "total", "done", "error", "reviewer"),
            *("stalled", "undo_until", "created_at", "moved_at", "finished_at"),
        )

    def get_words(self, action: BulkAction) -> str:
        return saved.in_words(action.filters)

    def get_stalled(self, action: BulkAction) -> bool:
        return bulk.is_stalled(action)

    def get_undo_until(self, action: BulkAction) -> datetime | None:
        return bulk.undo_until(action)


class ChosenSerializer(serializers.Serializer):
    filters = Filters(required=False)
    stage = serializers.ChoiceField(choices=STAGES)


class ReachSerializer(serializers.Serializer):
    """What it would label; ``kept`` are those that you judged singly, on which your word stands."""

    words = serializers.CharField()
    count = serializers.IntegerField()
    until = serializers.IntegerField()
    kept = serializers.IntegerField()


class NewBulkSerializer(ChosenSerializer):
    """``count`` and ``until`` as the preview told them: it is refused when it would reach something else by now."""

    label = serializers.ChoiceField(choices=HUMAN_LABELS)
    reason = serializers.CharField(max_length=MAX_REASON)
    count = serializers.IntegerField(min_value=0, max_value=MAX_ID)
    until = serializers.IntegerField(min_value=0, max_value=MAX_ID)


class ViewSerializer(serializers.ModelSerializer):
    filters = serializers.DictField(child=serializers.CharField())
    words = serializers.SerializerMethodField(help_text="The filters as a person reads them.")
    owner = serializers.CharField(source="owner.username")

    class Meta:
        model = SavedView
        fields = ("id", "name", "filters", "words", "owner", "shared", "version")

    def get_words(self, view: SavedView) -> str:
        return saved.in_words(view.filters)


class NameSerializer(serializers.Serializer):
    name = serializers.CharField(max_length=saved.MAX_NAME, required=False)
    shared = serializers.BooleanField(required=False, help_text="With everybody who sees results.")


class NewViewSerializer(NameSerializer):
    name = serializers.CharField(max_length=saved.MAX_NAME)
    filters = Filters()


class PreferencesSerializer(serializers.ModelSerializer):
    class Meta:
        model = Preferences
        fields = ("mask", "submit_at_once", "break_minutes", "version")
        read_only_fields = ("version",)

"""A result in hand, as the desk shows it, and what can be said of it."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from classifiers.types import Stage
from moderation.categories import CATEGORIES
from review.handout import MAX_REASON
from review.models import Draft
from review.serializers.shared import Number
from runs.models import STAGES, Verdict


class CheckVerdictSerializer(serializers.ModelSerializer):
    """What a check of the machine said."""

    check_name = serializers.CharField()
    flagged = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = Verdict
        fields = ("check_name", "label", "score", "flagged", "reason")


class FoundSerializer(serializers.Serializer):
    label = serializers.CharField(allow_null=True)
    score = serializers.FloatField(allow_null=True)
    verdicts = CheckVerdictSerializer(many=True)


class PartSerializer(serializers.Serializer):
    """A prompt or an answer; ``asked`` whether a label is wanted, ``fixed`` whether the label was given before and stands."""

    stage = serializers.ChoiceField(choices=STAGES)
    text = serializers.CharField()
    asked = serializers.BooleanField()
    label = serializers.CharField(help_text="Empty until one was given.")
    fixed = serializers.BooleanField()
    found = FoundSerializer(allow_null=True, help_text="What the machine said; null in a blind queue.")


class SheetSerializer(serializers.Serializer):
    """A result in hand. In a blind queue its answer comes when the prompt is judged, and nothing tells what others said."""

    id = serializers.IntegerField(source="claim.pk")
    queue = serializers.IntegerField(source="claim.item.queue_id")
    result = serializers.IntegerField(source="claim.item.result_id")
    state = serializers.CharField(source="claim.state")
    claimed_at = serializers.DateTimeField(source="claim.claimed_at")
    expires_at = serializers.DateTimeField(source="claim.expires_at", allow_null=True)
    seconds_left = serializers.IntegerField()
    given_by = serializers.CharField(source="claim.given_by")
    instructions = serializers.CharField(source="claim.item.queue.instructions")
    parts = PartSerializer(many=True)
    categories = serializers.ListField(child=serializers.CharField())
    note = serializers.CharField()
    known_categories = serializers.SerializerMethodField(help_text="That can be named.")

    def get_known_categories(self, sheet: Any) -> list[str]:
        return list(CATEGORIES)


class NextSerializer(serializers.Serializer):
    besides = Number(required=False, help_text="The claim in hand, to take the one after it.")


class ReasonSerializer(serializers.Serializer):
    reason = serializers.CharField(max_length=MAX_REASON)


class ReceiverSerializer(serializers.Serializer):
    to = serializers.CharField(max_length=150, help_text="The name of a colleague.")


class StageSerializer(serializers.Serializer):
    stage = serializers.ChoiceField(choices=STAGES)


class TextSerializer(serializers.Serializer):
    stage = serializers.ChoiceField(choices=STAGES)
    text = serializers.CharField()


class PulseSerializer(serializers.Serializer):
    """A lease that was made whole again, and how long its holder has worked without a pause."""

    id = serializers.IntegerField()
    expires_at = serializers.DateTimeField()
    seconds_left = serializers.IntegerField()
    left = serializers.IntegerField(help_text="Results that wait for you, counted up to 1,001.")
    minutes_at_work = serializers.IntegerField()
    needs_break = serializers.BooleanField()


class DraftSerializer(serializers.ModelSerializer):
    """A verdict that came too late for its slot; sent again under its claim, it is stored should a place be free."""

    claim = serializers.IntegerField(allow_null=True)
    queue = serializers.IntegerField(source="item.queue_id")
    input = serializers.SerializerMethodField()
    output = serializers.SerializerMethodField()
    categories = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = Draft
        fields = ("id", "claim", "queue", "input", "output", "categories", "note", "saved_at")

    def get_input(self, draft: Draft) -> str | None:
        return draft.labels.get(Stage.INPUT)

    def get_output(self, draft: Draft) -> str | None:
        return draft.labels.get(Stage.OUTPUT)

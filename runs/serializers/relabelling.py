"""Labelling a run anew, as the REST API takes it and tells of it."""

from __future__ import annotations

from rest_framework import serializers

from audit.rest import Question
from classifiers.types import Label, Stage
from moderation.policies import NO_POLICY
from runs.relabelling import MAX_NOTE

MAX_REFERENCE = 120
REFERENCE = f"NAME@3, NAME for its newest version, or {NO_POLICY} for the classifiers' own word."


class RelabellingQuestion(Question):
    policy = serializers.CharField(max_length=MAX_REFERENCE, help_text=REFERENCE)


class RelabellingBody(serializers.Serializer):
    policy = serializers.CharField(max_length=MAX_REFERENCE, help_text=REFERENCE)
    note = serializers.CharField(max_length=MAX_NOTE, help_text="Why; it stands in the audit trail.")


class RelabelledSerializer(serializers.Serializer):
    """How many results of a stage go from one label to another."""

    stage = serializers.ChoiceField(choices=[stage.value for stage in Stage])
    before = serializers.ChoiceField(choices=[label.value for label in Label])
    after = serializers.ChoiceField(choices=[label.value for label in Label])
    results = serializers.IntegerField()


class RelabellingSerializer(serializers.Serializer):
    """What labelling a run anew changes."""

    run = serializers.IntegerField()
    policy = serializers.CharField(allow_null=True, help_text="The version; null is the classifiers' own word.")
    total = serializers.IntegerField(help_text="Results that were looked at.")
    changed = serializers.IntegerField(help_text="Results of which a label changes.")
    recategorised = serializers.IntegerField(help_text="Results of which only the categories change.")
    labels = RelabelledSerializer(many=True)
    answered = serializers.IntegerField(help_text="Results with an answer, though their prompt is TOXIC then.")
    unanswered = serializers.IntegerField(help_text="Results without an answer, though their prompt is SAFE then.")
    examples = serializers.ListField(
        child=serializers.IntegerField(), help_text="Positions of the first results of which a label changes."
    )

"""Drift of classifiers as the REST API shows it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from audit.rest import Paged
from classifiers.drift import Level
from governance.models import DriftAssessment
from runs.querysets import BINS

LEVELS = [level.value for level in Level]


class WindowSerializer(serializers.Serializer):
    """Numbers of texts in some days."""

    scores = serializers.ListField(
        child=serializers.IntegerField(), help_text=f"In each of {BINS} equal bins of the score, from 0 to 1."
    )
    judged = serializers.IntegerField()
    toxic = serializers.IntegerField(help_text="By the classifier's own word.")
    policy_toxic = serializers.IntegerField(help_text="Under the policy that each was judged under.")
    errors = serializers.IntegerField(help_text="That could not be judged, beside those that were.")


class DaySerializer(WindowSerializer):
    day = serializers.DateField()


class FindingSerializer(serializers.Serializer):
    """One respect in which the windows were compared. What does not apply to it is null."""

    respect = serializers.ChoiceField(choices=["scores", "labels", "policy labels", "errors"])
    level = serializers.ChoiceField(choices=LEVELS)
    p_value = serializers.FloatField(allow_null=True, help_text="How often chance makes a difference as large.")
    psi = serializers.FloatField(allow_null=True, help_text="Population stability index.")
    distance = serializers.FloatField(allow_null=True, help_text="Of Kolmogorov and Smirnov, between the scores.")
    reference = serializers.FloatField(allow_null=True, help_text="The share before: of TOXIC, or of errors.")
    recent = serializers.FloatField(allow_null=True, help_text="The share now.")


class DriftSerializer(serializers.ModelSerializer):
    """What a version of a classifier says at a stage, held against what it said before."""

    classifier = serializers.CharField(source="version.alias")
    live = serializers.BooleanField(help_text="true: what programs ask; false: runs over files.")
    level = serializers.ChoiceField(choices=LEVELS, help_text="The worst of the findings; unknown is not none.")
    since = serializers.DateTimeField(allow_null=True, help_text="When drift was found; null when there is none.")
    reference, recent = WindowSerializer(), WindowSerializer()
    findings = FindingSerializer(many=True)
    days = serializers.SerializerMethodField()

    class Meta:
        model = DriftAssessment
        fields = (
            *("id", "classifier", "version", "stage", "live", "level", "why", "since"),
            *("reference", "recent", "findings", "days", "assessed_at"),
        )

    @extend_schema_field(DaySerializer(many=True))
    def get_days(self, assessment: DriftAssessment) -> list[dict[str, Any]]:
        return list(assessment.days)


class DriftQuestion(Paged):
    classifier = serializers.CharField(max_length=100, required=False, help_text="Its alias.")
    level = serializers.ChoiceField(choices=LEVELS, required=False)

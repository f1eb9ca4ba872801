"""What the REST API takes and says when it judges texts."""

from __future__ import annotations

from rest_framework import serializers

from classifiers.types import Label
from runs.gateway.moderating import MOST
from runs.requests import MAX_CHECKS

MAX_ALIAS = 100


class Text(serializers.CharField):
    def __init__(self, **options: object) -> None:
        super().__init__(trim_whitespace=False, allow_blank=True, **options)


class ModerationBody(serializers.Serializer):
    texts = serializers.ListField(child=Text(), min_length=1, max_length=MOST)
    model = serializers.CharField(
        required=False,
        max_length=MAX_CHECKS * MAX_ALIAS,
        help_text="Alias of a classifier, or of several: toxicity,pii; that of the settings if left out.",
    )


class SpanSerializer(serializers.Serializer):
    start = serializers.IntegerField()
    end = serializers.IntegerField()
    kind = serializers.CharField()
    score = serializers.FloatField(allow_null=True)


class SaidOfTextSerializer(serializers.Serializer):
    """What was said of one text. ERROR: it could not be judged, which never counts as safe."""

    label = serializers.ChoiceField(choices=[(label.value, label.value.capitalize()) for label in Label])
    score = serializers.FloatField(allow_null=True)
    categories = serializers.DictField(child=serializers.FloatField(), help_text="Scores by category.")
    flagged = serializers.ListField(child=serializers.CharField(), help_text="Categories that led to TOXIC.")
    thresholds = serializers.DictField(child=serializers.FloatField(), help_text="That were applied.")
    spans = SpanSerializer(many=True)
    reason = serializers.CharField(help_text="For people; empty where there is none.")


class CheckedSerializer(SaidOfTextSerializer):
    check = serializers.CharField(help_text="Alias of the classifier.")


class ModeratedSerializer(SaidOfTextSerializer):
    """What was said of one text by all together, TOXIC if one says so, else ERROR if one could not judge; and by each."""

    checks = CheckedSerializer(many=True)
    result = serializers.IntegerField(allow_null=True, help_text="The result that keeps it, if such are kept.")


class ModerationSafetySerializer(serializers.Serializer):
    degraded = serializers.BooleanField(
        help_text="Whether one of the texts could not be judged and passes all the same: the site is told to fail open."
    )


class ModerationSerializer(serializers.Serializer):
    model = serializers.CharField(help_text="Alias of the classifier that judged, or of the several that did.")
    run = serializers.IntegerField(allow_null=True, help_text="The live run that keeps the results.")
    results = ModeratedSerializer(many=True)
    safety = ModerationSafetySerializer()

"""What several resources show and take: estimates, filters, what a person says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from classifiers.types import Stage
from review.models import MAX_NOTE
from review.scopes import MAX_ID
from review.services import MAX_CATEGORIES, Judgement
from runs.filters import ResultFilter
from runs.models import HUMAN_LABELS

FILTERS = tuple(ResultFilter.base_filters)


class Number(serializers.IntegerField):
    """That a row may have."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=1, max_value=MAX_ID, **options)


@extend_schema_field(
    {"type": "object", "properties": {name: {"type": "string"} for name in FILTERS}, "additionalProperties": False}
)
class Filters(serializers.DictField):
    """In the grammar in which results are listed; what a value may be is checked where it is used."""

    child = serializers.CharField()

    def to_internal_value(self, data: Any) -> dict[str, str]:
        given: dict[str, str] = super().to_internal_value(data)
        if unknown := sorted(given.keys() - set(FILTERS)):
            raise serializers.ValidationError(
                f"There is no filter {unknown[0][:60]!r}. There are: {', '.join(FILTERS)}."
            )
        return given


class EstimateSerializer(serializers.Serializer):
    """A figure with its 95 % interval; where it is undefined it is null, and ``why`` says so."""

    value = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)
    n = serializers.IntegerField()
    why = serializers.CharField()


class LabelsSerializer(serializers.Serializer):
    """What a person says of a prompt, its answer or both."""

    input = serializers.ChoiceField(choices=HUMAN_LABELS, required=False, help_text="Of the prompt.")
    output = serializers.ChoiceField(choices=HUMAN_LABELS, required=False, help_text="Of the answer.")


class JudgementSerializer(LabelsSerializer):
    categories = serializers.ListField(
        child=serializers.CharField(max_length=100), required=False, max_length=MAX_CATEGORIES
    )
    note = serializers.CharField(required=False, allow_blank=True, max_length=MAX_NOTE, trim_whitespace=False)


def labels_of(said: Mapping[str, Any]) -> dict[Stage, str]:
    return {stage: said[stage.lower()] for stage in Stage if stage.lower() in said}


def judgement_of(said: Mapping[str, Any], *, key: str) -> Judgement:
    """Raises InputError when nothing is said."""
    return Judgement(labels_of(said), key=key, categories=said.get("categories", ()), note=said.get("note", ""))

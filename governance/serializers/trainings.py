"""Trainings and adapters as the REST API takes and shows them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from audit.rest import Paged
from governance import training_jobs
from governance.erased import erased_since
from governance.hyper import HYPER, Hyper
from governance.models import TrainingJob
from governance.serializers.evaluations import MAX_ALIAS, ReviewsOrRowsBody, ScoreBinSerializer
from moderation.adapters import MAX_NAME as MAX_ADAPTER
from moderation.adapters import NAME
from moderation.models import Adapter
from review.serializers.shared import EstimateSerializer

NAMED = rf"^{NAME.pattern}$"


class RecipeBody(serializers.Serializer):
    """What is left out is as usual; with reviews, as suits so many texts."""

    def get_fields(self) -> dict[str, Any]:
        return {each.name: _field(each) for each in HYPER}


def _field(each: Hyper) -> serializers.Field:
    kind: Any = serializers.IntegerField if each.whole else serializers.FloatField
    default = "no limit" if each.default is None else f"{each.default:g}"
    return kind(required=False, min_value=each.low, max_value=each.high, help_text=f"{each.says} By default {default}.")  # type: ignore[no-any-return]


class NewTraining(ReviewsOrRowsBody):
    """An adapter that is wanted, and what it learns from: rows that are sent along, or what people decided here."""

    name = serializers.RegexField(NAMED, help_text="It is named as gemma@NAME.")
    alias = serializers.CharField(max_length=MAX_ALIAS, default="gemma", help_text="The classifier that it is for.")
    reviews = serializers.BooleanField(default=False, help_text="It learns from what people decided here.")
    start = serializers.CharField(
        max_length=MAX_ADAPTER,
        allow_blank=True,
        default="",
        help_text="The adapter that it starts from (embedded: that of the embedded Gemma), which brings its base model, rank, alpha and layers.",
    )
    base_model = serializers.CharField(
        max_length=200,
        allow_blank=True,
        default="",
        help_text="Empty: the classifier's own; else embedded, or a model of the hub.",
    )
    recipe = RecipeBody(required=False)


class TrainingSerializer(serializers.ModelSerializer):
    """A training that was asked for, and how far it has come."""

    data = serializers.DictField(help_text="By part, how many texts, how many toxic ones, and their digest.")
    recipe = serializers.DictField()
    seconds = serializers.FloatField(help_text="At work so far, in steps.")
    seconds_left = serializers.SerializerMethodField(help_text="Of steps, by those that are made; null: not known.")
    adapter = serializers.CharField(source="adapter.name", default=None, allow_null=True, help_text="When it is DONE.")

    class Meta:
        model = TrainingJob
        fields: tuple[str, ...] = (
            *("id", "name", "alias", "dataset", "data", "recipe", "state", "done", "total", "seconds", "seconds_left"),
            *("error", "adapter", "created_by", "created_at", "finished_at"),
        )

    @extend_schema_field(serializers.FloatField(allow_null=True))
    def get_seconds_left(self, job: TrainingJob) -> float | None:
        return training_jobs.seconds_left(job)


class LossSerializer(serializers.Serializer):
    step = serializers.IntegerField()
    loss = serializers.FloatField()
    tuning_loss = serializers.FloatField(allow_null=True, help_text="Where the tuning texts were looked at.")


class TrainingDetailSerializer(TrainingSerializer):
    losses = LossSerializer(many=True)

    class Meta(TrainingSerializer.Meta):
        fields = (*TrainingSerializer.Meta.fields, "losses")


class AdapterSerializer(serializers.ModelSerializer):
    """An adapter, and what the texts that it never saw showed."""

    promoted = serializers.SerializerMethodField(help_text="The aliases that load it now.")
    dataset = serializers.CharField(source="training.dataset", default=None, allow_null=True)
    data = serializers.DictField(source="training.data", default=None, allow_null=True)
    evaluation = serializers.IntegerField(source="training.evaluation_id", default=None, allow_null=True)
    figures = serializers.DictField(
        source="training.evaluation.figures", child=EstimateSerializer(), default=None, allow_null=True
    )

    class Meta:
        model = Adapter
        fields: tuple[str, ...] = (
            *("id", "name", "digest", "base_model", "base_revision", "promoted", "dataset", "data", "evaluation"),
            *("figures", "created_by", "created_at"),
        )

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_promoted(self, adapter: Adapter) -> list[str]:
        return sorted(alias for alias, held in self.context["holding"].items() if held == adapter.pk)


class AdapterDetailSerializer(AdapterSerializer):
    recipe = serializers.DictField(source="training.recipe", default=None, allow_null=True)
    losses = LossSerializer(source="training.losses", many=True, default=None, allow_null=True)
    bins = ScoreBinSerializer(
        source="training.evaluation.bins", many=True, default=None, allow_null=True, help_text="For a reliability plot."
    )
    threshold = serializers.DictField(
        source="training.evaluation.threshold",
        default=None,
        allow_null=True,
        help_text="Chosen for the best F1 on the texts that it was calibrated on, with what it does on the held ones.",
    )

    let_go = serializers.SerializerMethodField(
        help_text="How many of the texts that it learnt from were let go since. Where there are any, train a new one without them."
    )

    class Meta(AdapterSerializer.Meta):
        fields = (*AdapterSerializer.Meta.fields, "let_go", "folder", "recipe", "losses", "bins", "threshold", "card")

    def get_let_go(self, adapter: Adapter) -> int:
        return erased_since(adapter)


class AdapterQuestion(Paged):
    name = serializers.RegexField(NAMED, required=False)

"""Evaluations as the REST API takes and shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from audit.rest import Paged, Question
from classifiers.curves import Aim
from classifiers.labelled import Columns
from classifiers.measuring import FITS, confusions
from governance.jobs import MAX_ALIASES
from governance.models import Evaluation, EvaluationJob
from governance.services import MAX_NAME, Wish
from governance.uploads import MAX_TEXTS
from review.serializers.shared import EstimateSerializer, Number

MAX_ALIAS, MAX_COLUMN, MAX_VALUES = 100, 200, 50
DIGEST = r"^[0-9a-f]{32}$"


class Column(serializers.CharField):
    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=MAX_COLUMN, allow_blank=True, default="", **options)


class Values(serializers.ListField):
    child = serializers.CharField(max_length=MAX_COLUMN)

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=MAX_VALUES, default=list, **options)


class ColumnsBody(serializers.Serializer):
    """How texts and labels stand in the rows; names may be dotted."""

    text = Column(help_text="Found by itself for the usual names, if empty.")
    label = Column(help_text="Found by itself for the usual names, if empty.")
    toxic = Values(help_text="Further labels that mean toxic.")
    safe = Values(help_text="Further labels that mean safe.")
    toxic_from = serializers.FloatField(allow_null=True, default=None, help_text="Labels are numbers, toxic from here.")
    all = serializers.ChoiceField(
        choices=["SAFE", "TOXIC"], allow_blank=True, default="", help_text="All texts are so: there is no label."
    )
    category = Column(help_text="Texts are counted apart for each value.")
    prompt = Column(help_text="The texts are answers to these.")
    answers = serializers.BooleanField(default=False, help_text="The texts are answers, without their prompts.")
    sources = Column(help_text="Documents that an answer should rest on.")

    @staticmethod
    def columns(given: Mapping[str, Any]) -> Columns:
        named = {name: given[name] for name in ("label", "toxic_from", "category", "prompt") if name in given}
        values = {name: tuple(given.get(name, ())) for name in ("toxic", "safe")}
        return Columns(**named, **values, output=given.get("answers", False), everything=given.get("all", ""))

    @staticmethod
    def source(given: Mapping[str, Any]) -> dict[str, Any]:
        return {"text_column": given.get("text") or None, "sources_column": given.get("sources") or None}


class RowsBody(serializers.Serializer):
    """Labelled rows, how they are to be read, and where they are from."""

    rows = serializers.ListField(
        child=serializers.DictField(allow_empty=False),
        min_length=1,
        max_length=MAX_TEXTS,
        help_text="Objects, each with a text and its label.",
    )
    columns = ColumnsBody(required=False)
    dataset = serializers.CharField(
        max_length=MAX_NAME, allow_blank=True, default="", help_text="Where the rows are from."
    )


class ReviewsOrRowsBody(RowsBody):
    rows = serializers.ListField(
        child=serializers.DictField(allow_empty=False),
        min_length=1,
        max_length=MAX_TEXTS,
        allow_null=True,
        default=None,
        help_text="Objects, each with a text and its label; null: what people decided here.",
    )


class AimBody(serializers.Serializer):
    """How a threshold is chosen."""

    kind = serializers.ChoiceField(choices=list(Aim.KINDS))
    value = serializers.FloatField(
        default=0.0, help_text="The target; for cost, how many false alarms a miss is as bad as. f1 has none."
    )


class NewEvaluation(RowsBody):
    """Labelled rows, and the classifiers or else the run that is held against them."""

    classifiers = serializers.ListField(
        child=serializers.CharField(max_length=MAX_ALIAS), max_length=MAX_ALIASES, default=list, help_text="Aliases."
    )
    run = Number(allow_null=True, default=None, help_text="What this run said of the same texts.")
    name = serializers.CharField(max_length=MAX_NAME, allow_blank=True, default="")
    policy = serializers.CharField(
        max_length=120,
        allow_blank=True,
        default="",
        help_text="NAME or NAME@3: whose thresholds decide; empty: the default policy; none: the classifiers' own word.",
    )
    calibration = serializers.ChoiceField(
        choices=list(FITS), allow_blank=True, default="", help_text="Fitted on one part, reported on the other."
    )
    aim = AimBody(allow_null=True, default=None, help_text="Have a threshold chosen, on one part too.")
    share = serializers.FloatField(
        min_value=0.05, max_value=0.95, default=0.5, help_text="Of the texts that fits are made on."
    )
    seed = serializers.IntegerField(min_value=0, max_value=2**32 - 1, default=0)
    cost_per_thousand = serializers.FloatField(
        min_value=0, max_value=1e9, allow_null=True, default=None, help_text="Of a thousand texts, in any currency."
    )

    @staticmethod
    def wish(given: dict[str, Any]) -> Wish:
        aim = given["aim"] and Aim(**given["aim"])
        return Wish(
            aim=aim, **{name: given[name] for name in ("name", "calibration", "share", "seed", "cost_per_thousand")}
        )


class JobSerializer(serializers.ModelSerializer):
    """An evaluation that was asked for, and how far it has come."""

    of = serializers.ListField(child=serializers.CharField(), help_text="Aliases, or the run.")
    evaluations: serializers.Field = serializers.PrimaryKeyRelatedField(
        many=True, read_only=True, help_text="Those that are made."
    )

    class Meta:
        model = EvaluationJob
        fields = (
            *("id", "of", "run", "policy_version", "dataset", "state", "done", "total", "error", "evaluations"),
            *("created_by", "created_at", "finished_at"),
        )


class EvaluationSerializer(serializers.ModelSerializer):
    """An evaluation in short. Texts that could not be judged are in no figure, and are counted as errors."""

    figures = serializers.DictField(child=EstimateSerializer())
    seconds = serializers.DictField(child=serializers.FloatField(), help_text="Of a text: p50 and p95, where known.")
    policy = serializers.CharField(
        source="policy_version.reference",
        default=None,
        allow_null=True,
        help_text="Whose thresholds decided; null: none.",
    )

    class Meta:
        model = Evaluation
        extra_kwargs = {
            "learnt": {
                "help_text": "Of the texts, how many the version's adapter learnt from; null: that is not known."
            }
        }
        fields: tuple[str, ...] = (
            *("id", "name", "alias", "version", "run", "policy", "policy_version", "dataset", "data_digest"),
            *("n", "toxic", "errors", "unscored", "learnt", "figures", "seconds", "cost_per_thousand", "job"),
            *("created_by", "created_at"),
        )


class ScoreBinSerializer(serializers.Serializer):
    """Texts whose scores lie from low on and below high: their mean score, and the share of them that is toxic."""

    low = serializers.FloatField()
    high = serializers.FloatField()
    n = serializers.IntegerField()
    score = serializers.FloatField(allow_null=True)
    toxic = serializers.FloatField(allow_null=True)


class CategoryCountSerializer(serializers.Serializer):
    """Of the texts of a category: how many, and how many of them are toxic, were flagged, could not be judged."""

    name = serializers.CharField()
    n = serializers.IntegerField()
    toxic = serializers.IntegerField()
    flagged = serializers.IntegerField()
    errors = serializers.IntegerField()


class CategoryConfusionSerializer(serializers.Serializer):
    """What became of the texts of a category; without a name, of all."""

    name = serializers.CharField(allow_blank=True)
    tp = serializers.IntegerField(help_text="Toxic, and flagged.")
    fp = serializers.IntegerField(help_text="Harmless, and flagged.")
    fn = serializers.IntegerField(help_text="Toxic, and missed.")
    tn = serializers.IntegerField(help_text="Harmless, and passed.")
    errors = serializers.IntegerField()


class PickedSerializer(serializers.Serializer):
    """A threshold chosen on one part of the texts, and what it does on the others."""

    aim = AimBody()
    threshold = serializers.FloatField()
    fitted = serializers.IntegerField(help_text="Texts that it was chosen on.")
    figures = serializers.DictField(child=EstimateSerializer())


class CalibratedSerializer(serializers.Serializer):
    """A calibration fitted on one part of the texts, and its error on the others."""

    calibration = serializers.DictField(help_text="Its kind, and what it is made of.")
    fitted = serializers.IntegerField()
    held = serializers.IntegerField()
    before = serializers.FloatField(allow_null=True)
    after = serializers.FloatField(allow_null=True)


class EvaluationDetailSerializer(EvaluationSerializer):
    columns = serializers.DictField(help_text="How texts and labels stood in the data.")
    bins = ScoreBinSerializer(many=True, help_text="For a reliability plot.")
    categories = CategoryCountSerializer(many=True)
    confusion = serializers.SerializerMethodField(help_text="By category, of all texts first.")
    calibration = CalibratedSerializer(allow_null=True)
    threshold = PickedSerializer(allow_null=True)

    class Meta(EvaluationSerializer.Meta):
        fields = (
            *EvaluationSerializer.Meta.fields,
            "columns",
            "bins",
            "categories",
            "confusion",
            "calibration",
            "threshold",
        )

    @extend_schema_field(CategoryConfusionSerializer(many=True))
    def get_confusion(self, evaluation: Evaluation) -> Any:
        return CategoryConfusionSerializer(confusions(evaluation.scores.said), many=True).data


class EvaluationQuestion(Paged):
    alias = serializers.CharField(max_length=MAX_ALIAS, required=False)
    data_digest = serializers.RegexField(DIGEST, required=False, help_text="On these very texts and labels.")


class ComparisonQuestion(Question):
    def get_fields(self) -> dict[str, Any]:
        return {"with": Number(help_text="The number of another evaluation on the same data.")}  # Python's own word


class PairedSerializer(serializers.Serializer):
    """The first less the second, on the texts that both judged, each interval from the same resamples of both."""

    n = serializers.IntegerField()
    left_out = serializers.IntegerField()
    auprc = EstimateSerializer()
    roc_auc = EstimateSerializer()
    only_first = serializers.IntegerField(help_text="Texts that only the first got right.")
    only_second = serializers.IntegerField()
    mcnemar_p = serializers.FloatField()


class ThresholdQuestion(Question):
    kind = serializers.ChoiceField(choices=list(Aim.KINDS))
    value = serializers.FloatField(required=False, default=0.0, help_text="As for aim.")
    share = serializers.FloatField(required=False, default=0.5, min_value=0.05, max_value=0.95)
    seed = serializers.IntegerField(required=False, default=0, min_value=0, max_value=2**32 - 1)

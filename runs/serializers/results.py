"""Results and verdicts as the REST API shows them, and the filters of the console as its parameters."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property
from typing import Any

from django_filters import ChoiceFilter
from django_filters.filters import Filter
from rest_framework import serializers

from audit.rest import Paged, Question
from classifiers.policy import Rules
from classifiers.types import Stage
from moderation import policies
from moderation.serializers import ClassifierVersionSerializer
from runs import paging, search
from runs.filters import MAX_ID, ResultFilter, Score, Search, Whole
from runs.models import LABELS, STAGES, Payload, Result, Verdict
from runs.querysets import SHOWN


def _parameter(each: Filter) -> serializers.Field:
    """A filter of the console as the field of a query. What it means, and all that it refuses, runs.filters says."""
    label, extra = each.label, each.extra
    options: dict[str, Any] = {"required": False, "help_text": f"{label}."}
    if isinstance(each, ChoiceFilter):
        return serializers.ChoiceField(choices=extra["choices"], **options)
    if isinstance(each, Whole | Score):
        kind = serializers.IntegerField if isinstance(each, Whole) else serializers.FloatField
        return kind(min_value=extra["min_value"], max_value=extra["max_value"], **options)
    if isinstance(each, Search):  # it must hold a letter or a digit
        return serializers.RegexField(r"[^\W_]", max_length=search.MAX_SEARCH, **options)
    return serializers.CharField(max_length=extra["max_length"], **options)


class FilterQuestion(Question):
    def get_fields(self) -> dict[str, Any]:
        filters = {name: _parameter(each) for name, each in ResultFilter.base_filters.items()}
        return {**filters, **super().get_fields()}


class ResultQuestion(FilterQuestion, Paged):
    cursor = serializers.RegexField(
        r"^[ab][1-9][0-9]{0,17}$", required=False, help_text="From next or previous of another page."
    )
    order = serializers.ChoiceField(
        choices=list(paging.ORDERS),
        required=False,
        help_text="place: by run and position, which is the default within a run; else the newest come first.",
    )


TEXTS = (
    "Null while they are as they came. REDACTED: placeholders stand for personal data. NOT_KEPT, or, after retention, LET_GO: "
    "<NOT_KEPT> stands in their place."
)


class ResultRowSerializer(serializers.ModelSerializer):
    """A result in short; the texts stand in the result itself."""

    beginning = serializers.SerializerMethodField(help_text=f"The first {SHOWN} characters of the prompt.")

    class Meta:
        model = Result
        fields: tuple[str, ...] = (
            *("id", "run", "position", "beginning"),
            *("input_label", "input_score", "input_provenance", "human_input_label"),
            *("output_label", "output_score", "output_provenance", "human_output_label"),
            *("reviewed_at", "disputed", "degraded", "relabelled", "texts"),
        )
        extra_kwargs = {"texts": {"help_text": TEXTS}}

    def get_beginning(self, result: Any) -> str:
        return result.beginning[:SHOWN]


class VerdictSerializer(serializers.ModelSerializer):
    """What one check said of one stage of a result."""

    check = serializers.CharField(source="check_name")
    own_label = serializers.CharField(
        allow_null=True, help_text="What the classifier itself said, where the policy made something else of it."
    )
    categories = serializers.DictField(child=serializers.FloatField(), help_text="Scores by category.")
    flagged = serializers.ListField(child=serializers.CharField())
    own_flagged = serializers.ListField(child=serializers.CharField(), allow_null=True, help_text="As own_label.")
    thresholds = serializers.SerializerMethodField(help_text="By category: the policy's, else the classifier's own.")
    policy_version = serializers.IntegerField(allow_null=True, help_text="Of the policy that the label follows from.")
    version = ClassifierVersionSerializer(allow_null=True, help_text="Null when no classifier judged.")
    has_payload = serializers.BooleanField(help_text="Whether what the provider sent was kept.")

    class Meta:
        model = Verdict
        fields = (
            *("id", "result", "stage", "check", "label", "own_label", "score", "categories", "flagged", "own_flagged"),
            *("thresholds", "policy_version", "spans", "reason", "version", "recalled", "latency", "has_payload"),
        )

    def get_thresholds(self, verdict: Any) -> dict[str, float]:
        return verdict.thresholds_under(self._rules(verdict.policy_version))

    @cached_property
    def _rules(self) -> Callable[[int | None], Rules]:
        """Of a list of verdicts each version is looked up once."""
        return cache(lambda pk: policies.rules_of(policies.find_version(pk) if pk else None))


class ResultSerializer(ResultRowSerializer):
    """A result with its texts and all verdicts."""

    metadata = serializers.DictField()
    input_categories = serializers.ListField(child=serializers.CharField())
    output_categories = serializers.ListField(child=serializers.CharField())
    effective_input_label = serializers.SerializerMethodField(help_text="What people agreed on, else the machine's.")
    effective_output_label = serializers.SerializerMethodField()
    verdicts = VerdictSerializer(many=True)

    class Meta(ResultRowSerializer.Meta):
        fields = (
            *ResultRowSerializer.Meta.fields,
            *("prompt", "answer", "metadata", "input_categories", "output_categories"),
            *("effective_input_label", "effective_output_label", "let_go_at", "created_at", "verdicts"),
        )

    def get_beginning(self, result: Any) -> str:
        return result.prompt[:SHOWN]

    def get_effective_input_label(self, result: Result) -> str:
        return result.effective(Stage.INPUT) or ""

    def get_effective_output_label(self, result: Result) -> str | None:
        return result.effective(Stage.OUTPUT)


class NeighboursSerializer(serializers.Serializer):
    """The results before and after one, of its run and of the filter."""

    before = serializers.IntegerField(allow_null=True)
    after = serializers.IntegerField(allow_null=True)


class VerdictQuestion(Paged):
    run = serializers.IntegerField(min_value=1, max_value=MAX_ID, required=False)
    result = serializers.IntegerField(min_value=1, max_value=MAX_ID, required=False)
    stage = serializers.ChoiceField(choices=STAGES, required=False)
    check = serializers.CharField(max_length=100, required=False, help_text="The alias that judged.")
    label = serializers.ChoiceField(choices=LABELS, required=False)

    COLUMNS = {"check": "check_name"}

    def narrow(self, verdicts: Any, asked: Any) -> Any:
        wanted = {name: value for name, value in asked.items() if name not in ("cursor", "limit", "run")}
        chosen = verdicts.of_run(asked["run"]) if "run" in asked else verdicts
        return chosen.filter(**{self.COLUMNS.get(name, name): value for name, value in wanted.items()})


class PayloadSerializer(serializers.ModelSerializer):
    """What a provider sent for a verdict."""

    body = serializers.CharField(help_text="JSON, as it is kept: it may hold what no other JSON can.")

    class Meta:
        model = Payload
        fields = ("verdict", "body")

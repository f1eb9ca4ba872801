"""What people said of results, and the disagreements among them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from audit.rest import Paged
from classifiers.types import Stage
from review.adjudication import Case, Summary
from review.models import MAX_NOTE, Review, text_of
from review.serializers.claims import CheckVerdictSerializer, SheetSerializer
from review.serializers.figures import ScopeQuestion
from review.serializers.queues import ClaimSerializer
from review.serializers.shared import EstimateSerializer, JudgementSerializer, Number
from runs.models import STAGES

STANDINGS = ("stands", "superseded", "taken back")


class MachineSerializer(serializers.Serializer):
    label = serializers.CharField(allow_null=True)
    score = serializers.FloatField(allow_null=True)


class ReviewSerializer(serializers.ModelSerializer):
    """What a person said of a text. ``machine`` is what it said of the same, while the review stands."""

    reviewer = serializers.CharField(source="reviewer.username")
    queue = serializers.IntegerField(source="item.queue_id", allow_null=True)
    categories = serializers.ListField(child=serializers.CharField())
    standing = serializers.SerializerMethodField()
    machine = serializers.SerializerMethodField()

    class Meta:
        model = Review
        fields = (
            *("id", "result", "queue", "stage", "reviewer", "label", "categories", "note", "cause", "blind"),
            *("supersedes", "bulk", "created_at", "standing", "machine"),
        )

    @extend_schema_field(serializers.ChoiceField(choices=STANDINGS))
    def get_standing(self, review: Any) -> str:
        if not review.label:
            return "taken back"
        return "superseded" if review.has_later else "stands"

    @extend_schema_field(MachineSerializer(allow_null=True))
    def get_machine(self, review: Any) -> Any:
        # Whoever took a blind verdict back holds the result again, and is to judge it without this.
        if not review.label or review.has_later:
            return None
        return {name: getattr(review.result, f"{review.stage.lower()}_{name}") for name in ("label", "score")}


class NewReviewSerializer(JudgementSerializer):
    claim = Number(required=False, help_text="Under which the result is held; without it, outside any queue.")


class SubmittedSerializer(serializers.Serializer):
    """What became of an act: ``stored``; ``repeated``, it was stored before; ``pending``, the prompt is noted and the sheet
    shows the answer; ``draft``, somebody else was faster, and it is kept among your drafts.
    """

    status = serializers.ChoiceField(choices=["stored", "repeated", "pending", "draft"])
    reviews = ReviewSerializer(many=True)
    sheet = SheetSerializer(allow_null=True)


class UndoSerializer(serializers.Serializer):
    act = serializers.CharField(
        required=False, max_length=64, help_text="The key of the act to take back, if it is not your newest one."
    )


class UndoneSerializer(serializers.Serializer):
    """``claim`` is that under which the result is held again, if it is of a queue."""

    claim = serializers.IntegerField(allow_null=True)


class ReviewQuestion(ScopeQuestion, Paged):
    """Your own, unless you oversee reviews: then everybody's, and the filters are for you."""


class TodaySerializer(serializers.Serializer):
    """What you did today, and how often you answered known answers rightly, in steps of five."""

    judged = serializers.IntegerField()
    toxic = serializers.IntegerField()
    exposed = serializers.IntegerField(help_text="Hidden texts that you asked to see.")
    minutes_at_work = serializers.IntegerField()
    answered = serializers.IntegerField()
    correct = serializers.IntegerField()
    share = EstimateSerializer()


class DisagreementQuestion(Paged):
    queue = Number(required=False)


class DisagreementSerializer(serializers.Serializer):
    """A result that needs an adjudication, and why."""

    item = serializers.IntegerField(source="item.pk")
    queue = serializers.IntegerField(source="item.queue_id")
    result = serializers.IntegerField(source="item.result_id")
    input = serializers.SerializerMethodField()
    output = serializers.SerializerMethodField()
    escalated = serializers.ListField(child=serializers.CharField())

    def get_input(self, summary: Summary) -> list[str]:
        return list(summary.said.get(Stage.INPUT, ()))

    def get_output(self, summary: Summary) -> list[str]:
        return list(summary.said.get(Stage.OUTPUT, ()))


class CasePartSerializer(serializers.Serializer):
    stage = serializers.ChoiceField(choices=STAGES)
    text = serializers.CharField()
    asked = serializers.BooleanField()
    label = serializers.CharField(allow_null=True, help_text="The machine's.")
    score = serializers.FloatField(allow_null=True)
    verdicts = CheckVerdictSerializer(many=True)


class CaseSerializer(serializers.Serializer):
    """A result to be settled, with all that the machine and people said of it."""

    item = serializers.IntegerField(source="item.pk")
    queue = serializers.IntegerField(source="item.queue_id")
    result = serializers.IntegerField(source="item.result_id")
    parts = serializers.SerializerMethodField()
    reviews = serializers.SerializerMethodField()
    aside = ClaimSerializer(many=True)

    @extend_schema_field(CasePartSerializer(many=True))
    def get_parts(self, case: Case) -> Any:
        there = [stage for stage in Stage if text_of(case.result, stage) is not None]
        return CasePartSerializer([_part(case, stage) for stage in there], many=True).data

    @extend_schema_field(ReviewSerializer(many=True))
    def get_reviews(self, case: Case) -> Any:
        for opinion in case.opinions:
            opinion.review.has_later = not opinion.stands  # type: ignore[attr-defined]
        return ReviewSerializer([opinion.review for opinion in case.opinions], many=True).data


def _part(case: Case, stage: Stage) -> dict[str, Any]:
    name, text = stage.lower(), text_of(case.result, stage)
    columns = {column: getattr(case.result, f"{name}_{column}") for column in ("label", "score")}
    return {"stage": stage, "text": text, "asked": stage in case.stages, "verdicts": case.verdicts[stage], **columns}


class AdjudicationSerializer(serializers.Serializer):
    """The decision, SAFE or TOXIC for all that the queue asks, and why people differed."""

    item = Number()
    input = serializers.ChoiceField(choices=["SAFE", "TOXIC"], required=False)
    output = serializers.ChoiceField(choices=["SAFE", "TOXIC"], required=False)
    cause = serializers.ChoiceField(choices=Review.Cause.choices)
    note = serializers.CharField(required=False, allow_blank=True, max_length=MAX_NOTE, trim_whitespace=False)


class SettledSerializer(serializers.Serializer):
    status = serializers.ChoiceField(choices=["stored", "repeated"])
    reviews = ReviewSerializer(many=True)

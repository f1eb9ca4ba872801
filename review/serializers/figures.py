"""Figures over REST: agreement, the machine against people, the report of a period; and the filters that they take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from audit.rest import Question
from classifiers.errors import InputError
from classifiers.evaluation import SweepPoint
from review.figures import Agreement
from review.machine import Held
from review.models import Queue
from review.reports import FORMS, name_of
from review.scopes import MAX_CATEGORY, Scope, ScopeForm, reviewers
from review.serializers.shared import EstimateSerializer, Number
from runs.models import STAGES


class PeriodQuestion(Question):
    """Whole days in UTC, the last one included."""

    since = serializers.DateField(required=False)
    until = serializers.DateField(required=False)


class OfQueueQuestion(PeriodQuestion):
    run = Number(required=False)
    stage = serializers.ChoiceField(choices=STAGES, required=False)
    category = serializers.CharField(required=False, max_length=MAX_CATEGORY, help_text="As the machine names it.")
    one = serializers.CharField(required=False, max_length=150, help_text="Two people, by name: one")
    other = serializers.CharField(required=False, max_length=150, help_text="and the other.")


class ScopeQuestion(OfQueueQuestion):
    queue = Number(required=False)


SCOPE = tuple(ScopeQuestion().fields)


def scope_of(asked: Mapping[str, Any], queue: Queue | None = None) -> Scope:
    """What was asked for, in the grammar of the console. Raises InputError when it cannot be."""
    people, given = reviewers(), {name: str(value) for name, value in asked.items() if name in SCOPE}
    for name in {"one", "other"} & given.keys():
        given[name] = _number(given[name], people)
    named = [(str(pk), str(pk)) for pk in Queue.objects.values_list("pk", flat=True)]
    return ScopeForm(given, people=people, queues=None if queue else named).scope(queue)


def _number(name: str, people: Mapping[int, str]) -> str:
    found = next((pk for pk, known in people.items() if known == name), None)
    if found is None:
        raise InputError(f"Nobody called {name!r} has reviewed anything.")
    return str(found)


class MeasureSerializer(serializers.Serializer):
    name = serializers.CharField()
    says = serializers.CharField()
    is_share = serializers.BooleanField()
    estimate = EstimateSerializer()


class PairSerializer(serializers.Serializer):
    one = serializers.CharField()
    other = serializers.CharField()
    same = serializers.FloatField(help_text="The share of texts judged by both on which they said the same.")
    kappa = EstimateSerializer(help_text="Cohen's.")


class PersonSerializer(serializers.Serializer):
    name = serializers.CharField()
    verdicts = serializers.IntegerField()


class AccuracySerializer(serializers.Serializer):
    """How often somebody answered known answers rightly."""

    name = serializers.CharField()
    answered = serializers.IntegerField()
    correct = serializers.IntegerField()
    share = EstimateSerializer()


class RaterAgreementSerializer(serializers.Serializer):
    """How far people agree; ``not_blind`` verdicts of blind queues are left out. Pairs are of the twelve who judged most."""

    verdicts = serializers.IntegerField()
    units = serializers.IntegerField(help_text="Texts.")
    overlapping = serializers.IntegerField(help_text="Texts that at least two people judged.")
    not_blind = serializers.IntegerField()
    everybody = serializers.IntegerField(help_text="People.")
    measures = MeasureSerializer(many=True)
    people = serializers.SerializerMethodField()
    pairs = serializers.SerializerMethodField()
    known_answers = serializers.SerializerMethodField()

    @extend_schema_field(PersonSerializer(many=True))
    def get_people(self, agreement: Agreement) -> Any:
        return [{"name": self.context["names"][pk], "verdicts": n} for pk, n in agreement.people.items()]

    @extend_schema_field(PairSerializer(many=True))
    def get_pairs(self, agreement: Agreement) -> Any:
        names = self.context["names"]
        pairs = [
            {"one": names[pair.one], "other": names[pair.other], "same": pair.same, "kappa": pair.kappa}
            for pair in agreement.pairs.values()
        ]
        return PairSerializer(pairs, many=True).data

    @extend_schema_field(AccuracySerializer(many=True))
    def get_known_answers(self, agreement: Agreement) -> Any:
        names = self.context["names"]
        known = [
            {"name": names[pk], "answered": each.answered, "correct": each.correct, "share": each.share}
            for pk, each in self.context["accuracies"].items()
        ]
        return AccuracySerializer(sorted(known, key=lambda each: each["name"]), many=True).data


class ConfusionSerializer(serializers.Serializer):
    """Results by what machine and people said, positive being toxic; weighted where a sample stands for more."""

    tp = serializers.FloatField()
    fp = serializers.FloatField()
    fn = serializers.FloatField()
    tn = serializers.FloatField()


class CountSerializer(serializers.Serializer):
    machine = serializers.CharField()
    toxic = serializers.IntegerField(help_text="That people call so.")
    safe = serializers.IntegerField()


class SweepSerializer(serializers.Serializer):
    """What another threshold would do."""

    threshold = serializers.FloatField()
    precision = serializers.FloatField(allow_null=True)
    recall = serializers.FloatField(allow_null=True)
    flagged = serializers.FloatField()
    f1 = serializers.FloatField(allow_null=True)


class HeldSerializer(serializers.Serializer):
    """The machine at a stage, or one version of one check, held against people.

    ``why`` says why nothing is known of what it missed: then ``recall`` and ``false_negative_rate`` are null.
    """

    stage = serializers.ChoiceField(choices=STAGES)
    check_name = serializers.CharField(source="name", help_text="Empty: the machine as a whole.")
    version = serializers.SerializerMethodField()
    reviewed = serializers.IntegerField()
    matrix = serializers.SerializerMethodField()
    precision = EstimateSerializer()
    recall = serializers.SerializerMethodField()
    false_negative_rate = serializers.SerializerMethodField()
    naive_recall = serializers.SerializerMethodField(help_text="As if the reviewed results were all; it is too high.")
    why = serializers.CharField()
    confusion = ConfusionSerializer()
    sweep = serializers.SerializerMethodField()

    def get_version(self, held: Held) -> str:
        return name_of(held.version) if held.version else ""

    @extend_schema_field(CountSerializer(many=True))
    def get_matrix(self, held: Held) -> Any:
        return [{"machine": said, "toxic": toxic, "safe": safe} for said, toxic, safe in held.matrix]

    @extend_schema_field(EstimateSerializer(allow_null=True))
    def get_recall(self, held: Held) -> Any:
        return held.missed and EstimateSerializer(held.missed.recall).data

    @extend_schema_field(EstimateSerializer(allow_null=True))
    def get_false_negative_rate(self, held: Held) -> Any:
        return held.missed and EstimateSerializer(held.missed.false_negative_rate).data

    def get_naive_recall(self, held: Held) -> float | None:
        return held.missed.naive_recall if held.missed else None

    @extend_schema_field(SweepSerializer(many=True))
    def get_sweep(self, held: Held) -> Any:
        points: list[SweepPoint] = held.sweep if held.sweep and not held.why else []
        return SweepSerializer(points, many=True).data


class AgainstPeopleSerializer(serializers.Serializer):
    whole = HeldSerializer(many=True)
    versions = HeldSerializer(many=True)


class FiguresSerializer(serializers.Serializer):
    """The figures of one queue."""

    agreement = RaterAgreementSerializer()
    machine = AgainstPeopleSerializer()


ReportQuestion = type(
    "ReportQuestion",
    (PeriodQuestion,),
    {"as": serializers.ChoiceField(choices=FORMS, required=False, help_text="To take it out as a file; recorded.")},
)


class VersionCountSerializer(serializers.Serializer):
    version = serializers.CharField()
    judged = serializers.IntegerField()
    flagged = serializers.IntegerField()
    errors = serializers.IntegerField()


class PersonCountSerializer(serializers.Serializer):
    person = serializers.CharField()
    verdicts = serializers.IntegerField()
    corrections = serializers.IntegerField()
    taken_back = serializers.IntegerField()
    adjudications = serializers.IntegerField()
    in_bulk = serializers.IntegerField()
    overrides = serializers.IntegerField()


class RateSerializer(serializers.Serializer):
    """How often the machine was wrong at a stage."""

    kind = serializers.CharField()
    stage = serializers.CharField()
    share = EstimateSerializer()


class ChainSerializer(serializers.Serializer):
    """What is known of the audit trail."""

    entries = serializers.IntegerField()
    unchecked = serializers.IntegerField()
    checked_at = serializers.DateTimeField(allow_null=True)
    whole_since = serializers.DateTimeField(allow_null=True)
    fault = serializers.CharField()


class ReportSerializer(serializers.Serializer):
    """What the machine decided in a period, what people did, and how often it was wrong."""

    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    made_at = serializers.DateTimeField()
    results = serializers.IntegerField()
    flagged = serializers.IntegerField()
    errors = serializers.IntegerField()
    reviewed = serializers.IntegerField()
    overridden = serializers.IntegerField()
    versions = VersionCountSerializer(many=True)
    people = PersonCountSerializer(many=True)
    rates = RateSerializer(many=True)
    logins_refused = serializers.IntegerField()
    exports = serializers.IntegerField()
    events = serializers.DictField(child=serializers.IntegerField())
    chain = ChainSerializer()
    decisions = serializers.IntegerField()
    verdicts = serializers.IntegerField()

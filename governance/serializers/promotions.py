"""Promotions, and what speaks for them, as the REST API takes and shows them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from audit.rest import Paged, Question
from governance.promotion import MAX_NOTE, UNDOES, Case
from governance.serializers.evaluations import MAX_ALIAS, CategoryConfusionSerializer, ReviewsOrRowsBody
from governance.serializers.trainings import NAMED
from moderation.models import Promotion
from review.serializers.shared import EstimateSerializer, Number


class NewComparison(ReviewsOrRowsBody):
    """An adapter, and the classifier whose place it would take; on rows that are sent along, else on what people decided."""

    adapter = serializers.RegexField(NAMED)
    alias = serializers.CharField(max_length=MAX_ALIAS, default="gemma")


class CaseQuestion(Question):
    old = Number(help_text="The evaluation of what the classifier loads now.")
    new = Number(help_text="That of it with the adapter.")


class NewPromotion(serializers.Serializer):
    """Two evaluations whose comparison meets every gate, and why the adapter is promoted."""

    old = Number(help_text="The evaluation of what the classifier loads now.")
    new = Number(help_text="That of it with the adapter.")
    note = serializers.CharField(max_length=MAX_NOTE, help_text="Why.")


class Rollback(serializers.Serializer):
    note = serializers.CharField(max_length=MAX_NOTE, allow_blank=True, default="")


class GateSerializer(serializers.Serializer):
    """Something that must hold before an adapter may be promoted."""

    name = serializers.CharField()
    met = serializers.BooleanField()
    says = serializers.CharField(help_text="What was measured, and what is needed.")


class BesideSerializer(serializers.Serializer):
    """A figure of both on the same texts, and the new one's less the old one's."""

    old = EstimateSerializer()
    new = EstimateSerializer()
    change = EstimateSerializer()


class GroupRateSerializer(serializers.Serializer):
    """Of the harmless texts that name a group, how many were flagged, and their share."""

    name = serializers.CharField()
    flagged = serializers.IntegerField()
    rate = EstimateSerializer()
    enough = serializers.BooleanField(help_text="Whether there are enough of them to be compared with others.")


class GroupBesideSerializer(serializers.Serializer):
    old = GroupRateSerializer()
    new = GroupRateSerializer()


class CategoryBesideSerializer(serializers.Serializer):
    """Without a name, of all texts."""

    name = serializers.CharField(allow_blank=True)
    old = CategoryConfusionSerializer()
    new = CategoryConfusionSerializer()


class GapSerializer(serializers.Serializer):
    """The largest share of flagged harmless texts of a group less the smallest; null where too few groups are named."""

    value = serializers.FloatField(allow_null=True)
    highest = serializers.CharField(allow_blank=True)
    lowest = serializers.CharField(allow_blank=True)
    why = serializers.CharField(allow_blank=True)


class RivalsSerializer(serializers.Serializer):
    """Both on the texts that both judged."""

    n = serializers.IntegerField(help_text="Texts, without the probes.")
    toxic = serializers.IntegerField()
    left_out = serializers.IntegerField(help_text="That one of them could not judge.")
    probes = serializers.IntegerField(help_text="Harmless sentences that differ in the group of people that they name.")
    lost = serializers.IntegerField(help_text="That only the old one could judge.")
    fpr = serializers.FloatField(allow_null=True, help_text="The share of harmless texts that the old one flags.")
    figures = serializers.DictField(child=BesideSerializer())
    only_old = serializers.IntegerField(help_text="Texts that only the old one labelled rightly.")
    only_new = serializers.IntegerField()
    mcnemar_p = serializers.FloatField()
    categories = CategoryBesideSerializer(many=True)
    groups = GroupBesideSerializer(many=True)
    gaps = GapSerializer(many=True, help_text="The old one's, and the new one's.")
    gap_change = EstimateSerializer()


class AdapterComparisonSerializer(serializers.Serializer):
    """Whether an adapter may take the place of what a classifier loads, and what was measured."""

    alias = serializers.CharField()
    adapter = serializers.CharField(source="adapter.name")
    old = serializers.IntegerField(source="old.pk")
    new = serializers.IntegerField(source="new.pk")
    may = serializers.BooleanField(help_text="Whether every gate is met.")
    out_of_date = serializers.CharField(allow_blank=True, help_text="Why it may not all the same, if so.")
    gates = GateSerializer(many=True)
    rivals = RivalsSerializer()

    def to_representation(self, instance: Case) -> dict[str, Any]:
        return super().to_representation(instance) | {"rivals": instance.evidence["rivals"]}


class PromotionSerializer(serializers.ModelSerializer):
    """That an alias loads an adapter from then on; the newest of an alias holds."""

    adapter = serializers.CharField(
        source="adapter.name", default=None, allow_null=True, help_text="Null: none, it judges as settings have it."
    )
    rolls_back = serializers.SerializerMethodField(help_text="The promotion that this undid.")

    class Meta:
        model = Promotion
        fields: tuple[str, ...] = ("id", "alias", "adapter", "rolls_back", "note", "created_by", "created_at")

    @extend_schema_field(serializers.IntegerField(allow_null=True))
    def get_rolls_back(self, promotion: Promotion) -> int | None:
        return promotion.evidence.get(UNDOES)


class PromotionDetailSerializer(PromotionSerializer):
    old = serializers.IntegerField(source="evidence.old", default=None, allow_null=True)
    new = serializers.IntegerField(source="evidence.new", default=None, allow_null=True)
    gates = GateSerializer(source="evidence.gates", many=True, default=[])
    rivals = RivalsSerializer(source="evidence.rivals", default=None, allow_null=True)

    class Meta(PromotionSerializer.Meta):
        fields = (*PromotionSerializer.Meta.fields, "old", "new", "gates", "rivals")


class PromotionQuestion(Paged):
    alias = serializers.CharField(max_length=MAX_ALIAS, required=False)

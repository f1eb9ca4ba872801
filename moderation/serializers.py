"""Configured providers and what they go by, as the REST API shows them."""

from __future__ import annotations

from rest_framework import serializers

from audit.rest import Paged, Question
from classifiers.policy import ANY, Action
from classifiers.types import Label, Stage
from moderation.models import ClassifierVersion, Policy, PolicyVersion


class ProviderQuestion(Question):
    check = serializers.BooleanField(
        required=False,
        default=False,
        help_text="Look whether each can work here, which may take some seconds: other servers are asked.",
    )


class ProviderSerializer(serializers.Serializer):
    """A configured provider: an alias, the class behind it and its options."""

    alias = serializers.CharField()
    provider = serializers.CharField(help_text="The class, by its dotted path.")
    options = serializers.DictField(help_text="As settings give them; of a secret a digest.")
    ready = serializers.BooleanField(
        allow_null=True, help_text="Whether it can work here; null unless that was checked."
    )
    problems = serializers.ListField(
        child=serializers.CharField(), help_text="What keeps it from working, and what to do about it."
    )


class CategorySerializer(serializers.Serializer):
    name = serializers.CharField(help_text="As the moderation endpoint of OpenAI writes it.")


class HarmSerializer(serializers.Serializer):
    """A harm, and what each taxonomy calls it."""

    harm = serializers.CharField()
    definition = serializers.CharField()
    categories = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()),
        help_text="By taxonomy the categories that speak of it; an empty list where none does.",
    )


class ClassifierVersionSerializer(serializers.ModelSerializer):
    """One exact version of a model behind an alias, as verdicts name it."""

    class Meta:
        model = ClassifierVersion
        fields = (
            *("id", "alias", "provider", "model", "revision", "adapter_digest", "template_hash", "dtype"),
            *("settings", "fingerprint", "created_at"),
        )


class VersionQuestion(Paged):
    alias = serializers.CharField(max_length=100, required=False)


class ThresholdSerializer(serializers.Serializer):
    """From which raw score on a category counts, at a stage and for a check, or at all of them (empty)."""

    category = serializers.CharField(
        max_length=100, help_text=f"A classifier's own name for it, a harm, or {ANY} for all."
    )
    stage = serializers.ChoiceField([stage.value for stage in Stage], allow_blank=True, default="")
    check = serializers.CharField(max_length=100, allow_blank=True, default="", help_text="The alias of a classifier.")
    threshold = serializers.FloatField(
        min_value=0, max_value=1, allow_null=True, default=None, help_text="null: the classifier's own word stands."
    )
    action = serializers.ChoiceField([action.value for action in Action], default=Action.BLOCK.value)


class ExampleSerializer(serializers.Serializer):
    text = serializers.CharField(max_length=10_000, trim_whitespace=False)
    label = serializers.ChoiceField([Label.SAFE.value, Label.TOXIC.value])


class DefinitionSerializer(serializers.Serializer):
    """A harm as a version of a policy defines it."""

    name = serializers.CharField(max_length=100)
    definition = serializers.CharField(max_length=10_000)
    examples = ExampleSerializer(many=True, default=list)


class ContentBody(serializers.Serializer):
    """All that a version says, and why it is made."""

    note = serializers.CharField(max_length=1000)
    thresholds = ThresholdSerializer(many=True, default=list)
    categories = DefinitionSerializer(many=True, default=list)


class PolicyBody(ContentBody):
    name = serializers.CharField(max_length=100)
    description = serializers.CharField(max_length=10_000, allow_blank=True, default="")


class PolicySerializer(serializers.ModelSerializer):
    """What counts as harm, and from which score on. What it says stands in its versions, which never change."""

    newest = serializers.IntegerField(help_text="The number of its newest version, which is the ETag too.")
    runs = serializers.IntegerField(source="under", help_text="Runs that stand under any of its versions.")

    class Meta:
        model = Policy
        fields = ("id", "name", "description", "default", "newest", "runs", "created_by", "created_at")


class PolicyVersionSerializer(serializers.ModelSerializer):
    runs = serializers.IntegerField(source="under", help_text="Runs that stand under it.")
    reference = serializers.CharField(help_text="As it is named where a policy is chosen: NAME@3.")

    class Meta:
        model = PolicyVersion
        fields = ("id", "number", "reference", "note", "runs", "created_by", "created_at")


class PolicyContentSerializer(PolicyVersionSerializer):
    """A version with all that it says."""

    thresholds = ThresholdSerializer(many=True)
    categories = DefinitionSerializer(many=True)

    class Meta(PolicyVersionSerializer.Meta):
        fields = (*PolicyVersionSerializer.Meta.fields, "thresholds", "categories")


class DifferenceQuestion(Question):
    before = serializers.IntegerField(min_value=1, help_text="The number of a version.")
    after = serializers.IntegerField(min_value=1, help_text="The number of the one to compare it with.")


class ChangeSerializer(serializers.Serializer):
    """One place in which two versions differ; null where a version says nothing of it."""

    what = serializers.ChoiceField(["threshold", "category"])
    place = serializers.CharField()
    before = serializers.CharField(allow_null=True)
    after = serializers.CharField(allow_null=True)


class DifferenceSerializer(serializers.Serializer):
    before = serializers.CharField()
    after = serializers.CharField()
    changes = ChangeSerializer(many=True)

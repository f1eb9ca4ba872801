"""Configured providers and what they go by, as the REST API shows them."""

from __future__ import annotations

from rest_framework import serializers

from audit.rest import Paged, Question
from moderation.models import ClassifierVersion


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


class PolicySerializer(serializers.Serializer):
    """What decides, for one classifier, from which score on a text is TOXIC."""

    classifier = serializers.CharField(help_text="Its alias.")
    threshold = serializers.FloatField(allow_null=True, help_text="For every category that has none of its own.")
    thresholds = serializers.DictField(child=serializers.FloatField(), help_text="By category.")
    decided_by = serializers.ChoiceField(
        choices=["settings", "provider"], help_text="provider: settings name none, so that its own defaults hold."
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

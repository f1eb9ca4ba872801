"""Tokens, webhooks and deliveries as the REST API shows them, and what it takes of them."""

from __future__ import annotations

from rest_framework import serializers

from audit.rest import Paged
from integrations.models import MAX_NAME, ApiToken, Delivery, Scope, Webhook


class TokenSerializer(serializers.ModelSerializer):
    """A token without its key, which is told once where it is made."""

    prefix = serializers.CharField(help_text="The beginning of its key.")
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=Scope.choices))

    class Meta:
        model = ApiToken
        fields = ("id", "name", "prefix", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at")


class Events(serializers.ListField):
    child = serializers.ChoiceField(choices=Webhook.Event.choices)


class WebhookSerializer(serializers.ModelSerializer):
    url = serializers.CharField()
    events = Events()
    waiting = serializers.IntegerField(read_only=True, help_text="Messages that are on their way.")
    failed = serializers.IntegerField(read_only=True, help_text="Messages that were given up.")

    class Meta:
        model = Webhook
        fields = ("id", "name", "url", "events", "active", "version", "waiting", "failed", "created_by", "created_at")


class NewWebhookSerializer(WebhookSerializer):
    """As it is shown once, when it is made."""

    class Meta(WebhookSerializer.Meta):
        fields = (*WebhookSerializer.Meta.fields, "secret")


class WebhookBody(serializers.Serializer):
    name = serializers.CharField(max_length=MAX_NAME)
    url = serializers.CharField(max_length=2000)
    events = Events(allow_empty=False, max_length=20)


class WebhookChanges(serializers.Serializer):
    name = serializers.CharField(max_length=MAX_NAME, required=False)
    url = serializers.CharField(max_length=2000, required=False)
    events = Events(allow_empty=False, max_length=20, required=False)
    active = serializers.BooleanField(required=False, help_text="Whether it is told of what happens.")


class Redelivered(serializers.Serializer):
    deliveries = serializers.IntegerField(help_text="How many messages are sent again.")


class DeliverySerializer(serializers.ModelSerializer):
    event = serializers.CharField()
    status = serializers.IntegerField(allow_null=True, help_text="Of the receiver's last answer.")
    attempts = serializers.IntegerField()

    class Meta:
        model = Delivery
        fields = (
            *("id", "webhook", "message_id", "event", "state", "attempts", "due_at", "status", "error"),
            *("created_at", "finished_at"),
        )


class DeliveryDetailSerializer(DeliverySerializer):
    body = serializers.CharField(help_text="The very text that is sent and signed.")

    class Meta(DeliverySerializer.Meta):
        fields = (*DeliverySerializer.Meta.fields, "body")


class DeliveryQuestion(Paged):
    webhook = serializers.IntegerField(required=False, min_value=1, max_value=2**63 - 1)
    state = serializers.ChoiceField(choices=Delivery.State.choices, required=False)

"""The REST door of tokens and webhooks."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from audit.rest import Need, Resource, body, tagged
from integrations import deliveries, services, webhooks
from integrations.models import ApiToken, Delivery, Webhook
from integrations.serializers import (
    DeliveryDetailSerializer,
    DeliveryQuestion,
    DeliverySerializer,
    NewWebhookSerializer,
    Redelivered,
    TokenSerializer,
    WebhookBody,
    WebhookChanges,
    WebhookSerializer,
)


class TokenResource(ListModelMixin, RetrieveModelMixin, Resource):
    """One's own tokens. None is made here: a token must not make tokens."""

    queryset = ApiToken.objects.none()
    serializer_class = TokenSerializer
    needs = {"list": Need("read"), "retrieve": Need("read"), "revoke": Need("admin")}

    def get_queryset(self) -> Any:
        return ApiToken.objects.filter(user=self.request.user.pk)

    def get_object(self) -> ApiToken:
        return services.find_own_token(self.kwargs["pk"], person=self.request.user)

    @extend_schema(request=None, responses=TokenSerializer)
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, pk: int) -> Response:
        """From now on its key opens nothing, also when it is the one that this is asked with."""
        return Response(TokenSerializer(services.revoke_token(self.get_object(), actor=self.actor)).data)


def _webhook(verb: str) -> Need:
    return Need("admin", ["integrations.view_webhook", f"integrations.{verb}_webhook"])


class WebhookResource(ListModelMixin, RetrieveModelMixin, Resource):
    queryset = Webhook.objects.none()
    serializer_class = WebhookSerializer
    needs = {
        **dict.fromkeys(("list", "retrieve"), _webhook("view")),
        **dict.fromkeys(("partial_update", "test"), _webhook("change")),
        "create": _webhook("add"),
        "destroy": _webhook("delete"),
        "redeliver": Need("admin", ["integrations.view_webhook", "integrations.change_delivery"]),
    }
    versioned = ("partial_update", "destroy")

    def get_queryset(self) -> Any:
        return webhooks.webhooks()

    def get_object(self) -> Webhook:
        return webhooks.find_webhook(self.kwargs["pk"])

    def retrieve(self, request: Request, pk: int) -> Response:
        return self._shown(self.get_object())

    @extend_schema(request=WebhookBody, responses={201: NewWebhookSerializer})
    def create(self, request: Request) -> Response:
        """The answer is the only place that ever shows its secret."""
        made = webhooks.create_webhook(by=request.user, **body(WebhookBody, request))
        secret = {"secret": made.secret}
        shown = WebhookSerializer(webhooks.find_webhook(made.pk)).data
        return tagged({**shown, **secret}, made.version, status=201)

    @extend_schema(request=WebhookChanges, responses=WebhookSerializer)
    def partial_update(self, request: Request, pk: int) -> Response:
        changes = body(WebhookChanges, request)
        return self._shown(webhooks.update_webhook(self.get_object(), changes, version=self.version, by=request.user))

    @extend_schema(responses={204: OpenApiResponse(description="It is gone, with its deliveries.")})
    def destroy(self, request: Request, pk: int) -> Response:
        webhooks.delete_webhook(self.get_object(), version=self.version, by=request.user)
        return Response(status=204)

    @extend_schema(request=None, responses={202: DeliveryDetailSerializer})
    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: int) -> Response:
        """Sends a message that says nothing."""
        made = webhooks.send_test(self.get_object(), by=request.user)
        return Response(DeliveryDetailSerializer(made).data, status=202)

    @extend_schema(request=None, responses={202: Redelivered})
    @action(detail=True, methods=["post"])
    def redeliver(self, request: Request, pk: int) -> Response:
        """Sends all its failed messages again, each under the id that it had."""
        count = deliveries.redeliver_failed(self.get_object(), by=request.user)
        return Response({"deliveries": count}, status=202)

    def _shown(self, webhook: Webhook) -> Response:
        return tagged(WebhookSerializer(webhook).data, webhook.version)


class DeliveryResource(ListModelMixin, RetrieveModelMixin, Resource):
    queryset = Delivery.objects.none()
    serializer_class = DeliverySerializer
    needs = {
        **dict.fromkeys(("list", "retrieve"), Need("admin", ["integrations.view_delivery"])),
        "redeliver": Need("admin", ["integrations.view_delivery", "integrations.change_delivery"]),
    }
    asks = {"list": DeliveryQuestion}

    def get_queryset(self) -> Any:
        wanted = {name: self.asked[name] for name in ("webhook", "state") if name in self.asked}
        return Delivery.objects.filter(**wanted).defer("body")

    def get_object(self) -> Delivery:
        return deliveries.find_delivery(self.kwargs["pk"])

    @extend_schema(responses=DeliveryDetailSerializer)
    def retrieve(self, request: Request, pk: int) -> Response:
        return Response(DeliveryDetailSerializer(self.get_object()).data)

    @extend_schema(request=None, responses={202: DeliveryDetailSerializer})
    @action(detail=True, methods=["post"])
    def redeliver(self, request: Request, pk: int) -> Response:
        """Sends a failed message again, from the first attempt on, under the same message id."""
        made = deliveries.redeliver(self.get_object(), by=request.user)
        return Response(DeliveryDetailSerializer(made).data, status=202)

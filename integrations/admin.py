"""Where the pages of tokens and webhooks hang in the admin site."""

from __future__ import annotations

from django.contrib import admin

from integrations.models import ApiToken, Delivery, Webhook
from integrations.views import tokens, webhooks
from review.admin import Pages


@admin.register(ApiToken)
class ApiTokenAdmin(Pages):
    pages = tokens.token_pages


@admin.register(Webhook)
class WebhookAdmin(Pages):
    pages = webhooks.webhook_pages


@admin.register(Delivery)
class DeliveryAdmin(Pages):
    pages = webhooks.delivery_pages

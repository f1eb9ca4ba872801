"""Webhooks and what was sent to them, for those who look after them."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from classifiers.errors import ConflictError, InputError
from integrations import deliveries
from integrations import webhooks as services
from integrations.forms import WebhookForm
from integrations.models import Delivery, Webhook
from integrations.views.pages import show
from review.rights import need
from review.views.pages import Page, number, page, show_conflict, text
from runs.views.pages import newest_first

SIZE = 50
SEE = ("integrations.view_webhook", "see webhooks")


def webhooks(request: HttpRequest) -> HttpResponse:
    need(request.user, *SEE)
    return show(request, "webhooks.html", {"title": "Webhooks", "webhooks": services.webhooks()})


@never_cache
def add(request: HttpRequest) -> HttpResponse:
    """A new webhook. The answer is the only page that ever shows its secret."""
    need(request.user, "integrations.add_webhook", "make webhooks")
    form = WebhookForm(request.POST if request.method == "POST" else None)
    if request.method != "POST" or not form.is_valid():
        return _show_form(request, "New webhook", form)
    try:
        made = services.create_webhook(by=request.user, **form.cleaned_data)
    except (InputError, ConflictError) as error:
        form.add_error(_field(error), error.message)
        return _show_form(request, "New webhook", form)
    context = {"title": f"Webhook {made.name}", "name": made.name, "secret": made.secret, "kind": "secret"}
    return show(request, "secret.html", {**context, "back": "admin:integrations_webhook_changelist"})


def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """What it is; whoever may changes it here."""
    need(request.user, *SEE)
    webhook = services.find_webhook(pk)
    if request.method != "POST":
        seen = {"name": webhook.name, "url": webhook.url, "events": webhook.events}
        return _show_form(request, webhook.name, WebhookForm(initial=seen), webhook)
    form = WebhookForm(request.POST)
    if not form.is_valid():
        return _show_form(request, webhook.name, form, webhook)
    try:
        services.update_webhook(webhook, form.cleaned_data, version=_version(request), by=request.user)
    except (InputError, ConflictError) as error:
        if error.code == "stale":
            return _conflict(request, webhook, error, form.cleaned_data)
        form.add_error(_field(error), error.message)
        return _show_form(request, webhook.name, form, webhook)
    messages.success(request, "Stored.")
    return redirect("admin:integrations_webhook_change", pk)


def _show_form(request: HttpRequest, title: str, form: WebhookForm, webhook: Webhook | None = None) -> HttpResponse:
    context = {"title": title, "form": form, "webhook": webhook, "version": number(request, "version")}
    return show(request, "webhook.html", context, status=400 if form.errors else 200)


def _field(error: InputError | ConflictError) -> str:
    return "name" if isinstance(error, ConflictError) else "url"


def _version(request: HttpRequest) -> int:
    return number(request, "version") or 0


def _conflict(request: HttpRequest, webhook: Webhook, error: ConflictError, sent: dict[str, Any]) -> HttpResponse:
    stored = services.find_webhook(webhook.pk)
    rows = [(name.capitalize(), getattr(stored, name), value) for name, value in sent.items()]
    again = reverse("admin:integrations_webhook_change", args=[webhook.pk])
    return show_conflict(request, error, rows=rows, again=again)


@require_POST
def pause(request: HttpRequest, pk: int) -> HttpResponse:
    """Switches it off, or on again."""
    webhook, active = services.find_webhook(pk), text(request, "active") == "1"
    try:
        services.update_webhook(webhook, {"active": active}, version=_version(request), by=request.user)
    except ConflictError as error:
        return _conflict(request, webhook, error, {"active": active})
    said = "On again: it is told of what happens from now on." if active else "Paused: nothing is sent to it."
    messages.success(request, said)
    return redirect("admin:integrations_webhook_change", pk)


@require_POST
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    webhook = services.find_webhook(pk)
    try:
        services.delete_webhook(webhook, version=_version(request), by=request.user)
    except ConflictError as error:
        return _conflict(request, webhook, error, {"name": "to be deleted"})
    messages.success(request, f"{webhook.name} is deleted.")
    return redirect("admin:integrations_webhook_changelist")


@require_POST
def test(request: HttpRequest, pk: int) -> HttpResponse:
    made = services.send_test(services.find_webhook(pk), by=request.user)
    messages.success(request, "A test message is on its way; the workers send it within seconds.")
    return redirect(f"{reverse('admin:integrations_delivery_changelist')}?webhook={made.webhook_id}")


@require_POST
def redeliver_all(request: HttpRequest, pk: int) -> HttpResponse:
    count = deliveries.redeliver_failed(services.find_webhook(pk), by=request.user)
    messages.success(request, f"{count} messages are sent again.")
    return redirect(f"{reverse('admin:integrations_delivery_changelist')}?webhook={pk}")


def delivery_list(request: HttpRequest) -> HttpResponse:
    """What was sent, is on its way, or was given up."""
    need(request.user, "integrations.view_delivery", "see what is sent to webhooks")
    webhook, state = number(request, "webhook"), request.GET.get("state", "")
    if state and state not in Delivery.State.values:
        raise InputError(f"A delivery is never {state[:60]!r}. It is one of: {', '.join(Delivery.State.values)}.")
    wanted = {"webhook": webhook, "state": state}
    found = Delivery.objects.filter(**{name: value for name, value in wanted.items() if value})
    light = found.select_related("webhook").defer("body")
    rows, beside = newest_first(request, light, before=number(request, "before"), size=SIZE)
    context = {
        "title": "Deliveries",
        "deliveries": rows,
        "webhook": services.find_webhook(webhook) if webhook else None,
        "state": state,
        "states": Delivery.State.choices,
        **beside,
    }
    return show(request, "deliveries.html", context)


def delivery(request: HttpRequest, pk: int) -> HttpResponse:
    """One message: the very text that is sent, and what became of it."""
    need(request.user, "integrations.view_delivery", "see what is sent to webhooks")
    found = deliveries.find_delivery(pk)
    return show(request, "delivery.html", {"title": f"Delivery {pk}", "delivery": found})


@require_POST
def redeliver(request: HttpRequest, pk: int) -> HttpResponse:
    deliveries.redeliver(deliveries.find_delivery(pk), by=request.user)
    messages.success(request, "The message is sent again.")
    return redirect("admin:integrations_delivery_change", pk)


webhook_pages: tuple[Page, ...] = (
    page("", webhooks, "integrations_webhook_changelist"),
    page("add/", add, "integrations_webhook_add"),
    page("<int:pk>/", edit, "integrations_webhook_change"),
    page("<int:pk>/pause/", pause, "integrations_webhook_pause"),
    page("<int:pk>/delete/", delete, "integrations_webhook_remove"),
    page("<int:pk>/test/", test, "integrations_webhook_test"),
    page("<int:pk>/redeliver/", redeliver_all, "integrations_webhook_redeliver"),
)
delivery_pages: tuple[Page, ...] = (
    page("", delivery_list, "integrations_delivery_changelist"),
    page("<int:pk>/", delivery, "integrations_delivery_change"),
    page("<int:pk>/redeliver/", redeliver, "integrations_delivery_redeliver"),
)

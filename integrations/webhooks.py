"""Webhooks: made, changed, paused, deleted and tried out, each with its entry in the audit trail."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from audit.services import record
from classifiers.errors import ConflictError, InputError, NotFoundError
from classifiers.text import unstorable
from integrations import events
from integrations.addresses import look_up
from integrations.models import MAX_NAME, Delivery, Webhook
from review.rights import Person, actor, need

SETTINGS = ("name", "url", "events", "active")
MAX_URL = 2000


def webhooks() -> QuerySet[Webhook]:
    """With how many of their messages wait and have failed."""
    counts = {
        name: Count("deliveries", filter=Q(deliveries__state=state))
        for name, state in (("waiting", Delivery.State.WAITING), ("failed", Delivery.State.FAILED))
    }
    return Webhook.objects.annotate(**counts).order_by("name", "pk")


def find_webhook(pk: int) -> Webhook:
    webhook = webhooks().filter(pk=pk).first()
    if webhook is None:
        raise NotFoundError(f"There is no webhook {pk}. It may have been deleted.")
    return webhook


def create_webhook(*, name: str, url: str, events: Sequence[str], by: Person) -> Webhook:
    """Told of what happens from now on. Its secret is shown this once. Raises InputError and ConflictError."""
    need(by, "integrations.add_webhook", "make webhooks")
    _check({"name": name, "url": url, "events": events})
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    webhook = Webhook(name=name, url=url, events=sorted(set(events)), secret=secret, created_by=actor(by))
    with _named_once():
        webhook.save(force_insert=True)
        made = record("webhook.created", actor=actor(by), target=webhook, data=_shown(webhook))
        webhook.cursor = made.sequence
        webhook.save(update_fields=["cursor"])
    return webhook


def update_webhook(webhook: Webhook, changes: Mapping[str, Any], *, version: int, by: Person) -> Webhook:
    """Changes some of SETTINGS, as they were seen in ``version``. One that was paused is told of what happens from now on."""
    need(by, "integrations.change_webhook", "change webhooks")
    _check(changes)
    with _named_once():
        webhook = _locked(webhook, version=version, sent=changes)
        before = _shown(webhook)
        resumed = changes.get("active", False) and not webhook.active
        for name in SETTINGS:
            setattr(webhook, name, changes.get(name, getattr(webhook, name)))
        webhook.events = sorted(set(webhook.events))
        webhook.version += 1
        data = {"before": before, "after": _shown(webhook)}
        changed = record("webhook.changed", actor=actor(by), target=webhook, data=data)
        webhook.cursor = changed.sequence if resumed else webhook.cursor
        webhook.save()
    return find_webhook(webhook.pk)


def delete_webhook(webhook: Webhook, *, version: int, by: Person) -> None:
    """With its deliveries, also those that wait."""
    need(by, "integrations.delete_webhook", "delete webhooks")
    with transaction.atomic():
        webhook = _locked(webhook, version=version, sent={"deleted": True})
        record("webhook.deleted", actor=actor(by), target=webhook, data=_shown(webhook))
        webhook.delete()


def send_test(webhook: Webhook, *, by: Person) -> Delivery:
    """A message that says nothing, so that people see whether it arrives."""
    need(by, "integrations.change_webhook", "send messages")
    if not webhook.active:
        raise ConflictError("This webhook is paused: nothing is sent to it. Switch it on first.")
    body = {"type": events.TEST, "timestamp": timezone.now().isoformat(), "data": {"webhook": webhook.pk}}
    with transaction.atomic():
        _locked(webhook)
        delivery = events.message(webhook, events.TEST, f"msg_test_{secrets.token_hex(12)}", body)
        delivery.save(force_insert=True)
        record("webhook.tested", actor=actor(by), target=webhook, data={"delivery": delivery.pk})
    return delivery


def _check(given: Mapping[str, Any]) -> None:
    if "name" in given and (not 0 < len(given["name"].strip()) <= MAX_NAME or unstorable(given["name"])):
        raise InputError(f"A webhook needs a name of 1 to {MAX_NAME} characters of plain text.")
    if "events" in given and (not given["events"] or not set(given["events"]) <= set(Webhook.Event.values)):
        raise InputError(f"Tell a webhook of one or more of: {', '.join(Webhook.Event.values)}.")
    if "url" in given:
        if len(given["url"]) > MAX_URL:
            raise InputError(f"An address has at most {MAX_URL} characters.")
        look_up(given["url"])


@contextmanager
def _named_once() -> Iterator[None]:
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise ConflictError("There is a webhook with this name already. Choose another name.") from error


def _locked(webhook: Webhook, *, version: int | None = None, sent: Mapping[str, Any] | None = None) -> Webhook:
    """As it is stored now, if that is what was seen."""
    found = Webhook.objects.select_for_update().filter(pk=webhook.pk).first()
    if found is None:
        raise NotFoundError("This webhook was deleted meanwhile. Nothing was changed.")
    if version is not None and found.version != version:
        both = (_shown(found), sent or {})
        now, yours = (", ".join(f"{name} {value!r}" for name, value in each.items()) for each in both)
        raise ConflictError(
            f"This webhook was changed meanwhile. It is now: {now}. You sent: {yours}. Nothing was changed; look again.",
            code="stale",
        )
    return found


def _shown(webhook: Webhook) -> dict[str, Any]:
    """For the audit trail: everything but the secret."""
    return {name: getattr(webhook, name) for name in SETTINGS}

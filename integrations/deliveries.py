"""A message on its way: handed to the workers, sent, tried again, given up; and sent anew when somebody says so."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from standardwebhooks import Webhook as Signer

from audit.services import record
from classifiers.errors import ConflictError, InputError, NotFoundError
from integrations import sending
from integrations.addresses import look_up
from integrations.models import Delivery, Webhook
from integrations.querysets import DeliveryQuerySet
from review.rights import Person, actor, need
from runs.retention import forget

# Seconds between the attempts, give or take a fifth; after the last one it has failed.
DELAYS = (5, 60, 300, 1800, 7200, 28_800, 86_400)
JITTER = 0.2
# How long an attempt has, well above its timeout; then whoever made it is taken for dead.
LEASE = timedelta(seconds=60)
# How many of one webhook are handed out at a time: others wait for workers too.
TURN = 20
GONE = 410
State = Delivery.State


def hand_out(*, wait: timedelta) -> list[tuple[int, int]]:
    """What is due, by number and attempts made. What the workers have not begun after ``wait`` is due again."""
    now = timezone.now()
    due = [each for webhook in Webhook.objects.filter(active=True) for each in _due(webhook)]
    return [(pk, attempts) for pk, attempts in due if _take(pk, attempts, due_at=now + wait)]


def _due(webhook: Webhook) -> Sequence[tuple[int, int]]:
    found = webhook.deliveries.due(timezone.now()).order_by("due_at", "pk")
    return list(found.values_list("pk", "attempts")[:TURN])


def _take(pk: int, attempts: int, **changes: object) -> bool:
    """One UPDATE whose conditions stand in the row itself: of several that take a delivery, one gets it."""
    found = Delivery.objects.due(timezone.now()).filter(pk=pk, attempts=attempts)
    return bool(found.update(**changes))


def deliver(pk: int, attempts: int) -> bool:
    """Makes the attempt that comes after so many; False, and nothing sent, when it was made or the webhook is off."""
    mine = Delivery.objects.filter(pk=pk, attempts=attempts, state=State.WAITING)
    if not mine.filter(webhook__active=True).exists():
        return False
    if not mine.update(attempts=F("attempts") + 1, due_at=timezone.now() + LEASE):
        return False
    delivery = Delivery.objects.select_related("webhook").filter(pk=pk).first()
    if delivery is None:  # deleted with its webhook
        return False
    _finish(delivery, *_send(delivery))
    return True


def _send(delivery: Delivery) -> tuple[int | None, str]:
    """The status of the answer, and what went wrong."""
    now = timezone.now().astimezone(UTC)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "ai-safety-monitor",
        "webhook-id": delivery.message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Signer(delivery.webhook.secret).sign(delivery.message_id, now, delivery.body),
    }
    try:
        status = sending.post(look_up(delivery.webhook.url), delivery.body.encode(), headers)
    except InputError as error:
        return None, error.message
    except sending.FAULTS as error:
        return None, f"It could not be sent: {type(error).__name__} {error}"[:500]
    return status, "" if 200 <= status < 300 else f"The receiver answered {status}."


@transaction.atomic
def _finish(delivery: Delivery, status: int | None, error: str) -> None:
    """Notes what came of an attempt, unless another one was begun since."""
    mine = Delivery.objects.filter(pk=delivery.pk, attempts=delivery.attempts, state=State.WAITING)
    if error and status != GONE and delivery.attempts <= len(DELAYS):
        wait = DELAYS[delivery.attempts - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  no secret
        mine.update(status=status, error=error, due_at=timezone.now() + timedelta(seconds=wait))
        return
    if status == GONE:
        _switch_off(delivery.webhook)
    state = State.FAILED if error else State.DELIVERED
    mine.update(status=status, error=error, state=state, due_at=None, finished_at=timezone.now())


def _switch_off(webhook: Webhook) -> None:
    """A receiver that is gone for good says 410."""
    if Webhook.objects.filter(pk=webhook.pk, active=True).update(active=False, version=F("version") + 1):
        record("webhook.switched_off", actor="system", target=webhook, data={"name": webhook.name, "status": GONE})


def find_delivery(pk: int) -> Delivery:
    delivery = Delivery.objects.select_related("webhook").filter(pk=pk).first()
    if delivery is None:
        raise NotFoundError(f"There is no delivery {pk}. It may have been deleted with its webhook.")
    return delivery


def redeliver(delivery: Delivery, *, by: Person) -> Delivery:
    """Sends a failed message anew, from the first attempt on, under the same message id."""
    need(by, "integrations.change_delivery", "send messages again")
    with transaction.atomic():
        if not _again(Delivery.objects.filter(pk=delivery.pk), delivery.webhook, by=by):
            delivery.refresh_from_db()
            raise ConflictError(
                f"Only a failed message is sent again; this one is {delivery.get_state_display().lower()}."
            )
    delivery.refresh_from_db()
    return delivery


def redeliver_failed(webhook: Webhook, *, by: Person) -> int:
    """Sends all failed messages of a webhook anew; gives how many."""
    need(by, "integrations.change_delivery", "send messages again")
    with transaction.atomic():
        return _again(webhook.deliveries.all(), webhook, by=by)


def _again(found: DeliveryQuerySet, webhook: Webhook, *, by: Person) -> int:
    # Before its deliveries, as whoever deletes it locks them.
    Webhook.objects.select_for_update().filter(pk=webhook.pk).first()
    fresh = {"state": State.WAITING, "attempts": 0, "due_at": timezone.now(), "finished_at": None}
    count = found.failed().update(**fresh)
    if count:
        record("webhook.redelivered", actor=actor(by), target=webhook, data={"deliveries": count})
    return count


def forget_old(*, before: datetime, actor: str) -> Iterator[Counter[str]]:
    """Messages that wait for nothing any more (runs.retention)."""
    yield from forget(Delivery.objects.exclude(state=State.WAITING), age="created_at", before=before)

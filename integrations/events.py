"""From entries of the audit chain to messages: what happened, by numbers and labels, never a text."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from audit.models import AuditEvent
from classifiers.types import Label
from integrations.models import Delivery, Webhook
from review.models import Claim, QueueItem
from runs.models import Result, Run

Event = Webhook.Event
TEST = "webhook.test"
# Results that one message names; it says when there are more.
NAMED = 100
# Entries that one look at the chain reads, for each webhook.
BATCH = 200

Data = Mapping[str, Any]


def collect() -> int:
    """Makes a delivery of each new event for each webhook that asked for it, once; gives how many."""
    head = _head()
    behind = Webhook.objects.filter(active=True, cursor__lt=head).values_list("pk", flat=True)
    return sum(_collect(pk, head) for pk in list(behind))


@transaction.atomic
def _collect(pk: int, head: int) -> int:
    webhook = Webhook.objects.select_for_update().filter(pk=pk, active=True).first()
    if webhook is None:
        return 0
    actions = [action for action, (event, _) in TOLD.items() if event in webhook.events]
    new = AuditEvent.objects.filter(sequence__gt=webhook.cursor, sequence__lte=head, action__in=actions)
    entries = list(new.order_by("sequence")[:BATCH])
    messages = [message for entry in entries if (message := _message(webhook, entry))]
    Delivery.objects.bulk_create(messages)
    # The entries up to here are done: the numbers of the chain have no gaps, and none comes later below them.
    webhook.cursor = entries[-1].sequence if len(entries) == BATCH else max(head, webhook.cursor)
    webhook.save(update_fields=["cursor"])
    return len(messages)


def _message(webhook: Webhook, entry: AuditEvent) -> Delivery | None:
    event, tell = TOLD[entry.action]
    data = tell(entry)
    if data is None:
        return None
    message_id = f"msg_{entry.sequence}_{entry.hash[:16]}"
    body = {"type": event, "timestamp": entry.time.isoformat(), "data": data}
    return message(webhook, event, message_id, body)


def message(webhook: Webhook, event: str, message_id: str, body: Data) -> Delivery:
    """A delivery that is due now, not saved."""
    text = json.dumps(body, separators=(",", ":"))
    return Delivery(webhook=webhook, message_id=message_id, event=event, body=text, due_at=timezone.now())


def _head() -> int:
    return AuditEvent.objects.order_by("-sequence").values_list("sequence", flat=True).first() or 0


def _run_finished(entry: AuditEvent) -> Data | None:
    run = Run.objects.filter(pk=entry.target_id).only("name", "total").first()
    status = entry.action.partition(".")[2].upper()
    return {"run": run.pk, "name": run.name, "status": status, "total": run.total} if run else None


def _result_flagged(entry: AuditEvent) -> Data | None:
    positions = [int(position) for position in entry.details["results"]]
    toxic = Q(input_label=Label.TOXIC) | Q(output_label=Label.TOXIC)
    found = Result.objects.filter(toxic, run_id=int(entry.target_id), position__in=positions).order_by("position")
    if not (count := found.count()):
        return None
    results = [_flagged(result) for result in found.defer("prompt", "answer", "metadata")[:NAMED]]
    return {"run": int(entry.target_id), "count": count, "results": results}


def _flagged(result: Result) -> Data:
    said = {
        stage: {
            "label": getattr(result, f"{stage}_label"),
            "score": getattr(result, f"{stage}_score"),
            "categories": getattr(result, f"{stage}_categories"),
        }
        for stage in ("input", "output")
        if getattr(result, f"{stage}_label")
    }
    return {"id": result.pk, "position": result.position, **said}


def _result_escalated(entry: AuditEvent) -> Data | None:
    claim = Claim.objects.select_related("item").filter(pk=entry.target_id).first()
    return _item(claim.item) if claim else None


def _review_disagreed(entry: AuditEvent) -> Data | None:
    """Of a verdict that brought its item to a state where somebody else must decide."""
    if entry.details.get("moved") != QueueItem.State.NEEDS_ADJUDICATION:
        return None
    item = QueueItem.objects.filter(pk=entry.details["item"]).first()
    return _item(item) if item else None


def _classifier_drifted(entry: AuditEvent) -> Data:
    return {name: entry.details[name] for name in ("classifier", "version", "stage", "live", "findings", "texts")}


def _item(item: QueueItem) -> Data:
    return {"queue": item.queue_id, "item": item.pk, "result": item.result_id}


TOLD: dict[str, tuple[str, Callable[[AuditEvent], Data | None]]] = {
    **dict.fromkeys(("run.done", "run.failed", "run.cancelled"), (Event.RUN_FINISHED, _run_finished)),
    "run.chunk_saved": (Event.RESULT_FLAGGED, _result_flagged),
    "review.escalated": (Event.RESULT_ESCALATED, _result_escalated),
    **dict.fromkeys(("review.submitted", "review.corrected"), (Event.REVIEW_DISAGREED, _review_disagreed)),
    "classifier.drifted": (Event.CLASSIFIER_DRIFTED, _classifier_drifted),
}

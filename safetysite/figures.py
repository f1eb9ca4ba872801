"""The record in numbers, for /metrics: the same whichever process is asked."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from django.conf import settings
from django.db.models import Count, Max, Min, Q
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from audit.models import AuditEvent, ChainCheck
from classifiers.types import Label
from integrations.models import Delivery
from review.models import QueueItem, Review
from runs.models import Chunk, Result, Run
from runs.querysets import STAGES

KEPT = 10.0  # seconds
SHARE = 20  # figures that took a second to count are kept for so many: scrapes never keep the database busy
Values = Mapping[tuple[str, ...], float]


class Record(Collector):
    """Counted when they are asked for, and kept for a while."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: list[Metric] = []
        self._until = 0.0

    def collect(self) -> Iterable[Metric]:
        with self._lock:
            started = time.monotonic()
            if started >= self._until:
                self._kept = list(families())
                now = time.monotonic()
                self._until = now + max(KEPT, SHARE * (now - started))
            return self._kept


def families() -> Iterator[Metric]:
    yield _gauge("runs", "Runs by status", runs(), "status")
    yield _gauge("fail_open", "Whether texts that could not be judged pass", {(): settings.SAFETY_FAIL_OPEN})
    yield _gauge("results", "Results by stage and the machine's label", results(), "stage", "label")
    yield _gauge("chunks_unfinished", "Chunks of runs at work", chunks(), "state")
    yield from queues()
    yield _gauge("reviews", "Verdicts of people, corrections and withdrawals among them", {(): Review.objects.count()})
    yield _gauge("deliveries", "Webhook messages that are not delivered", deliveries(), "state")
    yield from chain()


def runs() -> Values:
    found = dict(Run.objects.order_by().values_list("status").annotate(n=Count("pk")))
    return {(str(status),): found.get(status, 0) for status in Run.Status}


def results() -> Values:
    """Runs that are done have kept their own counts; the others' are counted in an index that holds no texts."""
    labels: Counter[tuple[str, ...]] = Counter()
    done = Run.objects.filter(status=Run.Status.DONE)
    for counts in done.values_list("counts", flat=True).iterator():
        labels.update({(stage, label): n for stage, found in counts.items() for label, n in found.items()})
    others = Result.objects.filter(
        run__in=list(Run.objects.exclude(status=Run.Status.DONE).values_list("pk", flat=True))
    )
    # In one pass and without grouping, which would sort a million rows first.
    judged = [(stage, str(label)) for stage in STAGES for label in Label]
    counted = others.aggregate(
        **{
            f"{stage}_{label}": Count(f"{stage}_label", filter=Q(**{f"{stage}_label": label}))
            for stage, label in judged
        }
    )
    labels.update({(stage, label): counted[f"{stage}_{label}"] for stage, label in judged})
    return labels


def chunks() -> Values:
    at_work = Chunk.objects.unfinished().filter(run__status__in=(Run.Status.QUEUED, Run.Status.RUNNING))
    found = dict(at_work.order_by().values_list("state").annotate(n=Count("pk")))
    return {(str(state),): found.get(state, 0) for state in (Chunk.State.OPEN, Chunk.State.HELD)}


def queues() -> Iterator[Metric]:
    """By number: names are for people, and may say more than a scrape should."""
    now = timezone.now()
    items: dict[tuple[str, ...], float] = {}
    ages: dict[tuple[str, ...], float] = {}
    real = QueueItem.objects.real().filter(queue__closed_at=None).order_by().values_list("queue_id", "state")
    for queue, state, n, first in real.annotate(n=Count("pk"), first=Min("created_at")):
        items[str(queue), state] = n
        if state == QueueItem.State.OPEN:
            ages[(str(queue),)] = (now - first).total_seconds()
    yield _gauge("queue_items", "Results in queues that are not closed", items, "queue", "state")
    yield _gauge("queue_oldest_open_seconds", "How long the oldest open result of a queue has waited", ages, "queue")


def deliveries() -> Values:
    states = (Delivery.State.WAITING, Delivery.State.FAILED)
    found = dict(Delivery.objects.filter(state__in=states).order_by().values_list("state").annotate(n=Count("pk")))
    return {(str(state),): found.get(state, 0) for state in states}


def chain() -> Iterator[Metric]:
    size = AuditEvent.objects.aggregate(size=Max("sequence"))["size"] or 0
    yield _gauge("audit_entries", "Entries of the audit chain", {(): size})
    if (check := ChainCheck.objects.last()) and check.finished_at:
        yield _gauge("audit_whole", "Whether the last check found the audit chain whole", {(): not check.fault})
        yield _gauge(
            "audit_checked_timestamp_seconds",
            "When the last check of the audit chain ended",
            {(): check.finished_at.timestamp()},
        )


def _gauge(name: str, says: str, values: Values, *labels: str) -> Metric:
    family = GaugeMetricFamily(f"safety_{name}", says, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family

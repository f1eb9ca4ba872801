"""What goes into a queue, counted before and put in: all that its filter finds with a sample, or what a check learns from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import FloatField, QuerySet
from django.db.models.functions import Random
from django.utils import timezone

from review import learning
from review.learning import Drawn
from review.models import Queue, QueueItem
from runs.filters import results
from runs.models import Result
from runs.querysets import ResultQuerySet

Origin = QueueItem.Origin


@dataclass(frozen=True, slots=True)
class Forecast:
    """How many results a filter finds, and how many a random sample adds of those that are neither found nor flagged.

    In a queue that chooses: how many are drawn at random and how many at most are chosen, instead of all that are found.
    """

    found: int
    flagged: int
    unflagged: int
    sampled: int
    random: int = 0
    chosen: int = 0


def population(filters: Mapping[str, str]) -> ResultQuerySet:
    """All results that a queue's sample speaks for: those of its runs, whatever was found in them."""
    return results({"run": filters["run"]} if "run" in filters else {})


def forecast(queue: Queue) -> Forecast:
    """What a queue with these filters, stages and sample would hold, counted. InputError for a filter that is none."""
    found, everything = _reach(queue)
    flagged = everything.flagged().count()
    if queue.learner:
        number = learning.kept(found).count()
        return Forecast(number, flagged, everything.count() - flagged, 0, *learning.shares(queue, number))
    # What the filter finds among the unflagged is judged for certain and is no part of the sample.
    rest = everything.count() - flagged - found.flagged(False).count()
    return Forecast(found.count(), flagged, unflagged=rest, sampled=_sampled(queue, rest))


def _reach(queue: Queue) -> tuple[ResultQuerySet, ResultQuerySet]:
    """What the filter finds, and all that the sample speaks for, as far as there is something to be judged."""
    chosen = results(queue.filters), population(queue.filters)
    if queue.stages == Queue.Stages.OUTPUT:
        return chosen[0].filter(answer__isnull=False), chosen[1].filter(answer__isnull=False)
    return chosen


def _sampled(queue: Queue, rest: int) -> int:
    return round(rest * queue.sample_percent / 100) or min(rest, 1) if queue.sample_percent else 0


def draw(queue: Queue) -> Drawn | None:
    """What a queue that chooses is filled with, None for any other: it takes a while, and writes nothing."""
    return learning.draw(queue, _reach(queue)[0]) if queue.learner else None


def fill(queue: Queue, drawn: Drawn | None) -> None:
    """Puts in what was drawn, or all that the filter finds with a sample of the rest, and notes how many there were."""
    found, everything = _reach(queue)
    if drawn:
        _put(queue, drawn)
        counts = {name: len(getattr(drawn, name)) for name in ("random", "settled", "chosen")}
        queue.population = {"found": drawn.found, **counts}
    else:
        queue.population = _all_and_sample(queue, found, everything)
    queue.save(update_fields=["population"])


def _all_and_sample(queue: Queue, found: ResultQuerySet, everything: ResultQuerySet) -> dict[str, int]:
    _add(queue, found, Origin.FILTER)
    rest = everything.flagged(False).exclude(pk__in=queue.items.values("result")).order_by()
    size = rest.count()
    if sampled := _sampled(queue, size):
        _add(queue, rest.order_by("?")[:sampled], Origin.SAMPLE)
    return {"flagged": everything.flagged().count(), "unflagged": size, "sampled": sampled}


def _put(queue: Queue, drawn: Drawn) -> None:
    """What is judged or waits elsewhere counts there, and is not handed out here."""
    for numbers, origin in ((drawn.random, Origin.RANDOM), (drawn.chosen, Origin.CHOSEN)):
        if numbers:
            _add(queue, Result.objects.filter(pk__in=numbers), origin)
    settled = queue.items.filter(result__in=drawn.settled)
    settled.update(state=QueueItem.State.CLOSED, closed_at=timezone.now())


def _add(queue: Queue, chosen: QuerySet[Result], origin: str) -> None:
    """In one statement: a hundred thousand results never pass through Python."""
    rows = (
        Result.objects.filter(pk__in=chosen.values("pk")).order_by().annotate(place=Random(output_field=FloatField()))
    )
    sql, params = rows.values_list("pk", "place").query.sql_with_params()
    fields: dict[str, Any] = {
        "queue_id": queue.pk,
        "needed": queue.needed,
        "claimed": 0,
        "done": 0,
        "state": QueueItem.State.OPEN,
    }
    fields |= {"origin": origin, "gold": False, "gold_input": "", "gold_output": "", "created_at": timezone.now()}
    with connection.cursor() as cursor:
        cursor.execute(
            f'INSERT INTO review_queueitem (result_id, "order", {", ".join(fields)}) '  # noqa: S608 - our own names
            f"SELECT picked.*, {', '.join(['%s'] * len(fields))} FROM ({sql}) picked",
            [*fields.values(), *params],
        )

"""The reviews of a queue, and the results of a run, for people elsewhere, a few results at a time."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, Max, OuterRef

from audit.services import record
from classifiers.errors import InputError
from classifiers.types import Stage
from moderation.models import ClassifierVersion
from review.models import Queue, QueueItem, Review, text_of
from review.rights import Person, actor, need
from review.votes import Names, named
from runs.exports import Line, Reading, cell, check_form, note_export, pieces
from runs.models import Result, Run, Verdict

PAGE = 50
NOT_READ = ("categories", "thresholds", "spans", "flagged", "reason")
OF_RESULT = ("run", "position", "prompt", "answer", "origin", "known", "state")
OF_STAGE = ("machine", "score", "human", "provenance", "effective")
OF_REVIEW = ("reviewer", "label", "categories", "note", "cause", "blind", "given_at", "standing")


def export_reviews(queue: Queue, *, form: str, pseudonyms: bool, by: Person) -> Iterator[str]:
    """The export, a piece at a time. Who takes it out is recorded before the first piece is made.

    With ``pseudonyms`` reviewers are r1, r2 and so on, the same throughout the export and others in the next; who is
    who cannot be told from it, unless by what they wrote into notes.
    """
    need(by, "review.export", "take reviews out")
    if form not in WRITERS:
        raise InputError(f"Reviews are written as one of: {', '.join(WRITERS)}.")
    until = Review.objects.aggregate(Max("pk"))["pk__max"] or 0
    with transaction.atomic():
        record("review.exported", actor=actor(by), target=queue, data={"form": form, "pseudonyms": pseudonyms})
    return WRITERS[form](_rows(queue, until), _names(queue, until, pseudonyms=pseudonyms))


def export_results(
    run: Run, *, form: str, by: Person, filters: Mapping[str, str], pseudonyms: bool = False
) -> Iterator[bytes]:
    """Results of a run with what people made of them, a piece at a time; recorded like the other."""
    need(by, "review.export", "take results out")
    check_form(form)
    reading = Reading(run, filters, pseudonyms=pseudonyms)
    note_export(reading, form, actor=actor(by))
    return pieces(reading, form)


def _names(queue: Queue, until: int, *, pseudonyms: bool) -> Names:
    reviewed = Review.objects.filter(item__queue=queue, pk__lte=until).order_by()
    return named(dict(reviewed.values_list("reviewer", "reviewer__username").distinct()), pseudonyms=pseudonyms)


@dataclass(frozen=True, slots=True)
class _Row:
    """A result in the queue, with what people and machine said of it."""

    item: QueueItem
    reviews: Sequence[Any]
    verdicts: Sequence[Verdict]
    versions: Mapping[int | None, str]


def _rows(queue: Queue, until: int) -> Iterator[_Row]:
    """With the reviews up to number ``until``, a page in memory at a time.

    Reviews and verdicts are looked up apart: were they prefetched, each would point back to its result, and long texts
    would wait in rings for a garbage collector that counts objects and not their size.
    """
    later = Review.objects.filter(supersedes=OuterRef("pk"), pk__lte=until)
    said = Review.objects.filter(pk__lte=until).annotate(has_later=Exists(later)).order_by("pk")
    verdicts, versions = Verdict.objects.defer(*NOT_READ).order_by("pk"), _versions()
    items, last = queue.items.select_related("result").order_by("pk"), 0
    while page := list(items.filter(pk__gt=last)[:PAGE]):
        of_item = _grouped(said.filter(item__in=[item.pk for item in page]), "item_id")
        of_result = _grouped(verdicts.filter(result__in=[item.result_id for item in page]), "result_id")
        yield from (_Row(item, of_item[item.pk], of_result[item.result_id], versions) for item in page)
        last = page[-1].pk


def _versions() -> dict[int | None, str]:
    """Provider, model and what pins it down, in a word."""
    rows = ClassifierVersion.objects.values_list("pk", "provider", "model", "revision", "adapter_digest")
    return {pk: " ".join(part for part in parts if part) for pk, *parts in rows}


def _grouped(rows: Iterable[Any], column: str) -> Mapping[int, list[Any]]:
    groups: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        groups[getattr(row, column)].append(row)
    return groups


def _jsonl(rows: Iterable[_Row], names: Names) -> Iterator[str]:
    """One result a line, with its reviews by stage."""
    for row in rows:
        judged = [stage for stage in Stage if text_of(row.item.result, stage) is not None]
        stages = {stage.lower(): _stage_as_json(row, stage, names) for stage in judged}
        line = {"queue": row.item.queue_id, **_result(row.item), **stages}
        yield json.dumps(line, ensure_ascii=False, default=_moment) + "\n"


def _csv(rows: Iterable[_Row], names: Names) -> Iterator[str]:
    """One review a line, with its result; a text that a spreadsheet would take for a formula has a ``'`` before it."""
    writer = csv.writer(Line())
    yield writer.writerow([*OF_RESULT, "stage", *OF_STAGE, "versions", *OF_REVIEW])
    for row in rows:
        known = "; ".join(f"{stage} {label}" for stage, label in _known(row.item).items())
        of_result = {**_result(row.item), "known": known}
        for review in row.reviews:
            stage = Stage(review.stage)
            of_stage = _stage(row.item.result, stage)
            versions = "; ".join(f"{v['check']}: {v['version']}" for v in _verdicts(row, stage))
            line = [*of_result.values(), review.stage, *of_stage.values(), versions, *_review(review, names).values()]
            yield writer.writerow([cell(value) for value in line])


WRITERS: Mapping[str, Callable[[Iterable[_Row], Names], Iterator[str]]] = {"jsonl": _jsonl, "csv": _csv}


def _result(item: QueueItem) -> dict[str, Any]:
    result = item.result
    values = (result.run_id, result.position, result.prompt, result.answer, item.origin, _known(item), item.state)
    return dict(zip(OF_RESULT, values, strict=True))


def _known(item: QueueItem) -> dict[str, str]:
    known = {"input": item.gold_input, "output": item.gold_output} if item.gold else {}
    return {stage: label for stage, label in known.items() if label}


def _stage_as_json(row: _Row, stage: Stage, names: Names) -> dict[str, Any]:
    reviews = [_review(review, names) for review in row.reviews if review.stage == stage]
    return {**_stage(row.item.result, stage), "verdicts": _verdicts(row, stage), "reviews": reviews}


def _stage(result: Result, stage: Stage) -> dict[str, Any]:
    name = stage.lower()
    columns = (f"{name}_label", f"{name}_score", f"human_{name}_label", f"{name}_provenance")
    values = [*(getattr(result, column) for column in columns), result.effective(stage)]
    return dict(zip(OF_STAGE, values, strict=True))


def _verdicts(row: _Row, stage: Stage) -> list[dict[str, Any]]:
    return [
        {
            "check": verdict.check_name,
            "label": verdict.label,
            "score": verdict.score,
            "version": row.versions.get(verdict.version_id, ""),
        }
        for verdict in row.verdicts
        if verdict.stage == stage
    ]


def _review(review: Any, names: Names) -> dict[str, Any]:
    given = (names[review.reviewer_id], review.label, review.categories, review.note, review.cause, review.blind)
    return dict(zip(OF_REVIEW, (*given, review.created_at, _standing(review)), strict=True))


def _standing(review: Any) -> str:
    """What became of a review: it stands, a later one took its place, or it takes the one before it back."""
    if not review.label:
        return "taken back"
    return "superseded" if review.has_later else "stands"


def _moment(value: datetime) -> str:
    return value.isoformat()

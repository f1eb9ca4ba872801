"""Counts what classifiers said, by run, version, stage and day: a run once for each state that it is in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date

from django.db import transaction
from django.db.models import Count, F, Max, Q
from django.db.models.functions import Coalesce

from classifiers.drift import Window
from classifiers.types import Label, Stage, digest
from governance.models import TalliedRun, Tally
from runs.expressions import Bin, Day
from runs.models import Result, Run, Verdict
from runs.querysets import BINS

NOTHING = Window([0] * BINS)
Key = tuple[int, str, str]


def tally(*, since: date) -> Iterator[Run]:
    """Counts, one after the other, the runs that were at work since a day and have changed since they were counted."""
    runs = Run.objects.filter(Q(finished_at=None) | Q(finished_at__date__gte=since)).order_by("pk")
    counted = dict(TalliedRun.objects.values_list("run", "mark"))
    for run in runs.only("status", "finished_at", "relabelled_at").iterator():
        mark = _mark(run)
        if counted.get(run.pk) != mark:
            _count(run, mark)
            yield run


def windows(*, since: date) -> Iterator[tuple[tuple[int, str, bool], date, Window]]:
    """By version, stage and whether programs asked: what was said on each day since then, a part for each run."""
    columns = ("scores", "judged", "toxic", "policy_toxic", "errors")
    rows = Tally.objects.filter(day__gte=since).order_by("day")
    for version, stage, live, day, *numbers in rows.values_list("version", "stage", "run__live", "day", *columns):
        yield (version, stage, live is not None), day, Window(*numbers)


def _mark(run: Run) -> str:
    """Another one whenever verdicts may have come, or labels may be others; of a run that has ended, none come.

    Taken before they are counted: what comes meanwhile changes it, and is counted the next time.
    """
    stands = f"{run.status} {run.finished_at} {run.relabelled_at}"
    if run.finished_at is None:
        last = Result.objects.filter(run=run).aggregate(last=Max("position"))["last"]
        stands += f" {run.chunks.unfinished().count()} {last}"
    return digest(stands)


def _count(run: Run, mark: str) -> None:
    said = _said(run)  # before the transaction, for on SQLite nobody else writes during one
    with transaction.atomic():
        TalliedRun.objects.update_or_create(run=run, defaults={"mark": mark})
        Tally.objects.filter(run=run).delete()
        Tally.objects.bulk_create(
            Tally(run=run, version_id=version, stage=stage, day=day, **asdict(window))
            for (version, stage, day), window in said.items()
        )


def _said(run: Run) -> dict[Key, Window]:
    """A text that came again counts again; that an answer could not be made is nobody's verdict."""
    of_run = Verdict.objects.filter(result__run=run, version__isnull=False).order_by()
    groups = of_run.annotate(
        day=Day("result__created_at"),
        own=Coalesce("own_label", F("label")),
        bin=Coalesce(Bin("score"), BINS),
    ).values_list("version", "stage", "day", "own", "label", "bin")
    found: dict[Key, Window] = defaultdict(lambda: NOTHING)
    for version, stage, day, own, label, place, n in groups.annotate(n=Count("*")):
        found[version, Stage(stage), day] += _window(own, label, place, n)
    return found


def _window(own: str, label: str, place: int, n: int) -> Window:
    if own == Label.ERROR:
        return Window(NOTHING.scores, errors=n)
    scores = [n * (place == each) for each in range(BINS)]
    return Window(scores, n, n * (own == Label.TOXIC), n * (label == Label.TOXIC))

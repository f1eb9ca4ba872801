from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from django.apps import apps
from django.db.models import Case, Count, F, IntegerField, OuterRef, Q, QuerySet, Subquery, When
from django.db.models.functions import Coalesce

if TYPE_CHECKING:
    from runs.models import Chunk, Result, Run, Verdict  # noqa: F401  named in the base classes


class RunQuerySet(QuerySet["Run"]):
    def active(self) -> RunQuerySet:
        return self.filter(status__in=("QUEUED", "RUNNING"))

    def with_progress(self) -> RunQuerySet:
        """Adds ``done``, ``flagged`` and ``errors``: how many results there are, each counted in an index."""
        results = apps.get_model("runs", "Result").objects.filter(run=OuterRef("pk"))
        return self.annotate(
            done=Case(When(status="DONE", then=F("total")), default=_number(results)),
            flagged=_number(results.flagged()),
            errors=_number(results.errors()),
        )


class ChunkQuerySet(QuerySet["Chunk"]):
    def unfinished(self) -> ChunkQuerySet:
        return self.exclude(state="DONE")

    def claimable(self, now: datetime) -> ChunkQuerySet:
        """Open ones, and held ones whose holder has not been heard of for a whole lease."""
        return self.filter(Q(state="OPEN") | Q(state="HELD", lease_until__lt=now))


class ResultQuerySet(QuerySet["Result"]):
    def errors(self) -> ResultQuerySet:
        return self.filter(Q(input_label="ERROR") | Q(output_label="ERROR"))

    def flagged(self) -> ResultQuerySet:
        return self.filter(Q(input_label="TOXIC") | Q(output_label="TOXIC"))

    def narrow(self) -> ResultQuerySet:
        """Without the long texts, for lists."""
        return self.defer("prompt", "answer", "metadata")

    def counts(self) -> dict[str, dict[str, int]]:
        """How many of each label by stage; a stage that did not run counts nowhere."""
        counts: dict[str, dict[str, int]] = {"input": {}, "output": {}}
        rows = self.order_by().values_list("input_label", "output_label").annotate(n=Count("id"))
        for input_label, output_label, n in rows:
            for stage, label in (("input", input_label), ("output", output_label)):
                if label:
                    counts[stage][label] = counts[stage].get(label, 0) + n
        return counts


class VerdictQuerySet(QuerySet["Verdict"]):
    def recallable(self, keys: Sequence[str]) -> VerdictQuerySet:
        """What identical texts may take over: never errors, and of a thousand duplicates only the first."""
        return self.filter(key__in=keys, recalled=False, label__in=("SAFE", "TOXIC"))

    def said_in(self, run: Run) -> VerdictQuerySet:
        """Those of one run, looked up by what else is asked for.

        The sum keeps the databases from going through all results of the run instead, a longer way with each batch.
        """
        return self.annotate(run_number=F("result__run_id") + 0).filter(run_number=run.pk)


def _number(rows: ResultQuerySet) -> Coalesce:
    counted = rows.order_by().values("run").annotate(n=Count("*")).values("n")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)

"""What the machine said in a run, in numbers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from django.core.cache import cache

from classifiers.types import digest
from runs.models import Result, Run
from runs.querysets import BINS, STAGES, ResultQuerySet

KEPT = 3600  # seconds


@dataclass
class Figures:
    """``labels`` are numbers by stage and label; ``scores`` by stage and label are numbers in each bin of the score.

    ``categories`` are numbers of flagged results.
    """

    done: int = 0
    flagged: int = 0
    errors: int = 0
    categories: Counter[str] = field(default_factory=Counter)
    labels: dict[str, Counter[str]] = field(default_factory=lambda: {stage: Counter() for stage in STAGES})
    scores: dict[str, dict[str, list[int]]] = field(
        default_factory=lambda: {stage: {label: [0] * BINS for label in ("SAFE", "TOXIC")} for stage in STAGES}
    )

    @classmethod
    def of(cls, run: Run) -> Figures:
        """Counted once for each end of a run: until it is taken up again, what the machine said stays as it is."""
        results = Result.objects.filter(run=run)
        if run.status != Run.Status.DONE or run.finished_at is None:
            return cls.counted(results)
        key = f"runs.figures.{run.pk}.{run.finished_at.timestamp()}.{digest(json.dumps(run.counts))}"
        return cast(Figures, cache.get_or_set(key, lambda: cls.counted(results), KEPT))

    @classmethod
    def counted(cls, results: ResultQuerySet) -> Figures:
        figures = cls(categories=results.by_category())
        for *judged, n in results.tally():
            both = {label for label, _ in judged}
            figures.done += n
            figures.flagged += n * ("TOXIC" in both)
            figures.errors += n * ("ERROR" in both)
            for stage, (label, place) in zip(STAGES, judged, strict=True):
                figures._count(stage, label, place, n)
        return figures

    def _count(self, stage: str, label: str | None, place: int, n: int) -> None:
        if label:
            self.labels[stage][label] += n
        if label in self.scores[stage] and place < BINS:
            self.scores[stage][label][place] += n

    def state(self, **others: int) -> Mapping[str, int]:
        """The counters, as the page shows them."""
        return {"done": self.done, "flagged": self.flagged, "errors": self.errors, **others}

"""Results, verdicts and reviews put straight into the tables, so that each figure can be worked out by hand."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.models import User

from moderation.models import ClassifierVersion
from review.models import Queue, QueueItem, Review
from runs.models import Result, Run, Verdict

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def version_of(alias: str = "judge") -> ClassifierVersion:
    fields = {"provider": "tests", "model": "made-up"}
    return ClassifierVersion.objects.get_or_create(alias=alias, fingerprint=alias, defaults=fields)[0]


def make_results(run: Run, rows: Sequence[dict[str, Any]], *, check: str = "judge") -> list[Result]:
    """Results after those the run has, each with a verdict of one check where it was judged."""
    start = Result.objects.filter(run=run).count()
    basis = {"prompt": "a prompt", "input_label": "SAFE", "input_score": 0.1, "created_at": NOW, "salt": "0"}
    made = [Result(run=run, position=start + place, **basis | row) for place, row in enumerate(rows)]
    Result.objects.bulk_create(made)
    version = version_of(check)
    Verdict.objects.bulk_create(
        Verdict(
            result=result, stage=stage.upper(), check_name=check, label=label, version=version,
            score=getattr(result, f"{stage}_score"),
        )
        for result in made for stage in ("input", "output") if (label := getattr(result, f"{stage}_label"))
    )  # fmt: skip
    return made


def said(label: str, **others: Any) -> dict[str, Any]:
    """A prompt of which people say so, together."""
    return {"human_input_label": label, "input_provenance": "unanimous", "reviewed_at": NOW, **others}


def flagged(**others: Any) -> dict[str, Any]:
    return {"input_label": "TOXIC", "input_score": 0.9, "input_categories": ["hate"], **others}


def make_items(queue: Queue, results: Sequence[Result], **fields: Any) -> list[QueueItem]:
    given = {"needed": 1, "order": 0.3, **fields}
    return QueueItem.objects.bulk_create(QueueItem(queue=queue, result=result, **given) for result in results)


def say(
    what: QueueItem | Result, who: User, label: str, *, stage: str = "INPUT", after: Review | None = None, **fields: Any
) -> Review:
    """One review; ``after`` is the one that it takes the place of."""
    item = what if isinstance(what, QueueItem) else None
    result = what.result if isinstance(what, QueueItem) else what
    fields = {"digest": "d", "created_at": NOW, "key": uuid.uuid4().hex, "supersedes": after, **fields}
    return Review.objects.create(result=result, item=item, reviewer=who, label=label, stage=stage, **fields)

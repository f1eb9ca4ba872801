"""Runs as if classifiers had worked on some days: what the tests of drift are about."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

from django.utils import timezone

from moderation.models import ClassifierVersion
from runs.models import Result, Run, Verdict

LOW, HIGH = (1.0, 8.0), (2.0, 4.0)  # shapes of beta distributions that scores are drawn from


def version_of(alias: str = "guard", model: str = "one") -> ClassifierVersion:
    return ClassifierVersion.objects.get_or_create(
        alias=alias, fingerprint=model, defaults={"provider": "tests", "model": model}
    )[0]


def noon(days_ago: int) -> datetime:
    day = timezone.now().date() - timedelta(days=days_ago)
    return datetime.combine(day, time(12), UTC) if days_ago else timezone.now()


def judged(
    days_ago: int,
    scores: Sequence[float | None],
    *,
    version: ClassifierVersion | None = None,
    stage: str = "INPUT",
    live: bool = True,
    policy_from: float = 0.5,
    **fields: Any,
) -> Run:
    """A run of that day over texts with these scores; None could not be judged. The classifier flags from .5 on."""
    at, version = noon(days_ago), version or version_of()
    run = Run.objects.create(
        name=f"{days_ago} days ago", status="DONE", created_by="test", total=len(scores), started_at=at, finished_at=at,
        live=f"{version.pk} {days_ago} {stage}" if live else None, **fields,
    )  # fmt: skip
    results = Result.objects.bulk_create(
        Result(run=run, position=place, prompt="Hello", input_label="SAFE", salt="", created_at=at, relabelled=True)
        for place in range(len(scores))
    )
    Verdict.objects.bulk_create(
        Verdict(
            result=result, stage=stage, check_name=version.alias, score=score, version=version,
            **_labels(score, policy_from),
        )
        for result, score in zip(results, scores, strict=True)
    )  # fmt: skip
    return run


def _labels(score: float | None, policy_from: float) -> dict[str, Any]:
    if score is None:
        return {"label": "ERROR"}
    own, label = ("TOXIC" if score >= limit else "SAFE" for limit in (0.5, policy_from))
    return {"label": label, "own_label": own if own != label else None}


def drawn(number: int, shape: tuple[float, float] = LOW, *, seed: object = 0) -> list[float | None]:
    chance = random.Random(f"{seed} {shape}")
    return [chance.betavariate(*shape) for _ in range(number)]


def days(which: Iterable[int], number: int, shape: tuple[float, float] = LOW, **options: Any) -> None:
    """So many texts on each of these days."""
    for day in which:
        judged(day, drawn(number, shape, seed=day), **options)

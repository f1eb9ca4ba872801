"""What people decided, as rows to learn from: each text with the label they gave it, weighted by how far they agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db.models import Count, Q

from classifiers.errors import InputError
from classifiers.types import Label, Stage
from review.models import QueueItem, Review
from runs.models import Provenance, Result
from training.contrasts import steadied
from training.data import LEARN, MEASURE, SHARES, Row, split

# What a result may be used for by its origin; of several, the last in this order holds.
USES: dict[str, str] = {QueueItem.Origin.CHOSEN: LEARN, QueueItem.Origin.RANDOM: MEASURE}


def reviewed_rows() -> list[Row]:
    """Every prompt and answer whose text is kept and on which people have decided; a prompt and its answers are a group.

    An adjudication weighs 1; else the weight is the share of those who judged the text that gave it this label. What active
    selection chose to be learnt from never measures, and its random share measures alone. InputError when people have decided
    on nothing yet.
    """
    found = [row for stage in Stage for row in _rows(stage)]
    if not found:
        raise InputError(
            "People have decided on no text yet, so there is nothing to learn from them. Review some results."
        )
    return found


def parted(rows: Sequence[Row], shares: Mapping[str, float] = SHARES) -> dict[str, list[Row]]:
    """Rows that people decided on in their parts; what is learnt from is steadied (training.contrasts)."""
    parts = split(rows, shares)
    return {**parts, "train": steadied(parts["train"])}


def _rows(stage: Stage) -> Iterator[Row]:
    name = stage.lower()
    decided = Result.objects.exclude(**{f"{name}_provenance": Provenance.MACHINE})
    kept = decided.filter(Q(texts=None) | Q(texts=Result.Texts.REDACTED)).order_by("pk")
    fields = ("prompt", "answer", "digests", f"{name}_label", f"human_{name}_label", f"{name}_provenance")
    votes, uses = _votes(stage), _uses()
    for result in kept.only(*fields).iterator(chunk_size=500):
        text = result.prompt if stage is Stage.INPUT else result.answer
        label, provenance = result.effective(stage), getattr(result, f"{name}_provenance")
        if text and text.strip() and label:
            said = votes.get((result.pk, result.digest_of(stage)), {})
            weight = 1.0 if provenance == Provenance.ADJUDICATED else said.get(label, 1) / max(1, sum(said.values()))
            yield Row(text, label == Label.TOXIC, weight, Row(result.prompt, False).key, uses.get(result.pk, ""))


def _votes(stage: Stage) -> dict[tuple[int, str | None], dict[str, int]]:
    """By result and text: how many gave which label."""
    counted: dict[tuple[int, str | None], dict[str, int]] = {}
    rows: Any = Review.objects.votes().filter(stage=stage).values("result", "digest", "label")
    for row in rows.annotate(n=Count("pk")).order_by("result"):
        counted.setdefault((row["result"], row["digest"]), {})[row["label"]] = row["n"]
    return counted


def _uses() -> dict[int, str]:
    """By result, of those that came into a queue by active selection. One drawn at random is no less so for being chosen elsewhere."""
    items = QueueItem.objects.order_by()
    return {
        result: use
        for origin, use in USES.items()
        for result in items.filter(origin=origin).values_list("result", flat=True)
    }

"""All that people said of results, for whoever takes them out: raw, with what became of each word."""

from __future__ import annotations

import hmac
import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from django.contrib.auth.models import User
from django.db.models import Exists, Max, OuterRef

from review import consensus
from review.models import Review
from runs.exports import Votes
from runs.expressions import Among
from runs.models import Result

Names: TypeAlias = Mapping[int, str]
COLUMNS = (
    *("result_id", "stage", "reviewer_id", "label", "categories", "note", "cause", "blind", "digest", "created_at"),
    *("item__queue_id", "item__gold", "bulk_id", "has_later"),
)


def votes(*, pseudonyms: bool = False) -> Votes:
    """What was said until now of the results of given numbers, in order; later words are not in it.

    ``current`` are the last words of each person that they did not take back; one that stands on another text, since
    the result was answered anew, counts for nothing, nor does the answer to a known one.
    """
    until = Review.objects.aggregate(Max("pk"))["pk__max"] or 0
    later = Review.objects.filter(supersedes=OuterRef("pk"), pk__lte=until)
    said = Review.objects.filter(pk__lte=until).annotate(has_later=Exists(later)).order_by("pk")
    names = named(_reviewers(), pseudonyms=pseudonyms)

    def of(numbers: Sequence[int]) -> Mapping[int, Sequence[Mapping[str, Any]]]:
        rows = list(said.filter(Among("result_id", numbers=numbers)).values_list(*COLUMNS, named=True))
        texts = _digests({row.result_id for row in rows})
        found: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
        for row in rows:
            found[row.result_id].append(_vote(row, names, texts.get((row.result_id, row.stage))))
        return found

    return of


def named(people: Names, *, pseudonyms: bool) -> Names:
    """The names of people; as pseudonyms r1, r2 and so on, which say nothing of who is who and differ each time."""
    if not pseudonyms:
        return people
    salt = secrets.token_bytes(32)
    shuffled = sorted(people, key=lambda pk: hmac.digest(salt, str(pk).encode(), "sha256"))
    return {pk: f"r{number}" for number, pk in enumerate(shuffled, start=1)}


def _reviewers() -> Names:
    spoke = Exists(Review.objects.filter(reviewer=OuterRef("pk")))
    return dict(User.objects.filter(spoke).values_list("pk", "username"))


def _digests(numbers: Iterable[int]) -> Mapping[tuple[int, str], str]:
    texts = Result.objects.filter(pk__in=numbers).only("prompt", "answer", "digests")
    return {(text.pk, stage): digest for text in texts for stage, digest in consensus.digests_of(text).items()}


def _vote(row: Any, names: Names, digest: str | None) -> dict[str, Any]:
    current = bool(row.label) and not row.has_later
    return {
        "stage": row.stage,
        "reviewer": names[row.reviewer_id],
        "label": row.label,
        "current": current,
        "standing": _standing(row, digest),
        "categories": row.categories,
        "note": row.note,
        "cause": row.cause,
        "blind": row.blind,
        "queue": row.item__queue_id,
        "known": bool(row.item__gold),
        "bulk": row.bulk_id is not None,
        "given_at": row.created_at,
    }


def _standing(row: Any, digest: str | None) -> str:
    """What became of it: it stands, a later one took its place, it takes the one before it back, or the text changed."""
    if not row.label:
        return "taken back"
    if row.has_later:
        return "superseded"
    return "stands" if row.digest == digest else "on another text"

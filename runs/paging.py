"""Pages of results by key: a page costs the same wherever it lies, and rows that come meanwhile shift nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import F, Func, IntegerField, Lookup, Value
from django.db.models.lookups import GreaterThan, LessThan

from classifiers.errors import InputError, NotFoundError
from runs.expressions import Ranked
from runs.models import Result
from runs.querysets import ResultQuerySet

SIZE = 50
COUNTED = 1000
# What a page may be sorted by, and whether from high to low; results without a score come last.
ORDERS: dict[str, tuple[tuple[str, ...], bool]] = {
    "place": (("run_id", "position"), False),
    "newest": (("run_id", "position"), True),
    "input_score": (("sorted_score", "pk"), True),
    "output_score": (("sorted_score", "pk"), True),
}


@dataclass(frozen=True)
class Page:
    """Results as lists show them. ``before`` and ``after`` name the results that the next pages adjoin, None at an end."""

    rows: Sequence[Result]
    before: int | None
    after: int | None


def page(
    results: ResultQuerySet,
    *,
    order: str,
    run: int | None = None,
    before: int | None = None,
    after: int | None = None,
    size: int = SIZE,
) -> Page:
    """The results that come before or after one in this order, at most ``size``; else the first.

    ``run`` is the one that all of them are of, if they are of one. SQLite goes to a position in the index only if it is
    not asked to compare the run as well.

    Ids are sought first, without reading the rows, which hold the texts; then the rows of this page.
    """
    keys, descending = _known(order)
    if run is not None and "position" in keys:
        keys = ("position",)
    backwards = before is not None
    ids = _sorted(results, order).order_by(*(f"-{key}" if descending != backwards else key for key in keys))
    start = before or after
    if start is not None:
        place, down = _place(start, order, keys), descending != backwards
        ids = ids.filter(_beyond(keys, place, down))
        if "sorted_score" in keys:  # which SQLite finds in the index alone, and not with what is behind it
            ids = ids.filter(**{f"sorted_score__{'lte' if down else 'gte'}": place[0]})
    found = list(ids.values_list("pk", flat=True)[: size + 1])
    more, found = len(found) > size, found[:size]
    if backwards:
        found.reverse()
    rows = Result.objects.listed().in_bulk(found)
    return Page(
        [rows[pk] for pk in found if pk in rows],
        found[0] if found and (more if backwards else start) else None,
        found[-1] if found and (more or backwards) else None,
    )


def counted(results: ResultQuerySet) -> int:
    """How many there are, up to COUNTED; COUNTED + 1 means more than that."""
    return results.order_by()[: COUNTED + 1].count()


def neighbours(results: ResultQuerySet, result: Result) -> tuple[int | None, int | None]:
    """The ids of those before and after a result, in its run."""
    same = results.filter(run=result.run_id)
    earlier = same.filter(position__lt=result.position).order_by("-position")
    later = same.filter(position__gt=result.position).order_by("position")
    first, second = (found.values_list("pk", flat=True).first() for found in (earlier, later))
    return first, second


def _known(order: str) -> tuple[tuple[str, ...], bool]:
    try:
        return ORDERS[order]
    except KeyError:
        raise InputError(f"Results cannot be sorted by {order[:60]!r}. The orders are: {', '.join(ORDERS)}.") from None


def _sorted(results: ResultQuerySet, order: str) -> ResultQuerySet:
    return results.annotate(sorted_score=Ranked(order)) if order.endswith("score") else results


def _place(pk: int, order: str, keys: tuple[str, ...]) -> tuple[Any, ...]:
    place: tuple[Any, ...] | None = _sorted(Result.objects.filter(pk=pk), order).values_list(*keys).first()
    if place is None:
        raise NotFoundError("The result at which this page begins no longer exists. Begin with the first page.")
    return place


def _beyond(keys: tuple[str, ...], place: tuple[Any, ...], descending: bool) -> Lookup[bool]:
    """Both at once, so that databases go to this place of an index."""
    row, other = (Func(*parts, function="", output_field=IntegerField()) for parts in (map(F, keys), map(Value, place)))
    return (LessThan if descending else GreaterThan)(row, other)

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from django.db import connection, models
from django.db.models import Q
from django.db.models.functions import Left

if TYPE_CHECKING:
    from audit.models import AuditEvent, ChainCheck

# Entries that a search for text looks through at a time: data has no index, and a million entries take seconds.
WINDOW = 100_000
# Clocks of several machines differ, so the order of times is only nearly that of the numbers.
SLACK = 1_000
# Characters of data in a list.
BEGINNING = 160
# Values of a column that are offered to choose from.
KNOWN = 200


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Which entries; what is empty does not restrict."""

    action: str = ""
    actor: str = ""
    target_type: str = ""
    target_id: str = ""
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""

    @classmethod
    def of(
        cls,
        *,
        action: str = "",
        actor: str = "",
        target: str = "",
        since: date | None = None,
        until: date | None = None,
        text: str = "",
    ) -> EntryFilter:
        """As people write it: a bare name as the actor means that user, a target is its kind and its key, days are
        of UTC and both belong to what is wanted."""
        kind, _, key = target.partition(" ")
        return cls(
            action=action,
            actor=f"user:{actor}" if actor and ":" not in actor else actor,
            target_type=kind,
            target_id=key.strip(),
            since=_midnight(since),
            until=_midnight(until + timedelta(days=1) if until else None),
            text=text,
        )


@dataclass(frozen=True, slots=True)
class Page:
    """Entries, newest first, and the numbers to go on from. ``searched_to`` is where a search for text stopped looking."""

    entries: Sequence[AuditEvent]
    older: int | None = None
    newer: int | None = None
    searched_to: int = 1


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    def matching(self, wanted: EntryFilter) -> AuditEventQuerySet:
        exact = {name: getattr(wanted, name) for name in ("action", "actor", "target_type", "target_id")}
        found = self.filter(**{name: value for name, value in exact.items() if value})
        if wanted.since:
            found = found.filter(time__gte=wanted.since, sequence__gte=self._first_at(wanted.since) - SLACK)
        if wanted.until:
            found = found.filter(time__lt=wanted.until, sequence__lt=self._first_at(wanted.until) + SLACK)
        if wanted.text:
            # As it stands in a value of the JSON, or as the JSON itself is written.
            in_value = json.dumps(wanted.text, ensure_ascii=False)[1:-1]
            found = found.filter(Q(data__icontains=in_value) | Q(data__icontains=wanted.text))
        return found

    def page(self, wanted: EntryFilter, *, size: int, before: int | None = None, after: int | None = None) -> Page:
        """The newest entries, those older than ``before``, or those newer than ``after``: by number, never by offset."""
        found = self.matching(wanted).beginnings()
        if after is not None:
            return _newer(found.filter(sequence__gt=after), after, size)
        if before is not None:
            found = found.filter(sequence__lt=before)
        searched_to = 1
        if wanted.text:
            searched_to = max((self._last() + 1 if before is None else before) - WINDOW, 1)
            found = found.filter(sequence__gte=searched_to)
        rows = list(found.order_by("-sequence")[: size + 1])
        older = rows[size - 1].sequence if len(rows) > size else searched_to if searched_to > 1 else None
        newer = None if before is None or wanted.text else rows[0].sequence if rows else before - 1
        return Page(rows[:size], older, newer, searched_to)

    def beginnings(self) -> AuditEventQuerySet:
        """Without ``data``, which may be 64 KiB, but with its ``beginning``."""
        return self.defer("data").annotate(beginning=Left("data", BEGINNING + 1))

    def known(self, *columns: str) -> dict[str, list[str]]:
        """The values of indexed columns, found by jumping through their indexes and not by reading all entries."""
        with connection.cursor() as cursor:
            cursor.execute(" UNION ALL ".join(_jumps(self.model, column) for column in columns))
            rows = cursor.fetchall()
        return {column: [value for name, value in rows if name == column] for column in columns}

    def _first_at(self, moment: datetime) -> int:
        """The number of the first entry at or after a moment; past the end when there is none."""
        first = self.filter(time__gte=moment).order_by("time").values_list("sequence", flat=True).first()
        return self._last() + 1 if first is None else first

    def _last(self) -> int:
        return self.order_by("-sequence").values_list("sequence", flat=True).first() or 0


def _jumps(model: type[models.Model], column: str) -> str:
    table, name = (connection.ops.quote_name(each) for each in (model._meta.db_table, column))
    return (
        "SELECT * FROM ("  # noqa: S608  nothing in it comes from outside
        f"WITH RECURSIVE known(value) AS (SELECT MIN({name}) FROM {table} UNION ALL SELECT "
        f"(SELECT MIN({name}) FROM {table} WHERE {name} > known.value) FROM known WHERE known.value IS NOT NULL) "
        f"SELECT '{column}', value FROM known WHERE value <> '' LIMIT {KNOWN}) AS {column}"
    )


def _midnight(day: date | None) -> datetime | None:
    return datetime.combine(day, time.min, tzinfo=UTC) if day else None


def _newer(found: AuditEventQuerySet, after: int, size: int) -> Page:
    rows = list(found.order_by("sequence")[: size + 1])
    entries = rows[:size][::-1]
    older = entries[-1].sequence if entries else after + 1
    return Page(entries, older, entries[0].sequence if len(rows) > size else None)


class ChainCheckQuerySet(models.QuerySet["ChainCheck"]):
    def finished(self) -> ChainCheckQuerySet:
        return self.filter(finished_at__isnull=False)

    def good(self) -> ChainCheckQuerySet:
        return self.finished().filter(fault="")

    def last(self) -> ChainCheck | None:
        return self.finished().order_by("-finished_at", "-pk").first()

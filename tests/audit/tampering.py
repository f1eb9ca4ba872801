"""What someone with the database in hand may do to the chain."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection, transaction

from audit import services
from audit.models import GENESIS, AuditEvent


def record_chain(size: int) -> list[AuditEvent]:
    with transaction.atomic():
        return [services.record("test.done", actor="user:alice", data={"number": n}) for n in range(1, size + 1)]


def run_sql(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def drop_constraints() -> None:
    """The same rows in a table without keys, constraints and triggers."""
    run_sql(
        "CREATE TABLE unguarded AS SELECT * FROM audit_auditevent",
        "DROP TABLE audit_auditevent",
        "ALTER TABLE unguarded RENAME TO audit_auditevent",
    )


def relink(events: Iterable[AuditEvent]) -> list[AuditEvent]:
    """The events as a chain that is whole by itself."""
    relinked, head = [], GENESIS
    for sequence, event in enumerate(events, start=1):
        event.sequence, event.previous = sequence, head
        event.hash = head = event.digest()
        relinked.append(event)
    return relinked


def replace_chain(events: Iterable[AuditEvent]) -> None:
    AuditEvent.objects.all().delete()
    AuditEvent.objects.bulk_create(events)

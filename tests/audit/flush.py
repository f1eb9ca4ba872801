"""A pytest plugin: after a transactional test Django empties every table, and the audit table refuses.

Only here are its triggers lifted, around that flush; `manage.py flush` of a real site stays refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from django.db.backends.base.operations import BaseDatabaseOperations


@pytest.fixture(scope="session", autouse=True)
def _flush_empties_the_audit_table() -> Iterator[None]:
    # A plugin loads before Django's settings do.
    from django.db import connection, transaction

    from audit import triggers

    operations_class = type(connection.ops)
    flush = operations_class.execute_sql_flush

    def flush_without_triggers(operations: BaseDatabaseOperations, statements: list[str]) -> None:
        with transaction.atomic(using=operations.connection.alias):
            triggers.remove(operations.connection)
            flush(operations, statements)
            triggers.install(operations.connection)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(operations_class, "execute_sql_flush", flush_without_triggers)
        yield

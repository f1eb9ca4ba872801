"""The hand-out finds its next result in an index, however long the queue is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection

from review.handout import TAKE
from review.models import Queue


@pytest.mark.parametrize(
    ("kind", "index"), [("NOT item.gold", "queue_item_claimable"), ("item.gold", "queue_item_gold")]
)
def test_sqlite_takes_the_next_one_from_the_index(make_queue: Callable[..., Queue], kind: str, index: str) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL plans by the size of the table")
    queue = make_queue()
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN QUERY PLAN " + TAKE.format(kind=kind, lock=""), [queue.pk, -1, 1])
        plan = [row[3] for row in cursor.fetchall()]
    assert any(index in step for step in plan), plan
    assert not any("TEMP B-TREE" in step for step in plan), plan

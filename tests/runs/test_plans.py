"""The look-ups that a run of any length makes again and again go by their index, with no statistics to help the planner.

Only SQLite's plan can be told before there are rows; PostgreSQL reads a short table as a whole, whatever its indexes.
"""

import pytest
from django.db import connection
from django.db.models import QuerySet

from runs.models import Chunk, Result, Run, Verdict

RUN = Run(pk=1)
LOOK_UPS: dict[str, QuerySet] = {
    "verdict_recallable": Verdict.objects.recallable(["a" * 32, "b" * 32]).said_in(RUN),
    "chunk_unfinished": Chunk.objects.filter(run=RUN).unfinished().order_by("index")[:1],
    "result_flagged": Result.objects.filter(run=RUN).flagged(),
    "result_errors": Result.objects.filter(run=RUN).errors(),
}


@pytest.mark.django_db
@pytest.mark.parametrize("index", LOOK_UPS)
def test_a_look_up_goes_by_its_index(index: str) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL's plan depends on the rows")
    assert index in LOOK_UPS[index].explain().splitlines()[0]

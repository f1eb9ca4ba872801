"""The look-ups that a run of any length makes again and again go by their index, with no statistics to help the planner.

Only SQLite's plan can be told before there are rows; PostgreSQL reads a short table as a whole, whatever its indexes.
"""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.models import QuerySet

from runs.filters import results
from runs.models import Chunk, Result, Run, Verdict
from runs.querysets import ResultQuerySet

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


# A covering index spares reading the rows, which hold the texts.
COVERED: list[dict[str, str]] = [
    {},
    {"flagged": "true"},
    {"flagged": "false", "stage": "output"},
    {"output_label": "SAFE"},
    {"errors": "true"},
    {"min_score": ".9"},
    {"reviewed": "false", "provenance": "machine"},
    {"human": "TOXIC"},
    {"disagreement": "people"},
    {"disagreement": "machine"},
    {"q": "word", "flagged": "false"},
]


def plan(chosen: ResultQuerySet) -> str:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL's plan depends on the rows")
    return chosen.values_list("pk").explain()


@pytest.mark.django_db
@pytest.mark.parametrize("filters", COVERED, ids=lambda filters: " ".join(filters) or "all")
def test_a_list_goes_by_a_covering_index_in_its_order(filters: dict[str, str]) -> None:
    steps = plan(results({"run": "1", **filters}).order_by("run_id", "position"))
    assert "SEARCH runs_result USING COVERING INDEX" in steps
    assert "TEMP B-TREE" not in steps


@pytest.mark.django_db
@pytest.mark.parametrize("filters", COVERED, ids=lambda filters: " ".join(filters) or "all")
def test_scores_are_sorted_and_counted_without_reading_a_row(filters: dict[str, str]) -> None:
    chosen = results({"run": "1", **filters})
    for steps in (plan(chosen.order_by("-input_score", "-pk")), plan(chosen.order_by())):
        assert "SEARCH runs_result USING COVERING INDEX" in steps


@pytest.mark.django_db
def test_categories_are_looked_for_among_the_flagged_alone() -> None:
    assert "result_flagged" in plan(results({"run": "1", "category": "hate"}))


@pytest.mark.django_db
def test_a_rare_word_is_looked_up_in_the_index_of_words() -> None:
    steps = plan(results({"q": "word"}))
    assert "SEARCH runs_result USING INTEGER PRIMARY KEY" in steps
    assert "SCAN runs_result_text VIRTUAL TABLE INDEX" in steps

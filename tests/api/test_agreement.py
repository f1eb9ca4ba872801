"""Figures over REST: those of the console, with what is undefined as null and the reason."""

from __future__ import annotations

import csv
from collections.abc import Callable
from typing import Any

import pytest

from audit.models import AuditEvent
from review import figures, machine
from review.models import Queue
from review.scopes import Scope
from runs.models import Run
from tests.api.conftest import Program
from tests.review.conftest import TEXTS, Cast, review_next

AGREEMENT, MACHINE, REPORTS = "/api/v1/agreement/", "/api/v1/machine/", "/api/v1/reports/"


@pytest.fixture
def queue(make_queue: Callable[..., Queue], done_run: Callable[..., Run], cast: Cast) -> Queue:
    """Everything judged by two, who mostly agree."""
    queue = make_queue(done_run(TEXTS), needed=2, stages="INPUT")
    for name in ("ruth", "rob"):
        for number in range(8):
            review_next(queue, cast[name], **({"input": "TOXIC"} if number == 0 and name == "rob" else {}))
    return queue


def test_agreement_is_that_of_the_console_with_intervals(queue: Queue, cast: Cast) -> None:
    told = Program(cast.axel, "read").get(AGREEMENT, queue=queue.pk).json()
    known = figures.agreement_of(Scope(queue=queue.pk))
    assert [each["estimate"]["value"] for each in told["measures"]] == [m.estimate.value for m in known.measures]
    assert [each["estimate"]["low"] for each in told["measures"]] == [m.estimate.low for m in known.measures]
    assert {row["name"] for row in told["people"]} == {"ruth", "rob"}
    (pair,) = told["pairs"]
    assert {pair["one"], pair["other"]} == {"ruth", "rob"}
    assert pair["kappa"]["n"] == known.overlapping


def test_what_is_undefined_is_null_and_says_why(cast: Cast) -> None:
    for each in Program(cast.axel).get(AGREEMENT).json()["measures"]:
        assert each["estimate"]["value"] is None
        assert each["estimate"]["why"].endswith(".")


def test_the_machine_is_held_against_people(queue: Queue, cast: Cast) -> None:
    told = Program(cast.lena, "read").get(MACHINE, queue=queue.pk).json()
    known = machine.as_a_whole(Scope(queue=queue.pk), queue)
    assert [(held["stage"], held["reviewed"], held["why"]) for held in told["whole"]] == [
        (held.stage, held.reviewed, held.why) for held in known
    ]
    assert {held["check_name"] for held in told["versions"]} == {"fake"}
    (held,) = told["whole"]
    assert held["recall"]["value"] == known[0].missed.recall.value
    (alone,) = Program(cast.lena).get(MACHINE, stage="INPUT").json()["whole"]
    assert (alone["recall"], "random sample" in alone["why"]) == (None, True)


def test_a_queue_has_its_own_figures(queue: Queue, cast: Cast) -> None:
    program = Program(cast.axel)
    told = program.get(f"/api/v1/queues/{queue.pk}/figures/", stage="INPUT").json()
    assert told["agreement"] == program.get(AGREEMENT, queue=queue.pk, stage="INPUT").json()
    assert told["machine"] == program.get(MACHINE, queue=queue.pk, stage="INPUT").json()
    assert program.get(f"/api/v1/queues/{queue.pk}/figures/", queue=queue.pk).status_code == 422


@pytest.mark.parametrize("address", [AGREEMENT, MACHINE])
@pytest.mark.parametrize(
    ("query", "status"),
    [({"queue": 999}, 422), ({"queue": "x"}, 400), ({"run": 0}, 400), ({"one": "ruth"}, 422), ({"one": "ruth", "other": "ruth"}, 422), ({"since": "now"}, 400),
     ({"one": "nobody", "other": "ruth"}, 422), ({"category": "a\0"}, 422), ({"nonsense": 1}, 422)],
)  # fmt: skip
def test_filters_that_cannot_be_are_refused(
    queue: Queue, cast: Cast, address: str, query: dict[str, Any], status: int
) -> None:
    assert Program(cast.axel).get(address, **query).status_code == status


@pytest.mark.parametrize("address", [AGREEMENT, MACHINE, REPORTS])
def test_figures_are_for_those_who_oversee(cast: Cast, address: str) -> None:
    assert [Program(cast[name]).get(address).status_code for name in ("ruth", "sara", "nora", "prog")] == [403] * 4
    assert Program(cast.axel, "run").get(address).json()["code"] == "scope_missing"


def test_the_report_of_a_period(queue: Queue, cast: Cast) -> None:
    program = Program(cast.axel, "read")
    told = program.get(REPORTS).json()
    assert (told["results"], told["reviewed"]) == (8, 8)
    assert {person["person"] for person in told["people"]} == {"ruth", "rob"}
    assert program.get(REPORTS, since="2001-01-01", until="2001-01-02").json()["results"] == 0
    assert not AuditEvent.objects.filter(action="report.made").exists()
    answer = program.get(REPORTS, **{"as": "csv"})
    assert answer["Content-Type"].startswith("text/csv")
    assert next(csv.reader(answer.content.decode().splitlines())) == ["section", "item", "value"]
    assert program.get(REPORTS, **{"as": "json"}).json()["results"] == 8
    assert AuditEvent.objects.filter(action="report.made").count() == 2


@pytest.mark.parametrize(
    ("query", "status"),
    [({"as": "pdf"}, 400), ({"since": "2026-02-30"}, 400), ({"since": "2026-02-02", "until": "2026-02-01"}, 422)],
)
def test_a_report_that_cannot_be_is_refused(cast: Cast, query: dict[str, str], status: int) -> None:
    assert Program(cast.axel).get(REPORTS, **query).status_code == status

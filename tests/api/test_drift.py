"""Drift over REST: read by those who may see the record."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from governance.drift import check_drift
from tests.api.conftest import Program
from tests.governance.drifting import HIGH, days, version_of
from tests.review.conftest import Cast

ADDRESS = "/api/v1/drift/"


@pytest.fixture
def drifted(db: None) -> None:
    days(range(7, 14), 60)
    days(range(7), 60, HIGH)
    days(range(14), 60, version=version_of("steady"))
    check_drift(actor="test")


@pytest.mark.usefixtures("drifted")
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["steady", "guard"]),
        ({"classifier": "guard"}, ["guard"]),
        ({"level": "none"}, ["steady"]),
        ({"level": "drift", "classifier": "steady"}, []),
    ],
)
def test_the_filters(cast: Cast, query: dict[str, str], found: list[str]) -> None:
    page = Program(cast.axel).get(f"{ADDRESS}?{urlencode(query)}").json()
    assert [row["classifier"] for row in page["results"]] == found


@pytest.mark.usefixtures("drifted")
def test_an_assessment_has_its_figures_and_its_days(cast: Cast) -> None:
    (row,) = Program(cast.axel).get(f"{ADDRESS}?{urlencode({'classifier': 'guard'})}").json()["results"]
    assert (row["version"], row["stage"], row["live"], row["level"], row["why"]) == (
        *(version_of().pk, "INPUT", True, "drift", ""),
    )
    assert row["since"]
    assert [finding["respect"] for finding in row["findings"]] == ["scores", "labels", "policy labels", "errors"]
    assert (len(row["days"]), sum(row["recent"]["scores"])) == (14, 420)


@pytest.mark.usefixtures("drifted")
@pytest.mark.parametrize("name", ["ruth", "sara", "prog", "nora"])
def test_it_is_not_for_those_who_may_not_see_the_record(cast: Cast, name: str) -> None:
    assert Program(cast[name]).get(ADDRESS).status_code == 403


@pytest.mark.usefixtures("drifted")
def test_an_unknown_level_is_refused(cast: Cast) -> None:
    assert Program(cast.axel).get(f"{ADDRESS}?{urlencode({'level': 'some'})}").status_code == 400

"""Policies over REST: lena leads and sets them, axel and ruth read, prog and nora see none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from audit.models import AuditEvent
from classifiers.taxonomy import HARMS, TAXONOMIES, harms_of
from moderation import policies
from moderation.models import Policy, PolicyVersion
from runs.models import Run
from tests.api.conftest import Program
from tests.review.conftest import Cast

API = "/api/v1/policies/"
HATE = {"category": "hate", "stage": "", "check": "", "threshold": 0.7, "action": "BLOCK"}
DEFINED = {"name": "hate", "definition": "Demeans groups.", "examples": [{"text": "All thieves.", "label": "TOXIC"}]}
TEAM: dict[str, Any] = {"name": "Team", "note": "The beginning.", "thresholds": [HATE], "categories": [DEFINED]}


@pytest.fixture
def lena(cast: Cast) -> Program:
    return Program(cast.lena)


def stricter(**more: Any) -> dict[str, Any]:
    return {"note": "Stricter.", "thresholds": [{"category": "hate", "threshold": 0.4}], **more}


def test_a_lead_makes_one_and_it_reads_as_it_was_sent(cast: Cast, lena: Program) -> None:
    answer = lena.post(API, TEAM)
    assert (answer.status_code, answer["ETag"]) == (201, '"1"')
    said = Program(cast.ruth, "read").get(answer["Location"]).json()
    assert said == answer.json()
    assert (said["reference"], said["thresholds"], said["categories"]) == ("Team@1", [HATE], [DEFINED])
    policy = Policy.objects.get()
    (row,) = Program(cast.axel).get(API).json()["results"]
    assert row == Program(cast.axel).get(f"{API}{policy.pk}/").json()
    assert (row["name"], row["default"], row["newest"], row["runs"]) == ("Team", True, 1, 0)
    assert AuditEvent.objects.get(action="policy.created").actor == "user:lena"


def test_a_version_is_added_by_whoever_saw_the_newest(lena: Program) -> None:
    lena.post(API, TEAM)
    address = f"{API}{Policy.objects.get().pk}/"
    versions = f"{address}versions/"
    assert lena.post(versions, stricter()).status_code == 428
    answer = lena.post(versions, stricter(), If_Match=lena.get(address)["ETag"])
    assert (answer.status_code, answer["ETag"]) == (201, '"2"')
    stale = lena.post(versions, stricter(note="Again."), If_Match='"1"')
    assert (stale.status_code, stale.json()["code"]) == (412, "stale")
    assert [row["number"] for row in lena.get(versions).json()["results"]] == [2, 1]
    assert lena.get(f"{versions}1/").json()["thresholds"] == [HATE]
    assert lena.get(f"{versions}3/").status_code == 404


def test_what_differs_is_told(lena: Program) -> None:
    lena.post(API, TEAM)
    address = f"{API}{Policy.objects.get().pk}/"
    lena.post(f"{address}versions/", stricter(), If_Match='"1"')
    told = lena.get(f"{address}difference/", before=1, after=2).json()
    assert (told["before"], told["after"]) == ("Team@1", "Team@2")
    threshold, category = told["changes"]
    assert threshold == {
        "what": "threshold", "place": "hate", "before": "blocks from 0.7 on", "after": "blocks from 0.4 on"
    }  # fmt: skip
    assert (category["place"], category["after"]) == ("hate", None)
    assert lena.get(f"{address}difference/", before=1, after=9).status_code == 404
    assert lena.get(f"{address}difference/", before=1).status_code == 400


def test_another_becomes_the_default(lena: Program) -> None:
    lena.post(API, TEAM)
    lena.post(API, {**TEAM, "name": "Strict"})
    strict = Policy.objects.get(name="Strict")
    answer = lena.post(f"{API}{strict.pk}/default/")
    assert (answer.status_code, answer.json()["default"]) == (200, True)
    assert str(policies.in_force()) == "Strict v1"


def test_runs_are_counted_under_their_versions(lena: Program, done_run: Callable[..., Run]) -> None:
    lena.post(API, TEAM)
    done_run(["one"])
    done_run(["two"])
    address = f"{API}{Policy.objects.get().pk}/"
    lena.post(f"{address}versions/", stricter(), If_Match='"1"')
    assert [row["runs"] for row in lena.get(f"{address}versions/").json()["results"]] == [0, 2]
    assert lena.get(address).json()["runs"] == 2
    for policy, count in (("Team@1", 2), ("Team", 0), ("none", 0)):
        assert len(lena.get("/api/v1/runs/", policy=policy).json()["results"]) == count
    assert lena.get("/api/v1/runs/", policy="Nobody's").status_code == 422


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"name": "Team"}, 422),
        ({"name": "none"}, 422),
        ({"name": "a@b"}, 422),
        ({"note": ""}, 422),
        ({"thresholds": [HATE, HATE]}, 422),
        ({"thresholds": [{**HATE, "treshold": 0.5}]}, 400),
        ({"thresholds": [{**HATE, "threshold": 70}]}, 400),
        ({"thresholds": [{**HATE, "threshold": "0.5"}]}, 400),
        ({"thresholds": [{**HATE, "action": "block"}]}, 400),
        ({"categories": [{**DEFINED, "examples": [{"text": "x", "label": "ERROR"}]}]}, 400),
        ({"categories": [DEFINED, DEFINED]}, 422),
        ({"default": True}, 400),
    ],
)
def test_what_cannot_be_a_policy_is_refused_and_nothing_made(lena: Program, wrong: dict[str, Any], status: int) -> None:
    lena.post(API, {**TEAM, "name": "Team"})
    answer = lena.post(API, {**TEAM, "name": "Other", **wrong})
    assert answer.status_code == status, answer.content
    assert Policy.objects.count() == PolicyVersion.objects.count() == 1


def test_who_may_not_set_them_is_refused(cast: Cast, lena: Program) -> None:
    lena.post(API, TEAM)
    address = f"{API}{Policy.objects.get().pk}/"
    for who in ("axel", "ruth", "sara", "prog", "nora"):
        program = Program(cast[who])
        assert program.post(API, {**TEAM, "name": who}).status_code == 403
        assert program.post(f"{address}versions/", stricter(), If_Match='"1"').status_code == 403
        assert program.post(f"{address}default/").status_code == 403
    assert Program(cast.lena, "read", "run").post(API, TEAM).json()["code"] == "scope_missing"
    assert PolicyVersion.objects.count() == 1


def test_who_may_not_read_them_is_refused(cast: Cast, lena: Program) -> None:
    lena.post(API, TEAM)
    address = f"{API}{Policy.objects.get().pk}/"
    for path in (
        API,
        address,
        f"{address}versions/",
        f"{address}versions/1/",
        f"{address}difference/?before=1&after=1",
    ):
        for who in ("prog", "nora"):
            assert Program(cast[who]).get(path).status_code == 403
        assert Program(cast.ruth).get(path).status_code == 200


def test_taxonomies_are_one_list_for_everybody(cast: Cast) -> None:
    rows = Program(cast.nora).get("/api/v1/taxonomies/").json()["results"]
    assert [row["harm"] for row in rows] == list(HARMS)
    for row in rows:
        assert row["categories"].keys() == TAXONOMIES.keys()
        for taxonomy, names in row["categories"].items():
            assert all(row["harm"] in harms_of(name, taxonomy) for name in names)
    named = {(taxonomy, name) for row in rows for taxonomy, names in row["categories"].items() for name in names}
    assert named == {(taxonomy, name) for taxonomy, names in TAXONOMIES.items() for name in names}


def test_lists_cost_few_queries(cast: Cast, lena: Program, django_assert_max_num_queries: Any) -> None:
    for number in range(5):
        lena.post(API, {**TEAM, "name": f"Team {number}"})
    axel, policy = Program(cast.axel), Policy.objects.first()
    for path in (API, f"{API}{policy.pk}/versions/", f"{API}{policy.pk}/versions/1/"):
        with django_assert_max_num_queries(8):
            assert axel.get(path).status_code == 200

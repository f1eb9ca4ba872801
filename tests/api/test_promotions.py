"""Promotions over REST: compared, made, rolled back and read, by those who may."""

from __future__ import annotations

from typing import Any

import pytest

from governance import jobs
from moderation.models import Promotion
from tests.api.conftest import Program
from tests.governance.promoting import ALIAS, WORDS, Make, compared
from tests.review.conftest import Cast

pytestmark = pytest.mark.django_db
PROMOTIONS, COMPARISON = "/api/v1/promotions/", "/api/v1/promotions/comparison/"
ROWS = [{"text": f"{WORDS[i % 3]} {i}", "label": int(i % 3 < 2), "kind": "ab"[i % 2]} for i in range(120)]


@pytest.fixture
def lena(cast: Cast) -> Program:
    return Program(cast.lena, "read", "run")


def ask(program: Program, **body: Any) -> Any:
    columns = {"category": "kind"}
    return program.post(COMPARISON, {"adapter": "mine", "alias": ALIAS, "rows": ROWS, "columns": columns, **body})


def pair(adapter: Any) -> dict[str, int]:
    old, new = compared(adapter)
    return {"old": old.pk, "new": new.pk}


def test_an_adapter_is_compared_promoted_and_rolled_back(lena: Program, make_adapter: Make) -> None:
    make_adapter("mine", "toxic rude")
    answer = ask(lena, dataset="ours")
    assert answer.status_code == 202, answer.content
    jobs.work(jobs.find_job(answer.json()["id"]))
    old, new = sorted(lena.get(answer.headers["Location"]).json()["evaluations"])
    case = lena.get(COMPARISON, old=old, new=new).json()
    assert (case["may"], case["alias"], case["adapter"], case["out_of_date"]) == (True, ALIAS, "mine", "")
    assert [gate["met"] for gate in case["gates"]] == [True] * 6
    assert case["rivals"]["figures"]["recall"]["change"]["value"] == 0.5
    assert [each["name"] for each in case["rivals"]["categories"]] == ["", "a", "b", "identity probe"]
    answer = lena.post(PROMOTIONS, {"old": old, "new": new, "note": "It finds more."})
    assert answer.status_code == 201
    made = answer.json()
    assert (made["adapter"], made["rolls_back"], made["created_by"]) == ("mine", None, "user:lena")
    one = lena.get(answer.headers["Location"]).json()
    assert (one["old"], one["new"], one["gates"], one["rivals"]) == (old, new, case["gates"], case["rivals"])
    assert "loads the adapter mine already" in lena.get(COMPARISON, old=old, new=new).json()["out_of_date"]
    back = lena.post(f"{PROMOTIONS}{made['id']}/rollback/", {"note": "No."}).json()
    assert (back["adapter"], back["rolls_back"], back["note"]) == (None, made["id"], "No.")
    one = lena.get(f"{PROMOTIONS}{back['id']}/").json()
    assert (one["old"], one["gates"], one["rivals"]) == (None, [], None)
    assert lena.post(f"{PROMOTIONS}{made['id']}/rollback/").status_code == 409
    assert [each["id"] for each in lena.get(PROMOTIONS, alias=ALIAS).json()["results"]] == [back["id"], made["id"]]
    assert lena.get(PROMOTIONS, alias="gemma").json()["results"] == []


def test_an_act_that_comes_again_counts_once(lena: Program, make_adapter: Make) -> None:
    body = {**pair(make_adapter("mine", "toxic rude")), "note": "x"}
    first, second = (lena.post(PROMOTIONS, body, Idempotency_Key="k1") for _ in range(2))
    assert first.json() == second.json()
    assert Promotion.objects.count() == 1


def test_a_gate_that_is_not_met_is_not_passed(lena: Program, make_adapter: Make) -> None:
    numbers = pair(make_adapter("worse", "none"))
    assert lena.get(COMPARISON, **numbers).json()["may"] is False
    refused = lena.post(PROMOTIONS, {**numbers, "note": "All the same."})
    assert refused.status_code == 422
    assert "recall" in refused.json()["detail"]
    assert not Promotion.objects.exists()


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"adapter": "nobody"}, 404, "no adapter 'nobody'"),
        ({"adapter": "a b"}, 400, "adapter"),
        ({"alias": "fake"}, 422, "takes adapters"),
        ({"rows": []}, 400, "rows"),
        ({"rows": None}, 422, "decided on no text"),
        ({"rows": [{"text": "kind", "label": "perhaps"}]}, 422, "perhaps"),
        ({"force": True}, 400, "no field"),
    ],
)
def test_what_cannot_be_compared_is_told(
    lena: Program,
    make_adapter: Make,
    body: dict[str, Any],
    status: int,
    says: str,
) -> None:
    make_adapter("mine", "toxic rude")
    answer = ask(lena, **body)
    assert answer.status_code == status, answer.content
    assert says in answer.json()["detail"]


def test_what_is_no_pair_is_told(lena: Program, make_adapter: Make) -> None:
    numbers = pair(make_adapter("mine", "toxic rude"))
    same = {"old": numbers["old"], "new": numbers["old"]}
    assert lena.get(COMPARISON, **same).status_code == 422
    assert lena.get(COMPARISON, old=1).status_code == 400
    assert lena.get(COMPARISON, old=998, new=999).status_code == 404
    assert lena.post(PROMOTIONS, {**same, "note": "x"}).status_code == 422
    assert lena.post(PROMOTIONS, {**numbers, "note": ""}).status_code == 422
    assert lena.get(f"{PROMOTIONS}99/").status_code == 404


def test_who_reads_promotes_nothing(cast: Cast, lena: Program, make_adapter: Make) -> None:
    numbers = pair(make_adapter("mine", "toxic rude"))
    axel = Program(cast.axel)
    assert axel.get(COMPARISON, **numbers).status_code == 200
    assert axel.post(PROMOTIONS, {**numbers, "note": "x"}).status_code == 403
    assert ask(axel).status_code == 403
    made = lena.post(PROMOTIONS, {**numbers, "note": "x"}).json()
    assert axel.post(f"{PROMOTIONS}{made['id']}/rollback/").status_code == 403
    assert Program(cast.lena, "read").post(f"{PROMOTIONS}{made['id']}/rollback/").json()["code"] == "scope_missing"
    nora = Program(cast.nora)
    for path in (PROMOTIONS, f"{PROMOTIONS}{made['id']}/", f"{COMPARISON}?old=1&new=2"):
        assert nora.get(path).status_code == 403, path

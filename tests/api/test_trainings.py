"""Trainings and adapters over REST: asked for, followed, stopped and read, by those who may."""

from __future__ import annotations

from typing import Any

import pytest
from django_q.models import OrmQ

from audit.models import AuditEvent
from governance.models import TrainingJob
from moderation.models import Adapter, Promotion
from tests.api.conftest import Program
from tests.review.conftest import Cast

pytestmark = pytest.mark.django_db
TRAININGS, ADAPTERS = "/api/v1/trainings/", "/api/v1/adapters/"
ROWS = [{"text": f"{'you idiot' if i % 3 else 'nice'} {i}", "label": int(i % 3 > 0)} for i in range(90)]


@pytest.fixture
def lena(cast: Cast) -> Program:
    return Program(cast.lena, "read", "run")


def ask(program: Program, **body: Any) -> Any:
    return program.post(TRAININGS, {"name": "mine", "rows": ROWS, **body})


def test_one_is_asked_for_followed_and_stopped(lena: Program) -> None:
    answer = ask(lena, recipe={"epochs": 2, "rank": 4}, dataset="ours")
    assert answer.status_code == 202
    told = answer.json()
    assert (told["state"], told["done"], told["total"], told["dataset"]) == ("WAITING", 0, 6, "ours")
    assert (told["recipe"]["rank"], told["recipe"]["epochs"]) == (4, 2.0)
    assert sum(part["n"] for part in told["data"].values()) == 90
    assert OrmQ.objects.count() == 1
    TrainingJob.objects.update(done=2, seconds=10, losses=[{"step": 1, "loss": 0.7, "tuning_loss": None}])
    told = lena.get(answer.headers["Location"]).json()
    assert (told["seconds_left"], told["losses"][0]["loss"]) == (20.0, 0.7)
    assert [each["name"] for each in lena.get(TRAININGS).json()["results"]] == ["mine"]
    stopped = lena.post(f"{answer.headers['Location']}cancel/")
    assert (stopped.status_code, stopped.json()["state"]) == (200, "CANCELLED")
    assert AuditEvent.objects.filter(action="training.cancelled", actor="user:lena").count() == 1


def test_an_act_that_comes_again_counts_once(lena: Program) -> None:
    body = {"name": "mine", "rows": ROWS}
    first, second = (lena.post(TRAININGS, body, Idempotency_Key="k1") for _ in range(2))
    assert first.json()["id"] == second.json()["id"]
    assert TrainingJob.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"rows": None}, 422, "learns from rows"),
        ({"reviews": True}, 422, "learns from rows"),
        ({"rows": None, "reviews": True}, 422, "People have decided on no text yet"),
        ({"rows": ROWS[:1]}, 422, "both labels"),
        ({"alias": "fake"}, 422, "fake takes no adapters"),
        ({"start": "nobody"}, 404, "no adapter 'nobody'"),
        ({"base_model": "/etc/passwd"}, 422, "a model of the hub"),
        ({"name": "my adapter"}, 400, "name"),
        ({"recipe": {"rank": 65}}, 400, "rank"),
        ({"recipe": {"device": "cuda"}}, 400, "device"),
        ({"recipe": {"epochs": "nan"}}, 400, "must be a number"),
        ({"alias": "gemma@mine"}, 422, "takes no adapters"),
        ({"start": "\0"}, 422, "Null characters"),
    ],
)
def test_what_cannot_be_is_refused(lena: Program, body: dict[str, Any], status: int, says: str) -> None:
    answer = ask(lena, **body)
    assert (answer.status_code, says in answer.content.decode()) == (status, True), answer.content
    assert not TrainingJob.objects.exists()


def test_who_may_only_read_trains_and_stops_nothing(lena: Program, cast: Cast) -> None:
    job = ask(lena).headers["Location"]
    axel = Program(cast.axel, "read", "run")
    assert axel.get(job).status_code == 200
    assert ask(axel, name="other").status_code == axel.post(f"{job}cancel/").status_code == 403
    for path in (TRAININGS, job):
        assert Program(cast.ruth, "read", "run").get(path).status_code == 403, path
    assert ask(Program(cast.lena, "read"), name="other").status_code == 403


def test_adapters_are_listed_and_read(lena: Program, cast: Cast) -> None:
    one, other = (
        Adapter.objects.create(name=name, digest=name, folder="/x", base_model="b", card="c", created_by="test")
        for name in ("one", "other")
    )
    Promotion.objects.create(alias="gemma", adapter=one, created_by="test")
    Promotion.objects.create(alias="gemma", adapter=other, created_by="test")
    found = lena.get(ADAPTERS).json()["results"]
    assert [(each["name"], each["promoted"]) for each in found] == [("other", ["gemma"]), ("one", [])]
    (found,) = lena.get(f"{ADAPTERS}?name=one").json()["results"]
    told = lena.get(f"{ADAPTERS}{found['id']}/").json()
    assert (told["card"], told["folder"], told["figures"], told["losses"]) == ("c", "/x", None, None)
    assert lena.get(f"{ADAPTERS}99/").status_code == 404
    for path in (ADAPTERS, f"{ADAPTERS}{found['id']}/"):
        assert Program(cast.ruth, "read").get(path).status_code == 403, path

"""Evaluations over REST: asked for, followed, read and compared, by those who may."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from audit.models import AuditEvent
from governance import jobs, uploads
from governance.models import Evaluation, EvaluationJob
from runs.models import Run
from tests.api.conftest import Program
from tests.review.conftest import Cast

pytestmark = pytest.mark.django_db
EVALUATIONS, JOBS = "/api/v1/evaluations/", "/api/v1/evaluation-jobs/"
TEXTS = ["toxic one", "kind", "rude", "fine", "fail", "toxic two", "nice", "good"]
ROWS = [{"text": text, "label": int(text.startswith(("toxic", "rude", "fail"))), "kind": "x"} for text in TEXTS]


@pytest.fixture
def lena(cast: Cast) -> Program:
    return Program(cast.lena, "read", "run")


def ask(program: Program, **body: Any) -> Any:
    return program.post(EVALUATIONS, {"classifiers": ["fake"], "rows": ROWS, **body})


def made(program: Program, **body: Any) -> list[dict[str, Any]]:
    """Asked for, and worked on to its end."""
    job = ask(program, **body).json()
    jobs.work(jobs.find_job(job["id"]))
    numbers = program.get(f"{JOBS}{job['id']}/").json()["evaluations"]
    return [program.get(f"{EVALUATIONS}{number}/").json() for number in numbers]


def test_one_is_asked_for_followed_and_read(lena: Program, cast: Cast) -> None:
    answer = ask(lena, classifiers=["fake", "fake-strict"], columns={"category": "kind"}, dataset="ours")
    assert answer.status_code == 202
    job = answer.json()
    assert (job["state"], job["done"], job["total"]) == ("WAITING", 0, 16)
    assert answer.headers["Location"] == f"{JOBS}{job['id']}/"
    jobs.work(jobs.find_job(job["id"]))
    job = lena.get(answer.headers["Location"]).json()
    assert (job["state"], job["done"]) == ("DONE", 16)
    found = lena.get(f"{EVALUATIONS}{job['evaluations'][0]}/").json()
    assert (found["alias"], found["dataset"], found["n"], found["errors"]) == ("fake", "ours", 8, 1)
    assert found["figures"]["recall"]["value"] == pytest.approx(2 / 3)
    assert found["categories"][0]["name"] == "x"
    counts = {"tp": 2, "fp": 0, "fn": 1, "tn": 4, "errors": 1}
    assert found["confusion"] == [{"name": "", **counts}, {"name": "x", **counts}]
    assert AuditEvent.objects.filter(action="evaluation.asked", actor="user:lena").count() == 1


def test_an_act_that_comes_again_counts_once(lena: Program) -> None:
    body = {"classifiers": ["fake"], "rows": ROWS}
    first, second = (lena.post(EVALUATIONS, body, Idempotency_Key="k1") for _ in range(2))
    assert first.json() == second.json()
    assert EvaluationJob.objects.count() == 1


def test_lists_are_narrowed_and_paged(lena: Program) -> None:
    one, other = made(lena, classifiers=["fake", "fake-strict"])
    made(lena, rows=ROWS[:4])
    assert [each["id"] for each in lena.get(EVALUATIONS, alias="fake-strict").json()["results"]] == [other["id"]]
    same = lena.get(EVALUATIONS, data_digest=one["data_digest"]).json()["results"]
    assert [each["id"] for each in same] == [other["id"], one["id"]]
    page = lena.get(EVALUATIONS, limit=2).json()
    assert len(page["results"]) == 2
    assert page["next"]
    assert "bins" not in page["results"][0]
    assert len(lena.get(JOBS).json()["results"]) == 2


def test_two_are_compared_on_the_same_texts_only(lena: Program) -> None:
    one, other = made(lena, classifiers=["fake", "fake-strict"])
    compared = lena.get(f"{EVALUATIONS}{one['id']}/comparison/", **{"with": other["id"]}).json()
    assert (compared["n"], compared["left_out"], compared["only_first"], compared["only_second"]) == (7, 1, 0, 1)
    (elsewhere,) = made(lena, rows=ROWS[:4])
    refused = lena.get(f"{EVALUATIONS}{one['id']}/comparison/", **{"with": elsewhere["id"]})
    assert refused.status_code == 422
    assert "different data" in refused.json()["detail"]


def test_a_threshold_is_picked(lena: Program) -> None:
    rows = [{"text": f"{'toxic' if i % 3 == 0 else 'kind'} {i}", "label": int(i % 3 == 0)} for i in range(60)]
    (found,) = made(lena, rows=rows, aim={"kind": "fpr", "value": 0.1}, calibration="isotonic")
    assert found["threshold"]["aim"] == {"kind": "fpr", "value": 0.1}
    assert found["calibration"]["held"] == 30
    picked = lena.get(f"{EVALUATIONS}{found['id']}/threshold/", kind="fpr", value=0.1).json()
    assert picked == found["threshold"]
    for wrong in ({"kind": "fpr", "value": 2}, {"kind": "cost", "value": 0}):
        assert lena.get(f"{EVALUATIONS}{found['id']}/threshold/", **wrong).status_code == 422, wrong


def test_a_run_is_evaluated(lena: Program, done_run: Callable[..., Run]) -> None:
    run = done_run(TEXTS)
    (found,) = made(lena, classifiers=[], run=run.pk)
    assert found["run"] == run.pk
    assert found["alias"] == f"run {run.pk} input"


def test_it_can_be_stopped(lena: Program) -> None:
    job = ask(lena).json()
    assert lena.post(f"{JOBS}{job['id']}/cancel/").json()["state"] == "CANCELLED"
    jobs.work(jobs.find_job(job["id"]))
    assert not Evaluation.objects.exists()
    assert lena.post(f"{JOBS}{job['id']}/cancel/").status_code == 200
    EvaluationJob.objects.update(state="DONE")
    assert lena.post(f"{JOBS}{job['id']}/cancel/").status_code == 409


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"classifiers": []}, 422, "Name classifiers, or a run"),
        ({"classifiers": ["fakee"]}, 422, "Did you mean fake"),
        ({"run": 1, "classifiers": []}, 404, "no such run"),
        ({"rows": []}, 400, "rows"),
        ({"rows": [{"text": "kind"}]}, 422, "Which column"),
        ({"rows": [{"text": "kind", "label": "perhaps"}]}, 422, "perhaps"),
        ({"rows": [{"text": "nul \x00", "label": 0}]}, 422, "rows.jsonl: line 1"),
        ({"rows": ["kind"]}, 400, "rows"),
        ({"columns": {"label": "none"}}, 422, "no column none"),
        ({"columns": {"lable": "label"}}, 400, "no such field"),
        ({"columns": {"label": "label", "all": "SAFE"}}, 422, "not both"),
        ({"aim": {"kind": "fpr", "value": 7}}, 422, "between 0 and 1"),
        ({"policy": "Nobody's"}, 422, "There is no policy"),
        ({"threshold": 0.5}, 400, "no field"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_stored(
    lena: Program, body: dict[str, Any], status: int, says: str
) -> None:
    answer = ask(lena, **body)
    assert answer.status_code == status, answer.content
    assert says in answer.json()["detail"]
    assert "/tmp" not in answer.json()["detail"]
    assert not EvaluationJob.objects.exists()


def test_there_are_bounds(lena: Program, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    monkeypatch.setattr(uploads, "MAX_TEXTS", 5)
    assert "more than 5 texts" in ask(lena).json()["detail"]
    settings.SAFETY_API_BODY = 100
    assert ask(lena).status_code == 413


@pytest.mark.parametrize("name", ["nora", "ruth", "sara", "prog"])
def test_who_may_not_see_the_record_sees_none(cast: Cast, lena: Program, name: str) -> None:
    (found,) = made(lena)
    program, path = Program(cast[name]), f"{EVALUATIONS}{found['id']}/"
    for address in (EVALUATIONS, path, f"{path}comparison/?with=1", f"{path}threshold/?kind=f1", JOBS, f"{JOBS}1/"):
        assert program.get(address).status_code == 403, address


def test_who_reads_asks_for_none(cast: Cast, lena: Program) -> None:
    job, axel = ask(lena).json(), Program(cast.axel)
    assert axel.get(EVALUATIONS).status_code == 200
    assert ask(axel).status_code == 403
    assert axel.post(f"{JOBS}{job['id']}/cancel/").status_code == 403
    assert ask(Program(cast.lena, "read")).json()["code"] == "scope_missing"


def test_what_is_not_there_is_told(lena: Program) -> None:
    assert lena.get(f"{EVALUATIONS}9/").status_code == 404
    assert lena.get(f"{JOBS}9/").status_code == 404
    assert lena.delete(f"{EVALUATIONS}9/").status_code == 405

"""Runs over REST: made for the workers or refused with nothing stored, looked at, compared, taken up again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django_q.models import OrmQ

from audit.models import AuditEvent
from classifiers.errors import InputError
from classifiers.hub import _require_own_files
from runs import requests, services, tasks
from runs.models import Chunk, Run
from tests.api.conftest import Program
from tests.review.conftest import Cast

RUNS = "/api/v1/runs/"
WANTED = {"prompts": ["You are kind.", "You are toxic."], "input_checks": ["fake"]}
SAMPLES = str(Path(__file__).resolve().parents[2] / "samples" / "prompts.jsonl")


def work(run: Run) -> None:
    for chunk in run.chunks.unfinished():
        services.execute_chunk(chunk.pk, actor="test")


def test_a_run_of_prompts_that_are_sent_along_goes_to_the_workers(cast: Cast) -> None:
    lena = Program(cast.lena)
    answer = lena.post(RUNS, {**WANTED, "name": "mine", "generator": "fake", "output_checks": ["fake"]})
    assert answer.status_code == 202
    run = Run.objects.get()
    assert answer["Location"] == f"{RUNS}{run.pk}/"
    assert (run.name, run.status, run.queued, run.total, run.created_by) == ("mine", "QUEUED", True, 2, "user:lena")
    assert OrmQ.objects.count() == 1
    assert Chunk.objects.get().enqueued_at is not None
    work(run)
    shown = lena.get(answer["Location"]).json()
    assert (shown["status"], shown["done"], shown["flagged"]) == ("DONE", 2, 1)
    assert shown["configuration"]["source"]["dataset_id"].startswith("2 prompts sent along, ")
    assert shown["configuration"]["output"] == [{"alias": "fake", "options": {}}]
    assert shown["counts"]["input"] == {"SAFE": 1, "TOXIC": 1}
    assert "classifier fake" in shown["versions"]


def test_a_text_is_stored_as_it_was_sent(cast: Cast) -> None:
    texts = [" \tspaces stay ", "\u202eturned", "<b>&amp;", "=1+1", "e\u0301", "x" * 300_000]
    assert Program(cast.lena).post(RUNS, {**WANTED, "prompts": texts}).status_code == 202
    run = Run.objects.get()
    assert [prompt.text for chunk in run.chunks.order_by("index") for prompt in chunk.prompts] == texts


def test_a_run_may_read_a_file_where_files_may_be_read(cast: Cast) -> None:
    answer = Program(cast.lena).post(
        RUNS, {"source": {"dataset_id": SAMPLES, "limit": 3}, "input_checks": ["fake"], "batch_size": 2}
    )
    assert (answer.status_code, answer.json()["total"]) == (202, 3)


def test_no_other_file_can_be_read(cast: Cast, tmp_path: Path, settings: Any, prompts_file: Any) -> None:
    secret = prompts_file(["a secret"])
    inside = tmp_path / "allowed"
    inside.mkdir()
    (inside / "link.jsonl").symlink_to(secret)
    settings.SAFETY_SOURCE_FOLDERS = [str(inside)]
    lena = Program(cast.lena)
    places = [str(secret), f"{inside}/../{secret.name}", f"{inside}/link.jsonl", "/etc/passwd", str(tmp_path)]
    for place in (*places, "~/.bashrc", "manage.py", "tests/review", "hf://datasets/a/b", "http://localhost/x.jsonl"):
        answer = lena.post(RUNS, {"source": {"dataset_id": place}, "input_checks": ["fake"]})
        assert answer.status_code == 422, place
        assert "SAFETY_SOURCE_FOLDERS" in answer.json()["detail"]
    assert not Run.objects.exists()


def test_what_names_a_data_set_of_the_hub_is_let_through() -> None:
    for name in ("allenai/real-toxicity-prompts", "owner/name:configuration"):
        source = requests.PromptSource(name)
        assert requests.allowed(source) is source


def test_a_data_set_of_the_hub_cannot_name_files_of_this_machine() -> None:
    _require_own_files("a/b", {"train": ["hf://datasets/a/b@1/x.parquet"]})
    for foreign in ("/etc/passwd", "http://169.254.169.254/latest", "file:///etc/passwd"):
        with pytest.raises(InputError, match="outside the hub"):
            _require_own_files("a/b", {"train": ["hf://datasets/a/b@1/x.parquet", foreign]})


@pytest.mark.parametrize(
    ("change", "says", "status"),
    [
        ({"input_checks": ["fak"]}, "There is no classifier called 'fak'. Did you mean fake?", 422),
        ({"input_checks": []}, "input_checks", 400),
        ({"input_checks": None}, "input_checks", 400),
        ({"input_checks": "fake"}, "input_checks", 400),
        ({"input_checks": ["fake", "fake"]}, "twice", 422),
        ({"input_checks": [{"alias": "fake", "options": {"base_url": "http://10.0.0.1"}}]}, "input_checks.0", 400),
        ({"input_checks": ["fa\0ke"]}, "input_checks.0", 422),
        ({"generator": "nobody"}, "There is no generator called 'nobody'", 422),
        ({"output_checks": ["fake"]}, "without a generator", 422),
        ({"prompts": []}, "prompts", 400),
        ({"prompts": "one"}, "prompts", 400),
        ({"prompts": [""]}, "prompts.0", 422),
        ({"prompts": ["fine", "  "]}, "prompts.1", 400),
        ({"prompts": ["fine", "NUL \0"]}, "prompts.1", 422),
        ({"prompts": ["fine", "\ud800"]}, "prompts.1", 422),
        ({"prompts": ["fine", 5]}, "prompts.1: It must be a text.", 400),
        ({"prompts": ["x"] * 10_001}, "10000", 400),
        ({"prompts": None}, "prompts", 400),
        ({"sources": [["A."], ["B."], ["C."]]}, "There are sources for 3 of", 422),
        ({"sources": ["A."]}, "sources.0", 400),
        ({"sources": [["NUL \0"]]}, "sources", 422),
        ({"prompts": ..., "source": {"dataset_id": SAMPLES}, "sources": [["A."]]}, "sources go with prompts", 422),
        ({"prompts": ..., "source": {"dataset_id": SAMPLES, "sources_column": "colour"}}, "has no column colour", 422),
        ({"source": {"dataset_id": "a/b"}}, "not both", 422),
        ({"prompts": ..., "source": ...}, "either a source or prompts", 422),
        ({"prompts": ..., "source": {}}, "source.dataset_id", 400),
        ({"prompts": ..., "source": {"dataset_id": "a/b", "limit": 0}}, "source.limit", 400),
        (
            {"prompts": ..., "source": {"dataset_id": "a/b", "limit": "9"}},
            "source.limit: It must be a whole number.",
            400,
        ),
        ({"prompts": ..., "source": {"dataset_id": "a/b", "token": "x"}}, "source.token: There is no such field.", 400),
        ({"prompts": ..., "source": {"dataset_id": "a/b", "shuffle": "yes"}}, "source.shuffle", 400),
        ({"prompts": ..., "source": {"dataset_id": "a/b", "seed": -1}}, "source.seed", 400),
        (
            {"prompts": ..., "source": {"dataset_id": SAMPLES, "text_column": "colour"}},
            "There is no column colour",
            422,
        ),
        ({"batch_size": 0}, "batch_size", 400),
        ({"alternatives": 21}, "alternatives", 400),
        ({"alternatives": 2}, "Alternatives are for output checks", 422),
        ({"batch_size": 1001}, "batch_size", 400),
        ({"batch_size": True}, "batch_size: It must be a whole number.", 400),
        ({"reuse_verdicts": "true"}, "reuse_verdicts: It must be true or false.", 400),
        ({"name": "x" * 201}, "name", 400),
        ({"name": "a\0b"}, "name", 422),
        ({"name": ["x"]}, "name", 400),
        ({"colour": "red"}, "There is no field 'colour'", 400),
    ],
)
def test_a_run_that_cannot_be_is_refused_and_nothing_is_stored(cast: Cast, change: Any, says: str, status: int) -> None:
    lena = Program(cast.lena)
    before = AuditEvent.objects.count()
    wanted = {name: value for name, value in {**WANTED, **change}.items() if value is not ...}
    answer = lena.post(RUNS, wanted)
    assert answer.status_code == status
    assert says in answer.json()["detail"]
    assert not Run.objects.exists()
    assert AuditEvent.objects.count() == before


@pytest.mark.parametrize("sent", ["", "[]", '"text"', "null", "{", "5", '{"name": NaN}'])
def test_a_body_that_is_no_object_is_refused(cast: Cast, sent: str) -> None:
    answer = Program(cast.lena).send("post", RUNS, sent)
    assert answer.status_code == 400
    assert answer.json()["code"]


def test_ten_thousand_prompts_are_taken(cast: Cast) -> None:
    answer = Program(cast.lena).post(RUNS, {**WANTED, "prompts": ["x"] * 10_000})
    assert (answer.status_code, answer.json()["total"]) == (202, 10_000)


def test_sent_twice_under_a_key_one_run_is_made(cast: Cast) -> None:
    lena = Program(cast.lena)
    first, second = (lena.post(RUNS, WANTED, Idempotency_Key="k") for _ in range(2))
    assert first.json() == second.json()
    assert Run.objects.count() == 1


@pytest.mark.parametrize("who", ["axel", "ruth", "sara", "prog", "nora"])
def test_who_may_not_make_runs_makes_none(cast: Cast, who: str) -> None:
    assert Program(cast[who]).post(RUNS, WANTED).status_code == 403
    assert not Run.objects.exists()


def test_a_run_that_is_unchanged_is_not_sent_again(cast: Cast, make_run: Callable[..., Run]) -> None:
    run, axel = make_run(["one", "toxic"]), Program(cast.axel)
    tag = axel.get(f"{RUNS}{run.pk}/")["ETag"]
    for seen in (tag, f'"other", W/{tag}', "*"):
        again = axel.send("get", f"{RUNS}{run.pk}/", If_None_Match=seen)
        assert (again.status_code, again.content, again["ETag"]) == (304, b"", tag)
    work(run)
    changed = axel.send("get", f"{RUNS}{run.pk}/", If_None_Match=tag)
    assert changed.status_code == 200
    assert changed["ETag"] != tag


def test_a_run_is_cancelled_and_resumed(cast: Cast, make_run: Callable[..., Run]) -> None:
    run, lena = make_run(["one"], queued=True), Program(cast.lena)
    assert lena.post(f"{RUNS}{run.pk}/resume/").json()["status"] == "RUNNING"
    assert lena.post(f"{RUNS}{run.pk}/cancel/").json()["status"] == "CANCELLED"
    assert OrmQ.objects.count() == 1
    assert lena.post(f"{RUNS}{run.pk}/resume/").json()["status"] == "RUNNING"
    assert OrmQ.objects.count() == 2
    work(run)
    again = lena.post(f"{RUNS}{run.pk}/resume/")
    assert (again.status_code, again.json()["code"]) == (409, "conflict")


def test_errors_are_judged_again(cast: Cast, done_run: Callable[..., Run], settings: Any) -> None:
    run, lena = done_run(["one", "fail"], generator=None), Program(cast.lena)
    settings.SAFETY_CLASSIFIERS = {
        "fake": {"BACKEND": "classifiers.providers.fake.FakeClassifier", "OPTIONS": {"fail": []}}
    }
    services.moderation.forget_versions()
    answer = lena.post(f"{RUNS}{run.pk}/retry-errors/")
    assert (answer.status_code, answer.json()["status"]) == (200, "RUNNING")
    work(run)
    assert lena.get(f"{RUNS}{run.pk}/").json()["errors"] == 0
    assert lena.post(f"{RUNS}{run.pk}/retry-errors/").status_code == 422
    for act in ("retry-errors", "resume", "cancel"):
        assert Program(cast.axel).post(f"{RUNS}{run.pk}/{act}/").status_code == 403


def test_the_log_is_read_in_pages_in_its_order(cast: Cast, done_run: Callable[..., Run]) -> None:
    run, axel = done_run([f"text {number}" for number in range(9)], batch_size=1), Program(cast.axel)
    lines, address = [], f"{RUNS}{run.pk}/events/?limit=4"
    while address:
        page = axel.get(address).json()
        lines += [line["id"] for line in page["results"]]
        address = page["next"]
    assert lines == list(run.logs.order_by("pk").values_list("pk", flat=True))
    assert len(lines) == 9
    assert Program(cast.ruth).get(f"{RUNS}{run.pk}/events/").status_code == 403


def test_two_runs_are_compared(cast: Cast, done_run: Callable[..., Run]) -> None:
    texts = ["a rude one", "toxic", "kind", "kind again"]
    run, other = (done_run(texts, check=check, generator=None) for check in ("fake", "fake-strict"))
    axel = Program(cast.axel)
    found = axel.get(f"{RUNS}{run.pk}/comparison/", **{"with": other.pk}).json()
    assert found["matched"] == 4
    assert found["input"]["table"]["SAFE"] == {"SAFE": 2, "TOXIC": 1, "ERROR": 0}
    assert found["input"]["kappa"] == pytest.approx(0.5)
    assert found["input"]["mcnemar_p"] == 1.0
    assert [(row["position"], row["input_label"], row["other_input_label"]) for row in found["differing"]] == [
        (0, "SAFE", "TOXIC")
    ]
    for query, status in (({}, 400), ({"with": "x"}, 400), ({"with": 0}, 400), ({"with": 99999}, 404)):
        assert axel.get(f"{RUNS}{run.pk}/comparison/", **query).status_code == status
    assert Program(cast.ruth).get(f"{RUNS}{run.pk}/comparison/", **{"with": other.pk}).status_code == 403


def test_a_run_in_numbers(cast: Cast, done_run: Callable[..., Run]) -> None:
    run = done_run(["kind", "toxic", "fail", "toxic too"], generator=None)
    run.results.filter(position=1).update(
        human_input_label="SAFE", input_provenance="single", reviewed_at=run.created_at
    )
    found = Program(cast.axel).get(f"{RUNS}{run.pk}/metrics/").json()
    assert (found["done"], found["flagged"], found["errors"], found["reviewed"]) == (4, 2, 1, 1)
    assert found["labels"] == {"input": {"SAFE": 1, "TOXIC": 2, "ERROR": 1}, "output": {}}
    assert found["categories"] == {"toxic": 2}
    assert found["scores"]["input"]["TOXIC"][18] == 2
    assert found["people"] == [{"stage": "input", "machine": "TOXIC", "people": "SAFE", "results": 1}]
    assert Program(cast.nora).get(f"{RUNS}{run.pk}/metrics/").status_code == 403


def test_a_list_of_many_runs_costs_few_queries(
    cast: Cast, make_run: Callable[..., Run], django_assert_max_num_queries: Any
) -> None:
    for _ in range(12):
        make_run(["one"])
    axel = Program(cast.axel)
    with django_assert_max_num_queries(7):
        assert len(axel.get(RUNS).json()["results"]) == 12


def test_a_run_is_enqueued_by_the_task_if_the_door_died(cast: Cast) -> None:
    requests.create_run(actor="user:lena", input_checks=["fake"], prompts=["one"])
    assert OrmQ.objects.count() == 0
    assert tasks.requeue_lost() == 1

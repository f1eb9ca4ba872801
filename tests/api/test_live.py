"""Live runs: what programs ask, as results like all others."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from audit.models import AuditEvent
from audit.services import verify
from classifiers.errors import ConflictError
from classifiers.types import Classification, Judgement, Label, Outcome, Prompt, StageOutcome
from runs import checks, live, services
from runs.gateway.askers import Asker
from runs.gateway.moderating import moderate
from runs.models import Result, Run
from runs.storing import Kept
from runs.tasks import requeue_lost
from runs.verification import discrepancies
from tests.api.conftest import Program
from tests.review.conftest import Cast, review_next

ASKER = Asker("test")


def judge(*texts: str, alias: str = "fake") -> list[Any]:
    return moderate(texts, aliases=[alias], asker=ASKER)


def test_a_day_and_a_configuration_have_one_run(db: None) -> None:
    first = judge("a", "b")[0].result
    live.forget()  # as another process
    second = judge("c")[0].result
    assert first.run_id == second.run_id
    assert list(Result.objects.order_by("pk").values_list("position", flat=True)) == [0, 1, 2]
    assert judge("d", alias="fake-strict")[0].result.run_id != first.run_id
    run = Run.objects.get(pk=first.run_id)
    assert (run.status, run.total, list(discrepancies(run))) == ("RUNNING", 3, [])
    assert run.versions["classifier fake"]["fingerprint"]


def test_another_version_of_the_model_has_another_run(db: None, settings: Any) -> None:
    first = judge("a")[0].result
    fake = {"BACKEND": "classifiers.providers.fake.FakeClassifier", "OPTIONS": {"toxic": ["b"]}}
    settings.SAFETY_CLASSIFIERS = {**settings.SAFETY_CLASSIFIERS, "fake": fake}
    second = judge("a")[0].result
    assert first.run_id != second.run_id
    assert first.verdicts.get().version_id != second.verdicts.get().version_id


def test_a_new_day_ends_the_run_of_the_last(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    old = judge("toxic", "b")[0].result.run
    Run.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=1), live="of yesterday")
    live.forget()
    new = judge("c")[0].result.run
    old.refresh_from_db()
    assert (old.status, old.counts, new.pk != old.pk) == (
        "DONE",
        {"input": {"TOXIC": 1, "SAFE": 1}, "output": {}},
        True,
    )


def test_the_workers_end_what_is_of_yesterday(db: None) -> None:
    run = judge("a")[0].result.run
    Run.objects.filter(pk=run.pk).update(created_at=timezone.now() - timedelta(days=1))
    requeue_lost()
    run.refresh_from_db()
    assert run.status == "DONE"


def test_one_that_is_closed_gives_way_to_another(db: None) -> None:
    run = judge("a")[0].result.run
    services.cancel_run(run, actor="test")
    assert run.status == "DONE"
    assert judge("b")[0].result.run_id != run.pk
    run.refresh_from_db()
    assert (run.total, run.results.count()) == (1, 1)


def test_it_is_not_resumed_retried_or_held_to_be_stalled(db: None) -> None:
    run = judge("fail")[0].result.run
    Run.objects.update(started_at=timezone.now() - timedelta(days=2))
    Result.objects.update(created_at=timezone.now() - timedelta(days=2))
    assert services.fail_stalled_runs(idle=timedelta(minutes=1), actor="test") == []
    for act in (services.resume_run, services.retry_errors):
        with pytest.raises(ConflictError, match="records what programs asked"):
            act(run, actor="test")
    services.cancel_run(run, actor="test")
    with pytest.raises(ConflictError, match="records what programs asked"):
        services.retry_errors(run, actor="test")


def test_the_audit_trail_names_who_asked_and_by_what(cast: Cast) -> None:
    program = Program(cast.prog)
    program.post("/v1/moderations", {"input": "x", "model": "fake"})
    event = AuditEvent.objects.get(action="run.chunk_saved")
    assert (event.actor, event.details["via"]) == ("user:prog", f"token {program.token.pk}")
    assert "x" not in event.details["results"].values()


def test_a_change_behind_its_back_is_found(db: None) -> None:
    result = judge("a")[0].result
    Result.objects.filter(pk=result.pk).update(prompt="b")
    assert [each.position for each in discrepancies(result.run)] == [0]


def test_its_pages_and_its_results_are_like_those_of_any_run(client: Client, cast: Cast, make_queue: Any) -> None:
    Program(cast.prog).post("/v1/chat/completions", {"model": "fake", "messages": [{"role": "user", "content": "Hi."}]})
    run = Run.objects.get()
    client.force_login(cast.lena, backend="django.contrib.auth.backends.ModelBackend")
    for route, pk in (("runs_run_change", run.pk), ("runs_result_change", run.results.get().pk)):
        assert client.get(reverse(f"admin:{route}", args=[pk])).status_code == 200
    assert Program(cast.axel, "read").get(f"/api/v1/runs/{run.pk}/").json()["live"] is True
    assert review_next(make_queue(run), cast.ruth)


@pytest.mark.django_db(transaction=True)
def test_many_at_once_lose_nothing_and_share_transactions() -> None:
    def ask(number: int) -> int:
        try:
            return judge(f"text {number}")[0].result.position
        finally:
            connection.close()

    judge("the first")
    with ThreadPoolExecutor(16) as pool:
        positions = list(pool.map(ask, range(160)))
    assert sorted(positions) == list(range(1, 161))
    run = Run.objects.get()
    assert (run.total, list(discrepancies(run)), verify().fault) == (161, [], None)
    assert AuditEvent.objects.filter(action="run.chunk_saved").count() < 161


@pytest.mark.django_db(transaction=True)
def test_processes_that_come_first_together_make_one_run() -> None:
    begun = threading.Barrier(4)

    def come(_: int) -> int:
        try:
            begun.wait(5)
            return live._save([entry(f"text {_}")])[0][0].run_id
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(come, range(4)))) == 1
    assert Run.objects.get().total == 4


@pytest.mark.django_db(transaction=True)
def test_one_that_cannot_be_saved_takes_no_other_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    judge("the first")
    commits = live.GroupCommit()
    errors: list[Exception] = []

    def save(text: str) -> None:
        try:
            commits.save(entry(text, **({"unfit": object()} if text == "bad" else {})))
        except TypeError as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=save, args=(text,)) for text in ("a", "bad", "b")]
    with commits._turn:  # so that all three wait together
        for each in threads:
            each.start()
        while len(commits._waiting) < 3:
            pass
    for each in threads:
        each.join()
    assert len(errors) == 1
    assert set(Result.objects.values_list("prompt", flat=True)) == {"the first", "a", "b"}
    assert list(discrepancies(Run.objects.get())) == []


def entry(text: str, **metadata: Any) -> live.Entry:
    judged = StageOutcome((Judgement("fake", Classification(Label.SAFE, score=0.1), "k"),))
    line = live.Line("moderations fake", ("fake",))
    kept = Kept(Outcome(Prompt(text, metadata=metadata), judged))
    return live.Entry(line, line.infos(), None, [kept], "test", "")


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ([], "no dict"),
        ({"GENERATOR": "nobody"}, "none of SAFETY_GENERATORS"),
        ({"GENERATOR": "fake", "INPUT": [], "OUTPUT": ["fake"]}, "INPUT must be"),
        ({"GENERATOR": "fake", "INPUT": ["fake"]}, "OUTPUT must be"),
        ({"GENERATOR": "fake", "INPUT": ["fake"], "OUTPUT": ["nobody"]}, "OUTPUT must be"),
        ({"GENERATOR": "fake", "INPUT": ["fake"], "OUTPUT": ["fake"], "ON_BLOCK": "x"}, "refuse, error or redact"),
        ({"GENERATOR": "fake", "INPUT": ["fake"], "OUTPUT": ["fake"], "REFUSAL": ""}, "REFUSAL"),
        ({"GENERATOR": "fake", "INPUT": ["fake"], "OUTPUT": ["fake"], "X": 1}, "'X'"),
    ],
)
def test_a_route_that_is_not_well_formed_stops_the_start(settings: Any, entry: Any, says: str) -> None:
    assert checks.routes_are_well_formed() == []
    settings.SAFETY_ROUTES = {"x": entry}
    (found,) = checks.routes_are_well_formed()
    assert says in found.msg
    settings.SAFETY_ROUTES, settings.SAFETY_MODERATION_MODEL = {}, "nobody"
    assert [each.id for each in checks.routes_are_well_formed()] == ["runs.E008"]

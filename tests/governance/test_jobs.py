"""Evaluations in the background: made once, in turns, by whoever holds them; what goes wrong is told."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable, Sequence
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone
from django_q.models import OrmQ

from audit.models import AuditEvent
from classifiers.curves import Aim
from classifiers.errors import ConflictError, InputError, SafetyError
from classifiers.labelled import Labelled
from classifiers.policy import Rule
from classifiers.types import Stage, Subject
from governance import jobs, tasks, turns
from governance.models import Evaluation, EvaluationJob
from governance.services import Data, Wish
from moderation import policies
from runs import leases
from runs.models import Run

pytestmark = pytest.mark.django_db
TEXTS = ["toxic one", "kind", "rude", "fine", "fail", "toxic two", "nice", "good"]


def labelled(texts: Sequence[str] = TEXTS) -> Data:
    rows = [Labelled(Subject(t, Stage.INPUT), t.startswith(("toxic", "rude", "fail")), "insult") for t in texts]
    return Data("labelled.jsonl", {"label": "label"}, rows)


def ask(data: Data | None = None, wish: Wish | None = None, **options: Any) -> EvaluationJob:
    options = {"aliases": ["fake"], **options}
    return jobs.ask(data or labelled(), wish or Wish(), actor="user:lena", **options)


def test_each_classifier_is_evaluated_once_and_the_texts_go() -> None:
    job = ask(aliases=["fake", "fake-strict"])
    assert not jobs.work(job)
    job.refresh_from_db()
    assert (job.state, job.done, job.total, job.rows, job.said) == ("DONE", 16, 16, "[]", "[]")
    assert [(e.alias, e.n, e.errors) for e in job.evaluations.order_by("pk")] == [("fake", 8, 1), ("fake-strict", 8, 1)]
    events = AuditEvent.objects.filter(action__startswith="evaluation.").order_by("pk")
    assert list(events.values_list("action", "actor")) == [
        ("evaluation.asked", "user:lena"),
        *[("evaluation.made", "user:lena")] * 2,
    ]


def test_it_comes_to_what_the_command_comes_to(tmp_path: Any) -> None:
    path = tmp_path / "labelled.jsonl"
    rows = [{"text": r.subject.text, "label": int(r.toxic), "kind": r.category} for r in labelled().rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    call_command("evaluate", "fake", "--dataset-id", str(path), "--category-column", "kind", stdout=StringIO())
    jobs.work(ask())
    one, other = Evaluation.objects.order_by("pk")
    for name in ("data_digest", "n", "toxic", "errors", "unscored", "figures", "bins", "categories", "version"):
        assert getattr(one, name) == getattr(other, name), name


def test_a_second_delivery_does_nothing() -> None:
    job = ask()
    jobs.work(job)
    assert not jobs.work(job)
    assert Evaluation.objects.count() == 1


def test_a_turn_that_is_over_is_gone_on_with_and_asks_nothing_twice() -> None:
    texts = [f"{'toxic' if i % 2 else 'kind'} {i}" for i in range(200)]
    job, turns = ask(labelled(texts)), 0
    while jobs.work(job, seconds=0):
        turns += 1
        job.refresh_from_db()
        assert job.state == "WAITING"
        assert turns < 300
    job.refresh_from_db()
    assert (job.state, job.done) == ("DONE", 200)
    made = job.evaluations.get()
    assert [each.toxic for each in made.scores.said] == [i % 2 == 1 for i in range(200)]


def test_turns_are_enqueued(monkeypatch: pytest.MonkeyPatch) -> None:
    job = ask()
    monkeypatch.setattr(jobs, "work", lambda job: True)
    tasks.work_on(job.pk)
    assert OrmQ.objects.count() == 1


def test_half_an_evaluation_by_another_model_is_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    job = ask()
    monkeypatch.setattr(jobs, "_said", lambda *a, **o: None)
    jobs.work(job)
    EvaluationJob.objects.update(said='[[true, "SAFE", 0.0, "", null]]', done=1, version=None)
    monkeypatch.undo()
    jobs.work(job)
    assert job.evaluations.get().scores.said[0].label == "TOXIC"
    assert EvaluationJob.objects.get().done == 8


def test_a_provider_that_cannot_work_fails_it_with_its_sentence() -> None:
    job = ask(aliases=["fake", "fake-broken"])
    jobs.work(job)
    job.refresh_from_db()
    assert (job.state, job.rows) == ("FAILED", "[]")
    assert "has no key" in job.error
    assert [e.alias for e in job.evaluations.all()] == ["fake"]  # what was made stays
    assert AuditEvent.objects.filter(action="evaluation.failed").count() == 1


def test_an_aim_that_no_threshold_reaches_is_told() -> None:
    job = ask(labelled(["kind", "fine"]), Wish(aim=Aim("f1")))
    jobs.work(job)
    job.refresh_from_db()
    assert job.state == "FAILED"
    assert "both toxic and harmless" in job.error


def test_a_fault_of_ours_is_told_and_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    job = ask()
    monkeypatch.setattr(jobs, "_turn", lambda *a, **o: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        jobs.work(job)
    job.refresh_from_db()
    assert (job.state, job.error) == ("FAILED", "It could not be made; the workers' log says why. Ask for it anew.")


SECRET = "stop, my mail is ada@example.org"


def told_of_failing(settings: Any) -> str:
    """All that is left of an evaluation that a text of somebody's made fail."""
    settings.SAFETY_STORE_TEXT = "none"
    settings.SAFETY_CLASSIFIERS = {"telltale": {"BACKEND": "tests.providers.TelltaleClassifier", "OPTIONS": {}}}
    job, raised = ask(labelled([SECRET, "kind"]), aliases=["telltale"]), ""
    try:
        tasks.work_on(job.pk)
    except (SafetyError, RuntimeError):
        raised = traceback.format_exc()  # which django-q2 keeps
    job.refresh_from_db()
    assert job.state == "FAILED"
    return "".join([raised, job.error, job.rows, *AuditEvent.objects.values_list("data", flat=True)])


def test_a_provider_that_quotes_a_text_is_not_quoted_where_texts_are_not_kept(settings: Any) -> None:
    told = told_of_failing(settings)
    assert "The key is used up" in told
    assert "ada@example.org" not in told


def test_nor_is_a_fault_of_ours(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(jobs, "_turn", fail)
    told = told_of_failing(settings)
    assert "RuntimeError" in told
    assert "ada@example.org" not in told


def test_who_was_given_up_for_dead_stores_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    job, said = ask(), jobs._said

    def late(*arguments: Any, **options: Any) -> Any:
        found = said(*arguments, **options)
        EvaluationJob.objects.update(holder="elsewhere:1:0")
        return found

    monkeypatch.setattr(jobs, "_said", late)
    assert not jobs.work(job)
    assert not Evaluation.objects.exists()
    job.refresh_from_db()
    assert job.state == "RUNNING"


@pytest.mark.parametrize("state", ["RUNNING", "WAITING"])
def test_what_is_lost_is_found_once(state: str) -> None:
    job = ask()
    long_ago = timezone.now() - timedelta(hours=2)
    EvaluationJob.objects.update(state=state, holder="elsewhere:1:0" if state == "RUNNING" else "", moved_at=long_ago)
    assert (tasks.requeue_lost(), tasks.requeue_lost()) == (1, 0)
    jobs.work(job)
    assert job.evaluations.count() == 1


def test_what_is_held_is_not_lost_and_its_process_not_stuck() -> None:
    ask()
    EvaluationJob.objects.update(state="RUNNING", holder=leases.this_process())
    assert tasks.requeue_lost() == 0
    assert leases.held_by({os.getpid()})


def test_it_can_be_stopped_until_it_is_made() -> None:
    job = turns.cancel(ask(), actor="user:lena")
    assert (job.state, job.rows) == ("CANCELLED", "[]")
    assert not jobs.work(job)
    assert not Evaluation.objects.exists()
    done = ask()
    jobs.work(done)
    with pytest.raises(ConflictError, match="made"):
        turns.cancel(done, actor="user:lena")


def test_a_run_is_evaluated_under_its_own_policy(done_run: Callable[..., Run]) -> None:
    run = done_run(TEXTS)
    jobs.work(ask(aliases=[], run=run))
    assert Evaluation.objects.get().alias == f"run {run.pk} input"


def test_a_run_over_other_texts_fails_with_a_sentence(done_run: Callable[..., Run]) -> None:
    job = ask(aliases=[], run=done_run(["kind"]))
    jobs.work(job)
    job.refresh_from_db()
    assert "has not judged 7 of the 8" in job.error


def test_the_policy_is_that_of_the_day_it_was_asked() -> None:
    version = policies.create_policy("Team", policies.Content((Rule("toxic", 1.0),)), note="x", actor="test")
    job, plain = ask(), ask(policy="none")
    policies.add_version(version.policy, policies.Content(), note="y", seen=1, actor="test")
    jobs.work(job)
    jobs.work(plain)
    assert job.evaluations.get().policy_version == version
    assert job.evaluations.get().figures["recall"]["value"] == 0
    assert plain.evaluations.get().policy_version is None


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"aliases": []}, "classifiers, or a run"),
        ({"aliases": ["fakee"]}, "Did you mean fake"),
        ({"aliases": ["fake", "fake"]}, "each of them once"),
        ({"policy": "Nobody's"}, "There is no policy"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_stored(options: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        ask(**options)
    assert not EvaluationJob.objects.exists()


def test_not_too_many_are_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MAX_UNDER_WAY", 1)
    ask()
    with pytest.raises(ConflictError, match="under way already"):
        ask()

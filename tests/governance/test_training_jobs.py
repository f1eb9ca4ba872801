"""Trainings in the background: the same adapter in turns as in one go, taken up after a kill, and what goes wrong is told."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from django_q.models import OrmQ

from audit.models import AuditEvent
from classifiers.errors import ConflictError, InputError, NotFoundError
from classifiers.labelled import Labelled
from classifiers.providers.gemma import EMBEDDED_ADAPTER
from classifiers.types import Label, Stage, Subject
from governance import adapters, tasks, training_jobs, turns
from governance.models import Evaluation, TrainingJob
from governance.services import Data
from moderation import services as moderation
from moderation.adapters import usual_start
from moderation.models import Adapter, ClassifierVersion
from moderation.services import Choice
from tests.classifiers import tiny_models
from tests.conftest import ROOT, test_database_url
from tests.runs.processes import wait_for
from training.adapters import losses
from training.data import Row
from training.recipes import from_reviews

QUICK = {"rank": 2, "batch": 8, "epochs": 1.0, "device": "cpu", "dtype": "float32"}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    return tiny_models.causal(tmp_path_factory.mktemp("base"), "gemma3")


@pytest.fixture(autouse=True)
def gemma(base: Path, tmp_path: Path, settings: Any) -> None:
    options = {"base_model": str(base), "device": "cpu", "dtype": "float32", "threads": 1}
    entry = {"BACKEND": "classifiers.providers.gemma.GemmaClassifier", "OPTIONS": options}
    settings.SAFETY_CLASSIFIERS = {**settings.SAFETY_CLASSIFIERS, "gemma": entry}
    settings.SAFETY_ADAPTERS = tmp_path / "adapters"


def labelled(count: int = 90) -> Data:
    texts = [(f"you are an idiot {n}" if n % 3 else f"nice weather {n}", bool(n % 3)) for n in range(count)]
    return Data("ours.csv", {}, [Labelled(Subject(text, Stage.INPUT), toxic) for text, toxic in texts])


def ask(name: str = "mine", **given: Any) -> TrainingJob:
    return training_jobs.ask(labelled(), name=name, actor="user:lena", **{**QUICK, **given})


pytestmark = pytest.mark.django_db


def test_an_adapter_comes_of_it_and_can_be_named(tmp_path: Path) -> None:
    job = ask()
    assert not training_jobs.work(job)
    job.refresh_from_db()
    assert (job.state, job.done, job.rows) == ("DONE", job.total, "{}")
    made = Adapter.objects.get()
    assert (job.adapter, made.name, made.created_by) == (made, "mine", "user:lena")
    assert made.folder == str(tmp_path / "adapters" / f"mine-{job.pk}" / "adapter")
    assert made.training.losses == job.losses
    assert len(job.losses) == job.total
    version = made.training.evaluation.version
    assert (version.alias, version.adapter_digest) == ("gemma@mine", made.digest)
    assert moderation.version_of(Choice("gemma@mine")) == version
    assert f"training {job.pk} of this site" in made.card
    (said,) = moderation.classifier(Choice("gemma@mine")).classify([Subject("you are an idiot", Stage.INPUT)])
    assert said.label is not Label.ERROR
    assert [*AuditEvent.objects.order_by("pk").values_list("action", "actor")] == [
        *[(action, "user:lena") for action in ("training.asked", "evaluation.made", "adapter.trained")]
    ]


def test_turns_come_to_what_one_go_comes_to(tmp_path: Path) -> None:
    once, job, count = ask("once"), ask("mine"), 0
    training_jobs.work(once)
    whole = losses(training_jobs.folder_of(once))
    weights = Path(Adapter.objects.get().folder, "adapter_model.safetensors").read_bytes()
    adapter = Adapter.objects.get()
    adapter.training.delete()
    adapter.delete()
    while training_jobs.work(job, seconds=0):
        count += 1
        job.refresh_from_db()
        assert (job.state, job.done) == ("WAITING", count)
        assert count < 100
    assert losses(training_jobs.folder_of(job)) == whole
    assert Path(Adapter.objects.get().folder, "adapter_model.safetensors").read_bytes() == weights
    assert count == len(whole) - 1


def test_turns_are_enqueued(monkeypatch: pytest.MonkeyPatch) -> None:
    job = ask()
    monkeypatch.setattr(training_jobs, "work", lambda job: True)
    tasks.train(job.pk)
    assert OrmQ.objects.count() == 1


@pytest.mark.parametrize("state", ["RUNNING", "WAITING"])
def test_what_is_lost_is_found_once(state: str) -> None:
    ask()
    long_ago = timezone.now() - timedelta(hours=2)
    TrainingJob.objects.update(state=state, holder="elsewhere:1:0" if state == "RUNNING" else "", moved_at=long_ago)
    assert (tasks.requeue_lost(), tasks.requeue_lost()) == (1, 0)


def test_who_was_killed_before_the_adapter_was_noted_makes_no_second_one() -> None:
    job = ask()
    monkey = pytest.MonkeyPatch()
    monkey.setattr(turns, "finish", lambda *a, **o: (_ for _ in ()).throw(turns.GivenUpError))
    training_jobs.work(job)
    monkey.undo()
    TrainingJob.objects.update(state="WAITING", holder="")
    training_jobs.work(job)
    job.refresh_from_db()
    assert (job.state, job.adapter) == ("DONE", Adapter.objects.get())


def test_it_can_be_stopped_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    job = ask()
    training_jobs.work(job, seconds=0)
    assert training_jobs.folder_of(job).exists()
    stopped = training_jobs.cancel(training_jobs.find_job(job.pk), actor="user:lena")
    assert (stopped.state, stopped.rows) == ("CANCELLED", "{}")
    assert not training_jobs.folder_of(job).exists()
    assert not training_jobs.work(job)
    assert not Adapter.objects.exists()


def test_what_is_trained_cannot_be_stopped_any_more() -> None:
    job = ask(most_steps=1)
    training_jobs.work(job)
    with pytest.raises(ConflictError, match="cannot be stopped any more: trained"):
        training_jobs.cancel(training_jobs.find_job(job.pk), actor="user:lena")


def test_who_is_at_it_when_it_is_stopped_clears_up(monkeypatch: pytest.MonkeyPatch) -> None:
    job, trained = ask(), training_jobs.losses

    def stopped_meanwhile(folder: Path) -> Any:
        training_jobs.cancel(training_jobs.find_job(job.pk), actor="user:lena")
        return trained(folder)

    monkeypatch.setattr(training_jobs, "losses", stopped_meanwhile)
    assert not training_jobs.work(job, seconds=0)
    assert training_jobs.find_job(job.pk).state == "CANCELLED"
    assert not training_jobs.folder_of(job).exists()


def test_stopped_while_it_is_measured_it_leaves_nothing_either(monkeypatch: pytest.MonkeyPatch) -> None:
    job, write_card = ask(most_steps=1), adapters.write_card

    def stopped_meanwhile(*arguments: Any, **options: Any) -> str:
        training_jobs.cancel(training_jobs.find_job(job.pk), actor="user:lena")
        return write_card(*arguments, **options)

    monkeypatch.setattr(adapters, "write_card", stopped_meanwhile)
    assert not training_jobs.work(job)
    assert training_jobs.find_job(job.pk).state == "CANCELLED"
    assert not training_jobs.folder_of(job).exists()
    assert not Adapter.objects.exists()
    assert not Evaluation.objects.exists()


def test_what_is_always_killed_while_it_is_measured_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*arguments: Any, **options: Any) -> None:
        raise turns.GivenUpError

    monkeypatch.setattr(training_jobs.adapters, "finish", killed)
    job = ask(most_steps=1)
    for _ in range(training_jobs.MOST_TRIES + 1):
        training_jobs.work(job)
        TrainingJob.objects.filter(state="RUNNING").update(state="WAITING", holder="")
    job.refresh_from_db()
    assert job.state == "FAILED"
    assert "ended 3 times while it judged the held texts" in job.error


def test_what_is_held_can_be_judged_in_a_task() -> None:
    shares = training_jobs._shares(100_000)
    assert shares == pytest.approx({"train": 0.98, "tune": 0.01, "held": 0.01})
    assert training_jobs._shares(90) == pytest.approx({"train": 0.8, "tune": 0.1, "held": 0.1})


def test_a_model_that_cannot_be_had_fails_it_with_its_sentence(base: Path, tmp_path: Path, settings: Any) -> None:
    gone = shutil.copytree(base, tmp_path / "gone")
    settings.SAFETY_CLASSIFIERS["gemma"]["OPTIONS"]["base_model"] = str(gone)
    job = ask()
    shutil.rmtree(gone)
    training_jobs.work(job)
    job.refresh_from_db()
    assert (job.state, job.rows) == ("FAILED", "{}")
    assert str(gone) in job.error
    assert not training_jobs.folder_of(job).exists()
    assert AuditEvent.objects.filter(action="training.failed").count() == 1


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"name": "my adapter"}, "as in gemma@mine"),
        ({"alias": "fake"}, r"fake takes no adapters here\. Those that do: gemma"),
        ({"alias": "gemma@mine"}, "takes no adapters"),
        ({"start": "nobody"}, "no adapter 'nobody'"),
        ({"base_model": "/etc"}, "a model of the hub"),
        ({"base_model": "samples/prompts.jsonl"}, "a model of the hub"),
        ({"rank": 0}, "1 at least"),
        ({"epochs": float("nan")}, "Epochs and learning rate"),
        ({"epochs": 20_000.0}, "at most 20,000 are made here"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_stored(given: dict[str, Any], says: str) -> None:
    with pytest.raises((InputError, NotFoundError), match=says):
        ask(**given)
    assert not TrainingJob.objects.exists()


def test_a_name_is_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ask()
    with pytest.raises(ConflictError, match="being trained already"):
        ask()
    monkeypatch.setattr(training_jobs, "MAX_UNDER_WAY", 1)
    with pytest.raises(ConflictError, match="1 trainings are under way"):
        ask("other")


def test_it_goes_on_from_another() -> None:
    training_jobs.work(ask("first", most_steps=2))
    with pytest.raises(InputError, match="brings its base model, rank"):
        ask("second", start="first")
    given = {name: value for name, value in QUICK.items() if name != "rank"}
    job = training_jobs.ask(labelled(), name="second", actor="user:lena", start="first", **given)
    assert job.recipe["rank"] == 2
    assert job.recipe["start"] == Adapter.objects.get().folder
    training_jobs.work(job)
    job.refresh_from_db()
    assert (job.state, job.error) == ("DONE", "")


def test_it_goes_on_from_the_one_that_comes_along() -> None:
    given = {name: value for name, value in QUICK.items() if name != "rank"}
    job = training_jobs.ask(labelled(), name="ours", actor="user:lena", start="embedded", **given)
    assert job.recipe["start"] == str(EMBEDDED_ADAPTER)
    assert (job.recipe["base_model"], job.recipe["rank"]) == ("embedded", 8)
    Adapter.objects.create(name="embedded", digest="d", folder="/gone", base_model="embedded", created_by="test")
    with pytest.raises(InputError, match="/gone is no LoRA adapter"):
        training_jobs.ask(labelled(), name="theirs", actor="user:lena", start="embedded", **given)


def test_from_reviews_it_learns_as_suits_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [Row(f"text {n}", n % 2 > 0, weight=0.5) for n in range(90)]
    monkeypatch.setattr(training_jobs, "reviewed_rows", lambda: rows)
    job = training_jobs.ask(None, name="mine", actor="user:lena", rank=4)
    usual = from_reviews(job.data["train"]["n"])
    assert (job.dataset, job.recipe["rank"]) == (training_jobs.REVIEWS, 4)
    assert [job.recipe[name] for name in ("epochs", "smoothing")] == [usual.epochs, usual.smoothing]
    assert (job.recipe["device"], job.recipe["threads"]) == ("cpu", 1)  # as the alias says
    parts = training_jobs.plan_of(job).rows
    ours = [row for row in parts["train"] if row.key in {row.key for row in rows}]
    assert {row.weight for held in (ours, parts["tune"], parts["held"]) for row in held} == {0.5}
    beside = [row for row in parts["train"] if row not in ours]
    assert len(beside) == len(ours) // 2
    assert not any(row.toxic for row in beside)


def test_without_reviews_there_is_nothing_to_learn() -> None:
    with pytest.raises(InputError, match="People have decided on no text yet"):
        training_jobs.ask(None, name="mine", actor="user:lena")


def test_where_the_alias_is_a_client_the_worker_loads_its_own_model(settings: Any) -> None:
    client = {"model": "gemma", "base_url": "http://127.0.0.1:1/v1"}
    settings.SAFETY_SERVED = {"gemma": settings.SAFETY_CLASSIFIERS["gemma"]}
    settings.SAFETY_CLASSIFIERS = {
        **settings.SAFETY_CLASSIFIERS,
        "gemma": {"BACKEND": "classifiers.providers.openai.OpenAIModeration", "OPTIONS": client},
    }
    job = ask()
    training_jobs.work(job)
    job.refresh_from_db()
    assert (job.state, job.error) == ("DONE", "")
    assert ClassifierVersion.objects.get().provider == "gemma"


def test_what_the_model_server_was_told_to_load_is_what_is_trained(settings: Any) -> None:
    settings.SAFETY_SERVED = {"gemma": settings.SAFETY_CLASSIFIERS["gemma"]}
    settings.SAFETY_SERVED_MODELS = ["gemma", "--gemma-base-model", "embedded", "--local-answer-model", "x"]
    job = ask()
    assert job.recipe["base_model"] == "embedded"
    assert job.recipe["threads"] == 1  # as settings say
    assert usual_start("gemma") == "embedded"


@pytest.mark.django_db(transaction=True)
def test_a_killed_worker_costs_nothing_but_time(tmp_path: Path, base: Path) -> None:
    """A process of its own is killed with -9 in the middle; what goes on from there comes to the same losses."""
    once = ask("once", epochs=3.0, save_every=5)
    training_jobs.work(once)
    whole = losses(training_jobs.folder_of(once))
    adapter = Adapter.objects.get()
    digest = Path(adapter.folder, "adapter_model.safetensors").read_bytes()
    adapter.training.delete()
    adapter.delete()
    Evaluation.objects.all().delete()
    job = ask(epochs=3.0, save_every=5)
    worker = killed_at_work(job, tmp_path, base)
    job.refresh_from_db()
    assert job.state == "RUNNING"
    assert 0 < len(losses(training_jobs.folder_of(job))) < len(whole)
    assert tasks.requeue_lost() == 1  # its process is known to be dead
    assert worker.returncode == -signal.SIGKILL
    while training_jobs.work(job):
        pass
    job.refresh_from_db()
    assert (job.state, job.error, job.losses) == ("DONE", "", whole)
    assert Path(job.adapter.folder, "adapter_model.safetensors").read_bytes() == digest


def killed_at_work(job: TrainingJob, tmp_path: Path, base: Path) -> subprocess.Popen[bytes]:
    options = {"base_model": str(base), "device": "cpu", "dtype": "float32", "threads": 1}
    code = f"""
import django
from django.conf import settings
django.setup()
settings.SAFETY_CLASSIFIERS["gemma"]["OPTIONS"] = {options!r}
from governance import tasks
tasks.train({job.pk})
"""
    environment = {
        **os.environ,
        "AI_SAFETY_MONITOR_DB": test_database_url(),
        "AI_SAFETY_MONITOR_ADAPTERS": str(tmp_path / "adapters"),
    }
    with (tmp_path / "log").open("wb") as log:
        worker = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment, stderr=log)
    try:
        wait_for(lambda: len(losses(training_jobs.folder_of(job))) > 6, seconds=600, every=0.02)
    finally:
        worker.kill()
        worker.wait()
    return worker

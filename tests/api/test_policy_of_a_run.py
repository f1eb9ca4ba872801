"""The policy that a run's labels follow from: chosen at every door, and told wherever its labels are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django_q.brokers import get_broker
from django_q.models import OrmQ
from django_q.scheduler import scheduler
from django_q.signing import SignedPackage

from classifiers.policy import Rule
from moderation import policies
from moderation.models import PolicyVersion
from moderation.policies import Content
from runs import tasks
from runs.exports import Reading, export_run
from runs.models import Run
from runs.relabelling import relabel
from tests.api.conftest import Program
from tests.review.conftest import Cast
from tests.runs.commands import refused, said

TEXTS = ["You are kind.", "You are toxic."]
LAX = Rule("toxic", 0.95)
CHECKS = ("--input-checks", "fake", "--answer-generator", "fake", "--output-checks", "fake", "--limit", "0")


@pytest.fixture
def lax(cast: Cast) -> PolicyVersion:
    """The second policy, so that another is the default."""
    policies.create_policy("House", Content((Rule("toxic", 0.5),)), note="First.", actor="user:lena")
    return policies.create_policy("Lax", Content((LAX,)), note="For adults.", actor="user:lena")


def label(run: Run) -> str:
    labels: list[str] = list(run.results.order_by("position").values_list("input_label", flat=True))
    return labels[1]


@pytest.mark.parametrize(("asked", "policy", "given"), [
    ("", "House@1", "TOXIC"), ("Lax", "Lax@1", "SAFE"), ("Lax@1", "Lax@1", "SAFE"), ("none", None, "TOXIC"),
])  # fmt: skip
def test_a_command_chooses_one(asked: str, policy: str | None, given: str, lax: Any, prompts_file: Any) -> None:
    said("run_pipeline", "--dataset-id", str(prompts_file(TEXTS)), *CHECKS, "--policy", asked)
    run = Run.objects.get()
    assert (run.policy, label(run)) == (policy, given)
    told = said("show_run", str(run.pk))
    assert f"policy     {policy or 'none'}" in told


def test_one_that_is_none_is_refused_with_those_there_are(lax: Any, prompts_file: Any) -> None:
    told = refused("run_pipeline", "--dataset-id", str(prompts_file(TEXTS)), *CHECKS, "--policy", "Lex")
    assert told == "There is no policy 'Lex'. There is House, Lax; none means the classifiers' own word."
    assert not Run.objects.exists()


def test_a_run_that_goes_on_keeps_its_policy(lax: Any, done_run: Callable[..., Run]) -> None:
    run = done_run(TEXTS)
    told = refused("run_moderation", "--resume", str(run.pk), "--policy", "Lax")
    assert told == "--policy cannot be given with --resume: the run goes on with its own configuration."


def test_a_program_chooses_one(cast: Cast, lax: PolicyVersion) -> None:
    anna = Program(cast.anna)
    made = anna.post("/api/v1/runs/", {"prompts": TEXTS, "input_checks": ["fake"], "policy": "Lax"})
    assert made.status_code == 202, made.content
    assert made.json()["policy"] == "Lax@1"
    assert made.json()["policy_version"] == lax.pk
    unknown = anna.post("/api/v1/runs/", {"prompts": TEXTS, "input_checks": ["fake"], "policy": "Lex"})
    assert (unknown.status_code, Run.objects.count()) == (422, 1)


def test_a_person_chooses_one(cast: Cast, lax: PolicyVersion, client: Client) -> None:
    client.force_login(cast.lena, backend="django.contrib.auth.backends.ModelBackend")
    form = client.get("/admin/runs/run/new/").content.decode()
    assert '<option value="" selected>House@1, the default</option>' in form
    client.post("/admin/runs/run/new/", {"prompts": "one", "input_checks": ["fake"], "policy": "Lax"})
    run = Run.objects.get()
    assert run.policy_version == lax
    page = client.get(f"/admin/runs/run/{run.pk}/").content.decode()
    assert ">Lax@1</a>" in page


def test_a_schedule_looks_its_policy_up_each_time(
    transactional_db: None, lax: PolicyVersion, prompts_file: Any
) -> None:
    often = ("--name", "nightly", "--every", "daily", "--dataset-id", str(prompts_file(TEXTS)))
    assert "no policy 'Lex'" in refused("schedule_run", *often, *CHECKS, "--policy", "Lex")
    said("schedule_run", *often, *CHECKS, "--policy", "Lax")
    policies.add_version(lax.policy, Content(), note="Laxer.", seen=1, actor="user:lena")
    scheduler(get_broker())
    (task,) = [SignedPackage.loads(each.payload) for each in OrmQ.objects.all()]
    run = Run.objects.get(pk=tasks.start_scheduled_run(*task["args"], **task["kwargs"]))
    assert run.policy == "Lax@2"


def test_programs_see_what_the_policy_made_of_what_was_said(
    cast: Cast, lax: PolicyVersion, done_run: Callable[..., Run]
) -> None:
    run = done_run(TEXTS, policy="Lax")
    axel, result = Program(cast.axel), run.results.get(position=1)
    shown = axel.get(f"/api/v1/results/{result.pk}/").json()
    (verdict,) = [each for each in shown["verdicts"] if each["stage"] == "INPUT"]
    assert (verdict["label"], verdict["own_label"]) == ("SAFE", "TOXIC")
    assert (verdict["flagged"], verdict["own_flagged"]) == ([], ["toxic"])
    assert (verdict["thresholds"]["toxic"], verdict["policy_version"]) == (0.95, lax.pk)
    listed = axel.get("/api/v1/verdicts/", run=run.pk, stage="INPUT").json()["results"]
    assert verdict in listed
    assert (shown["relabelled"], shown["degraded"]) == (False, False)


def test_a_run_tells_that_it_was_labelled_anew(cast: Cast, lax: PolicyVersion, done_run: Callable[..., Run]) -> None:
    run = done_run(TEXTS)
    relabel(run, lax, note="", actor="user:lena")
    axel = Program(cast.axel)
    (shown,) = axel.get("/api/v1/runs/").json()["results"]
    assert (shown["policy"], shown["relabelled_at"] is not None) == ("Lax@1", True)
    rows = axel.get("/api/v1/results/", run=run.pk, order="place").json()["results"]
    assert [row["relabelled"] for row in rows] == [False, True]


def test_pages_say_what_the_classifier_itself_said(
    cast: Cast, lax: PolicyVersion, done_run: Callable[..., Run], client: Client
) -> None:
    run = done_run(TEXTS)
    relabel(run, lax, note="", actor="user:lena")
    client.force_login(cast.lena, backend="django.contrib.auth.backends.ModelBackend")
    page = client.get(f"/admin/runs/result/{run.results.get(position=1).pk}/").content.decode()
    assert "The classifier itself said" in page
    assert "under Lax@1, labelled anew" in page
    assert '<td class="number">0.95</td>' in page
    untouched = client.get(f"/admin/runs/result/{run.results.get(position=0).pk}/").content.decode()
    assert "The classifier itself said" not in untouched


def test_exports_name_the_version_and_its_thresholds(
    lax: PolicyVersion, done_run: Callable[..., Run], tmp_path: Path
) -> None:
    run = done_run(TEXTS, policy="Lax")
    export_run(Reading(run), form="json", path=tmp_path / "results.json", actor="test")
    whole = json.loads((tmp_path / "results.json").read_text())
    assert (whole["run"]["policy"], whole["run"]["policy_version"]) == ("Lax@1", lax.pk)
    (verdict,) = whole["results"][1]["input"]["verdicts"]
    assert (whole["results"][1]["policy_version"], verdict["thresholds"]["toxic"]) == (lax.pk, 0.95)
    assert (verdict["label"], verdict["own_label"], verdict["own_flagged"]) == ("SAFE", "TOXIC", ["toxic"])


def test_comparisons_say_that_policies_differ(
    cast: Cast, lax: PolicyVersion, done_run: Callable[..., Run], client: Client
) -> None:
    run, other = done_run(TEXTS), done_run(TEXTS, policy="Lax")
    address = f"/api/v1/runs/{run.pk}/comparison/"
    compared = Program(cast.axel).get(address, **{"with": other.pk}).json()
    assert (compared["policies"], compared["input"]["agreement"]) == (["House@1", "Lax@1"], 0.5)
    sentence = "They are labelled under different policies, House@1 and Lax@1"
    assert sentence in said("compare_runs", str(run.pk), str(other.pk))
    client.force_login(cast.lena, backend="django.contrib.auth.backends.ModelBackend")
    page = f"/admin/runs/run/{run.pk}/compare/?with={other.pk}"
    assert sentence in client.get(page).content.decode()
    relabel(other, policies.chosen("House"), note="", actor="user:lena")
    assert "different policies" not in client.get(page).content.decode()

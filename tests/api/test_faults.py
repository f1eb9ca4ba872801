"""A classifier fails in every way it can, behind every door: nothing is SAFE, nothing passes, and errors are counted apart.
Told to fail open, texts pass, and still nothing is SAFE."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from classifiers import remote
from governance.models import Evaluation
from runs import services
from runs.models import Result, Run
from tests.api.conftest import Program
from tests.review.conftest import Cast
from tests.stub_server import StubServer

FAULTS = (500, 429, "hang", "bad_json", "missing_category", "empty_list", "wrong_count")
TEXTS = ["Good day.", "I will kill you."]
HELLO = {"messages": [{"role": "user", "content": "Hello."}]}


@pytest.fixture(params=FAULTS)
def faulty(
    request: pytest.FixtureRequest, stub: StubServer, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> StubServer:
    """The classifier ``stub``, failing; the routes ``before`` and ``after`` have it judge prompts, and answers."""
    for name, value in (("FIRST_WAIT", 0.002), ("LONGEST_WAIT", 0.01), ("ATTEMPTS", 2)):
        monkeypatch.setattr(remote, name, value)
    settings.SAFETY_CLASSIFIERS["stub"]["OPTIONS"] |= {"timeout": 0.2, "give_up_after": 0.3}
    route = {"GENERATOR": "fake", "INPUT": ["fake"], "OUTPUT": ["fake"], "REFUSAL": "Not here."}
    settings.SAFETY_ROUTES |= {"before": {**route, "INPUT": ["stub"]}, "after": {**route, "OUTPUT": ["stub"]}}
    stub.always = request.param
    return stub


def is_unjudged(said: str) -> bool:
    return '"label":"SAFE"' not in said.replace(" ", "") and '"flagged":false' not in said.replace(" ", "")


def errors(stage: str = "input") -> bool:
    """Whether all results there are say so."""
    labels = list(Result.objects.values_list(f"{stage}_label", flat=True))
    return bool(labels) and set(labels) == {"ERROR"}


@pytest.mark.django_db
@pytest.mark.parametrize("stage", ["input", "output"])
def test_in_a_run(faulty: StubServer, make_run: Callable[..., Run], stage: str) -> None:
    run = make_run(TEXTS, **{"check" if stage == "input" else "output": "stub"})
    for _ in services.execute_run(run, actor="test"):
        pass
    run.refresh_from_db()
    assert errors(stage)
    assert run.counts[stage] == {"ERROR": 2}


def test_in_our_own_moderation(faulty: StubServer, cast: Cast) -> None:
    answer = Program(cast.prog, "moderate").post("/api/v1/moderations/", {"texts": TEXTS, "model": "stub"})
    assert [(each["label"], each["score"], each["flagged"]) for each in answer.json()["results"]] == [
        ("ERROR", None, [])
    ] * 2
    assert errors()


def test_in_openais_moderation(faulty: StubServer, cast: Cast) -> None:
    answer = Program(cast.prog, "moderate").post("/v1/moderations", {"input": TEXTS, "model": "stub"})
    assert answer.status_code == 503
    assert answer.json().keys() == {"error"}
    assert errors()


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("route", ["before", "after"])
def test_before_a_model(faulty: StubServer, cast: Cast, path: str, streamed: bool, route: str) -> None:
    asked = HELLO if path.endswith("completions") else {"input": "Hello."}
    answer = Program(cast.prog, "moderate").post(path, {"model": route, "stream": streamed, **asked})
    said = answer.content.decode()
    assert answer.status_code == 503
    assert "You said" not in said
    assert "unjudged" in said
    assert is_unjudged(said)
    result = Result.objects.get()
    assert (result.input_label, result.output_label) == (("ERROR", None) if route == "before" else ("SAFE", "ERROR"))
    assert result.metadata["outcome"] == "failed"


def test_on_the_page_where_a_text_is_tried(faulty: StubServer, cast: Cast) -> None:
    client = Client()
    client.force_login(cast.lena)
    page = client.post(reverse("admin:runs_run_try"), {"text": TEXTS[0], "check": ["stub", "fake"]}).content.decode()
    assert 'Together <span class="badge" data-label="ERROR"' in " ".join(page.split())


@pytest.mark.django_db
def test_on_the_terminal(faulty: StubServer, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandError, match="2 of 2 texts could not be judged"):
        call_command("moderate_text", *TEXTS, "--provider", "stub")
    assert is_unjudged(capsys.readouterr().out)


@pytest.mark.django_db
def test_figures_leave_errors_out_and_say_how_many(
    faulty: StubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "labelled.jsonl"
    data.write_text("".join(json.dumps({"text": text, "label": int("kill" in text)}) + "\n" for text in TEXTS))
    call_command("evaluate", "stub", "fake", "--dataset-id", str(data))
    rows = {line[:24].strip(): line[24:].split() for line in capsys.readouterr().out.split("\n")}
    assert rows["could not be judged"] == ["2", "0"]
    stored = Evaluation.objects.get(version__alias="stub")
    assert (stored.n, stored.errors) == (2, 2)
    assert {figure["value"] for figure in stored.figures.values()} == {None}


# Told to fail open


@pytest.fixture
def failing_open(faulty: StubServer, settings: Any) -> StubServer:
    settings.SAFETY_FAIL_OPEN = True
    return faulty


@pytest.mark.django_db
@pytest.mark.parametrize("stage", ["input", "output"])
def test_in_a_run_that_fails_open(failing_open: StubServer, make_run: Callable[..., Run], stage: str) -> None:
    run = make_run(TEXTS, **{"check" if stage == "input" else "output": "stub"})
    for _ in services.execute_run(run, actor="test"):
        pass
    run.refresh_from_db()
    assert errors(stage)
    assert run.counts[stage] == {"ERROR": 2}
    assert set(Result.objects.values_list("answer", "degraded")) == {(f"You said: {text}", True) for text in TEXTS}


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("route", ["before", "after"])
def test_before_a_model_failing_open(
    failing_open: StubServer, cast: Cast, path: str, streamed: bool, route: str
) -> None:
    asked = HELLO if path.endswith("completions") else {"input": "Hello."}
    answer = Program(cast.prog, "moderate").post(path, {"model": route, "stream": streamed, **asked})
    said = (b"".join(answer) if streamed else answer.content).decode().replace(" ", "")
    assert answer.status_code == 200
    assert "Yousaid:" in said
    assert '"degraded":true' in said
    assert is_unjudged(said)
    result = Result.objects.get()
    assert (result.input_label, result.output_label) == (("ERROR", "SAFE") if route == "before" else ("SAFE", "ERROR"))
    assert (result.degraded, result.metadata["outcome"], result.answer) == (True, "released", "You said: Hello.")
    assert result.run.configuration["fail_open"] is True


@pytest.mark.parametrize("path", ["/v1/moderations", "/api/v1/moderations/"])
def test_in_moderation_failing_open(failing_open: StubServer, cast: Cast, path: str) -> None:
    field = "input" if path.startswith("/v1") else "texts"
    answer = Program(cast.prog, "moderate").post(path, {field: TEXTS, "model": "stub"})
    assert answer.status_code == 200
    assert answer.json()["safety"] == {"degraded": True}
    assert is_unjudged(answer.content.decode())
    assert errors()
    assert set(Result.objects.values_list("degraded", flat=True)) == {True}


@pytest.mark.django_db
def test_on_the_terminal_failing_open(failing_open: StubServer, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("moderate_text", *TEXTS, "--provider", "stub")
    said = capsys.readouterr()
    assert "2 of 2 texts could not be judged, and pass all the same" in said.err
    assert json.loads(said.out)["safety"] == {"degraded": True}
    assert is_unjudged(said.out)

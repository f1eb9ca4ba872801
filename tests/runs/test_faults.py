"""A remote provider fails in every way it can: never SAFE, never lost, listed with the reason, and judged again later."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from classifiers import remote
from classifiers.errors import SafetyError
from runs import services
from runs.models import Payload, Result, Run, Verdict
from tests.stub_server import StubServer

MakeRun = Callable[..., Run]
FAULTS = [
    429,
    500,
    503,
    400,
    "hang",
    "disconnect",
    "bad_json",
    "html",
    "not_an_object",
    "missing_fields",
    "wrong_count",
    "bad_score",
    "nan",
]
TEXTS = ["hello", "I will kill you", "how are you?", "you idiot", "thank you"]


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[StubServer]:
    for name, value in (("FIRST_WAIT", 0.002), ("LONGEST_WAIT", 0.01), ("ATTEMPTS", 2)):
        monkeypatch.setattr(remote, name, value)
    with StubServer() as server:
        options = {"base_url": server.url, "api_key": "k", "timeout": 0.2, "give_up_after": 0.5}
        for kind, provider in (("CLASSIFIERS", "OpenAIModeration"), ("GENERATORS", "OpenAIChat")):
            name = f"SAFETY_{kind}"
            stubbed = {"BACKEND": f"classifiers.providers.openai.{provider}", "OPTIONS": options}
            setattr(settings, name, {**getattr(settings, name), "stub": stubbed})
        yield server


def work(run: Run) -> None:
    for _ in services.execute_run(run, actor="test"):
        pass
    run.refresh_from_db()


def labels(run: Run) -> list[tuple[str, str | None]]:
    return list(Result.objects.filter(run=run).order_by("position").values_list("input_label", "output_label"))


GOOD = [("SAFE", "SAFE"), ("TOXIC", None), ("SAFE", "SAFE"), ("TOXIC", None), ("SAFE", "SAFE")]


def test_without_faults_everything_is_judged_and_its_payload_kept(make_run: MakeRun, stub: StubServer) -> None:
    run = make_run(TEXTS, check="stub", generator="stub", output="stub")
    work(run)
    assert labels(run) == GOOD
    toxic = Verdict.objects.get(result__run=run, result__position=1)
    assert set(toxic.categories) > {"hate/threatening", "self-harm/intent", "sexual/minors"}
    assert Payload.objects.get(verdict=toxic).value["flagged"] is True


@pytest.mark.parametrize("fault", FAULTS)
def test_a_classifier_that_fails_leaves_errors_that_can_be_judged_again(
    make_run: MakeRun, stub: StubServer, fault: int | str
) -> None:
    run = make_run(TEXTS, check="stub", generator="fake", output="fake")
    stub.always = fault
    work(run)
    assert run.status == "DONE"
    assert labels(run) == [("ERROR", None)] * 5
    assert run.counts == {"input": {"ERROR": 5}, "output": {}}
    assert all(len(v.reason) > 15 for v in Verdict.objects.filter(result__run=run))
    stub.always = None
    assert services.retry_errors(run, actor="test") == 5
    work(run)
    assert labels(run) == GOOD


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in ("bad_score", "nan")] + ["nul"])
def test_a_generator_that_fails_leaves_errors_that_can_be_answered_later(
    make_run: MakeRun, stub: StubServer, fault: int | str
) -> None:
    run = make_run(["hello", "how are you?"], check="fake", generator="stub", output="fake")
    stub.always = fault
    work(run)
    assert labels(run) == [("SAFE", "ERROR")] * 2
    assert set(Result.objects.filter(run=run).values_list("answer", flat=True)) == {None}
    failed = Verdict.objects.filter(result__run=run, stage="OUTPUT")
    assert {(v.check_name, v.version) for v in failed} == {("stub", None)}
    assert all(v.reason.startswith("No answer: ") for v in failed)
    stub.always = None
    assert services.retry_errors(run, actor="test") == 2
    work(run)
    assert labels(run) == [("SAFE", "SAFE")] * 2
    assert Verdict.objects.filter(result__run=run).count() == 4


def test_an_output_check_that_fails_never_passes_an_answer(make_run: MakeRun, stub: StubServer) -> None:
    run = make_run(["hello"], check="fake", generator="fake", output="stub")
    stub.always = 500
    work(run)
    assert labels(run) == [("SAFE", "ERROR")]
    assert Result.objects.get(run=run).answer == "You said: hello"


@pytest.mark.parametrize("fault", [401, 403, 404])
def test_a_refused_key_fails_the_run_and_keeps_its_prompts(make_run: MakeRun, stub: StubServer, fault: int) -> None:
    run = make_run(TEXTS, check="stub", generator=None)
    stub.always = fault
    with pytest.raises(SafetyError):
        work(run)
    run.refresh_from_db()
    assert run.status == "FAILED"
    assert run.error
    stub.always = None
    services.resume_run(run, actor="test")
    work(run)
    assert [label for label, _ in labels(run)] == [label for label, _ in GOOD]

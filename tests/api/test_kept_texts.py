"""Secrets that come in by any door, looked for in every table, log and file where texts are redacted or not kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client

from runs import schedules, services, tasks
from runs.models import Result, Run
from runs.verification import discrepancies
from tests.api.conftest import Program
from tests.api.protocol import Site
from tests.leaks import CARD, EMAIL, LETTER, PHONE, SECRETS, leaks, rules_alone  # noqa: F401  a fixture
from tests.review.conftest import Cast
from tests.stub_server import StubServer

TOLD = "Write to <EMAIL_1> or call <PHONE_1>. The card is <CARD_1>, says <EMAIL_1>."
CONVERSATION = [
    {"role": "system", "content": f"You work for {EMAIL}."},
    {"role": "user", "content": "Whom do I call?"},
    {"role": "assistant", "content": f"Call {PHONE}."},
    {"role": "tool", "tool_call_id": "call_1", "content": json.dumps({"card": CARD})},
    {"role": "user", "content": LETTER},
]


@pytest.fixture(params=["redacted", "none"])
def kept(request: Any, settings: Any, rules_alone: None) -> str:  # noqa: F811
    settings.SAFETY_STORE_TEXT = request.param
    settings.SAFETY_MODERATION_MODEL = "rules"
    return str(request.param)


@pytest.fixture(autouse=True)
def nothing_leaks(kept: str, caplog: Any, transactional_db: None) -> Any:
    """Whatever a test did: every result holds what is to be kept of its prompt, and no secret stands anywhere."""
    yield
    assert Result.objects.exists()
    assert not leaks()
    assert not [secret for secret in SECRETS if secret in caplog.text]
    for run in Run.objects.all():
        assert not list(discrepancies(run))


def stored_prompt(kept: str) -> str:
    return TOLD if kept == "redacted" else "<NOT_KEPT>"


class TestTheProxy:
    def test_an_answer(self, kept: str, site: Site, stub: StubServer) -> None:
        done = site().chat.completions.create(
            model="stub", messages=CONVERSATION, user=EMAIL, metadata={"tel": PHONE}, stop=[CARD]
        )
        assert EMAIL in str(done.choices[0].message.content)  # in flight nothing is taken out
        result = Result.objects.get()
        assert result.prompt == stored_prompt(kept)
        assert result.metadata["outcome"] == "released"

    def test_a_stream(self, kept: str, site: Site, stub: StubServer) -> None:
        stream = site().chat.completions.create(model="stub", messages=CONVERSATION, stream=True)
        told = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
        assert EMAIL in told
        assert Result.objects.get().prompt == stored_prompt(kept)

    def test_a_response(self, kept: str, site: Site, stub: StubServer) -> None:
        site().responses.create(model="stub", input=LETTER, instructions=f"Ask {EMAIL}.")
        assert Result.objects.get().prompt == stored_prompt(kept)

    def test_a_blocked_prompt_and_a_model_that_fails(self, kept: str, cast: Cast, stub: StubServer) -> None:
        program = Program(cast.prog, "moderate")
        for text in (f"toxic {LETTER}", f"unanswerable {LETTER}"):
            body = {"model": "fake", "messages": [{"role": "user", "content": text}]}
            program.post("/v1/chat/completions", body)
        assert Result.objects.count() == 2


class TestTextsOneByOne:
    def test_as_openai_has_it(self, kept: str, cast: Cast) -> None:
        answer = Program(cast.prog, "moderate").post("/v1/moderations", {"input": [LETTER, "Hi"], "model": "rules"})
        assert answer.json()["results"][0]["flagged"] is True
        assert Result.objects.get(position=0).prompt == stored_prompt(kept)

    def test_as_the_api_has_it(self, kept: str, cast: Cast) -> None:
        program, body = Program(cast.prog, "moderate"), {"texts": [LETTER], "model": "telltale"}
        path = "/api/v1/moderations/"
        first, again = (program.post(path, body, Idempotency_Key="1") for _ in range(2))
        assert EMAIL in first.json()["results"][0]["reason"]
        assert (again.status_code, again.json()["code"]) == (409, "answer_not_kept")

    def test_on_the_page(self, kept: str, cast: Cast, client: Client) -> None:
        client.force_login(cast.lena, backend="django.contrib.auth.backends.ModelBackend")
        page = client.post("/admin/runs/run/try/", {"text": LETTER, "check": ["rules", "telltale"]})
        assert EMAIL in page.content.decode()
        assert Result.objects.get().prompt == stored_prompt(kept)


class TestRuns:
    def test_of_lines_and_of_a_file_on_the_page(self, kept: str, cast: Cast, client: Client) -> None:
        client.force_login(cast.lena, backend="django.contrib.auth.backends.ModelBackend")
        asked = {"input_checks": ["telltale"], "generator": "fake", "output_checks": ["telltale"], "split": "train"}
        client.post("/admin/runs/run/new/", {**asked, "prompts": LETTER})
        file = SimpleUploadedFile("a.jsonl", json.dumps({"prompt": LETTER, "by": EMAIL}).encode())
        client.post("/admin/runs/run/new/", {**asked, "file": file})
        for run in Run.objects.all():
            done(run)

    def test_over_rest_with_documents(self, kept: str, cast: Cast) -> None:
        body = {
            "prompts": [LETTER],
            "sources": [[f"The card of {EMAIL} is {CARD}."]],
            "input_checks": ["telltale"],
            "generator": "fake",
            "output_checks": ["telltale"],
        }
        answer = Program(cast.lena).post("/api/v1/runs/", body)
        assert answer.status_code == 202, answer.content
        done(Run.objects.get())

    def test_of_a_schedule(self, kept: str, prompts_file: Any, db: None) -> None:
        path = prompts_file([LETTER, f"fail {LETTER}"], by=EMAIL)
        options = {"dataset_id": str(path), "input_checks": ("telltale",), "output_checks": ("telltale",), "limit": 0}
        options["answer_generator"] = "fake"
        call_command("schedule_run", name="nightly", every="daily", **options)
        (schedule,) = schedules.schedules()
        run = Run.objects.get(pk=tasks.start_scheduled_run(*json_arguments(schedule), due="now"))
        done(run)

    @pytest.mark.parametrize("form", ["json", "jsonl", "csv", "parquet"])
    def test_taken_out(self, kept: str, form: str, done_run: Any, cast: Cast, tmp_path: Path) -> None:
        run = done_run([LETTER], check="telltale", metadata={"by": EMAIL})
        path = tmp_path / f"out.{form}"
        call_command("export_run", str(run.pk), "--output", str(path))
        whole = path.read_bytes()
        if form == "parquet":
            import pyarrow.parquet as pq

            whole = json.dumps(pq.read_table(path).to_pylist(), default=str).encode()
        assert not [secret for secret in SECRETS if secret.encode() in whole]
        assert stored_prompt(kept).encode() in whole

    def test_read_over_rest(self, kept: str, done_run: Any, cast: Cast) -> None:
        done_run([LETTER], check="telltale", metadata={"by": EMAIL})
        told = Program(cast.lena).get(f"/api/v1/results/{Result.objects.get().pk}/").content.decode()
        assert not [secret for secret in SECRETS if secret in told]


def done(run: Run | None) -> None:
    if run:
        for _ in services.execute_run(run, actor="test"):
            pass


def json_arguments(schedule: Any) -> tuple[str, ...]:
    import ast

    return tuple(ast.literal_eval(schedule.args))

"""Every answer names its request, every line that was logged for it does, and no line holds a token or a text."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from safetysite.logs import REQUEST_ID, WELL_FORMED, LineFormatter, RequestId, request_id
from tests.api.conftest import Program
from tests.review.conftest import Cast

ROOT = Path(__file__).resolve().parents[2]


def test_an_answer_bears_the_id_that_was_sent() -> None:
    assert Client().get("/healthz", headers={"X-Request-ID": "abc-1"})["X-Request-ID"] == "abc-1"


@pytest.mark.parametrize(
    "path", ["/healthz", "/api/v1/nothing/", "/v1/nothing", "/nothing", "/admin/login/", "/metrics"]
)
def test_every_answer_bears_one(db: None, path: str) -> None:
    one, other = (Client().get(path)["X-Request-ID"] for _ in range(2))
    assert one != other
    assert len(one) == 32


def test_a_body_that_is_refused_unread_has_one(settings: Any) -> None:
    settings.SAFETY_API_BODY = 1
    answer = Client().post("/v1/moderations", "{}", content_type="application/json")
    assert answer.status_code == 413
    assert answer["X-Request-ID"]


@given(st.text())
def test_an_id_that_could_forge_a_line_is_replaced(sent: str) -> None:
    made = request_id(sent)
    assert WELL_FORMED.fullmatch(made)
    assert made == sent or not WELL_FORMED.fullmatch(sent)


def test_a_fault_is_logged_under_the_id_of_its_request(
    db: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    caplog.handler.addFilter(RequestId())
    monkeypatch.setattr("safetysite.health.checks", fails)
    answer = Client(raise_request_exception=False).get("/readyz", headers={"X-Request-ID": "abc-2"})
    assert answer.status_code == 500
    assert answer["X-Request-ID"] == "abc-2"
    (fault,) = [record for record in caplog.records if record.exc_info]
    assert fault.request_id == "abc-2"  # type: ignore[attr-defined]


def test_a_request_has_one_line_that_says_who_asked(
    cast: Cast,
    make_run: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    run, program = make_run(["the text of a prompt"]), Program(cast.axel, "read")
    with caplog.at_level(logging.INFO, "safetysite.access"):
        program.get(f"/api/v1/runs/{run.pk}/")
        program.get("/api/v1/runs/", name="words that were looked for")
    first, second = (record for record in caplog.records if record.name == "safetysite.access")
    said = vars(first)
    assert (said["method"], said["route"], said["status"]) == ("GET", "/api/v1/runs/<int:pk>/", 200)
    assert (said["user"], said["token"]) == (cast.axel.pk, program.token.pk)
    assert 0 < said["seconds"] < 10
    assert f"user {cast.axel.pk} token {program.token.pk}" in first.getMessage()
    for record in (first, second):
        assert program.key not in str(vars(record))
        assert program.token.prefix not in str(vars(record))
        assert "looked for" not in record.getMessage()
        assert "prompt" not in record.getMessage()


def test_nobody_is_looked_up_only_to_be_named(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "safetysite.access"):
        Client().get("/healthz")  # without the database
    (line,) = [record for record in caplog.records if record.name == "safetysite.access"]
    assert vars(line)["user"] is None


def test_a_visitor_of_the_console_is_named_by_number(
    cast: Cast,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = Client()
    client.force_login(cast.axel)
    with caplog.at_level(logging.INFO, "safetysite.access"):
        client.get("/admin/")
    (line,) = [record for record in caplog.records if record.name == "safetysite.access"]
    assert vars(line)["user"] == cast.axel.pk


def test_a_line_ends_with_the_id_and_only_in_a_request() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter("{levelname} {message}", style="{"))
    record = logging.LogRecord("x", logging.INFO, __file__, 1, "hello", (), None)
    assert handler.format(record) == "INFO hello"
    token = REQUEST_ID.set("abc-3")
    RequestId().filter(record)
    REQUEST_ID.reset(token)
    assert handler.format(record) == "INFO hello [abc-3]"


PROGRAM = """
import django, logging
django.setup()
from safetysite.logs import REQUEST_ID
REQUEST_ID.set("abc-4")
logging.getLogger("runs").info("one\\nline of %s", "two", extra={"route": "/x"})
"""


def lines(log_format: str) -> tuple[int, str]:
    environment = {
        **os.environ,
        "AI_SAFETY_MONITOR_LOG_FORMAT": log_format,
        "DJANGO_SETTINGS_MODULE": "safetysite.settings",
    }
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment, capture_output=True, text=True)
    return done.returncode, done.stderr.strip()


def test_lines_are_json_where_settings_say_so() -> None:
    code, said = lines("json")
    found = json.loads(said)
    assert (code, found.pop("time")[:2]) == (0, "20")
    assert found == {
        "level": "INFO",
        "logger": "runs",
        "message": "one\nline of two",
        "request_id": "abc-4",
        "route": "/x",
    }


def test_lines_are_for_people_else() -> None:
    code, said = lines("line")
    assert code == 0
    assert said.endswith("INFO runs: one\nline of two [abc-4]")


def test_another_format_is_refused_in_a_sentence() -> None:
    code, said = lines("xml")
    assert code == 1
    assert "AI_SAFETY_MONITOR_LOG_FORMAT is 'xml'; use line or json." in said

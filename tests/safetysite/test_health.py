"""Whether the site is up, and whether it can work: 503 with what cannot, and no secret."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator

import pytest
from django.db import OperationalError
from django.test import Client
from pytest_django import Settings

from safetysite import health


@pytest.fixture(autouse=True)
def not_asked_yet() -> None:
    health._check_migrations.cache_clear()


@pytest.fixture
def nowhere() -> str:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return f"127.0.0.1:{found.getsockname()[1]}"


@pytest.fixture
def models() -> Iterator[str]:
    """What answers as serve_models does."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        server.shutdown()
        thread.join()


def test_a_process_that_is_up_says_so_without_the_database() -> None:
    answer = Client().get("/healthz")  # pytest-django refuses the database to this test
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert "no-store" in answer["Cache-Control"]


def test_a_site_that_can_work_is_ready(db: None) -> None:
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "database": "ok", "fail_open": False})


def test_a_site_without_its_database_is_not(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    class Away:
        def cursor(self) -> None:
            raise OperationalError("password authentication failed for myuser:mypassword@db-1")

    monkeypatch.setattr(health, "connection", Away())
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["database"] == "The database cannot be used. The site's log says why."
    assert "mypassword" not in answer.content.decode()


def test_a_site_whose_database_is_of_another_version_is_not(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.db.migrations.recorder.MigrationRecorder.applied_migrations", lambda _: {})
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert "Run: python manage.py setup_db" in answer.json()["database"]
    monkeypatch.undo()
    assert Client().get("/readyz").status_code == 200, "It must look again."


def test_a_site_without_its_broker_is_not(db: None, settings: Settings, nowhere: str) -> None:
    settings.REDIS_URL = f"redis://:sesame@{nowhere}/0"
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "not_ready",
        "database": "ok",
        "broker": "Redis, the task broker, cannot be reached.",
        "fail_open": False,
    }


def test_a_site_without_its_models_is_not(db: None, settings: Settings, nowhere: str) -> None:
    settings.MODEL_SERVER = f"http://{nowhere}/v1"
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["models"].startswith("The model server cannot be reached")
    assert nowhere not in answer.content.decode()


def test_a_site_with_its_models_is(db: None, settings: Settings, models: str) -> None:
    settings.MODEL_SERVER = models
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["models"]) == (200, "ok")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_they_are_only_read(path: str) -> None:
    assert Client().post(path).status_code == 405


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_probe_is_not_sent_to_tls(db: None, settings: Settings, path: str) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert Client().get(path).status_code == 200
    assert Client().get("/admin/").status_code == 301

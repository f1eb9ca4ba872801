"""What all resources share, tried on runs: tokens, scopes, rights, questions, acts that count once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import get_resolver
from django.utils import timezone

from audit.models import AuditEvent
from integrations.models import ApiToken
from integrations.services import revoke_token
from runs.models import Run
from tests.api.conftest import Program
from tests.review.conftest import Cast

RUNS = "/api/v1/runs/"


def test_a_program_lists_what_its_person_may_see(cast: Cast, make_run: Any) -> None:
    run = make_run(["one", "two"])
    answer = Program(cast.axel, "read").get(RUNS)
    assert answer.status_code == 200
    assert [row["id"] for row in answer.json()["results"]] == [run.pk]


def test_a_program_of_somebody_who_may_not_is_refused(cast: Cast) -> None:
    answer = Program(cast.nora).get(RUNS)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_without_the_scope_the_right_does_not_help(cast: Cast, make_run: Any) -> None:
    run = make_run(["one"])
    answer = Program(cast.lena, "read").post(f"{RUNS}{run.pk}/cancel/")
    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")
    run.refresh_from_db()
    assert run.status == Run.Status.QUEUED


def test_without_the_right_the_scope_does_not_help(cast: Cast, make_run: Any) -> None:
    answer = Program(cast.axel, "run").post(f"{RUNS}{make_run(['one']).pk}/cancel/")
    assert answer.status_code == 403


def test_nobody_is_asked_for_a_token(cast: Cast) -> None:
    answer = Client().get(RUNS)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert answer.json()["code"] == "not_authenticated"


@pytest.mark.parametrize(
    "header", ["Bearer asm_unknown", "Basic abc", "Bearer", "Bearer \u00e9", "bearer " + "x" * 5000]
)
def test_a_token_that_is_none_is_refused(cast: Cast, header: str) -> None:
    answer = Client().get(RUNS, headers={"Authorization": header.encode().decode("latin-1")})
    assert (answer.status_code, answer.json()["code"]) == (401, "token_unusable")


def test_an_expired_and_a_revoked_token_open_nothing(cast: Cast) -> None:
    program = Program(cast.axel)
    ApiToken.objects.filter(pk=program.token.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert "expired" in program.get(RUNS).json()["detail"]
    other = Program(cast.axel)
    revoke_token(other.token, actor="test")
    assert "revoked" in other.get(RUNS).json()["detail"]


def test_the_key_itself_is_nowhere_in_the_database(cast: Cast) -> None:
    program = Program(cast.axel)
    row = ApiToken.objects.values().get(pk=program.token.pk)
    assert program.key not in str(row)
    assert row["prefix"] == program.key[:12]


def test_what_a_token_did_stands_in_the_audit_trail_with_the_token(cast: Cast, make_run: Any) -> None:
    program = Program(cast.lena)
    program.post(f"{RUNS}{make_run(['one']).pk}/cancel/")
    event = AuditEvent.objects.get(action="run.cancelled")
    assert event.actor == "user:lena"
    assert event.details["via"] == f"token {program.token.pk}"


def test_an_act_sent_twice_counts_once(cast: Cast, make_run: Any) -> None:
    program, address = Program(cast.lena), f"{RUNS}{make_run(['one']).pk}/cancel/"
    first = program.post(address, Idempotency_Key="k1")
    again = program.post(address, Idempotency_Key="k1")
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json()
    assert again["Idempotent-Replayed"] == "true"
    assert program.post(address, Idempotency_Key="k2").status_code == 409
    assert program.post(address, {"a": 1}, Idempotency_Key="k1").status_code == 422


def test_the_key_of_one_person_is_not_that_of_another(cast: Cast, make_run: Any) -> None:
    address = f"{RUNS}{make_run(['one']).pk}/cancel/"
    assert Program(cast.lena).post(address, Idempotency_Key="k1").status_code == 200
    assert Program(cast.anna).post(address, Idempotency_Key="k1").status_code == 409


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("nonsense=1", "There is no parameter 'nonsense'"),
        ("limit=0", "limit"),
        ("limit=many", "limit"),
        ("status=ASLEEP", "status"),
        ("name=%00", "NUL"),
        ("cursor=nonsense", "cursor"),
    ],
)
def test_a_question_that_cannot_be_is_refused(cast: Cast, query: str, says: str) -> None:
    answer = Program(cast.axel).get(f"{RUNS}?{query}")
    assert answer.status_code == (404 if "cursor" in query else 422 if "name" in query or "nonsense" in query else 400)
    assert says.lower() in answer.json()["detail"].lower()


@pytest.mark.parametrize(
    "path", ["/api/v1/nonsense/", "/api/", f"{RUNS}999/", f"{RUNS}99999999999999999999999/", "/v1/x"]
)
def test_what_is_not_there_says_so_as_json(cast: Cast, path: str) -> None:
    answer = Program(cast.axel).get(path)
    assert answer.status_code == 404
    assert (answer.json().get("error") or answer.json())["code"] == "not_found"


def test_a_body_that_is_too_large_is_not_read(cast: Cast, settings: Any) -> None:
    settings.SAFETY_API_BODY = 100
    answer = Program(cast.lena).post(f"{RUNS}1/cancel/", {"a": "x" * 200})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_who_asks_too_often_waits(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("integrations.throttling.TokenThrottle.rate", "2/min", raising=False)
    program = Program(cast.axel)
    assert [program.get(RUNS).status_code for _ in range(3)] == [200, 200, 429]
    assert int(program.get(RUNS)["Retry-After"]) > 0
    assert Program(cast.axel).get(RUNS).status_code == 200


def test_a_session_acts_only_with_its_csrf_token(cast: Cast, make_run: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.lena)
    assert client.get(RUNS).status_code == 200
    answer = client.post(f"{RUNS}{make_run(['one']).pk}/cancel/")
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")


def test_every_action_names_what_it_needs() -> None:
    from safetysite.api import router

    missing = []
    for url in router.urls:
        actions = getattr(url.callback, "actions", {})
        missing += [f"{url.name} {name}" for name in actions.values() if name not in url.callback.cls.needs]
    assert missing == []


def test_the_addresses_of_programs_are_well_formed() -> None:
    """Django's own checks look at those of the console only."""
    assert get_resolver("safetysite.urls_api").check() == []

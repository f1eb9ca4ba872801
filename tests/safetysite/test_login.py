"""Logging in, being refused, being locked out, and what the audit trail says of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import F
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from audit.models import AuditEvent
from safetysite.login import address_of

pytestmark = pytest.mark.django_db
LOGIN = "admin:login"
LIMIT = settings.AXES_FAILURE_LIMIT


@pytest.fixture
def alice() -> User:
    return User.objects.create_user("alice", password="correct horse", is_staff=True)


def log_in(client: Client, password: str, name: str = "alice", **extra: Any) -> HttpResponse:
    return client.post(reverse(LOGIN), {"username": name, "password": password}, **extra)


def trail() -> list[tuple[str, str, Any]]:
    return [(event.action, event.actor, event.details) for event in AuditEvent.objects.order_by("sequence")]


class TestLoggingIn:
    def test_the_right_password_opens_the_site_and_is_recorded(self, client: Client, alice: User) -> None:
        assert log_in(client, "correct horse").headers["Location"] == reverse("admin:index")
        assert client.get(reverse("admin:index")).status_code == 200
        assert trail() == [("auth.login", "user:alice", {"address": "127.0.0.1"})]
        assert AuditEvent.objects.get().target == f"auth.user {alice.pk}"

    def test_a_wrong_password_says_what_to_do_and_is_recorded_without_it(self, client: Client, alice: User) -> None:
        page = log_in(client, "wrong horse")
        assert "The name or the password is wrong" in page.content.decode()
        assert trail() == [("auth.login_refused", "visitor:127.0.0.1", {"name": "alice"})]
        assert "wrong horse" not in str(AuditEvent.objects.values_list())

    @pytest.mark.parametrize("change", [{"is_active": False}, {"is_staff": False}])
    def test_an_account_that_may_not_is_refused(self, client: Client, alice: User, change: dict[str, bool]) -> None:
        User.objects.filter(pk=alice.pk).update(**change)
        assert log_in(client, "correct horse").status_code == 200
        assert [action for action, *_ in trail()] == ["auth.login_refused"]
        assert client.get(reverse("admin:index")).status_code == 302

    def test_a_name_that_nobody_bears_is_kept_as_a_digest(self, client: Client, alice: User) -> None:
        for name in ("my secret password", "my secret password", "other"):
            log_in(client, "x", name)
        first, again, other = (details["unknown_name"] for _, _, details in trail())
        assert first == again != other
        assert "secret" not in str(AuditEvent.objects.values_list())

    @pytest.mark.parametrize("name", ["", "a\0b", "x" * 10_000, "\u202e👩", "user:mallory", " alice "])
    def test_any_name_is_recorded_or_ignored_and_never_an_error(self, client: Client, alice: User, name: str) -> None:
        assert log_in(client, "x", name).status_code == 200
        assert all(len(str(details)) < 100 for _, _, details in trail())

    def test_a_session_begins_anew(self, client: Client, alice: User) -> None:
        client.get(reverse(LOGIN))
        session = client.session
        session["planted"] = True
        session.save()
        before = session.session_key
        log_in(client, "correct horse")
        assert client.session.session_key != before

    def test_next_leads_nowhere_else(self, client: Client, alice: User) -> None:
        data = {"username": "alice", "password": "correct horse", "next": "https://evil.example/"}
        assert client.post(reverse(LOGIN), data).headers["Location"] == reverse("admin:index")

    def test_a_part_of_a_page_gets_a_sentence_and_no_form(self, client: Client) -> None:
        response = client.get(reverse("admin:audit_auditevent_changelist"), headers={"HX-Request": "true"}, follow=True)
        assert response.status_code == 401
        assert "no longer logged in" in response.content.decode()
        assert "<form" not in response.content.decode()


class TestLoggingOut:
    def test_it_is_recorded(self, client: Client, alice: User) -> None:
        client.force_login(alice)
        assert client.post(reverse("admin:logout")).status_code == 200
        assert [(action, actor) for action, actor, _ in trail()] == [("auth.logout", "user:alice")]
        assert client.get(reverse("admin:index")).status_code == 302

    def test_only_by_pressing_the_button(self, alice: User) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(alice)
        assert client.get(reverse("admin:logout")).status_code == 405
        assert client.post(reverse("admin:logout")).status_code == 403
        assert trail() == []

    def test_strangers_leave_no_entry(self, client: Client) -> None:
        client.post(reverse("admin:logout"))
        assert trail() == []


class TestLockingOut:
    def test_after_so_many_failures_even_the_right_password_waits(self, client: Client, alice: User) -> None:
        for _ in range(LIMIT - 1):
            assert log_in(client, "wrong").status_code == 200
        refused = log_in(client, "wrong")
        assert refused.status_code == 429
        assert refused.headers["Retry-After"] == "900"
        assert "Wait 15 minutes" in refused.content.decode()
        assert log_in(client, "correct horse").status_code == 429
        assert client.get(reverse("admin:index")).status_code == 302

    def test_it_is_recorded_once_and_no_attempt_after_it(self, client: Client, alice: User) -> None:
        for _ in range(LIMIT + 5):
            log_in(client, "wrong")
        actions = [action for action, *_ in trail()]
        assert actions == ["auth.login_refused"] * LIMIT + ["auth.locked_out"]
        assert trail()[-1][1:] == ("visitor:127.0.0.1", {"name": "alice", "minutes": 15})

    def test_others_and_other_places_are_not_affected(self, client: Client, alice: User) -> None:
        User.objects.create_user("bob", password="battery", is_staff=True)
        for _ in range(LIMIT):
            log_in(client, "wrong")
        assert log_in(client, "battery", "bob").status_code == 302
        assert log_in(client, "correct horse", REMOTE_ADDR="10.0.0.9").status_code == 302

    def test_it_ends(self, client: Client, alice: User) -> None:
        for _ in range(LIMIT):
            log_in(client, "wrong")
        AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(minutes=15, seconds=1))
        assert log_in(client, "correct horse").status_code == 302

    def test_trying_on_does_not_lengthen_it(self, client: Client, alice: User) -> None:
        for _ in range(LIMIT):
            log_in(client, "wrong")
        before = AccessAttempt.objects.values().get()
        log_in(client, "wrong")
        assert AccessAttempt.objects.values().get() == before

    def test_success_begins_the_count_anew(self, client: Client, alice: User) -> None:
        for _ in range(3):
            for _ in range(LIMIT - 1):
                assert log_in(client, "wrong").status_code == 200
            assert log_in(client, "correct horse").status_code == 302
            client.logout()

    def test_what_is_kept_of_failures_holds_no_password(self, client: Client, alice: User) -> None:
        log_in(client, "wrong horse")
        assert "horse" not in str(AccessAttempt.objects.values().get())

    def test_it_costs_few_queries(
        self, client: Client, alice: User, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        for _ in range(LIMIT):
            log_in(client, "wrong")
        with django_assert_max_num_queries(6):
            log_in(client, "wrong")
        with django_assert_max_num_queries(25):  # session, last login, the chain, what axes keeps, and their savepoints
            assert log_in(client, "correct horse", REMOTE_ADDR="10.0.0.9").status_code == 302


class TestTheAddress:
    @pytest.mark.parametrize(
        ("proxies", "forwarded", "address"),
        [
            (0, "6.6.6.6", "10.0.0.1"),
            (1, "6.6.6.6", "6.6.6.6"),
            (1, "1.1.1.1, 6.6.6.6", "6.6.6.6"),
            (2, "1.1.1.1, 6.6.6.6, 7.7.7.7", "6.6.6.6"),
            (2, "6.6.6.6", "10.0.0.1"),
            (1, "", None),
            (1, "' OR 1=1", None),
            (1, "2001:db8::1", "2001:db8::1"),
        ],
    )
    def test_only_our_own_proxies_are_believed(
        self, settings: Any, proxies: int, forwarded: str, address: str | None
    ) -> None:
        settings.TRUSTED_PROXIES = proxies
        request = RequestFactory().get("/", REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR=forwarded)
        assert address_of(request) == address

    def test_none_is_no_error(self, client: Client, alice: User) -> None:
        log_in(client, "wrong", REMOTE_ADDR="")
        assert trail() == [("auth.login_refused", "visitor:unknown", {"name": "alice"})]

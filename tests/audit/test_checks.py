"""Whether the chain verifies, since when, and who is told."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_q.models import OrmQ
from pytest_django import DjangoAssertNumQueries

from audit import services, tasks, triggers
from audit.chain import Fault, Verification
from audit.models import GENESIS, AuditEvent, ChainCheck
from tests.audit.tampering import record_chain, relink, replace_chain

pytestmark = pytest.mark.django_db
LIST = "admin:audit_auditevent_changelist"


def tamper(sequence: int) -> None:
    triggers.remove(connection)
    AuditEvent.objects.filter(pk=sequence).update(actor="user:mallory")
    triggers.install(connection)


def test_a_check_is_stored_and_recorded() -> None:
    head = record_chain(5)[-1].hash
    check = services.check_chain(actor="user:alice")
    assert (check.size, check.head, check.fault) == (5, head, "")
    assert check.finished_at >= check.asked_at
    event = AuditEvent.objects.get(pk=6)
    assert (event.action, event.actor, event.target) == (
        "audit.chain_checked",
        "user:alice",
        f"audit.chaincheck {check.pk}",
    )
    assert event.details == {"size": 5, "head": head, "fault": ""}


def test_a_failed_check_names_the_entry_and_the_reason() -> None:
    record_chain(5)
    tamper(3)
    check = services.check_chain(actor="user:alice")
    assert (check.size, check.fault_at) == (2, 3)
    assert check.fault.startswith("Entry 3: its content does not give its hash")
    assert services.chain_state().fault == check.fault


def test_a_check_also_holds_the_chain_against_the_last_good_one() -> None:
    chain = record_chain(5)
    services.check_chain(actor="user:alice")
    triggers.remove(connection)
    replace_chain(relink(chain[:3]))
    assert "cut off" in services.check_chain(actor="user:alice").fault
    replace_chain(relink([*chain[1:], *chain[:1]]))
    assert "rebuilt" in services.check_chain(actor="user:alice").fault


class TestSinceWhen:
    def check(self, fault: str = "") -> ChainCheck:
        check = ChainCheck(actor="user:alice", asked_at=timezone.now())
        return services.store_check(check, Verification(3, GENESIS, Fault(4, fault) if fault else None))

    def test_since_the_first_check_while_none_failed(self) -> None:
        first = self.check()
        assert first.whole_since == first.finished_at
        assert self.check().whole_since == self.check().whole_since == first.finished_at

    def test_since_the_first_good_one_after_the_last_failure(self) -> None:
        self.check()
        assert self.check(fault="bad").whole_since is None
        again = self.check()
        assert self.check().whole_since == again.whole_since == again.finished_at


class TestWhatCameAfter:
    def test_few_new_entries_are_verified_at_once(self) -> None:
        record_chain(3)
        services.check_chain(actor="user:alice")
        record_chain(2)
        state = services.chain_state()
        assert (state.newer, state.fault) == (3, "")
        assert state.verification is not None
        tamper(5)
        assert services.chain_state().fault.startswith("Entry 5: its content")

    def test_a_tail_cut_behind_the_check_is_seen(self) -> None:
        chain = record_chain(3)
        services.check_chain(actor="user:alice")
        triggers.remove(connection)
        replace_chain(relink(chain[:2]))
        assert "cut off" in services.chain_state().fault

    def test_a_head_that_changed_is_seen(self) -> None:
        chain = record_chain(3)
        services.check_chain(actor="user:alice")
        chain[2].actor = "user:mallory"
        triggers.remove(connection)
        replace_chain(relink(chain))
        assert "rebuilt" in services.chain_state().fault

    def test_many_are_said_to_be_unchecked(self, monkeypatch: pytest.MonkeyPatch, admin_client: Client) -> None:
        record_chain(3)
        services.check_chain(actor="user:alice")
        monkeypatch.setattr(services, "FEW", 2)
        record_chain(2)
        assert services.chain_state().verification is None
        assert "The 3 entries after that are not checked." in admin_client.get(reverse(LIST)).content.decode()


class TestThePage:
    def test_it_says_that_nobody_has_checked_yet(self, admin_client: Client) -> None:
        record_chain(3)
        assert "Nobody has checked yet whether the 3 entries" in admin_client.get(reverse(LIST)).content.decode()

    def test_a_short_chain_is_checked_at_once(self, admin_client: Client) -> None:
        record_chain(3)
        page = admin_client.post(reverse("admin:audit_check"), follow=True).content.decode()
        assert ChainCheck.objects.get().actor == "user:admin"
        assert "read 3 entries" in page
        assert "The 1 entry after that was checked just now." in page

    def test_a_long_one_is_left_to_a_worker_once(self, admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        record_chain(3)
        monkeypatch.setattr(services, "SHORT", 2)
        for _ in range(2):
            page = admin_client.post(reverse("admin:audit_check"), follow=True).content.decode()
        assert "waits for a worker" in page
        check = ChainCheck.objects.get()
        assert check.finished_at is None
        assert OrmQ.objects.count() == 1
        for _ in range(2):  # delivered twice
            tasks.check_chain(check.pk)
        assert ChainCheck.objects.get().size == 3
        assert AuditEvent.objects.filter(action="audit.chain_checked").count() == 1

    def test_a_check_that_no_worker_took_is_asked_for_again(self) -> None:
        first = services.ask_check(actor="user:alice")
        assert services.ask_check(actor="user:bob") == first
        ChainCheck.objects.update(asked_at=timezone.now() - services.PATIENCE)
        assert services.ask_check(actor="user:bob") != first

    @pytest.mark.parametrize("method", ["get", "put"])
    def test_looking_checks_nothing(self, admin_client: Client, method: str) -> None:
        assert getattr(admin_client, method)(reverse("admin:audit_check")).status_code == 405

    def test_without_the_permission_nothing_is_checked(self, client: Client) -> None:
        client.force_login(User.objects.create_user("bob", is_staff=True))
        assert client.post(reverse("admin:audit_check")).status_code == 403
        assert not ChainCheck.objects.exists()


class TestTheAlarm:
    @pytest.fixture
    def broken(self) -> None:
        record_chain(3)
        tamper(2)
        services.check_chain(actor="user:alice")

    def test_whoever_may_read_the_trail_is_told_on_the_start_page(self, broken: None, client: Client) -> None:
        auditor = User.objects.create_user("ann", is_staff=True)
        auditor.user_permissions.add(Permission.objects.get(codename="view_auditevent"))
        client.force_login(auditor)
        for name in ("admin:index", LIST):
            page = client.get(reverse(name)).content.decode()
            assert "The audit trail is not whole." in page
            assert "Entry 2: its content does not give its hash" in page

    def test_others_are_not(self, broken: None, client: Client) -> None:
        client.force_login(User.objects.create_user("bob", is_staff=True))
        assert "not whole" not in client.get(reverse("admin:index")).content.decode()

    def test_it_ends_with_a_good_check(self, admin_client: Client) -> None:
        record_chain(3)
        ChainCheck.objects.create(actor="a", asked_at=timezone.now(), finished_at=timezone.now(), fault="Entry 2: bad.")
        assert "not whole" in admin_client.get(reverse("admin:index")).content.decode()
        services.check_chain(actor="user:alice")
        assert "not whole" not in admin_client.get(reverse("admin:index")).content.decode()

    def test_it_costs_one_query(
        self, broken: None, admin_client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        admin_client.get(reverse("admin:index"))
        with django_assert_max_num_queries(4):  # session, user, the check, and what the start page lists
            admin_client.get(reverse("admin:index"))

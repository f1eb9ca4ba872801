"""The audit pages: who may read them, what their filters find, and that they stay fast and harmless."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from audit import querysets, services, triggers
from audit.models import AuditEvent
from tests.audit.tampering import record_chain

pytestmark = pytest.mark.django_db
LIST = "admin:audit_auditevent_changelist"


def numbers(client: Client, **query: str) -> list[int]:
    response = client.get(reverse(LIST), query)
    assert response.status_code == 200, response.content.decode()
    return [event.sequence for event in response.context["page"].entries]


def refused(client: Client, **query: str) -> str:
    response = client.get(reverse(LIST), query)
    assert response.status_code == 400
    assert response.context["page"].entries == []
    return response.content.decode()


def entry(client: Client, sequence: int) -> str:
    return client.get(reverse("admin:audit_auditevent_change", args=[sequence])).content.decode()


@pytest.fixture
def office() -> list[AuditEvent]:
    """Four entries of three people on two targets."""
    alice, bob = (User.objects.create_user(name) for name in ("alice", "bob"))
    with transaction.atomic():
        return [
            services.record("user.invited", actor="user:alice", target=bob, data={"note": 'say "hi" & <i>ö</i>'}),
            services.record("user.invited", actor="user:bob", target=alice),
            services.record("user.removed", actor="user:alice", target=bob),
            services.record("run.created", actor="command:run_pipeline by root", data={"prompts": 12}),
        ]


class TestWhoMayRead:
    @pytest.mark.parametrize("page", [reverse(LIST), reverse("admin:audit_auditevent_change", args=[1])])
    def test_viewing_is_a_permission(self, client: Client, page: str) -> None:
        record_chain(1)
        assert client.get(page).status_code == 302
        bob = User.objects.create_user("bob", is_staff=True)
        client.force_login(bob)
        assert client.get(page).status_code == 403
        bob.user_permissions.add(Permission.objects.get(codename="view_auditevent"))
        assert client.get(page).status_code == 200

    def test_it_is_the_only_permission_there_is(self) -> None:
        found = Permission.objects.filter(content_type__app_label="audit")
        assert [permission.codename for permission in found] == ["view_auditevent"]

    def test_even_a_superuser_changes_nothing(self, admin_client: Client) -> None:
        record_chain(1)
        for name, key in (("add", []), ("delete", [1])):
            url = reverse(f"admin:audit_auditevent_{name}", args=key)
            assert admin_client.post(url, {"actor": "user:mallory", "post": "yes"}).status_code == 403
        admin_client.post(reverse("admin:audit_auditevent_change", args=[1]), {"actor": "user:mallory"})
        assert AuditEvent.objects.get(pk=1).actor == "user:alice"


class TestFilters:
    def test_all_newest_first(self, admin_client: Client, office: list[AuditEvent]) -> None:
        assert numbers(admin_client) == [4, 3, 2, 1]

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ({"action": "user.invited"}, [2, 1]),
            ({"actor": "user:alice"}, [3, 1]),
            ({"actor": "alice"}, [3, 1]),
            ({"actor": "command:run_pipeline by root"}, [4]),
            ({"actor": "ali"}, []),
            ({"action": "user.invited", "actor": "bob"}, [2]),
            ({"text": "PROMPTS"}, [4]),
            ({"text": 'say "hi" & <i>ö'}, [1]),
            ({"text": "100%_"}, []),
        ],
    )
    def test_each_finds_its_own(
        self, admin_client: Client, office: list[AuditEvent], query: dict[str, str], found: list[int]
    ) -> None:
        assert numbers(admin_client, **query) == found

    def test_a_target(self, admin_client: Client, office: list[AuditEvent]) -> None:
        assert numbers(admin_client, target=office[0].target) == [3, 1]
        assert numbers(admin_client, target="auth.user 999") == []

    def test_a_period_has_whole_days(self, admin_client: Client, office: list[AuditEvent]) -> None:
        today = timezone.now().date()
        for days, found in ((0, [4, 3, 2, 1]), (1, []), (-1, [])):
            day = str(today + timedelta(days=days))
            assert numbers(admin_client, since=day, until=day) == found
        assert numbers(admin_client, since=str(today)) == numbers(admin_client, until=str(today)) == [4, 3, 2, 1]

    def test_clocks_that_differ_hide_nothing(self, office: list[AuditEvent]) -> None:
        """Entry 3 was written by a machine whose clock is two days ahead, and all since by one whose clock is right."""
        triggers.remove(connection)
        AuditEvent.objects.filter(pk=3).update(time=timezone.now() + timedelta(days=2))
        ahead = querysets.EntryFilter(since=timezone.now() + timedelta(days=1))
        behind = querysets.EntryFilter(until=timezone.now() + timedelta(days=1))
        assert [e.sequence for e in AuditEvent.objects.page(ahead, size=9).entries] == [3]
        assert [e.sequence for e in AuditEvent.objects.page(behind, size=9).entries] == [4, 2, 1]

    @pytest.mark.parametrize(
        ("query", "sentence"),
        [
            ({"action": "nothing.done"}, "nothing.done is not one of the available choices"),
            ({"since": "yesterday"}, "Enter a valid date"),
            ({"target": "run"}, "Write the kind and the key of the target"),
            ({"actor": "x" * 201}, "at most 200 characters"),
            ({"before": "x"}, "whole number"),
            ({"before": "-1"}, "greater than or equal to 0"),
            ({"actor__startswith": "user"}, "There is no filter “actor__startswith”"),
            ({"text": "a\0b"}, "Null characters are not allowed"),
        ],
    )
    def test_one_that_is_none_is_a_sentence(self, admin_client: Client, query: dict[str, str], sentence: str) -> None:
        record_chain(1)
        assert sentence in refused(admin_client, **query)

    def test_the_choices_are_what_was_done(self, admin_client: Client, office: list[AuditEvent]) -> None:
        page = admin_client.get(reverse(LIST)).content.decode()
        for value in ("run.created", "user.invited", "user.removed", "command:run_pipeline by root"):
            assert f'<option value="{value}">' in page


class TestPaging:
    @pytest.fixture(autouse=True)
    def small_pages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("audit.admin.SHOWN", 3)

    def walk(self, client: Client, way: str, **query: str) -> list[list[int]]:
        """The pages that the links of one way lead to."""
        url, pages = f"{reverse(LIST)}?" + "&".join(f"{k}={v}" for k, v in query.items()), []
        while url:
            response = client.get(url)
            pages.append([event.sequence for event in response.context["page"].entries])
            url = response.context[f"{way}_url"] and f"{reverse(LIST)}{response.context[f'{way}_url']}"
        return pages

    def test_back_and_forth_nothing_is_left_out_or_shown_twice(self, admin_client: Client) -> None:
        record_chain(8)
        assert self.walk(admin_client, "older") == [[8, 7, 6], [5, 4, 3], [2, 1]]
        assert self.walk(admin_client, "newer", before="3") == [[2, 1], [5, 4, 3], [8, 7, 6]]
        assert self.walk(admin_client, "older", before="1") == [[]]
        assert self.walk(admin_client, "newer", before="1") == [[], [3, 2, 1], [6, 5, 4], [8, 7]]

    def test_a_filter_stays(self, admin_client: Client, office: list[AuditEvent]) -> None:
        record_chain(5)
        pages = self.walk(admin_client, "older", actor="alice")
        assert pages == [[9, 8, 7], [6, 5, 3], [1]]

    def test_a_search_for_text_looks_through_so_many_and_then_asks(
        self, admin_client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        record_chain(20)
        monkeypatch.setattr(querysets, "WINDOW", 8)
        assert self.walk(admin_client, "older", text='"number":3}') == [[], [], [3]]
        page = admin_client.get(reverse(LIST), {"text": '"number":3}'}).content.decode()
        assert "No entry is like that among those from 13 on; look further back below." in page
        assert self.walk(admin_client, "older", text="number", before="6") == [[5, 4, 3], [2, 1]]


class TestCost:
    def test_a_list_counts_nothing_and_reads_no_long_text(
        self, admin_client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        with transaction.atomic():
            for _ in range(60):
                services.record("test.done", actor="user:alice", data={"long": "x" * 1000})
        services.check_chain(actor="user:alice")
        with django_assert_max_num_queries(12) as queries:
            page = admin_client.get(reverse(LIST)).content.decode()
        assert "x" * 200 not in page
        assert "x" * 100 in page
        assert not [query for query in queries.captured_queries if "COUNT(" in query["sql"]]

    def test_an_entry(self, admin_client: Client, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
        record_chain(3)
        with django_assert_max_num_queries(6):
            entry(admin_client, 2)

    @pytest.mark.parametrize(
        "wanted",
        [
            querysets.EntryFilter(),
            querysets.EntryFilter(action="user.invited"),
            querysets.EntryFilter(actor="user:alice"),
            querysets.EntryFilter(target_type="auth.user", target_id="1"),
        ],
    )
    def test_no_filter_sorts_or_reads_the_whole_table(self, office: list[AuditEvent], wanted: Any) -> None:
        rows = AuditEvent.objects.matching(wanted).filter(sequence__lt=10**6).order_by("-sequence")[:51]
        with transaction.atomic(), connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                for way in ("seqscan", "bitmapscan", "sort"):  # the table is small: what could it do without?
                    cursor.execute(f"SET LOCAL enable_{way} = off")
        plan = rows.explain()
        assert not re.search(r"USE TEMP B-TREE|^SCAN audit_auditevent$|Seq Scan|Sort", plan, re.MULTILINE), plan


class TestAnEntry:
    def test_it_is_told_in_full(self, admin_client: Client, office: list[AuditEvent]) -> None:
        page = entry(admin_client, 1)
        for part in ("user.invited", "user:alice", office[0].target, office[0].hash, office[0].previous, "as recorded"):
            assert part in page
        assert "say &quot;hi&quot; &amp; &lt;i&gt;ö&lt;/i&gt;" in page
        assert reverse("admin:audit_auditevent_change", args=[2]) in page

    def test_one_that_was_changed_says_so(self, admin_client: Client, office: list[AuditEvent]) -> None:
        triggers.remove(connection)
        AuditEvent.objects.filter(pk=2).update(data="not JSON")
        page = entry(admin_client, 2)
        assert "its content does not give its hash" in page
        assert "not JSON" in page

    @pytest.mark.parametrize("number", ["0", "99", "x", "9" * 30, "٣"])
    def test_one_that_is_not_there(self, admin_client: Client, number: str) -> None:
        response = admin_client.get(reverse("admin:audit_auditevent_change", args=[number]))
        assert response.status_code == 404
        assert "There is no audit entry" in response.content.decode()

    def test_what_hides_in_it_is_shown(self, admin_client: Client) -> None:
        with transaction.atomic():
            services.record("test.done", actor="user:\u202ealice", data={"k\u200b": {"deep": "\x1b[2J"}, "list": [1]})
        for page in (entry(admin_client, 1), admin_client.get(reverse(LIST)).content.decode()):
            assert "\u202e" not in page.replace('<option value="user:\u202ealice">', "")
            assert "⟨U+202E⟩" in page
            assert "⟨U+200B⟩" in page
            assert "\x1b" not in page


def test_a_row_that_cannot_be_read_is_a_sentence(admin_client: Client) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("only SQLite stores values of another type than the column's")
    record_chain(2)
    triggers.remove(connection)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE audit_auditevent SET time = '2026-13-45 99:00:00' WHERE sequence = 2")
    response = admin_client.get(reverse(LIST))
    assert response.status_code == 409
    assert "audit_verify" in response.content.decode()

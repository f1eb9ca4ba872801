from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from audit.models import AuditEvent
from tests.audit.tampering import record_chain

pytestmark = pytest.mark.django_db
LIST = "admin:audit_auditevent_changelist"


def test_one_who_may_reads_lists_filters_and_entries(admin_client: Client) -> None:
    event = record_chain(3)[1]
    assert admin_client.get(reverse(LIST)).context["cl"].result_count == 3
    assert admin_client.get(reverse(LIST), {"action": "other"}).context["cl"].result_count == 0
    assert admin_client.get(reverse(LIST), {"q": "user:alice"}).context["cl"].result_count == 3
    assert event.hash in admin_client.get(reverse("admin:audit_auditevent_change", args=[2])).content.decode()


def test_even_a_superuser_changes_nothing(admin_client: Client) -> None:
    record_chain(1)
    for url in (
        reverse("admin:audit_auditevent_add"),
        reverse("admin:audit_auditevent_change", args=[1]),
        reverse("admin:audit_auditevent_delete", args=[1]),
    ):
        assert admin_client.post(url, {"actor": "user:mallory"}).status_code == 403
    assert AuditEvent.objects.get().actor == "user:alice"


def test_the_list_counts_no_rows(admin_client: Client) -> None:
    record_chain(3)
    with CaptureQueriesContext(connection) as queries:
        admin_client.get(reverse(LIST))
    assert not [q for q in queries if "COUNT(*)" in q["sql"] and "audit_auditevent" in q["sql"]]


def test_viewing_is_a_permission_and_the_only_one(client: Client) -> None:
    bob = User.objects.create_user("bob", is_staff=True)
    client.force_login(bob)
    assert client.get(reverse(LIST)).status_code == 403
    permission = Permission.objects.get(content_type__app_label="audit")
    assert permission.codename == "view_auditevent"
    bob.user_permissions.add(permission)
    assert client.get(reverse(LIST)).status_code == 200

"""Accounts and groups: who may change what, and what the audit trail says of it."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from audit.models import AuditEvent

pytestmark = pytest.mark.django_db


@pytest.fixture
def bob() -> User:
    return User.objects.create_user("bob", password="battery", is_staff=True)


@pytest.fixture
def office(client: Client) -> Client:
    """Somebody who looks after accounts and is no superuser."""
    olga = User.objects.create_user("olga", is_staff=True)
    olga.user_permissions.set(Permission.objects.filter(content_type__app_label="auth"))
    client.force_login(olga)
    return client


def trail() -> list[tuple[str, str, str, Any]]:
    return [(e.action, e.actor, e.target, e.details) for e in AuditEvent.objects.order_by("sequence")]


def fields(user: User, **changes: Any) -> dict[str, Any]:
    """What the browser sends for an account, with changes."""
    data = {"username": user.username, "is_active": user.is_active, "is_staff": user.is_staff, **changes}
    data |= {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    return {name: value for name, value in data.items() if value is not False}


def change(client: Client, user: User, **changes: Any) -> int:
    return client.post(reverse("admin:auth_user_change", args=[user.pk]), fields(user, **changes)).status_code


class TestWhatIsRecorded:
    def test_a_new_account(self, admin_client: Client) -> None:
        reviewer = Group.objects.create(name="crew")
        data = {
            "username": "carol",
            "usable_password": "true",
            "password1": "h0rse-battery",
            "password2": "h0rse-battery",
        }
        admin_client.post(reverse("admin:auth_user_add"), {**data, "is_staff": "on", "groups": [reviewer.pk]})
        carol = User.objects.get(username="carol")
        rights = {"is_active": True, "is_staff": True, "is_superuser": False, "groups": ["crew"], "permissions": []}
        assert trail() == [("user.created", "user:admin", f"auth.user {carol.pk}", {"name": "carol", **rights})]

    def test_changed_rights_before_and_after(self, admin_client: Client, bob: User) -> None:
        crew = Group.objects.create(name="crew")
        view = Permission.objects.get(codename="view_auditevent")
        change(admin_client, bob, is_active=False, groups=[crew.pk], user_permissions=[view.pk])
        ((action, actor, target, data),) = trail()
        assert (action, actor, target) == ("user.changed", "user:admin", f"auth.user {bob.pk}")
        assert data == {
            "name": "bob",
            "before": {"is_active": True, "groups": [], "permissions": []},
            "after": {"is_active": False, "groups": ["crew"], "permissions": ["audit.view_auditevent"]},
        }

    def test_a_new_name(self, admin_client: Client, bob: User) -> None:
        change(admin_client, bob, username="robert")
        assert trail()[0][3] == {"name": "robert", "before": {"name": "bob"}, "after": {"name": "robert"}}

    def test_what_changes_no_right_leaves_no_entry(self, admin_client: Client, bob: User) -> None:
        assert change(admin_client, bob, first_name="Bob") == 302
        assert trail() == []

    @pytest.mark.parametrize("way", ["page", "action"])
    def test_a_deleted_account(self, admin_client: Client, bob: User, way: str) -> None:
        key = bob.pk
        if way == "page":
            admin_client.post(reverse("admin:auth_user_delete", args=[key]), {"post": "yes"})
        else:
            data = {"action": "delete_selected", "_selected_action": [key], "post": "yes"}
            admin_client.post(reverse("admin:auth_user_changelist"), data)
        assert not User.objects.filter(pk=key).exists()
        ((action, actor, target, data),) = trail()
        assert (action, actor, target, data["name"]) == ("user.deleted", "user:admin", f"auth.user {key}", "bob")

    def test_a_group(self, admin_client: Client) -> None:
        view = Permission.objects.get(codename="view_auditevent")
        admin_client.post(reverse("admin:auth_group_add"), {"name": "watch", "permissions": [view.pk]})
        group = Group.objects.get(name="watch")
        admin_client.post(reverse("admin:auth_group_change", args=[group.pk]), {"name": "watch", "permissions": []})
        admin_client.post(reverse("admin:auth_group_delete", args=[group.pk]), {"post": "yes"})
        assert [(action, data) for action, _, _, data in trail()] == [
            ("group.created", {"name": "watch", "permissions": ["audit.view_auditevent"]}),
            (
                "group.changed",
                {
                    "name": "watch",
                    "before": {"permissions": ["audit.view_auditevent"]},
                    "after": {"permissions": []},
                },
            ),
            ("group.deleted", {"name": "watch", "permissions": []}),
        ]

    def test_one_s_own_password(self, client: Client, bob: User) -> None:
        client.force_login(bob)
        new = {"old_password": "battery", "new_password1": "st4ple-h0rse", "new_password2": "st4ple-h0rse"}
        client.post(reverse("admin:password_change"), {**new, "old_password": "wrong"})
        assert trail() == []
        assert client.post(reverse("admin:password_change"), new).status_code == 302
        assert trail() == [("user.password_changed", "user:bob", f"auth.user {bob.pk}", {"name": "bob"})]
        bob.refresh_from_db()
        assert bob.check_password("st4ple-h0rse")

    def test_a_password_that_an_administrator_gives(self, admin_client: Client, bob: User) -> None:
        data = {
            "usable_password": "true",
            "password1": "st4ple-h0rse",
            "password2": "st4ple-h0rse",
            "set-password": "1",
        }
        admin_client.post(reverse("admin:auth_user_password_change", args=[bob.pk]), data)
        assert trail() == [("user.password_changed", "user:admin", f"auth.user {bob.pk}", {"name": "bob"})]

    def test_nothing_that_the_trail_could_not_take(
        self, admin_client: Client, bob: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The change and its entry happen together or not at all."""

        def broken(*arguments: Any, **options: Any) -> None:
            raise RuntimeError("no room")

        monkeypatch.setattr("safetysite.accounts.record", broken)
        for act in (
            lambda: change(admin_client, bob, is_active=False),
            lambda: admin_client.post(reverse("admin:auth_user_delete", args=[bob.pk]), {"post": "yes"}),
        ):
            with pytest.raises(RuntimeError):
                act()
        assert User.objects.get(pk=bob.pk).is_active


class TestWhoMay:
    def test_whoever_looks_after_accounts_puts_people_into_groups(self, office: Client, bob: User) -> None:
        crew = Group.objects.create(name="crew")
        assert change(office, bob, groups=[crew.pk]) == 302
        assert list(bob.groups.all()) == [crew]

    def test_only_a_superuser_makes_a_superuser_or_gives_single_permissions(self, office: Client, bob: User) -> None:
        view = Permission.objects.get(codename="view_auditevent")
        change(office, bob, is_superuser="on", user_permissions=[view.pk])
        bob.refresh_from_db()
        assert not bob.is_superuser
        assert not bob.user_permissions.exists()

    @pytest.mark.parametrize("page", ["change", "delete", "password_change"])
    def test_nobody_else_reaches_a_superuser(self, office: Client, admin_user: User, page: str) -> None:
        data = {
            "username": "admin",
            "post": "yes",
            "password1": "x1-h0rse-y",
            "password2": "x1-h0rse-y",
            "set-password": "1",
        }
        url = reverse(f"admin:auth_user_{page}", args=[admin_user.pk])
        assert office.post(url, {**data, "usable_password": "true"}).status_code == 403
        admin_user.refresh_from_db()
        assert admin_user.check_password("password")

    def test_staff_without_the_permission_may_not(self, client: Client, bob: User) -> None:
        client.force_login(bob)
        for name in ("user", "group"):
            assert client.get(reverse(f"admin:auth_{name}_changelist")).status_code == 403
            assert client.post(reverse(f"admin:auth_{name}_add"), {"name": "x", "username": "x"}).status_code == 403
        assert change(client, bob, is_superuser="on") == 403


class TestCommands:
    def test_a_superuser_that_a_command_makes(self, admin_user: User) -> None:
        call_command("createsuperuser", interactive=False, username="root", email="", verbosity=0)
        ((action, actor, target, data),) = trail()
        assert (action, target) == ("user.created", f"auth.user {User.objects.get(username='root').pk}")
        assert actor.startswith("command:createsuperuser by ")
        assert data["is_superuser"]

    def test_a_password_that_a_command_changes(self, bob: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("getpass.getpass", lambda prompt: "st4ple-h0rse")
        call_command("changepassword", "bob", verbosity=0, stdout=StringIO())
        ((action, actor, target, _),) = trail()
        assert (action, target) == ("user.password_changed", f"auth.user {bob.pk}")
        assert actor.startswith("command:changepassword by ")

    def test_a_command_that_gives_up_leaves_no_entry(self, bob: User, monkeypatch: pytest.MonkeyPatch) -> None:
        words = iter("abcdef")
        monkeypatch.setattr("getpass.getpass", lambda prompt: next(words))
        with pytest.raises(CommandError):
            call_command("changepassword", "bob", verbosity=0, stdout=StringIO(), stderr=StringIO())
        assert trail() == []

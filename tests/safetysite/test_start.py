"""The start page and the header: each visitor finds what they may do, and nothing else."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from safetysite.site import ENTRIES

RIGHTS = [entry for entry in ENTRIES if entry.permission]
FOR_EVERYBODY = [entry.title for entry in ENTRIES if not entry.permission]

pytestmark = pytest.mark.django_db


def titles(client: Client, path: str = "admin:index") -> list[str]:
    return [entry["title"] for entry in client.get(reverse(path)).context["entries"]]


@pytest.fixture
def bob(client: Client) -> User:
    bob = User.objects.create_user("bob", is_staff=True)
    client.force_login(bob)
    return bob


def test_a_superuser_finds_everything_and_every_entry_leads_somewhere(admin_client: Client) -> None:
    assert titles(admin_client) == [entry.title for entry in ENTRIES]
    for entry in admin_client.get(reverse("admin:index")).context["entries"]:
        assert admin_client.get(entry["url"]).status_code == 200, entry


@pytest.mark.parametrize("entry", RIGHTS, ids=lambda entry: entry.title)
def test_an_entry_needs_its_permission_and_no_other(client: Client, bob: User, entry: object) -> None:
    assert titles(client) == FOR_EVERYBODY == ["Tokens", "API"]
    label, codename = entry.permission.split(".")
    bob.user_permissions.add(Permission.objects.get(content_type__app_label=label, codename=codename))
    assert entry.title in titles(client)
    assert client.get(reverse(entry.route)).status_code == 200


def test_without_a_role_the_page_says_whom_to_ask(client: Client, bob: User) -> None:
    assert "Your account has no role yet" in client.get(reverse("admin:index")).content.decode()


def test_the_closest_entry_is_the_current_one(admin_client: Client) -> None:
    for name in ("Queues", "Review", "Audit"):
        url = next(reverse(entry.route) for entry in ENTRIES if entry.title == name)
        assert f'<a href="{url}" aria-current="page">{name}</a>' in admin_client.get(url).content.decode()
        current = [entry["title"] for entry in admin_client.get(url).context["entries"] if entry["current"]]
        assert current == [name]


def test_strangers_find_nothing(client: Client) -> None:
    response = client.get(reverse("admin:index"), follow=True)
    assert response.context["entries"] == []
    assert response.redirect_chain[0][0].startswith(reverse("admin:login"))

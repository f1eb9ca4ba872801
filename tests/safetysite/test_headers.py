"""Every answer of the site, pages, files and errors alike, forbids what texts from outside would need to do harm."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from audit import services
from classifiers.errors import ConflictError, InputError, SafetyError
from safetysite import files

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parents[2]
POLICY = {
    "default-src": "'none'",
    **dict.fromkeys(("script-src", "style-src", "font-src", "connect-src", "form-action"), "'self'"),
    "img-src": "'self' data:",
    **dict.fromkeys(("base-uri", "frame-ancestors", "frame-src", "object-src"), "'none'"),
}


def paths(resolver: URLResolver, before: str = "/") -> Iterator[str]:
    """Every address of the site, its variables filled with 1; the last resort for any other address left out."""
    for each in resolver.url_patterns:
        path = before + re.sub(r"<[^>]+>", "1", str(each.pattern)).lstrip("/")
        if isinstance(each, URLResolver):
            yield from paths(each, path)
        elif isinstance(each, URLPattern) and "(?P" not in path:
            yield path


def assert_strict(response: HttpResponse) -> None:
    policy = dict(part.strip().split(" ", 1) for part in response.headers["Content-Security-Policy"].split(";"))
    assert policy == POLICY
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert response.headers["X-Frame-Options"] == "DENY"
    assert "camera=()" in response.headers["Permissions-Policy"]


class Inline(HTMLParser):
    """Collects what a strict policy refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        data = tag == "script" and names.get("type") == "application/json"
        if tag == "style" or (tag == "script" and "src" not in names and not data):
            self.found.append(tag)
        self.found += [f"{tag} {name}" for name in names if name == "style" or name.startswith("on")]
        self.found += [
            f"{tag} {name}" for name, value in attrs if (value or "").strip().lower().startswith("javascript:")
        ]


def inline_parts(html: str) -> list[str]:
    parser = Inline()
    parser.feed(html)
    return parser.found


def test_every_address_answers_strictly_and_without_inline_code(admin_client: Client, admin_user: User) -> None:
    services_record()
    admin_client.raise_request_exception = False
    seen = sorted(set(paths(get_resolver())))
    assert len(seen) > 30
    for path in seen:
        response = admin_client.get(path)
        assert_strict(response)
        if "html" in response.headers.get("Content-Type", "") and not response.streaming:
            assert inline_parts(response.content.decode()) == [], path


def services_record() -> None:
    from django.db import transaction

    with transaction.atomic():
        services.record("test.done", actor="user:alice", data={"text": "<script>alert(1)</script>"})


class TestFiles:
    def address(self, client: Client) -> str:
        page = client.get(reverse("admin:login")).content.decode()
        found = re.search(r'href="(/static/safetysite/site.css\?v=\w{12})"', page)
        assert found
        return found[1]

    def test_they_have_the_same_headers(self, client: Client) -> None:
        response = client.get(self.address(client))
        assert response.status_code == 200
        assert_strict(response)

    def test_what_is_asked_for_by_its_digest_is_kept_for_good(self, client: Client) -> None:
        address = self.address(client)
        assert "immutable" in client.get(address).headers["Cache-Control"]
        for other in (address.partition("?")[0], f"{address}x", f"{address.partition('=')[0]}="):
            assert client.get(other).headers["Cache-Control"] == "max-age=60, public"

    def test_what_changes_gets_a_new_address(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = tmp_path / "site.css"
        monkeypatch.setattr(files.finders, "find", lambda name: str(file))
        addresses = []
        for text in ("a", "b", "b"):
            file.write_text(text)
            files._digest.cache_clear()
            addresses.append(files.DigestStorage().url("x.css"))
        files._digest.cache_clear()
        assert addresses[0] != addresses[1] == addresses[2]


class TestErrors:
    @pytest.fixture
    def failing(self, admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> tuple[Client, list[Exception]]:
        """The start page raises what is put into the list."""
        raised: list[Exception] = []

        def index(*arguments: object, **options: object) -> None:
            raise raised[0]

        monkeypatch.setattr("safetysite.site.SafetyAdminSite._build_app_dict", index, raising=False)
        admin_client.raise_request_exception = False
        return admin_client, raised

    @pytest.mark.parametrize(
        ("error", "status"),
        [(InputError("No <b>."), 400), (ConflictError("No <b>."), 409), (SafetyError("No <b>."), 500)],
    )
    def test_a_safety_error_is_its_sentence(
        self, failing: tuple[Client, list[Exception]], error: SafetyError, status: int
    ) -> None:
        client, raised = failing
        raised.append(error)
        response = client.get(reverse("admin:index"))
        assert response.status_code == status
        assert "No &lt;b&gt;." in response.content.decode()
        assert_strict(response)

    def test_any_other_error_says_nothing_of_itself(self, failing: tuple[Client, list[Exception]]) -> None:
        client, raised = failing
        raised.append(RuntimeError("secret detail"))
        response = client.get(reverse("admin:index"))
        assert response.status_code == 500
        page = response.content.decode()
        assert "The site made a mistake" in page
        assert "secret detail" not in page
        assert_strict(response)

    @pytest.mark.parametrize(
        ("path", "status", "words"),
        [("/nothing/", 404, "does not exist"), ("/admin/auth/nothing/", 404, "does not exist")],
    )
    def test_a_page_that_is_not_there(self, admin_client: Client, path: str, status: int, words: str) -> None:
        response = admin_client.get(path)
        assert response.status_code == status
        assert words in response.content.decode()
        assert inline_parts(response.content.decode()) == []
        assert_strict(response)

    def test_a_page_that_one_may_not_see(self, client: Client) -> None:
        client.force_login(User.objects.create_user("bob", is_staff=True))
        response = client.get(reverse("admin:auth_user_changelist"))
        assert response.status_code == 403
        assert "Your account has no right to this page" in response.content.decode()
        assert_strict(response)

    def test_a_form_without_its_token(self, admin_user: User) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(admin_user)
        response = client.post(reverse("admin:audit_check"))
        assert response.status_code == 403
        assert "This form is out of date" in response.content.decode()
        assert_strict(response)

    def test_a_host_that_is_not_ours(self, client: Client) -> None:
        response = client.get(reverse("admin:login"), headers={"Host": "evil.example"})
        assert response.status_code == 400
        assert "cannot be read" in response.content.decode()
        assert_strict(response)

    def test_a_fault_carries_the_part_that_a_page_shows_as_notice(self, client: Client) -> None:
        for name in ("400", "403", "404", "500", "403_csrf"):
            from django.template.loader import render_to_string

            assert '<section id="error"' in render_to_string(f"{name}.html")


class TestTheCookies:
    def test_scripts_and_other_sites_cannot_reach_them(self, client: Client) -> None:
        User.objects.create_user("alice", password="x", is_staff=True)
        client.post(reverse("admin:login"), {"username": "alice", "password": "x"})
        for name in ("sessionid", "csrftoken"):
            cookie = client.cookies[name]
            assert cookie["httponly"]
            assert cookie["samesite"] == "Lax"
        assert client.cookies["sessionid"]["max-age"] == 12 * 3600


def test_no_template_or_script_of_ours_holds_inline_code_or_eval() -> None:
    for file in sorted((ROOT / "templates").rglob("*.html")):
        assert inline_parts(file.read_text()) == [], file
    for file in sorted((ROOT / "safetysite/static").rglob("*.js")):
        if "vendor" not in file.parts:
            assert not re.search(
                r"\beval\(|new Function|\.innerHTML|\.outerHTML|insertAdjacentHTML|document\.write", file.read_text()
            ), file

"""What a visitor's browser makes of the site: logging in, the stock pages, themes, a phone, a screen reader."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from playwright.sync_api import Page, expect

from audit import services
from audit.models import AuditEvent
from tests.browser.accessibility import overflows, serious
from tests.browser.conftest import Allow, Login
from tests.browser.hostile import RUNS, assert_nothing_ran, hostile_payloads

Visit = Callable[..., Page]
STOCK = (
    *(
        "/admin/",
        "/admin/auth/user/",
        "/admin/auth/user/add/",
        "/admin/auth/user/1/change/",
        "/admin/auth/user/1/history/",
    ),
    *(
        "/admin/auth/user/1/delete/",
        "/admin/auth/user/1/password/",
        "/admin/auth/group/add/",
        "/admin/password_change/",
    ),
    *("/admin/audit/auditevent/", "/admin/audit/auditevent/1/change/"),
)


def fill_in(page: Page, name: str, password: str) -> None:
    page.goto("/admin/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")


class TestLoggingIn:
    def test_one_who_may(self, page: Page, admin: User) -> None:
        fill_in(page, "admin", "correct horse")
        expect(page.get_by_role("heading", name="What would you like to do?")).to_be_visible()
        page.get_by_text("admin", exact=True).click()
        page.get_by_role("button", name="Log out").click()
        page.goto("/admin/")
        expect(page.get_by_label("Password")).to_be_visible()

    def test_one_who_may_not_and_tries_too_often(self, page: Page, admin: User, allow: Allow) -> None:
        allow(429)
        for _ in range(4):
            fill_in(page, "admin", "wrong")
            expect(page.get_by_text("The name or the password is wrong")).to_be_visible()
        fill_in(page, "admin", "wrong")
        expect(page.get_by_role("heading", name="Too many attempts")).to_be_visible()
        fill_in(page, "admin", "correct horse")
        expect(page.get_by_text("Wait 15 minutes")).to_be_visible()


def test_the_stock_pages_break_no_policy(page: Page, login: Login, admin: User) -> None:
    record_something()
    login(admin)
    for path in (path.replace("user/1/", f"user/{admin.pk}/") for path in STOCK):
        page.goto(path)
        expect(page.locator("#content h1").first).to_be_visible()
    page.goto("/admin/auth/group/add/")
    page.locator("#id_permissions_from option").first.dblclick()
    expect(page.locator("#id_permissions_to option")).to_have_count(1)


def test_htmx_is_there_and_cannot_evaluate(page: Page, login: Login, admin: User) -> None:
    login(admin).goto("/admin/")
    config = page.evaluate("[htmx.config.allowEval, htmx.config.includeIndicatorStyles, htmx.config.selfRequestsOnly]")
    assert config == [False, False, True]
    assert page.evaluate("htmx.version").startswith("2.0.")


class TestErrorsInParts:
    """A part of a page that htmx asks for and that is refused: the sentence is shown, and nothing is swapped away."""

    ASK = "path => htmx.ajax('GET', path, {target: '#content', swap: 'innerHTML'})"

    def test_a_refusal_is_told_above_the_content(self, page: Page, login: Login, admin: User, allow: Allow) -> None:
        allow(404)
        login(admin).goto("/admin/")
        page.evaluate(self.ASK, "/admin/audit/auditevent/99/change/")
        expect(page.locator("#notices")).to_contain_text("There is no audit entry 99")
        expect(page.get_by_role("heading", name="What would you like to do?")).to_be_visible()

    def test_so_is_a_session_that_ended(self, page: Page, login: Login, admin: User, allow: Allow) -> None:
        allow(401)
        login(admin).goto("/admin/")
        page.context.clear_cookies()
        page.evaluate(self.ASK, "/admin/audit/auditevent/")
        expect(page.locator("#notices")).to_contain_text("no longer logged in")
        expect(page.get_by_role("heading", name="What would you like to do?")).to_be_visible()

    def test_so_is_a_server_that_is_away(self, page: Page, login: Login, admin: User, allow: Allow) -> None:
        allow(0)
        login(admin).goto("/admin/")
        page.context.set_offline(True)
        page.evaluate(f"({self.ASK})('/admin/').catch(() => null)")
        expect(page.locator("#notices")).to_contain_text("cannot be reached")
        page.context.set_offline(False)
        page.evaluate("htmx.ajax('GET', '/admin/audit/auditevent/', {target: 'h1', select: 'h1', swap: 'outerHTML'})")
        expect(page.get_by_role("heading", name="Audit trail")).to_be_visible()
        expect(page.locator("#notices")).not_to_contain_text("cannot be reached")


def test_a_theme_stays_chosen(page: Page, login: Login, admin: User) -> None:
    login(admin).goto("/admin/")

    def background() -> str:
        color: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return color

    seen = {}
    for theme in ("light", "dark", "grey"):
        page.get_by_label("Colours").select_option(theme)
        page.goto("/admin/password_change/")
        expect(page.get_by_label("Colours")).to_have_value(theme)
        seen[theme] = background()
    assert len(set(seen.values())) == 3
    page.get_by_label("Colours").select_option("auto")
    page.emulate_media(color_scheme="dark")
    assert background() == seen["dark"]
    page.emulate_media(color_scheme="light")
    assert background() == seen["light"]


@pytest.mark.parametrize("theme", ["light", "dark", "grey"])
def test_nothing_serious_for_a_screen_reader_or_weak_eyes(
    visitors: Visit, login: Login, admin: User, theme: str
) -> None:
    record_something()
    page = visitors(width=1100)
    page.add_init_script(f"localStorage.setItem('theme', '{theme}')")
    page.goto("/admin/login/")
    assert serious(page) == []
    login(admin, page)
    for path in ("/admin/", "/admin/audit/auditevent/", "/admin/audit/auditevent/1/change/", "/admin/auth/user/"):
        page.goto(path)
        assert serious(page) == [], path


def test_on_a_phone_nothing_is_wider_than_the_page(visitors: Visit, login: Login, admin: User) -> None:
    record_something()
    page = login(admin, visitors(width=360, height=640))
    for path in ("/admin/", "/admin/audit/auditevent/", "/admin/audit/auditevent/1/change/", "/admin/auth/user/"):
        page.goto(path)
        assert not overflows(page), path


def test_the_start_page_works_by_keyboard_alone(page: Page, login: Login, admin: User) -> None:
    login(admin).goto("/admin/")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to main content")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_attribute("href", "/admin/review/queue/work/")


def test_hostile_entries_run_nothing_and_break_no_layout(page: Page, login: Login, admin: User) -> None:
    payloads = [text[:4000] for text in hostile_payloads(120, large=0)]
    with transaction.atomic():
        for text in payloads:
            services.record("test.done", actor="user:alice", data={text[:50]: {"deep": text}, "flat": text})
    login(admin)
    page.goto("/admin/audit/auditevent/")
    assert_nothing_ran(page)
    assert not overflows(page)
    for event in AuditEvent.objects.order_by("sequence")[: len(payloads) : 10]:
        page.goto(f"/admin/audit/auditevent/{event.sequence}/change/")
        assert_nothing_ran(page)
        assert not overflows(page)
        expect(page.get_by_role("heading", name="In the chain")).to_be_visible()


def test_the_hostile_payloads_would_run_where_text_became_markup(page: Page) -> None:
    """Without this the tests above could not fail."""
    page.goto("about:blank")
    page.set_content(f"<img src=x onerror='{RUNS}'>")
    page.wait_for_function("window.hostileRan === 1")


def record_something() -> None:
    with transaction.atomic():
        services.record("test.done", actor="user:alice", data={"note": "a\u202eb", "list": [1, 2]})

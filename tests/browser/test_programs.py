"""What people see of programs' access: the page of the REST API, their tokens, webhooks."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from tests.browser.accessibility import overflows, serious
from tests.browser.conftest import Allow, Login

Visit = Callable[..., Page]


def background(page: Page) -> str:
    color: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return color


def unfold(page: Page, tag: str) -> None:
    page.locator(f"#operations-tag-{tag}").click()
    page.locator(f"#operations-{tag}-{tag}_list").wait_for()


class TestTheApiPage:
    """It breaks no policy and writes no error: the fixture ``watch`` says so."""

    @pytest.mark.parametrize("theme", ["light", "dark"])
    def test_it_lists_what_there_is(self, visitors: Visit, theme: str) -> None:
        page = visitors(color_scheme=theme)
        page.goto("/api/docs/")
        unfold(page, "runs")
        page.locator("#operations-runs-runs_list").click()
        expect(page.get_by_text("A part of the name.")).to_be_visible()
        expect(page.locator("#operations-tag-webhooks")).to_be_visible()
        assert not overflows(page)

    def test_a_chosen_theme_holds_here_too(self, visitors: Visit, login: Login, admin: User) -> None:
        page = login(admin, visitors(color_scheme="light"))
        page.goto("/admin/")
        page.get_by_label("Colours").select_option("dark")
        page.get_by_role("link", name="API", exact=True).first.click()
        unfold(page, "runs")
        assert background(page) == "rgb(29, 33, 38)"

    def test_what_is_tried_out_is_asked_with_the_session(self, visitors: Visit, login: Login, admin: User) -> None:
        page = login(admin, visitors())
        page.goto("/api/docs/")
        unfold(page, "runs")
        page.locator("#operations-runs-runs_list").click()
        page.get_by_role("button", name="Try it out").click()
        page.get_by_role("button", name="Execute").click()
        expect(page.locator(".live-responses-table tbody .response-col_status").first).to_contain_text("200")

    def test_on_a_phone(self, visitors: Visit) -> None:
        page = visitors(width=360)
        page.goto("/api/docs/")
        unfold(page, "runs")
        assert not overflows(page)


class TestTokens:
    def test_one_is_made_copied_and_revoked(self, visitors: Visit, login: Login, admin: User) -> None:
        page = login(admin, visitors())
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.goto("/admin/")
        page.get_by_role("link", name="Tokens").first.click()
        page.get_by_role("link", name="New token").click()
        page.get_by_label("Name").fill("nightly")
        page.get_by_label("read: Read what its person may see").check()
        page.get_by_role("button", name="Make the token").click()
        key = page.locator("#secret").inner_text()
        assert re.fullmatch(r"asm_[\w-]{43}", key)
        page.get_by_role("button", name="Copy").click()
        expect(page.get_by_text("Copied.")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == key
        assert key not in page.url
        page.get_by_role("link", name="I have it").click()
        expect(page.get_by_role("cell", name=f"{key[:12]}…")).to_be_visible()
        assert key not in page.content()
        page.get_by_role("button", name="Revoke nightly").click()
        expect(page.locator("td .badge")).to_contain_text("revoked")


@pytest.mark.parametrize("theme", ["light", "dark", "grey"])
def test_nothing_serious_for_a_screen_reader_or_weak_eyes(
    visitors: Visit, login: Login, admin: User, theme: str, allow: Allow
) -> None:
    allow(400)
    page = login(admin, visitors(width=1100))
    page.goto("/admin/")
    page.get_by_label("Colours").select_option(theme)
    found = {}
    for path in ("apitoken/", "apitoken/add/", "webhook/", "webhook/add/", "delivery/"):
        page.goto(f"/admin/integrations/{path}")
        found[path] = serious(page)
    page.goto("/admin/integrations/apitoken/add/")
    page.get_by_label("Name").fill("x" * 100)
    page.get_by_label("Days until it expires").fill("999")
    page.get_by_label("read: Read what its person may see").check()
    page.get_by_role("button", name="Make the token").click()
    expect(page.get_by_text("A token lives for 1 to 365 days")).to_be_visible()
    found["refused"] = serious(page)
    page.get_by_label("Days until it expires").fill("9")
    page.get_by_role("button", name="Make the token").click()
    page.locator("#secret").wait_for()
    found["made"] = serious(page)
    page.goto("/admin/integrations/apitoken/?all=1")
    found["listed"] = serious(page)
    assert {path: faults for path, faults in found.items() if faults} == {}


def test_on_a_phone(visitors: Visit, login: Login, admin: User) -> None:
    page = login(admin, visitors(width=360))
    for path in ("apitoken/", "apitoken/add/", "webhook/", "webhook/add/", "delivery/"):
        page.goto(f"/admin/integrations/{path}")
        assert not overflows(page), path

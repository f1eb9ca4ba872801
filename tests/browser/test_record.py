"""The record's pages in a browser: by keyboard, live, for a screen reader, on a phone, in each theme."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from audit.models import AuditEvent
from runs.models import Payload, Run
from tests.browser.accessibility import overflows, serious
from tests.browser.conftest import Login

DoneRun = Callable[..., Run]
TEXTS = ["a harmless question", "a toxic thing", "what fails", "\u202eanother", "long" * 500]


@pytest.fixture
def run(done_run: DoneRun) -> Run:
    run = done_run(TEXTS, name="in a browser")
    verdict = run.results.get(position=0).verdicts.first()
    Payload.objects.create(verdict=verdict, body=json.dumps({"flagged": False}))
    return run


def addresses(run: Run) -> list[str]:
    results = [f"/admin/runs/result/{run.results.get(position=i).pk}/" for i in (0, 1, 3)]
    return ["/admin/runs/run/", f"/admin/runs/run/{run.pk}/", f"/admin/runs/result/?run={run.pk}", *results]


def test_a_hidden_text_is_shown_by_a_key_and_results_are_turned_by_others(admin: User, login: Login, run: Run) -> None:
    page = login(admin)
    page.goto(f"/admin/runs/result/{run.results.get(position=1).pk}/?run={run.pk}")
    assert "a toxic thing" not in page.content()
    page.keyboard.press("r")
    expect(page.get_by_role("region", name="Prompt")).to_contain_text("a toxic thing")
    expect(page.locator("#stage-input h2")).to_be_focused()
    assert AuditEvent.objects.get(action="result.revealed").actor == "user:admin"
    page.keyboard.press("n")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Prompt 2 of run")
    page.keyboard.press("p")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Prompt 1 of run")
    assert "a toxic thing" not in page.content()


def test_a_list_shows_the_beginning_of_a_hidden_text_where_it_stands(admin: User, login: Login, run: Run) -> None:
    page = login(admin)
    page.goto(f"/admin/runs/result/?run={run.pk}&flagged=true")
    page.get_by_role("button", name="Show the beginning").click()
    expect(page.locator("td.beginning")).to_have_text("a toxic thing")


def test_a_payload_is_loaded_into_the_page(admin: User, login: Login, run: Run) -> None:
    page = login(admin)
    page.goto(f"/admin/runs/result/{run.results.get(position=0).pk}/")
    page.get_by_role("link", name="Load what the provider sent").click()
    expect(page.get_by_role("region", name="What the provider sent")).to_contain_text('"flagged": false')
    expect(page.get_by_role("heading", level=1)).to_contain_text("Prompt 0")


def test_typing_a_search_presses_no_button(admin: User, login: Login, run: Run) -> None:
    page = login(admin)
    page.goto(f"/admin/runs/result/?run={run.pk}")
    page.get_by_label("Words in prompt or answer").fill("harmless")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=2)).to_have_text(f"1 result: run {run.pk}, words harmless")


def test_a_run_at_work_is_followed_to_its_end(admin: User, login: Login, run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(status="RUNNING", total=9)
    page = login(admin)
    page.goto(f"/admin/runs/run/{run.pk}/")
    expect(page.locator("#state")).to_contain_text("5 of 9")
    Run.objects.filter(pk=run.pk).update(total=8)
    expect(page.locator("#state")).to_contain_text("5 of 8", timeout=5000)
    Run.objects.filter(pk=run.pk).update(status="FAILED", error="The key is wrong.")
    expect(page.locator("#state")).to_contain_text("The key is wrong.", timeout=5000)
    expect(page.get_by_role("button", name="Resume on the workers")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark", "grey"])
def test_the_pages_have_no_serious_fault(
    admin: User, visitors: Callable[..., Page], login: Login, run: Run, theme: str
) -> None:
    page = login(admin, visitors(color_scheme="dark" if theme == "dark" else "light"))
    page.add_init_script(f"localStorage.setItem('theme', '{'grey' if theme == 'grey' else 'auto'}')")
    for address in addresses(run):
        page.goto(address)
        page.wait_for_load_state("networkidle")
        page.evaluate("document.querySelectorAll('#content details').forEach((each) => { each.open = true; })")
        assert serious(page) == [], address


def test_they_fit_a_phone(admin: User, visitors: Callable[..., Page], login: Login, run: Run) -> None:
    page = login(admin, visitors(width=360))
    for address in addresses(run):
        page.goto(address)
        page.wait_for_load_state("networkidle")
        assert not overflows(page), address

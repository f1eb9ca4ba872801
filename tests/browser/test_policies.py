"""Policies as people see them: read, compared, made by two at once, and a run labelled anew, in both themes and on a phone."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from playwright.sync_api import Page, expect

from classifiers.policy import Action, Rule
from moderation import policies
from moderation.models import PolicyVersion
from moderation.policies import Content, Definition
from runs.models import Run
from tests.browser.accessibility import overflows, serious
from tests.browser.conftest import Allow, Login

Visit = Callable[..., Page]
FIRST = Content(
    (Rule("toxic", 0.95), Rule("*", action=Action.INFORM, check="pii", stage="INPUT"), Rule("hate", 0.7)),
    (
        Definition("hate", "Demeans or excludes people for what they are.", (("They are all thieves.", "TOXIC"),)),
        Definition("toxic", "Rude language.", (("I could kill for a coffee.", "SAFE"), ("You are\nvile.", "TOXIC"))),
    ),
)
SECOND = Content((Rule("toxic", 0.9), Rule("hate", 0.7)), (Definition("toxic", "Rude, disrespectful language."),))


@pytest.fixture
def team(transactional_db: None) -> PolicyVersion:
    about = {"note": "For the launch.", "description": "What the chat of our shop may say.", "actor": "user:lena"}
    first = policies.create_policy("Team", FIRST, **about)
    return policies.add_version(first.policy, SECOND, note="Fewer misses.", seen=1, actor="user:anna")


@pytest.fixture
def run(transactional_db: None, tmp_path: Path) -> Run:
    """Judged under no policy: it is older than the first one."""
    file = tmp_path / "prompts.txt"
    file.write_text("You are kind.\nYou are toxic.\nWhat a day.\n")
    call_command("run_pipeline", "--dataset-id", str(file), "--input-checks", "fake", "--answer-generator", "none")
    return Run.objects.get()


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1280), ("light", 360), ("dark", 360)])
def test_all_pages_can_be_read(
    visitors: Visit, login: Login, admin: User, run: Run, team: PolicyVersion, theme: str, width: int
) -> None:
    page, pk = login(admin, visitors(color_scheme=theme, width=width)), team.policy_id
    addresses = ("", "new/", "taxonomies/", f"{pk}/", f"{pk}/1/", f"{pk}/difference/?before=1&after=2", f"{pk}/new/")
    for address in (*(f"moderation/policy/{each}" for each in addresses), f"runs/run/{run.pk}/relabel/?policy=Team@1"):
        page.goto(f"/admin/{address}")
        for summary in page.locator("main summary").all():
            summary.click()
        shoot(page, f"{theme}-{width}-{address}")
        assert serious(page) == [], address
        assert not overflows(page), address


def shoot(page: Page, name: str) -> None:
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=f"{folder}/{name.replace('/', '_')}.png", full_page=True)


def test_harmful_examples_are_folded_away(page: Page, login: Login, admin: User, team: PolicyVersion) -> None:
    login(admin)
    for address in (f"{team.policy_id}/1/", f"{team.policy_id}/difference/?before=1&after=2"):
        page.goto(f"/admin/moderation/policy/{address}")
        expect(page.get_by_text("They are all thieves.")).to_be_hidden()
        page.locator("main summary").first.click()
        expect(page.get_by_text("They are all thieves.")).to_be_visible()


def test_a_version_is_made_with_the_keyboard(page: Page, login: Login, admin: User, team: PolicyVersion) -> None:
    login(admin)
    page.goto(f"/admin/moderation/policy/{team.policy_id}/")
    page.get_by_role("link", name="New version").press("Enter")
    page.get_by_role("button", name="More rows").press("Enter")
    page.get_by_label("Category, row 6").fill("violence")
    page.get_by_label("Category, row 6").press("Tab")
    page.keyboard.type("fake")
    page.get_by_label("From score, row 6").fill("0.35")
    page.get_by_label("Remove, row 2").press("Space")
    page.get_by_label("Why, for those who read it later").fill("Violence counts.")
    page.get_by_role("button", name="Make version 3").press("Enter")
    expect(page.get_by_text("Team v3 is made.")).to_be_visible()
    expect(page.get_by_role("heading", name="What version 3 says")).to_be_visible()
    assert policies.rules_of(policies.newest_of(team.policy)).rules == (
        Rule("toxic", 0.9), Rule("violence", 0.35, check="fake")
    )  # fmt: skip


def test_who_was_overtaken_sees_it_and_loses_nothing(
    page: Page, login: Login, admin: User, team: PolicyVersion, allow: Allow
) -> None:
    allow(409)
    login(admin)
    page.goto(f"/admin/moderation/policy/{team.policy_id}/new/")
    page.get_by_label("Why, for those who read it later").fill("Mine.")
    policies.add_version(team.policy, FIRST, note="Back.", seen=2, actor="user:lena")
    page.get_by_role("button", name="Make version 3").click()
    expect(page.get_by_role("alert").filter(has_text="was made meanwhile, by user:lena")).to_be_visible()
    expect(page.get_by_role("region", name="What differs")).to_contain_text("blocks from 0.95")
    shoot(page, "conflict")
    assert serious(page) == []
    page.get_by_role("button", name="Make version 4").click()
    expect(page.get_by_text("Team v4 is made.")).to_be_visible()
    assert policies.newest_of(team.policy).note == "Mine."


def test_a_run_is_labelled_anew_after_a_look(
    page: Page, login: Login, admin: User, run: Run, team: PolicyVersion
) -> None:
    login(admin)
    page.goto(f"/admin/runs/run/{run.pk}/")
    page.get_by_role("link", name="Label anew…").click()
    page.get_by_label("Under").select_option("Team@1")
    page.get_by_role("button", name="Show what would change").click()
    expect(page.get_by_role("region", name="Labels that would change")).to_contain_text("TOXIC")
    page.get_by_label("Why").fill("Too many were flagged.")
    page.get_by_role("button", name="Label 3 results anew").click()
    expect(page.get_by_text("Labelled anew under Team v1: 1 of 3 results have another label.")).to_be_visible()
    page.get_by_role("link", name="Team@1").click()
    page.get_by_role("link", name="1", exact=True).click()
    expect(page.get_by_role("link", name=f"{run.pk}: {run.name}")).to_be_visible()

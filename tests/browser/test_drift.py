"""Drift, as people see it: the start page, the list, and a classifier with its plots, in both themes and on a phone."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from governance.drift import check_drift
from tests.browser.accessibility import overflows, serious
from tests.browser.conftest import Login
from tests.governance.drifting import HIGH, days, drawn, judged, version_of


@pytest.fixture
def drifted(transactional_db: None) -> None:
    days(range(7, 35), 30, version=version_of("toxicity"))
    days(range(7), 60, HIGH, version=version_of("toxicity"))
    days(range(35), 40, version=version_of("injection"))
    days(range(7, 35), 40, stage="OUTPUT", version=version_of("grounding"))
    for day in chain(range(1), range(3, 7)):
        judged(day, [*drawn(60, seed=day), *[None] * (day + 1)], stage="OUTPUT", version=version_of("grounding"))
    days(range(4), 10, live=False, version=version_of("pii"))
    check_drift(actor="test")


@pytest.mark.usefixtures("drifted")
@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1280), ("light", 360)])
def test_from_the_start_page_to_the_days_of_a_classifier(
    visitors: Callable[..., Page], login: Login, admin: User, theme: str, width: int
) -> None:
    page = login(admin, visitors(color_scheme=theme, width=width))
    for address in ("/admin/", "/admin/governance/driftassessment/"):
        page.goto(address)
        assert serious(page) == []
        assert not overflows(page)
    page.get_by_role("link", name="toxicity").click()
    expect(page.get_by_role("heading", name="Drift of toxicity")).to_be_visible()
    expect(page.get_by_role("img", name="Day by day")).to_be_visible()
    page.get_by_text("As a table").first.click()
    expect(page.get_by_role("columnheader", name="by policy")).to_be_visible()
    assert serious(page) == []
    assert not overflows(page)

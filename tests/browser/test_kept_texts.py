"""Texts that are redacted, not kept or let go, as people see them: in both themes and on a phone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Page, expect

from runs import retention
from runs.models import Result
from tests.browser.accessibility import overflows, serious
from tests.browser.conftest import Login
from tests.conftest import Run
from tests.leaks import LETTER, rules_alone  # noqa: F401  a fixture


@pytest.fixture
def results(settings: object, rules_alone: None, done_run: Callable[..., Run]) -> dict[str, int]:  # noqa: F811
    """By what became of their texts."""
    for kept in ("full", "redacted", "none"):
        settings.SAFETY_STORE_TEXT = kept  # type: ignore[attr-defined]
        done_run([LETTER], check="telltale")
        if kept == "full":
            list(retention.let_texts_go(before=timezone.now(), actor="test"))
    return {str(texts): pk for pk, texts in Result.objects.values_list("pk", "texts")}


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1280), ("light", 360)])
def test_what_became_of_a_text(
    visitors: Callable[..., Page], login: Login, admin: User, results: dict[str, int], theme: str, width: int
) -> None:
    page = login(admin, visitors(color_scheme=theme, width=width))
    said = {
        "REDACTED": "Write to <EMAIL_1> or call <PHONE_1>.",
        "NOT_KEPT": "The prompt is not kept: only what was decided on it is.",
        "LET_GO": "The prompt was let go by retention on",
    }
    for texts, words in said.items():
        page.goto(f"/admin/runs/result/{results[texts]}/")
        expect(page.locator("#stage-input")).to_contain_text(words)
        assert serious(page) == []
        assert not overflows(page)

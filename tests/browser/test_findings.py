"""What checks found, as people see it: beside each verdict, readable in both themes and on a phone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from playwright.sync_api import Page, expect

from runs.models import Result
from tests.browser.accessibility import overflows, serious
from tests.browser.conftest import Login

DOCUMENT = "You said that the library opens at nine."
CARD = "Charge my card 4111 1111 1111 1111 today."


@pytest.fixture
def result(tmp_path: Path) -> Result:
    file = tmp_path / "prompts.jsonl"
    text = "The library opens at nine. Its dome is made of solid gold."
    file.write_text(json.dumps({"prompt": text, "documents": [DOCUMENT]}))
    call_command(
        *("run_pipeline", "--dataset-id", str(file), "--sources-column", "documents", "--input-checks", "toxicity,pii"),
        *("--answer-generator", "fake", "--output-checks", "toxicity,grounding"),
    )
    return Result.objects.get()


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1280), ("light", 360)])
def test_the_sentences_of_an_answer(
    visitors: Callable[..., Page], login: Login, admin: User, result: Result, theme: str, width: int
) -> None:
    page = login(admin, visitors(color_scheme=theme, width=width))
    page.goto(f"/admin/runs/result/{result.pk}/")
    page.locator("#stage-output").get_by_role("button", name="Show the text").click()
    expect(page.get_by_role("cell", name=f"1: {DOCUMENT}").first).to_be_visible()
    for summary in page.locator("#stage-output summary").all():
        if summary.locator("xpath=..").get_attribute("open") is None:
            summary.click()
    assert serious(page) == []
    assert not overflows(page)


def test_a_text_that_is_tried(visitors: Callable[..., Page], login: Login, admin: User) -> None:
    page = login(admin, visitors(width=360))
    page.goto("/admin/runs/run/try/")
    page.get_by_label("Text").fill(CARD)
    for check in page.get_by_role("checkbox").all():
        check.set_checked(check.get_attribute("value") in ("toxicity", "pii"))
    page.get_by_role("button", name="Judge it").click()
    expect(page.locator("#said q")).to_have_text("4111 1111 1111 1111")
    expect(page.get_by_role("rowheader", name="identity_hate")).to_be_visible()
    assert serious(page) == []
    assert not overflows(page)

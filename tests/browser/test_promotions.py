"""Promotions as people see them: an adapter side by side with what it would replace, promoted and rolled back; in both themes
and on a phone."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from classifiers.labelled import Labelled
from classifiers.measuring import Said
from classifiers.types import Label, ModelInfo, Stage, Subject, digest
from fairness.groups import named
from fairness.probes import CATEGORY, probes
from governance import promotion, services
from governance.models import Evaluation, TrainingRun
from governance.services import Data, Wish
from moderation.models import Adapter, Promotion
from moderation.services import stored_version
from tests.browser.accessibility import overflows, serious
from tests.browser.conftest import Login
from tests.browser.test_evaluations import scored, shoot

Visit = Callable[..., Page]
LIST = "/admin/moderation/promotion/"


def judged(alias: str, spread: float, adapter: Adapter | None = None) -> Evaluation:
    """Of 300 texts and all probes, the farther the scores spread the worse."""
    chance, noise = random.Random(7), random.Random(alias)
    kinds = [(f"text {i}", chance.choice(("insult", "threat", "none"))) for i in range(300)]
    texts = kinds + [(text, CATEGORY) for text in probes()]
    rows = [Labelled(Subject(text, Stage.INPUT), kind in ("insult", "threat"), kind) for text, kind in texts]
    said = []
    for row in rows:
        score = min(1.0, max(0.0, noise.gauss(0.7 if row.toxic else 0.25, spread)))
        label = Label.TOXIC if score >= 0.5 else Label.SAFE
        said.append(Said(row.toxic, label, score, row.category, 0.01, named(row.subject.text)))
    version = stored_version(alias, ModelInfo("Scripted", adapter_digest=adapter.digest if adapter else ""))
    made = services.of_classifier(
        version, said, Data("what people decided on this site", {}, rows), Wish(), policy=None
    )
    return services.store(made, said, actor="user:lena")


def adapter(name: str) -> Adapter:
    made = Adapter.objects.create(
        name=name, digest=digest(name), folder="/x", base_model="google/gemma-2b-it", card="", created_by="user:lena"
    )
    TrainingRun.objects.create(
        adapter=made, evaluation=scored(f"held {name}", 0.2), recipe={}, dataset="x", data={}, losses=[],
        texts=[digest("another")], created_by="user:lena",
    )  # fmt: skip
    return made


@pytest.fixture
def pair(transactional_db: None) -> tuple[Evaluation, Evaluation]:
    return judged("gemma", 0.25), judged("gemma@better", 0.15, adapter("better"))


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1280), ("light", 360), ("dark", 360)])
def test_all_pages_can_be_read(
    visitors: Visit, login: Login, admin: User, pair: tuple[Evaluation, Evaluation], theme: str, width: int
) -> None:
    page, (old, new) = login(admin, visitors(color_scheme=theme, width=width)), pair
    worse = judged("gemma@worse", 0.5, adapter("worse"))
    pages = {"may": f"{LIST}comparison/?old={old.pk}&new={new.pk}", "empty": LIST}
    look(page, pages, theme, width)
    made = promotion.promote(old, new, note="It knows our rules about jokes.", actor="user:lena")
    promotion.roll_back(made, note="Complaints.", actor="user:anna")
    held = Promotion.objects.create(alias="gemma", adapter=new_adapter(new), note="Again.", created_by="user:lena")
    pages = {
        "list": LIST,
        "new": f"{LIST}new/?adapter=better",
        "may-not": f"{LIST}comparison/?old={old.pk}&new={worse.pk}",
        "evidence": f"{LIST}{made.pk}/",
        "held": f"{LIST}{held.pk}/",
    }
    look(page, pages, theme, width)


def new_adapter(evaluation: Evaluation) -> Adapter:
    assert evaluation.version
    return Adapter.objects.get(digest=evaluation.version.adapter_digest)


def look(page: Page, pages: dict[str, str], theme: str, width: int) -> None:
    for name, address in pages.items():
        page.goto(address, timeout=60_000)  # thousands of resamples are drawn for one that was not looked at yet
        for summary in page.locator("main summary").all():
            summary.click()
        shoot(page, f"promotion-{name}-{theme}-{width}")
        assert serious(page) == [], name
        assert not overflows(page), name


def test_an_adapter_is_promoted_and_rolled_back(
    page: Page, login: Login, admin: User, pair: tuple[Evaluation, Evaluation]
) -> None:
    old, new = pair
    login(admin)
    page.goto(f"{LIST}comparison/?old={old.pk}&new={new.pk}", timeout=60_000)
    page.get_by_label("Why").fill("It knows our rules about jokes.")
    page.locator("#promote").click()
    now = page.locator("#alias-gemma")
    expect(now).to_contain_text("It knows our rules about jokes.")
    now.get_by_text("Roll back", exact=True).click()
    now.get_by_role("button", name="Roll back gemma").click()
    expect(page.locator("#alias-gemma")).to_contain_text("No promoted adapter")
    assert [row.adapter for row in Promotion.objects.order_by("pk")] == [new_adapter(new), None]

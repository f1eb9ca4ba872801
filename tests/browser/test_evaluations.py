"""Evaluations as people see them: asked for, followed, read side by side, a threshold carried to a policy; in both themes
and on a phone."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from classifiers.curves import Aim
from classifiers.labelled import Labelled
from classifiers.measuring import Said
from classifiers.types import Label, ModelInfo, Stage, Subject
from governance import jobs, services
from governance.models import Evaluation, EvaluationJob
from governance.services import Data, Wish
from moderation.policies import Content, create_policy
from moderation.services import stored_version
from tests.browser.accessibility import overflows, serious
from tests.browser.conftest import Login

Visit = Callable[..., Page]
KINDS = ("insult", "threat", "identity", "none")


def scored(alias: str, spread: float) -> Evaluation:
    """Of 600 texts, the farther the scores spread the worse; a few could not be judged."""
    chance, rows, said = random.Random(7), [], []
    noise = random.Random(alias)
    for i in range(600):
        kind = chance.choice(KINDS)
        toxic = kind != "none" and chance.random() < 0.6
        rows.append(Labelled(Subject(f"text {i}", Stage.INPUT), toxic, kind))
        score = min(1.0, max(0.0, noise.gauss(0.72 if toxic else 0.25, spread)))
        label = Label.ERROR if i % 97 == 0 else Label.TOXIC if score >= 0.5 else Label.SAFE
        said.append(Said(toxic, label, None if label is Label.ERROR else score, kind, noise.uniform(0.01, 0.03)))
    version = stored_version(alias, ModelInfo("tests.Scripted", f"scripted {alias}", "1"))
    wish = Wish(calibration="temperature", aim=Aim("fpr", 0.05), cost_per_thousand=0.12)
    made = services.of_classifier(version, said, Data("comments.csv", {}, rows), wish, policy=None)
    return services.store(made, said, actor="user:lena")


@pytest.fixture
def pair(transactional_db: None) -> tuple[Evaluation, Evaluation]:
    return scored("careful", 0.15), scored("hasty", 0.3)


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1280), ("light", 360), ("dark", 360)])
def test_all_pages_can_be_read(
    visitors: Visit, login: Login, admin: User, pair: tuple[Evaluation, Evaluation], theme: str, width: int
) -> None:
    page, (one, other) = login(admin, visitors(color_scheme=theme, width=width)), pair
    data = Data("comments.csv", {}, [Labelled(Subject("kind", Stage.INPUT), False)])
    failed, waiting = (jobs.ask(data, Wish(), aliases=[alias], actor="user:lena") for alias in ("fake-broken", "fake"))
    jobs.work(failed)
    of_jobs = [f"evaluationjob/{job.pk}/" for job in (failed, waiting)]
    beside = f"evaluation/{one.pk}/?with={other.pk}&kind=recall&value=0.9"
    for address in ("evaluation/", "evaluation/new/", *of_jobs, f"evaluation/{one.pk}/", beside):
        page.goto(f"/admin/governance/{address}")
        if address == beside:
            expect(page.get_by_role("region", name="Paired tests")).to_be_visible(timeout=30_000)
        shoot(page, f"{theme}-{width}-{address}")
        for summary in page.locator("main summary").all():
            summary.click()
        assert serious(page) == [], address
        assert not overflows(page), address


def shoot(page: Page, name: str) -> None:
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=f"{folder}/{name.replace('/', '_')}.png", full_page=True)


def test_a_file_is_sent_and_followed_to_its_figures(page: Page, login: Login, admin: User, tmp_path: Path) -> None:
    file = tmp_path / "ours.csv"
    rows = [f"{('toxic', 'rude', 'kind')[i % 3]} {i},{int(i % 3 < 2)}\n" for i in range(60)]
    file.write_text("text,label\n" + "".join(rows))
    login(admin)
    page.goto("/admin/governance/evaluation/")
    page.locator("#new").click()
    page.get_by_label("fake", exact=True).check()
    page.get_by_label("fake-strict").check()
    page.get_by_label("Labelled file").set_input_files(file)
    page.locator("#ask").click()
    expect(page.locator("#state")).to_contain_text("0 of 120 texts")
    jobs.work(EvaluationJob.objects.get())
    page.locator("#compare").click()
    expect(page.get_by_role("region", name="Paired tests")).to_contain_text("0 to 20", timeout=30_000)


def test_a_threshold_is_carried_to_a_policy(
    page: Page, login: Login, admin: User, pair: tuple[Evaluation, Evaluation]
) -> None:
    create_policy("Team", Content(), note="x", actor="test")
    login(admin)
    page.goto(f"/admin/governance/evaluation/{pair[0].pk}/")
    page.get_by_label("Choose one for").select_option("recall")
    page.get_by_label("Target").fill("0.9")
    page.locator("#pick").click()
    page.get_by_role("link", name="Use this threshold in Team").last.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Team")
    assert f"by evaluation {pair[0].pk}" in page.get_by_label("Why").input_value()

"""Adapters and trainings as people see them: the list, one with its plots, the form, a training on its way; in both themes
and on a phone."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from classifiers.labelled import Labelled
from classifiers.types import Stage, Subject
from governance import training_jobs
from governance.models import TrainingJob, TrainingRun
from governance.services import Data
from moderation.models import Adapter, Promotion
from tests.browser.accessibility import overflows, serious
from tests.browser.conftest import Login
from tests.browser.test_evaluations import scored, shoot

Visit = Callable[..., Page]
LOSSES = [
    {
        "step": n,
        "loss": 0.7 / math.sqrt(n) + 0.05 * (n % 3),
        "tuning_loss": 0.75 / math.sqrt(n) if n % 10 == 0 else None,
    }
    for n in range(1, 81)
]


def labelled(count: int = 120) -> Data:
    rows = [Labelled(Subject(f"text {n}", Stage.INPUT), n % 2 > 0) for n in range(count)]
    return Data("comments.csv", {}, rows)


@pytest.fixture
def adapter(transactional_db: None) -> Adapter:
    """One that was trained and is promoted."""
    job = training_jobs.ask(labelled(), name="reviewers-november", actor="user:lena")
    made = Adapter.objects.create(
        name=job.name, digest="0123456789abcdef" * 4, folder="/cache/adapters/reviewers-november-1/adapter",
        base_model="google/gemma-2b-it", base_revision="9cf48e52b224239de00d483ec8eb84fb8d0f3a3a",
        card="# reviewers-november\n\nA LoRA adapter.", created_by="user:lena",
    )  # fmt: skip
    evaluation = scored(f"gemma@{made}", 0.15)
    TrainingRun.objects.create(
        adapter=made, evaluation=evaluation, recipe=job.recipe, dataset=job.dataset, data=job.data, losses=LOSSES,
        created_by="user:lena",
    )  # fmt: skip
    TrainingJob.objects.filter(pk=job.pk).update(state="DONE", adapter=made, losses=LOSSES, total=80, done=80)
    Promotion.objects.create(alias="gemma", adapter=made, created_by="user:lena")
    return made


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1280), ("light", 360), ("dark", 360)])
def test_all_pages_can_be_read(
    visitors: Visit, login: Login, admin: User, adapter: Adapter, theme: str, width: int
) -> None:
    page = login(admin, visitors(color_scheme=theme, width=width))
    failed, waiting = (training_jobs.ask(labelled(), name=name, actor="user:lena") for name in ("failed", "waiting"))
    error = "google/gemma-2b-it is gated: accept its terms on the hub and log in with hf auth login, then ask anew."
    TrainingJob.objects.filter(pk=failed.pk).update(state="FAILED", error=error, rows="{}")
    at_work = {"state": "RUNNING", "done": 30, "seconds": 900, "losses": LOSSES[:30], "total": 80}
    TrainingJob.objects.filter(pk=waiting.pk).update(**at_work)
    jobs = "/admin/governance/trainingjob"
    for name, address in {
        "adapters": "/admin/moderation/adapter/",
        "adapter": f"/admin/moderation/adapter/{adapter.pk}/",
        "train": f"{jobs}/new/",
        "training": f"{jobs}/{waiting.pk}/",
        "failed": f"{jobs}/{failed.pk}/",
    }.items():
        page.goto(address)
        shoot(page, f"{theme}-{width}-{name}")
        for summary in page.locator("main summary").all():
            summary.click()
        assert serious(page) == [], name
        assert not overflows(page), name


def test_one_is_asked_for_and_stopped(
    visitors: Visit, login: Login, admin: User, adapter: Adapter, tmp_path: Path
) -> None:
    page = login(admin, visitors())
    file = tmp_path / "ours.csv"
    file.write_text("text,label\n" + "".join(f"text {n},{n % 2}\n" for n in range(120)))
    page.goto("/admin/moderation/adapter/")
    page.locator("#new").click()
    page.get_by_label("Name").fill("ours")
    page.get_by_label("Starts from").select_option("")  # it proposes what is promoted, whose folder is not here
    page.get_by_label("It learns from").select_option("file")
    page.get_by_label("Labelled file").set_input_files(file)
    page.get_by_text("The recipe").click()
    page.get_by_label("Epochs").fill("2")
    page.locator("#train").click()
    expect(page.locator("#state")).to_contain_text("Waiting")
    job = TrainingJob.objects.get(name="ours")
    assert job.recipe["epochs"] == 2.0
    TrainingJob.objects.filter(pk=job.pk).update(state="RUNNING", done=30, seconds=90, total=80, losses=LOSSES[:30])
    expect(page.locator("#state")).to_contain_text("2 minutes")  # by itself
    expect(page.locator("#state svg polyline")).to_have_count(2)
    page.locator("#cancel").click()
    expect(page.locator("#state")).to_contain_text("Stopped")

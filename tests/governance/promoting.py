"""Adapters of a scripted classifier, known by the words that they flag, and texts to compare them on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from classifiers.labelled import Labelled
from classifiers.models import folder_digest
from classifiers.types import Stage, Subject
from governance import jobs, promotion, services
from governance.models import Evaluation, TrainingRun
from governance.services import Data, Wish
from moderation.models import Adapter, Promotion
from moderation.services import Choice
from training.data import marks

ALIAS = "adapted"
# Of three texts two are toxic: the plain classifier finds those that say so, an adapter for "toxic rude" all.
WORDS = ("toxic", "rude", "kind")
Make = Callable[..., Adapter]


def labelled(n: int = 120) -> Data:
    rows = [Labelled(Subject(f"{WORDS[i % 3]} {i}", Stage.INPUT), i % 3 < 2, "ab"[i % 2]) for i in range(n)]
    return Data("ours.csv", {}, rows)


@pytest.fixture
def make_adapter(tmp_path: Path, settings: Any, db: None, monkeypatch: pytest.MonkeyPatch) -> Make:
    """By its name and the words that it flags (and fails at); it learnt from ``texts``. Intervals are rough."""
    monkeypatch.setattr(promotion, "RESAMPLES", 20)
    settings.SAFETY_CLASSIFIERS = {
        **settings.SAFETY_CLASSIFIERS,
        ALIAS: {"BACKEND": "tests.providers.AdaptedClassifier", "OPTIONS": {}},
    }

    def make(name: str, toxic: str, fail: str = "fail", texts: Sequence[str] = ("another",)) -> Adapter:
        folder = tmp_path / name
        folder.mkdir()
        words = {"toxic": toxic.split(), "fail": [fail, name]}
        (folder / "adapter_config.json").write_text(json.dumps(words))
        adapter = Adapter.objects.create(
            name=name, digest=folder_digest(folder), folder=str(folder), base_model="fake", card="", created_by="test"
        )
        held = services.evaluate_classifier(Choice("fake"), labelled(3), Wish(), policy=None, actor="test")
        TrainingRun.objects.create(
            adapter=adapter, evaluation=held, recipe={}, dataset="x", data={}, losses=[], created_by="test",
            texts=[mark for text in texts for mark in marks(text)],
        )  # fmt: skip
        return adapter

    return make


def compared(adapter: Adapter, data: Data | None = None) -> tuple[Evaluation, Evaluation]:
    """The evaluations of what the alias loads, and of the adapter."""
    job = promotion.ask(adapter, alias=ALIAS, data=data or labelled(), actor="user:lena")
    jobs.work(job)
    job.refresh_from_db()
    assert job.state == "DONE", job.error
    old, new = job.evaluations.order_by("pk")
    return old, new


def promoted(adapter: Adapter) -> Promotion:
    return promotion.promote(*compared(adapter), note="It finds more.", actor="user:lena")

"""The whole way with a real, tiny model: trained, compared with what it came from, promoted, loaded, rolled back."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from classifiers.types import Stage, Subject
from fairness.gates import Margins
from fairness.probes import probes
from governance import promotion
from governance.models import Evaluation
from moderation import services
from moderation.models import Promotion
from moderation.services import Choice
from tests.classifiers import tiny_models

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    return tiny_models.causal(tmp_path_factory.mktemp("base"), "gemma3")


def texts(file: Path, start: int, n: int) -> Path:
    rows = [
        {"text": f"you are an idiot {i}" if i % 2 else f"the weather is nice {i}", "label": i % 2}
        for i in range(start, start + n)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def told(*arguments: str) -> str:
    call_command(*arguments, stdout=(out := StringIO()))
    return out.getvalue()


def score(text: str, alias: str = "gemma") -> float:
    found = services.classifier(Choice(alias)).classify([Subject(text, Stage.INPUT)])[0].score
    assert found is not None
    return found


def test_from_training_to_rollback(base: Path, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # A model of some thousand weights learns what is shown to it, and nothing about people.
    settings.SAFETY_PROMOTION = Margins(gap=1.0)
    monkeypatch.setattr(promotion, "RESAMPLES", 20)
    options = {"base_model": str(base), "device": "cpu", "dtype": "float32", "threads": 1}
    gemma = {**settings.SAFETY_CLASSIFIERS["gemma"], "OPTIONS": options}
    settings.SAFETY_CLASSIFIERS = {**settings.SAFETY_CLASSIFIERS, "gemma": gemma}
    learnt, others = texts(tmp_path / "learnt.jsonl", 0, 120), texts(tmp_path / "others.jsonl", 100, 100)
    quick = ["--base-model", str(base), "--rank", "4", "--batch", "8", "--epochs", "3", "--learning-rate", "0.01"]
    told("train_adapter", str(tmp_path / "mine"), "--dataset-id", str(learnt), *quick, "--threads", "1", "--device", "cpu", "--dtype", "float32")  # fmt: skip
    before = score("you are an idiot 7")
    said = told("promote_adapter", "mine", "--dataset-id", str(others), "--note", "It knows idiots.")
    made = Promotion.objects.get()
    old, new = Evaluation.objects.get(pk=made.evidence["old"]), Evaluation.objects.get(pk=made.evidence["new"])
    assert (old.alias, new.alias, new.learnt) == ("gemma", "gemma@mine", 0)
    assert new.version == services.version_of(Choice("gemma@mine"))
    overlapping = 100 + len(probes()) - new.n
    assert 10 <= overlapping <= 20  # of the twenty texts in both files, those that were learnt from
    assert f"without {overlapping} that were learnt from" in new.dataset
    assert "gemma loads mine from now on" in said
    assert score("you are an idiot 7") == pytest.approx(score("you are an idiot 7", "gemma@mine"))
    assert score("you are an idiot 7") > max(0.5, before)
    told("roll_back_adapter", "gemma")
    assert score("you are an idiot 7") == pytest.approx(before)

"""What an evaluation keeps beside scores: the groups that texts name, and how many of them its adapter learnt from."""

from __future__ import annotations

import json
from typing import Any

import pytest

from classifiers.labelled import Labelled
from classifiers.measuring import Said
from classifiers.types import Label, ModelInfo, Stage, Subject, digest
from governance import services
from governance.models import Evaluation, TrainingRun, pack, unpack
from governance.services import Data, Wish
from moderation.models import Adapter
from moderation.services import Choice, stored_version

pytestmark = pytest.mark.django_db
TEXTS = ["toxic women", "kind", "Muslims and Jews", "fail"]
DATA = Data("ours.csv", {}, [Labelled(Subject(text, Stage.INPUT), text.startswith("toxic")) for text in TEXTS])


def evaluated() -> Evaluation:
    return services.evaluate_classifier(Choice("fake"), DATA, Wish(), policy=None, actor="test")


def test_groups_are_kept_and_texts_are_not() -> None:
    scores = evaluated().scores
    assert [each.groups for each in scores.said] == [("women",), (), ("Muslims", "Jews"), ()]
    assert "toxic women" not in scores.body


def test_scores_of_before_are_read() -> None:
    body = json.dumps([[True, "TOXIC", 0.9, "a"], [False, "SAFE", 0.1, "", 0.5]])
    assert unpack(body) == [Said(True, Label.TOXIC, 0.9, "a"), Said(False, Label.SAFE, 0.1, "", 0.5)]
    said = [Said(True, Label.ERROR, None, "", None, ("men",))]
    assert unpack(pack(said)) == said


def test_whoever_has_no_adapter_learnt_from_none() -> None:
    assert evaluated().learnt == 0


@pytest.mark.parametrize(("texts", "learnt"), [(["toxic women", "kind", "other"], 2), (["other"], 0), ([], None)])
def test_texts_that_the_adapter_learnt_from_are_counted(texts: list[str], learnt: int | None) -> None:
    adapter = Adapter.objects.create(name="mine", digest="d1", folder="x", base_model="b", card="", created_by="test")
    fields: dict[str, Any] = {"recipe": {}, "dataset": "x", "data": {}, "losses": [], "created_by": "test"}
    TrainingRun.objects.create(
        adapter=adapter, evaluation=evaluated(), texts=[digest(text) for text in texts], **fields
    )
    version = stored_version("fake", ModelInfo(provider="p", adapter_digest="d1"))
    said = [Said(row.toxic, Label.SAFE, 0.1) for row in DATA.rows]
    assert services.of_classifier(version, said, DATA, Wish(), policy=None).learnt == learnt
    unknown = stored_version("fake", ModelInfo(provider="p", adapter_digest="d2"))
    assert services.of_classifier(unknown, said, DATA, Wish(), policy=None).learnt is None

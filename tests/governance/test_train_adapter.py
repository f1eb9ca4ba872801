"""``manage.py train_adapter``: an adapter, its record and its card out of a labelled file; and what it refuses."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from audit.models import AuditEvent
from classifiers.models import folder_digest
from governance.models import Evaluation, TrainingRun
from moderation.models import Adapter
from tests.classifiers import tiny_models
from training.adapters import losses
from training.data import marks

pytestmark = pytest.mark.django_db
QUICK = ["--rank", "2", "--batch", "8", "--epochs", "2", "--threads", "1", "--device", "cpu", "--dtype", "float32"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    return tiny_models.causal(tmp_path_factory.mktemp("base"), "gemma3")


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    file = tmp_path / "labelled.jsonl"
    rows = [
        {"text": f"you are an idiot {n}" if n % 3 else f"nice weather {n}", "label": bool(n % 3)} for n in range(90)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def trained(folder: Path, base: Path, labelled: Path, *more: str) -> str:
    options = ["--dataset-id", str(labelled), "--base-model", str(base), *QUICK, *more]
    call_command("train_adapter", str(folder), *options, stdout=(out := StringIO()))
    return out.getvalue()


def test_an_adapter_is_trained_measured_carded_and_recorded(tmp_path: Path, base: Path, labelled: Path) -> None:
    told = trained(tmp_path / "mine", base, labelled)
    adapter = Adapter.objects.get()
    assert (adapter.name, adapter.base_model) == ("mine", str(base))
    assert adapter.folder in told
    assert adapter.digest == folder_digest(Path(adapter.folder))
    run = adapter.training
    assert sum(part["n"] for part in run.data.values()) == 90
    assert run.evaluation.version.adapter_digest == adapter.digest
    assert run.evaluation.n == run.data["held"]["n"]
    assert run.losses == losses(tmp_path / "mine")
    assert run.recipe["rank"] == 2
    texts = [json.loads(line)["text"] for line in labelled.read_text().splitlines()]
    assert sum({*run.texts} >= marks(text) for text in texts) == run.data["train"]["n"]
    assert {*run.texts} < {mark for text in texts for mark in marks(text)}
    event = AuditEvent.objects.get(action="adapter.trained")
    assert adapter.digest in event.data
    card = (Path(adapter.folder) / "README.md").read_text()
    assert card == adapter.card
    assert all(word in card for word in (adapter.digest, run.data["held"]["digest"], "Reliability", "type: roc_auc"))


def test_the_same_training_again_is_told_and_not_recorded_twice(tmp_path: Path, base: Path, labelled: Path) -> None:
    trained(tmp_path / "mine", base, labelled)
    with pytest.raises(CommandError, match="already"):
        trained(tmp_path / "mine", base, labelled)
    with pytest.raises(CommandError, match="byte for byte"):
        trained(tmp_path / "again", base, labelled)
    assert TrainingRun.objects.count() == Evaluation.objects.count() == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--rank", "0"], "1 at least"),
        (["--alias", "nobody"], "nobody takes no adapters here. Those that do: gemma"),
        (["--label-column", "none"], "no column none"),
        (["--name", "x" * 61], "1 to 60 letters"),
        (["--name", "my adapter"], "as in gemma@mine"),
        (["--alias", "fake"], "fake takes no adapters"),
    ],
)
def test_what_cannot_be_done_is_said_before_training(
    tmp_path: Path, base: Path, labelled: Path, options: list[str], says: str
) -> None:
    with pytest.raises(CommandError, match=says):
        trained(tmp_path / "mine", base, labelled, *options)
    assert not (tmp_path / "mine").exists()


def test_one_label_alone_is_refused(tmp_path: Path, base: Path) -> None:
    file = tmp_path / "toxic.jsonl"
    file.write_text('{"text": "you idiot", "label": 1}\n')
    with pytest.raises(CommandError, match="both labels"):
        trained(tmp_path / "mine", base, file)


def test_the_mix_needs_its_folder(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="There is no folder"):
        call_command("train_adapter", str(tmp_path / "mine"), "--embedded", str(tmp_path / "none"))


def test_it_goes_on_from_a_recorded_adapter(tmp_path: Path, base: Path, labelled: Path) -> None:
    trained(tmp_path / "mine", base, labelled)
    options = ["--dataset-id", str(labelled), *QUICK[2:], "--from-adapter", "mine"]
    call_command("train_adapter", str(tmp_path / "further"), *options, stdout=StringIO())
    mine, further = Adapter.objects.order_by("pk")
    assert (further.training.recipe["rank"], further.base_model) == (2, str(base))
    assert further.training.recipe["start_digest"] == mine.digest
    assert f"start_digest: {mine.digest}" in further.card
    assert further.training.texts == mine.training.texts


def test_what_went_before_was_learnt_too(tmp_path: Path, base: Path, labelled: Path) -> None:
    trained(tmp_path / "mine", base, labelled)
    other = tmp_path / "other.jsonl"
    other.write_text(labelled.read_text().replace("weather", "sunshine"))
    options = ["--dataset-id", str(other), *QUICK[2:], "--from-adapter", "mine"]
    call_command("train_adapter", str(tmp_path / "further"), *options, stdout=StringIO())
    mine, further = (set(adapter.training.texts) for adapter in Adapter.objects.order_by("pk"))
    assert mine < further


def test_what_is_no_adapter_is_not_gone_on_from(tmp_path: Path, base: Path, labelled: Path) -> None:
    with pytest.raises(CommandError, match="no LoRA adapter"):
        trained(tmp_path / "mine", base, labelled, "--from-adapter", "nobody")

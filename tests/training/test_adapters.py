"""An adapter learns what it is shown, the same each time, however the work is cut and however often it is killed."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.errors import ConflictError, InputError, ProviderError
from classifiers.models import folder_digest
from classifiers.providers.gemma import GemmaClassifier
from classifiers.types import Label, Stage, Subject
from tests.classifiers import tiny_models
from training.adapters import ABOUT, ADAPTER, CHECKPOINT, Step, losses, train
from training.data import Row
from training.recipes import Recipe, epoch_batches, from_reviews, going_on

pytest.importorskip("torch")

ROWS = [Row(f"you are an idiot {n}", True) for n in range(12)] + [Row(f"nice weather {n}", False) for n in range(20)]
TUNING = [Row("an idiot are you", True), Row("the weather is nice", False)]
QUICK = {
    "device": "cpu",
    "dtype": "float32",
    "threads": 1,
    "batch": 8,
    "learning_rate": 1e-2,
    "look_every": 4,
    "rank": 4,
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One with a chat template, whose layers see 16 tokens."""
    return tiny_models.causal(tmp_path_factory.mktemp("base"), "gemma3")


@pytest.fixture(scope="module")
def continuing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One without a chat template, that continues examples."""
    return tiny_models.causal(tmp_path_factory.mktemp("continuing"), "gemma2", chat=False)


def recipe(base: Path, **options: Any) -> Recipe:
    return Recipe(**{"base_model": str(base), "epochs": 3.0, **QUICK, **options})


def trained(base: Path, folder: Path, **options: Any) -> list[Step]:
    return list(train(recipe(base, **options), ROWS, TUNING, folder))


@pytest.mark.parametrize("kind", ["base", "continuing"])
def test_what_it_is_shown_it_learns_and_the_classifier_takes_it(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    base = request.getfixturevalue(kind)
    steps = trained(base, tmp_path, epochs=10.0, save_every=50)
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    with_adapter = GemmaClassifier(str(base), adapter_path=tmp_path / ADAPTER, device="cpu", dtype="float32")
    assert with_adapter.problems() == []
    said = with_adapter.classify([Subject(row.text, Stage.INPUT) for row in ROWS])
    right = [(answer.label is Label.TOXIC) == row.toxic for answer, row in zip(said, ROWS, strict=True)]
    assert sum(right) == len(ROWS)


def test_a_loss_is_what_the_classifier_itself_would_have_lost(base: Path, tmp_path: Path) -> None:
    first = next(train(recipe(base, batch=32, balance=False, look_every=1), ROWS, TUNING, tmp_path))
    untrained = GemmaClassifier(str(base), device="cpu", dtype="float32")
    scores = [c.score or 0.0 for c in untrained.classify([Subject(row.text, Stage.INPUT) for row in ROWS])]
    each = [-math.log(score if row.toxic else 1 - score) for score, row in zip(scores, ROWS, strict=True)]
    assert first.loss == pytest.approx(sum(each) / len(each), rel=1e-4)


def test_the_same_training_makes_the_same_adapter_and_another_seed_another(base: Path, tmp_path: Path) -> None:
    one, two = trained(base, tmp_path / "1", dropout=0.1), trained(base, tmp_path / "2", dropout=0.1)
    assert [step.loss for step in one] == [step.loss for step in two]
    trained(base, tmp_path / "3", dropout=0.1, seed=1)
    digests = [folder_digest(tmp_path / name / ADAPTER) for name in "123"]
    assert digests[0] == digests[1] != digests[2]


def test_a_step_is_the_same_in_pieces(base: Path, tmp_path: Path) -> None:
    whole, pieces = trained(base, tmp_path / "1"), trained(base, tmp_path / "2", accumulation=4)
    assert [step.loss for step in pieces] == pytest.approx([step.loss for step in whole], rel=1e-2, abs=1e-4)


def test_training_ends_when_the_tuning_rows_no_longer_gain(base: Path, tmp_path: Path) -> None:
    steps = trained(base, tmp_path, epochs=100.0, look_every=1, patience=2, learning_rate=0.3, save_every=500)
    assert len(steps) < steps[0].of
    looks = [step.tuning_loss for step in steps if step.tuning_loss is not None]
    assert looks.index(min(looks)) == len(looks) - 3


@pytest.mark.parametrize("look_every", [1, 100])
def test_a_training_that_runs_away_ends_in_a_sentence_and_leaves_no_adapter(
    base: Path, tmp_path: Path, look_every: int
) -> None:
    with pytest.raises(ProviderError, match="Lower learning_rate"):
        trained(base, tmp_path, learning_rate=1e30, look_every=look_every)
    assert not (tmp_path / ADAPTER).exists()
    assert all(math.isfinite(line["loss"]) for line in losses(tmp_path))


@pytest.mark.parametrize("texts", [1, 30, 161, 170, 240, 1000])
def test_a_training_from_reviews_has_no_early_end_though_nothing_is_gained(texts: int) -> None:
    recipe = from_reviews(texts)
    assert -(-recipe.steps(texts) // recipe.look_every) <= recipe.patience


@pytest.mark.parametrize("options", [{"patience": 0}, {"alpha": 0}, {"most_steps": 0}, {"most_steps": -5}, {"rank": 0}])
def test_a_recipe_by_which_nothing_would_be_learnt_is_none(options: dict[str, int]) -> None:
    with pytest.raises(InputError, match="1 at least"):
        Recipe(**options)


def test_training_may_end_before_its_schedule_does(base: Path, tmp_path: Path) -> None:
    whole, part = trained(base, tmp_path / "1"), trained(base, tmp_path / "2", most_steps=5)
    assert [step.loss for step in part] == [step.loss for step in whole][:5]
    assert part[-1].tuning_loss is not None
    assert (tmp_path / "2" / ADAPTER).is_dir()


def test_a_heavier_text_counts_more(base: Path, tmp_path: Path) -> None:
    same, other = Row("you", True), Row("you", False)
    heavy = [replace(same, weight=9.0), other]
    list(train(recipe(base, batch=2, epochs=40.0, balance=False), heavy, TUNING, tmp_path))
    judged = GemmaClassifier(str(base), adapter_path=tmp_path / ADAPTER, device="cpu", dtype="float32")
    (said,) = judged.classify([Subject("you", Stage.INPUT)])
    assert said.score is not None
    assert said.score > 0.5


def test_it_goes_on_from_an_adapter_as_that_stands(base: Path, tmp_path: Path) -> None:
    trained(base, tmp_path / "first", rank=2, alpha=6, from_layer=1, modules=("up_proj", "q_proj"))
    start = tmp_path / "first" / ADAPTER
    further = going_on(recipe(base, look_every=1, batch=32, balance=False), start)
    assert (further.rank, further.alpha, further.from_layer) == (2, 6, 1)
    assert (further.modules, further.start_digest) == (("q_proj", "up_proj"), folder_digest(start))
    one, two = (next(train(further, ROWS, TUNING, tmp_path / name)) for name in ("one", "two"))
    assert one.loss == two.loss
    judged = GemmaClassifier(str(base), adapter_path=start, device="cpu", dtype="float32")
    scores = [c.score or 0.0 for c in judged.classify([Subject(row.text, Stage.INPUT) for row in ROWS])]
    each = [-math.log(score if row.toxic else 1 - score) for score, row in zip(scores, ROWS, strict=True)]
    assert one.loss == pytest.approx(sum(each) / len(each), rel=1e-4)
    assert folder_digest(start) in (tmp_path / "one" / ABOUT).read_text()


def test_nothing_worse_than_what_it_started_from_is_kept(base: Path, tmp_path: Path) -> None:
    trained(base, tmp_path / "first", epochs=10.0)
    start = tmp_path / "first" / ADAPTER
    wrong = [replace(row, toxic=not row.toxic) for row in ROWS]
    list(train(going_on(recipe(base, look_every=1), start), wrong, TUNING, tmp_path / "worse"))
    weights = "adapter_model.safetensors"
    assert (tmp_path / "worse" / ADAPTER / weights).read_bytes() == (start / weights).read_bytes()


def test_an_adapter_that_has_changed_or_does_not_fit_is_not_gone_on_from(base: Path, tmp_path: Path) -> None:
    trained(base, tmp_path / "first")
    start = tmp_path / "first" / ADAPTER
    further = going_on(recipe(base), start)
    with pytest.raises(InputError, match="Leave those out"):
        next(train(replace(further, rank=3), ROWS, TUNING, tmp_path / "other"))
    config = json.loads((start / "adapter_config.json").read_text())
    (start / "adapter_config.json").write_text(json.dumps({**config, "r": 3}))
    with pytest.raises(InputError, match="has changed"):
        next(train(further, ROWS, TUNING, tmp_path / "other"))
    with pytest.raises(ProviderError, match="do not fit"):
        next(train(going_on(recipe(base), start), ROWS, TUNING, tmp_path / "other"))
    (start / "adapter_config.json").write_text(json.dumps({**config, "use_dora": True}))
    with pytest.raises(InputError, match="another kind"):
        going_on(recipe(base), start)
    with pytest.raises(InputError, match="no LoRA adapter"):
        going_on(recipe(base), tmp_path)


SCRIPT = """
import json, sys
from pathlib import Path
from tests.training.test_adapters import ROWS, TUNING
from training.adapters import train
from training.recipes import Recipe, going_on
recipe = Recipe(**json.loads(sys.argv[1]))
for start in sys.argv[3:]:
    recipe = going_on(recipe, Path(start))
for step in train(recipe, ROWS, TUNING, Path(sys.argv[2])):
    pass
"""


@pytest.mark.parametrize("further", [False, True])
def test_killed_at_any_moment_it_goes_on_to_the_same_losses_and_the_same_adapter(
    base: Path, tmp_path: Path, further: bool
) -> None:
    options = {"base_model": str(base), **QUICK, "epochs": 8.0, "save_every": 3, "dropout": 0.1}
    whole, killed, start = tmp_path / "whole", tmp_path / "killed", tmp_path / "start" / ADAPTER
    asked = Recipe(**options)
    if further:
        trained(base, start.parent, epochs=0.5)
        asked = going_on(asked, start)
    list(train(asked, ROWS, TUNING, whole))
    command = [sys.executable, "-c", SCRIPT, json.dumps(options), str(killed), *([str(start)] if further else [])]
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 120
    while len(losses(killed)) < 5 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (killed / ADAPTER).exists()
    assert (killed / CHECKPOINT).exists()
    rest = list(train(asked, ROWS, TUNING, killed))
    assert 1 < rest[0].number <= len(losses(whole))
    assert losses(killed) == losses(whole)
    assert folder_digest(killed / ADAPTER) == folder_digest(whole / ADAPTER)


def test_accelerate_launch_gives_two_processes_the_losses_of_one(base: Path, tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    options = {"base_model": str(base), **QUICK, "epochs": 2.0}
    list(train(Recipe(**options), ROWS, TUNING, tmp_path / "one"))
    script = tmp_path / "go.py"
    script.write_text(SCRIPT)
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2"]
    there = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*launch, str(script), json.dumps(options), str(tmp_path / "two")], capture_output=True, text=True, env=there
    )
    assert done.returncode == 0, done.stderr[-2000:]
    one, two = ([line["loss"] for line in losses(tmp_path / name)] for name in ("one", "two"))
    assert two == pytest.approx(one, rel=1e-2, abs=1e-4)


def test_a_folder_of_another_training_is_refused(base: Path, tmp_path: Path) -> None:
    next(train(recipe(base), ROWS, TUNING, tmp_path))
    with pytest.raises(ConflictError, match="Name another folder"):
        next(train(recipe(base, seed=5), ROWS, TUNING, tmp_path))
    with pytest.raises(ConflictError):
        next(train(recipe(base), ROWS[1:], TUNING, tmp_path))


@pytest.mark.parametrize(
    ("options", "error"),
    [({"modules": ("no_such",)}, ProviderError), ({"from_layer": 9}, InputError), ({"batch": 1, "accumulation": 2}, InputError)],
)  # fmt: skip
def test_what_cannot_be_trained_is_said(base: Path, tmp_path: Path, options: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        next(train(recipe(base, **options), ROWS, TUNING, tmp_path))


def test_a_recipe_has_sensible_numbers() -> None:
    for options in (
        {"rank": 0},
        {"batch": 0},
        {"learning_rate": 0},
        {"smoothing": 1.0},
        {"epochs": 0},
        {"dropout": 1.0},
    ):
        with pytest.raises(InputError):
            Recipe(**options)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60), st.integers(1, 9), st.integers(0, 3))
def test_an_epoch_shows_every_text_and_fills_every_batch(lengths: list[int], size: int, epoch: int) -> None:
    batches = epoch_batches(lengths, size, seed=0, epoch=epoch)
    shown = [place for batch in batches for place in batch]
    assert set(shown) == set(range(len(lengths)))
    assert {len(batch) for batch in batches} == {size}
    assert len(shown) < len(lengths) + size
    assert batches == epoch_batches(lengths, size, seed=0, epoch=epoch)

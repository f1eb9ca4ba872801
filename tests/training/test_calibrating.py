"""Scores that mean what they say: fitted on what was not learnt from, written beside the weights, and read by the classifier."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from classifiers.providers.gemma import GemmaClassifier, Judging
from tests.classifiers import tiny_models
from training.calibrating import calibrate, scores
from training.data import Row
from training.recipes import Recipe

ROWS = [Row(f"you are an idiot {n}" if n % 4 == 0 else f"a nice day {n}", n % 4 == 0) for n in range(160)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    return tiny_models.causal(tmp_path_factory.mktemp("base"), "gemma3")


def recipe(base: Path) -> Recipe:
    return Recipe(base_model=str(base), device="cpu", dtype="float32", threads=1)


def test_the_mean_score_is_the_toxic_share_and_the_threshold_half_of_an_f1(tmp_path: Path, base: Path) -> None:
    adapter = tiny_models.adapter(tmp_path, base)
    judging, fitted = calibrate(adapter, recipe(base), ROWS, [])
    assert (Judging.read(adapter), fitted) == (judging, 160)
    found = scores(GemmaClassifier(str(base), adapter_path=adapter, dtype="float32"), ROWS)
    assert sum(found) / len(found) == pytest.approx(0.25, abs=0.04)
    best = max(f1(found, at) for at in found)
    assert judging.threshold == pytest.approx(best / 2, abs=1e-3)


def f1(found: list[float], threshold: float) -> float:
    right = sum(score >= threshold and row.toxic for score, row in zip(found, ROWS, strict=True))
    return 2 * right / (sum(score >= threshold for score in found) + sum(row.toxic for row in ROWS))


@pytest.mark.parametrize(("toxic", "harmless", "fitted"), [(30, 30, 60), (29, 60, 0), (60, 29, 0)])
def test_it_takes_thirty_texts_of_either_label(
    tmp_path: Path, base: Path, toxic: int, harmless: int, fitted: int
) -> None:
    rows = [Row(f"{'idiot' if n < toxic else 'nice'} {n}", n < toxic) for n in range(toxic + harmless)]
    assert calibrate(tiny_models.adapter(tmp_path, base), recipe(base), rows, [*ROWS])[1] == fitted


def test_a_text_that_cannot_be_judged_has_no_part_in_it(tmp_path: Path, base: Path) -> None:
    adapter = tiny_models.adapter(tmp_path, base)
    judging, _ = calibrate(adapter, recipe(base), ROWS, [])
    assert calibrate(adapter, recipe(base), [*ROWS, Row("far too long " * 20_000, True)], []) == (judging, 160)


def test_an_older_calibration_has_no_part_in_a_new_one(tmp_path: Path, base: Path) -> None:
    adapter = tiny_models.adapter(tmp_path, base)
    first = calibrate(adapter, recipe(base), ROWS, [])
    Judging(temperature=9.0, shift=5.0, threshold=0.1).write(adapter)
    assert calibrate(adapter, recipe(base), ROWS, []) == first


def test_few_texts_fit_nothing_and_the_shift_is_what_balancing_moved(tmp_path: Path, base: Path) -> None:
    adapter = tiny_models.adapter(tmp_path, base)
    learnt = [Row(str(n), n < 10, weight=2.0 if n < 10 else 1.0) for n in range(70)]  # weights of 20 and 60
    judging, fitted = calibrate(adapter, recipe(base), ROWS[:40], learnt)
    assert (judging, fitted) == (Judging(shift=-1.0986), 0)  # the log of a third
    assert Judging.read(adapter) == judging
    assert calibrate(adapter, replace(recipe(base), balance=False), ROWS[:40], learnt) == (Judging(), 0)

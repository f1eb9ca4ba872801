"""From labelled files to figures: labels understood or refused, errors counted and never taken for safe."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from classifiers.curves import Aim
from classifiers.errors import InputError
from classifiers.labelled import Columns, digest_of, is_toxic, read_labelled
from classifiers.measuring import Said, calibrate, choose_threshold, compare, confusions, judge, measure, split
from classifiers.providers.fake import FakeClassifier
from classifiers.sources import PromptSource
from classifiers.types import Label, Stage

Write = Callable[..., PromptSource]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def make(*rows: dict[str, Any]) -> PromptSource:
        path = tmp_path / "labelled.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return PromptSource(str(path), limit=0)

    return make


@pytest.mark.parametrize(
    ("value", "options", "expected"),
    [
        (1, {}, True),
        ("0", {}, False),
        ("TOXIC", {}, True),
        ("benign", {}, False),
        (True, {}, True),
        (1.0, {}, True),
        (0.7, {"toxic_from": 0.5}, True),
        ("0.2", {"toxic_from": 0.5}, False),
        ("bad", {"toxic": ("bad",)}, True),
        ("1", {"safe": ("1",)}, False),
    ],
)
def test_labels_that_are_understood(value: Any, options: dict[str, Any], expected: bool) -> None:
    assert is_toxic(value, Columns(**options)) is expected


@pytest.mark.parametrize(
    ("value", "options"), [("maybe", {}), (None, {}), (0.7, {}), ("x", {"toxic_from": 0.5}), (2, {})]
)
def test_labels_that_are_not_are_refused(value: Any, options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        is_toxic(value, Columns(**options))


def test_rows_become_subjects_of_their_stage(write: Write) -> None:
    source = replace(
        write({"text": "a", "label": 1, "kind": "x", "q": "why?", "docs": ["s1", "s2"]}), sources_column="docs"
    )
    (row,) = read_labelled(source, Columns(category="kind", prompt="q"))
    assert (row.toxic, row.category, row.subject.stage) == (True, "x", Stage.OUTPUT)
    assert (row.subject.prompt, row.subject.sources) == ("why?", ("s1", "s2"))


def test_a_file_of_benign_texts_needs_no_column(write: Write) -> None:
    rows = read_labelled(write({"text": "a"}, {"text": "b"}), Columns(everything="SAFE"))
    assert [row.toxic for row in rows] == [False, False]


@pytest.mark.parametrize(
    ("row", "columns"),
    [
        ({"text": "a"}, Columns()),
        ({"text": "a", "label": 1, "toxic": 1}, Columns()),
        ({"text": "a", "label": 1}, Columns(label="none")),
        ({"text": "a", "label": 1}, Columns(category="none")),
    ],
)
def test_columns_that_are_not_there_are_named(write: Write, row: dict[str, Any], columns: Columns) -> None:
    with pytest.raises(InputError, match="column"):
        read_labelled(write(row), columns)


def test_the_digest_tells_data_apart(write: Write) -> None:
    one = read_labelled(write({"text": "a", "label": 1}), Columns())
    other = read_labelled(write({"text": "a", "label": 0}), Columns())
    assert digest_of(one) != digest_of(other)


def test_errors_are_left_out_and_counted(write: Write) -> None:
    texts = ["toxic", "fine", "fail", "toxic too", "good"]
    rows = read_labelled(write(*({"text": t, "label": int("toxic" in t or t == "fail")} for t in texts)), Columns())
    found = measure(list(judge(FakeClassifier(), rows, batch=2)), resamples=50)
    assert (found.n, found.toxic, found.errors, found.unscored) == (5, 3, 1, 0)
    # The toxic text that failed is no miss, and no catch either.
    assert found.figures["recall"].n == 2
    assert found.figures["recall"].value == 1
    assert found.figures["roc_auc"].n == 4


def sample(n: int = 400, seed: int = 0, noise: float = 0.2, errors: int = 0) -> list[Said]:
    chance = np.random.default_rng(seed)
    toxic = np.random.default_rng(99).random(n) < 0.3
    scores = np.clip(chance.normal(0.35 + 0.3 * toxic, noise), 0, 1)
    said = [
        Said(bool(t), Label.TOXIC if s >= 0.5 else Label.SAFE, float(s), "a" if t else "b", 0.01 * (i % 7))
        for i, (s, t) in enumerate(zip(scores, toxic, strict=True))
    ]
    return [Said(e.toxic, Label.ERROR, None, e.category) if i < errors else e for i, e in enumerate(said)]


def test_the_figures_are_those_of_scikit_learn() -> None:
    said = sample()
    found = {name: each.value for name, each in measure(said, resamples=50).figures.items()}
    truth, scores = [e.toxic for e in said], [e.score for e in said]
    flagged = [e.label is Label.TOXIC for e in said]
    assert found["roc_auc"] == pytest.approx(metrics.roc_auc_score(truth, scores), abs=1e-9)
    assert found["auprc"] == pytest.approx(metrics.average_precision_score(truth, scores), abs=1e-9)
    assert found["f1"] == pytest.approx(metrics.f1_score(truth, flagged), abs=1e-9)
    assert found["precision"] == pytest.approx(metrics.precision_score(truth, flagged), abs=1e-9)
    assert found["recall"] == pytest.approx(metrics.recall_score(truth, flagged), abs=1e-9)
    assert found["best_f1"] >= found["f1"]


def test_categories_latencies_and_json() -> None:
    found = measure(sample(errors=10), resamples=20)
    assert sum(each.n for each in found.categories) == 400
    assert sum(each.errors for each in found.categories) == found.errors == 10
    assert 0 < found.seconds["p50"] <= found.seconds["p95"]
    json.dumps(found.as_json(), allow_nan=False)


def test_only_benign_texts_still_give_a_false_positive_rate() -> None:
    found = measure([e for e in sample() if not e.toxic], resamples=20)
    assert 0 < found.figures["false_positive_rate"].value < 1
    assert found.figures["roc_auc"].value is None
    assert found.figures["roc_auc"].why


def test_a_calibration_is_reported_on_texts_that_it_has_not_seen() -> None:
    found = calibrate(sample(4000), "isotonic")
    assert (found.fitted, found.held) == (2000, 2000)
    assert found.after < found.before
    with pytest.raises(InputError):
        calibrate(sample(), "magic")


def test_a_threshold_is_chosen_on_one_half_and_measured_on_the_other() -> None:
    found = choose_threshold(sample(4000), Aim("fpr", 0.05))
    assert found.figures["false_positive_rate"].n == 2000
    assert found.figures["false_positive_rate"].value == pytest.approx(0.05, abs=0.02)
    one, other = split(sample(), seed=1)
    assert len(one) + len(other) == 400


def test_the_better_of_two_is_told_on_the_same_texts() -> None:
    good, bad = sample(noise=0.15), sample(noise=0.5, seed=1)
    found = compare(good, bad, resamples=200)
    assert found.roc_auc.low > 0
    assert found.mcnemar_p < 0.01
    assert found.only_first > found.only_second
    same = compare(good, good, resamples=50)
    assert (same.roc_auc.value, same.mcnemar_p) == (0, 1)
    with pytest.raises(InputError):
        compare(good, sample(10))


def test_what_one_could_not_judge_is_left_out_of_both() -> None:
    found = compare(sample(errors=40), sample(seed=1), resamples=50)
    assert (found.n, found.left_out) == (360, 40)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(Label), st.sampled_from(["", "a", "b"])), max_size=30))
def test_every_text_is_in_one_cell_of_its_category(texts: list[tuple[bool, Label, str]]) -> None:
    whole, *parts = confusions([Said(toxic, label, None, category) for toxic, label, category in texts])
    cells = ("tp", "fp", "fn", "tn", "errors")
    assert sum(getattr(whole, cell) for cell in cells) == len(texts)
    assert whole.tp == sum(toxic and label is Label.TOXIC for toxic, label, _ in texts)
    assert whole.errors == sum(label is Label.ERROR for _, label, _ in texts)
    assert [part.name for part in parts] == sorted({name for _, _, name in texts if name})
    for part in parts:
        assert part.fp == sum(not toxic and label is Label.TOXIC for toxic, label, name in texts if name == part.name)

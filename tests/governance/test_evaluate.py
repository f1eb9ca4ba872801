"""Evaluations: what the command prints and stores, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from audit.models import AuditEvent
from classifiers.errors import InputError
from classifiers.policy import Rule
from governance import services
from governance.models import Evaluation
from moderation import policies
from runs.models import Run

pytestmark = pytest.mark.django_db
TEXTS = ["toxic one", "kind", "rude", "fine", "fail", "toxic two", "nice", "good"]
TOXIC = [1, 0, 1, 0, 1, 1, 0, 0]


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    path = tmp_path / "labelled.jsonl"
    rows = [{"text": t, "label": n, "kind": "insult" if n else "none"} for t, n in zip(TEXTS, TOXIC, strict=True)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def evaluate(*arguments: str, data: Path) -> Any:
    from io import StringIO

    out = StringIO()
    call_command("evaluate", *arguments, "--dataset-id", str(data), stdout=out)
    return out.getvalue()


def test_one_classifier_is_measured_and_stored(labelled: Path) -> None:
    told = json.loads(evaluate("fake", "--category-column", "kind", "--json", data=labelled))
    (found,) = told["evaluations"]
    assert (found["n"], found["errors"]) == (8, 1)
    assert found["figures"]["recall"]["value"] == pytest.approx(2 / 3)  # "rude" is missed, "fail" is no figure's
    assert [c["errors"] for c in found["categories"]] == [1, 0]
    stored = Evaluation.objects.get()
    assert stored.version.alias == "fake"
    assert stored.figures == found["figures"]
    assert AuditEvent.objects.filter(action="evaluation.made").count() == 1


def test_several_stand_side_by_side_with_paired_tests(labelled: Path) -> None:
    told = evaluate("fake", "fake-strict", data=labelled)
    assert "fake-strict" in told
    assert "McNemar" in told
    assert "could not be judged" in told
    assert Evaluation.objects.count() == 2


def test_the_policy_in_force_decides_and_is_named(labelled: Path) -> None:
    version = policies.create_policy("Team", policies.Content((Rule("toxic", 1.0),)), note="x", actor="test")
    evaluate("fake", data=labelled)
    stored = Evaluation.objects.get()
    assert stored.policy_version == version
    assert stored.figures["recall"]["value"] == 0


def test_a_run_is_measured_without_a_model(labelled: Path, done_run: Callable[..., Run]) -> None:
    run = done_run(TEXTS)
    told = json.loads(evaluate("--run", str(run.pk), "--json", data=labelled))
    assert told["evaluations"][0]["of"] == f"run {run.pk} input"
    assert told["evaluations"][0]["figures"]["recall"]["value"] == pytest.approx(2 / 3)


def test_a_run_whose_texts_are_not_kept_is_measured_too(
    labelled: Path, done_run: Callable[..., Run], settings: Any
) -> None:
    settings.SAFETY_STORE_TEXT = "none"
    told = json.loads(evaluate("--run", str(done_run(TEXTS).pk), "--json", data=labelled))
    assert (told["evaluations"][0]["n"], told["evaluations"][0]["errors"]) == (8, 1)


def test_what_passed_unjudged_is_no_figure(labelled: Path, done_run: Callable[..., Run]) -> None:
    run = done_run(TEXTS)
    run.results.filter(prompt__in=["kind", "toxic one"]).update(degraded=True)
    told = json.loads(evaluate("--run", str(run.pk), "--json", data=labelled))
    assert told["evaluations"][0]["errors"] == 2  # the one that failed, and "kind"; "toxic one" was found all the same


def test_a_run_over_other_texts_is_refused(labelled: Path, done_run: Callable[..., Run]) -> None:
    with pytest.raises(CommandError, match="has not judged 7 of the 8"):
        evaluate("--run", str(done_run(["kind"]).pk), data=labelled)


def test_benign_texts_give_a_false_positive_rate(tmp_path: Path) -> None:
    path = tmp_path / "benign.txt"
    path.write_text("kind\nfine\ntoxic word in a kind text\n")
    told = json.loads(evaluate("fake", "--all", "SAFE", "--json", data=path))
    figures = told["evaluations"][0]["figures"]
    assert figures["false_positive_rate"]["value"] == pytest.approx(1 / 3)
    assert figures["auprc"]["value"] is None
    assert figures["auprc"]["why"]


def test_thresholds_and_calibrations_are_told_of_on_the_other_part(tmp_path: Path) -> None:
    path = tmp_path / "many.jsonl"
    rows = [{"text": f"{'toxic' if i % 3 == 0 else 'kind'} {i}", "label": int(i % 3 == 0)} for i in range(120)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = evaluate("fake", "--threshold", "fpr=0.05", "--calibrate", "temperature", data=path)
    assert "chosen on 60 texts" in told
    assert "calibrated on 60 texts" in told
    stored = Evaluation.objects.get()
    assert stored.threshold["figures"]["recall"]["n"] == 60
    assert stored.calibration["held"] == 60


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Name classifiers, or a run"),
        (["fake", "--run", "1"], "one or the other"),
        (["fakee"], "Did you mean fake"),
        (["fake", "--label-column", "none"], "no column none"),
        (["fake", "--threshold", "magic"], "is chosen by one of"),
        (["fake", "--threshold", "fpr=many"], "for example"),
        (["fake", "--share", "2"], "between 0 and 1"),
        (["fake", "--cost", "-1"], "number from 0 on"),
        (["fake-broken"], "has no key"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_stored(labelled: Path, arguments: list[str], says: str) -> None:
    with pytest.raises(CommandError, match=says):
        evaluate(*arguments, *(["--calibrate", "isotonic"] if "--share" in arguments else []), data=labelled)
    assert not Evaluation.objects.exists()


def test_evaluations_on_other_data_are_not_compared(labelled: Path, tmp_path: Path) -> None:
    evaluate("fake", data=labelled)
    other = tmp_path / "other.jsonl"
    other.write_text('{"text": "kind", "label": 0}\n{"text": "toxic", "label": 1}\n')
    evaluate("fake", data=other)
    with pytest.raises(InputError, match="different data"):
        services.compare_evaluations(*Evaluation.objects.order_by("pk"))


def test_what_is_stored_holds_no_text(labelled: Path) -> None:
    evaluate("fake", data=labelled)
    body = Evaluation.objects.get().scores.body
    assert not any(text in body for text in TEXTS)
    assert len(json.loads(body)) == 8

"""The band of a cascade, chosen from two stored evaluations."""

from __future__ import annotations

import json
import random
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from classifiers.cascades import choose_band
from classifiers.errors import InputError
from classifiers.measuring import Said
from classifiers.providers.combined import Cascade
from classifiers.types import Label
from governance.models import Evaluation, EvaluationScores, pack
from runs.models import Run

CHANCE = random.Random(1)
TRUTH = [CHANCE.random() < 0.3 for _ in range(600)]


def said(spread: float, *, every_failed: int = 0) -> list[Said]:
    """A classifier whose scores lie about .35 and .65, the further apart the less they spread."""
    scores = [min(1.0, max(0.0, CHANCE.gauss(0.35 + 0.3 * toxic, spread))) for toxic in TRUTH]
    labels = [Label.TOXIC if score >= 0.5 else Label.SAFE for score in scores]
    found = [Said(t, label, score) for t, label, score in zip(TRUTH, labels, scores, strict=True)]
    return [
        Said(each.toxic, Label.ERROR, None) if every_failed and at % every_failed == 0 else each
        for at, each in enumerate(found)
    ]


CHEAP, CAREFUL = said(0.2), said(0.05)


def stored(of: list[Said], *, digest: str = "d", **more: Any) -> int:
    run = Run.objects.create(name="a run", created_by="anna", status="DONE")
    made = Evaluation.objects.create(
        name="x", alias=f"run {run.pk} input", run=run, dataset="d", data_digest=digest, n=len(of), toxic=sum(TRUTH),
        errors=0, unscored=0, created_by="anna", **more,
    )  # fmt: skip
    EvaluationScores.objects.create(evaluation=made, body=pack(of))
    return made.pk


def chosen(*arguments: Any) -> str:
    out = StringIO()
    call_command("choose_band", *map(str, arguments), stdout=out)
    return out.getvalue()


def test_the_band_asks_less_and_loses_little_on_texts_that_it_was_not_chosen_on() -> None:
    band = choose_band(CHEAP, CAREFUL, cheap_cost=0.1)
    assert (band.fitted, band.held, band.left_out) == (300, 300, 0)
    assert band.asked < 0.8
    assert band.cost == pytest.approx(band.asked + 0.1)
    assert (band.f1["careful"].value or 0) > (band.f1["cheap"].value or 1) + 0.1
    assert band.lost.value == pytest.approx((band.f1["careful"].value or 0) - (band.f1["cascade"].value or 0))
    assert (band.lost.value or 0) < 0.05
    Cascade({"BACKEND": "x"}, {"BACKEND": "y"}, low=band.low, high=band.high)


def test_more_loss_costs_less() -> None:
    strict, loose = (choose_band(CHEAP, CAREFUL, cheap_cost=0.1, loss=loss) for loss in (0.0, 0.1))
    assert loose.asked < strict.asked


def test_what_one_of_them_could_not_judge_is_in_no_figure_and_counted() -> None:
    band = choose_band(CHEAP, said(0.05, every_failed=10), cheap_cost=0.1)
    assert (band.left_out, band.fitted + band.held) == (60, 540)


def test_texts_of_one_kind_give_no_band() -> None:
    safe = [Said(False, Label.SAFE, 0.1)] * 20
    with pytest.raises(InputError, match="toxic and on safe"):
        choose_band(safe, safe, cheap_cost=0.1)


@pytest.mark.django_db
def test_the_command_prints_the_curve_the_band_and_the_setting() -> None:
    cheap, careful = (
        stored(CHEAP, seconds={"p50": 0.001, "p95": 0.1}),
        stored(CAREFUL, seconds={"p50": 0.01, "p95": 0.1}),
    )
    told = chosen(cheap, careful)
    assert "Bands that no cheaper one is as good as, on 300 texts" in told
    assert 'SAFETY_CLASSIFIERS["cascade"]' in told
    as_json = json.loads(chosen(cheap, careful, "--json"))
    assert as_json["cost"] == pytest.approx(as_json["asked"] + 0.1)
    assert f"{as_json['low']!r}" in told


@pytest.mark.django_db
def test_prices_go_before_times() -> None:
    time = {"seconds": {"p50": 1.0, "p95": 1.0}}
    cheap, careful = stored(CHEAP, cost_per_thousand=0.0, **time), stored(CAREFUL, cost_per_thousand=2.0, **time)
    told = json.loads(chosen(cheap, careful, "--json"))
    assert told["cost"] == told["asked"]


@pytest.mark.django_db
def test_it_says_why_there_is_no_band() -> None:
    cheap, careful, other = stored(CHEAP), stored(CAREFUL), stored(CAREFUL, digest="e")
    with pytest.raises(CommandError, match="different data"):
        chosen(cheap, other)
    with pytest.raises(CommandError, match="cost is not known"):
        chosen(cheap, careful)
    with pytest.raises(CommandError, match="no evaluation"):
        chosen(cheap, 999_999)
    with pytest.raises(CommandError, match="--loss"):
        chosen(cheap, careful, "--loss", 2)

"""Cascades and ensembles: who is asked, who decides, and that a failure never reads as safe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.cascades import cascade_curve, frontier, pick_band
from classifiers.errors import InputError
from classifiers.providers.combined import Cascade, Ensemble
from classifiers.types import Classification, Label, Stage, Subject


class Scripted:
    """Says of each text what the script has for it: a score, or None for an error."""

    asked: list[str] = []

    def __init__(self, script: dict[str, float | None], name: str = "", threshold: float = 0.5) -> None:
        self.script, self.name, self.threshold = script, name, threshold

    def classify(self, subjects: Sequence[Subject]) -> list[Classification]:
        Scripted.asked += [f"{self.name}:{subject.text}" for subject in subjects]
        return [self._one(self.script[subject.text]) for subject in subjects]

    def _one(self, score: float | None) -> Classification:
        if score is None:
            return Classification.error(f"{self.name} is away")
        toxic = score >= self.threshold
        return Classification(
            Label.TOXIC if toxic else Label.SAFE,
            score,
            {"toxic": score},
            ("toxic",) if toxic else (),
            {"toxic": self.threshold},
        )


def entry(script: dict[str, float | None], name: str) -> dict[str, Any]:
    return {"BACKEND": "tests.classifiers.test_combined.Scripted", "OPTIONS": {"script": script, "name": name}}


def judge(provider: Any, *texts: str) -> list[Classification]:
    return provider.classify([Subject(text, Stage.INPUT) for text in texts])


def test_only_what_the_cheap_one_doubts_is_asked_again() -> None:
    Scripted.asked = []
    cascade = Cascade(
        entry({"clear": 0.05, "bad": 0.99, "odd": 0.5, "broken": None}, "cheap"),
        entry({"odd": 0.9, "broken": 0.1}, "careful"),
        low=0.1,
        high=0.9,
    )
    said = judge(cascade, "clear", "bad", "odd", "broken")
    assert [c.label for c in said] == ["SAFE", "TOXIC", "TOXIC", "SAFE"]
    assert [c.raw["decided_by"] for c in said] == ["cheap", "cheap", "careful", "careful"]
    assert [name for name in Scripted.asked if name.startswith("careful")] == ["careful:odd", "careful:broken"]
    assert said[2].raw["cheap"]["score"] == 0.5


def test_when_the_careful_one_fails_the_cheap_ones_word_does_not_count() -> None:
    cascade = Cascade(entry({"odd": 0.2}, "cheap"), entry({"odd": None}, "careful"), low=0.1, high=0.9)
    (said,) = judge(cascade, "odd")
    assert said.label is Label.ERROR


def test_what_the_cheap_one_calls_toxic_below_the_band_is_safe_by_the_band() -> None:
    cascade = Cascade(entry({"x": 0.6}, "cheap"), entry({}, "careful"), low=0.7, high=0.9)
    (said,) = judge(cascade, "x")
    assert (said.label, said.flagged) == (Label.SAFE, ())


@pytest.mark.parametrize("band", [(0.9, 0.1), (0.5, 0.5), (-1, 0.5), (0.1, 70)])
def test_a_band_that_is_none_is_refused(band: tuple[float, float]) -> None:
    with pytest.raises(InputError):
        Cascade(entry({}, "a"), entry({}, "b"), low=band[0], high=band[1])


@pytest.mark.parametrize(
    ("rule", "scores", "label"),
    [
        ("any", [0.1, 0.9, 0.1], "TOXIC"),
        ("any", [0.1, 0.2, 0.1], "SAFE"),
        ("any", [0.9, None, 0.1], "TOXIC"),
        ("any", [0.1, None, 0.1], "ERROR"),
        ("majority", [0.9, 0.9, 0.1], "TOXIC"),
        ("majority", [0.9, 0.1, 0.1], "SAFE"),
        ("majority", [0.9, 0.9, None], "TOXIC"),
        ("majority", [0.9, None, 0.1], "ERROR"),
        ("mean", [0.9, 0.9, 0.0], "TOXIC"),
        ("mean", [0.6, 0.2, 0.1], "SAFE"),
        ("mean", [1.0, 1.0, None], "TOXIC"),
        ("mean", [0.1, 0.1, None], "ERROR"),
    ],
)
def test_rules(rule: str, scores: list[float | None], label: str) -> None:
    members = {f"m{i}": entry({"x": score}, f"m{i}") for i, score in enumerate(scores)}
    (said,) = judge(Ensemble(members, rule=rule), "x")
    assert said.label == label
    if label == "ERROR":
        assert "is away" in said.reason


@given(
    st.lists(st.none() | st.floats(0, 1), min_size=2, max_size=5),
    st.sampled_from(Ensemble.RULES),
)
def test_a_failed_member_never_makes_a_text_safe(scores: list[float | None], rule: str) -> None:
    members = {f"m{i}": entry({"x": score}, f"m{i}") for i, score in enumerate(scores)}
    (said,) = judge(Ensemble(members, rule=rule), "x")
    if None in scores:
        assert said.label is not Label.SAFE
    if said.label is not Label.ERROR:
        assert 0 <= said.score <= 1


def test_weights_count() -> None:
    members = {"light": entry({"x": 0.0}, "light"), "heavy": entry({"x": 0.8}, "heavy")}
    (even,), (uneven,) = (judge(Ensemble(members, rule="mean", weights=w), "x") for w in (None, {"heavy": 3}))
    assert (even.label, uneven.label) == ("SAFE", "TOXIC")


@pytest.mark.parametrize(
    "options", [{"rule": "best"}, {"weights": {"nobody": 1}}, {"weights": {"a": 0}}, {"threshold": 7}]
)
def test_an_ensemble_that_is_none_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Ensemble({"a": entry({}, "a"), "b": entry({}, "b")}, **options)


def test_another_member_is_another_version() -> None:
    one, two = (Ensemble({"a": entry({}, "a"), "b": entry({}, name)}).describe() for name in ("b", "c"))
    assert one.fingerprint != two.fingerprint
    assert set(one.settings["members"]) == {"a", "b"}


# Choosing the band


def test_the_curve_runs_from_the_cheap_one_alone_to_the_careful_one_alone() -> None:
    cheap, careful = [0.1, 0.4, 0.6, 0.9], [0.0, 1.0, 0.0, 1.0]
    toxic = [False, True, False, True]
    points = cascade_curve(cheap, careful, toxic, threshold=0.5)
    assert points[0].asked == 0
    assert max(point.asked for point in points) == 1
    assert max(point.f1 for point in points) == 1
    # The two in the middle are all that the careful one needs to see.
    assert pick_band(points, loss=0).asked == 0.5


def test_the_frontier_only_rises() -> None:
    import random

    chance = random.Random(1)
    toxic = [chance.random() < 0.3 for _ in range(400)]
    cheap = [min(1, max(0, chance.gauss(0.35 + 0.3 * t, 0.2))) for t in toxic]
    careful = [min(1, max(0, chance.gauss(0.25 + 0.5 * t, 0.15))) for t in toxic]
    found = list(frontier(cascade_curve(cheap, careful, toxic, threshold=0.5)))
    assert [p.f1 for p in found] == sorted(p.f1 for p in found)
    assert [p.cost for p in found] == sorted(p.cost for p in found)
    chosen = pick_band(cascade_curve(cheap, careful, toxic, threshold=0.5), loss=0.01)
    assert chosen.asked < 1
    with pytest.raises(InputError):
        pick_band([])

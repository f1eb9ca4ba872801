"""Simulated on real comments: choosing what to label needs fewer labels, and only the random share tells the truth."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from benchmarks import active_selection as simulation
from benchmarks.active_selection import Course

DATA = Path(__file__).resolve().parents[3] / "shared/data"
SEEDS = range(8)
LABELS = 240
PRECISION = simulation.FIGURES.index("average precision")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (DATA / "jigsaw-toxic").is_dir(), reason="no data sets in ../shared/data"),
]


@pytest.fixture(scope="module")
def courses() -> tuple[list[Course], list[Course]]:
    """Of eight seeds, with random labels and with chosen ones."""
    return simulation.compare(simulation.task("jigsaw", DATA, texts=3_000), SEEDS, labels=LABELS, test=1_200)


def test_it_needs_fewer_labels_than_random(courses: tuple[list[Course], list[Course]]) -> None:
    aim = simulation.target(courses[0], PRECISION)
    random_labels, active_labels = (simulation.needed(each, PRECISION, aim) for each in courses)
    assert statistics.median(active_labels) <= LABELS * 3 / 4
    assert statistics.median(active_labels) < statistics.median(random_labels)


def test_at_the_end_it_is_better_in_nearly_every_course(courses: tuple[list[Course], list[Course]]) -> None:
    pairs = zip(*([course.curve[LABELS][PRECISION] for course in each] for each in courses), strict=True)
    assert sum(active > at_random for at_random, active in pairs) >= 7


def test_chosen_labels_make_the_model_look_worse_than_it_is_and_random_ones_do_not(
    courses: tuple[list[Course], list[Course]],
) -> None:
    told = {
        kind: statistics.fmean(course.errors[kind][-1] for course in courses[1])
        for kind in ("chosen", "random share", "true")
    }
    assert told["chosen"] > 2 * told["true"]
    assert told["random share"] == pytest.approx(told["true"], abs=0.05)  # of 320 labels

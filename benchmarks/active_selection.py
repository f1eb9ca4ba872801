"""How many labels a model needs that asks for the texts it would learn most from, against one that gets random ones.

    python -m benchmarks.active_selection [--data ../shared/data] [--seeds 10] [--sentences]

A logistic regression learns from scratch, by hashed words or, with ``--sentences``, by sentence embeddings (minutes). Each
round of 40 labels is made as the site fills a queue: a fifth drawn at random from everything, which is never learnt from,
and the rest by training.selection; whoever labels at random learns from all 40. The target is the median of what random
labels reach at the end. Beside it: how often the model errs on what it is about to learn, by the random share, and in truth.
"""

from __future__ import annotations

import argparse
import csv
import random
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training import selection

TEXTS, TEST = 6_000, 2_000  # of each set; the rest is what can be labelled
ROUND, SHARE, LABELS = 40, 0.2, 480
FIGURES = ("average precision", "ROC-AUC")


@dataclass(frozen=True, slots=True)
class Task:
    """Texts with labels; ``near`` are the vectors by which texts are told apart, ``features`` what the model learns from."""

    near: Any
    features: Any
    toxic: Any


@dataclass(slots=True)
class Course:
    """What came of one seed: the figures of the model after each round, by number of labels; and how often it erred in
    each round, on what was chosen by it and on all that was drawn at random until then, none of it learnt from."""

    curve: dict[int, tuple[float, ...]] = field(default_factory=dict)
    errors: dict[str, list[float]] = field(default_factory=lambda: {"chosen": [], "random share": [], "true": []})

    def needed(self, figure: int, target: float) -> int | None:
        """With how many labels the figure first reached the target."""
        return next((labels for labels, found in self.curve.items() if found[figure] >= target), None)


def jigsaw(data: Path) -> Iterator[tuple[str, bool]]:
    """Wikipedia comments; toxic or not."""
    with (data / "jigsaw-toxic/train_multilabel.csv").open(newline="") as file:
        yield from ((row["comment_text"], float(row["toxic"]) > 0) for row in csv.DictReader(file))


def davidson(data: Path) -> Iterator[tuple[str, bool]]:
    """Tweets found by words of hate; hate speech or not."""
    with (data / "davidson-hate-offensive/labeled_data.csv").open(newline="") as file:
        yield from ((row["tweet"], row["class"] == "0") for row in csv.DictReader(file))


SETS: dict[str, Callable[[Path], Iterator[tuple[str, bool]]]] = {"jigsaw": jigsaw, "davidson": davidson}


def task(name: str, data: Path, *, sentences: bool = False, texts: int = TEXTS) -> Task:
    import numpy

    found = [*dict(SETS[name](data)).items()]
    random.Random(0).shuffle(found)
    words = [text for text, _ in found[:texts]]
    near = selection.vectors(words)
    return Task(near, _sentences(words) if sentences else near, numpy.array([toxic for _, toxic in found[:texts]]))


def _sentences(texts: Sequence[str]) -> Any:
    from classifiers.embeddings import encoder

    return encoder().embed(texts)


def simulate(task: Task, *, active: bool, seed: int, labels: int = LABELS, test: int = TEST) -> Course:
    """One course of rounds, the first of them random."""
    import numpy

    chance, course = numpy.random.default_rng(seed), Course()
    order = chance.permutation(len(task.toxic))
    held, pool = order[:test], order[test:]
    learnt, share, asked = list(chance.choice(pool, ROUND, replace=False)), [], set[int]()
    while len(asked := asked | {*learnt, *share}) < labels:
        course.curve[len(asked)] = _figures(task.toxic[held], _scores(task, learnt)[held])
        if not active:
            learnt += list(chance.choice(pool[~numpy.isin(pool, learnt)], ROUND, replace=False))
            continue
        share += list(chance.choice(pool, round(ROUND * SHARE), replace=False))
        learnt = [place for place in learnt if place not in share]
        scores, free = _scores(task, learnt), pool[~numpy.isin(pool, [*asked, *share])]
        chosen = _chosen(task, scores, free, share, ROUND - len({*share} - asked))
        wrong = (scores > 0.5) != task.toxic
        for kind, places in (("chosen", chosen), ("random share", share), ("true", held)):
            course.errors[kind].append(float(wrong[places].mean()))
        learnt += chosen
    course.curve[len(asked)] = _figures(task.toxic[held], _scores(task, learnt)[held])
    return course


def _chosen(task: Task, scores: Any, free: Any, share: Sequence[int], number: int) -> list[int]:
    """What a queue of the site would choose of what is free."""
    information = [selection.uncertainty(float(score)) for score in scores[free]]
    most = selection.shortlist(information, number)
    weights = [information[place] for place in most]
    taken = selection.chosen(weights, task.near[free[most]], number, near=task.near[share])
    return [int(free[most[place]]) for place in taken]


def _scores(task: Task, known: Sequence[int]) -> Any:
    import numpy
    from sklearn.linear_model import LogisticRegression

    if len({*task.toxic[known]}) < 2:
        return numpy.full(len(task.toxic), 0.5)
    model = LogisticRegression(C=10, max_iter=500).fit(task.features[known], task.toxic[known])
    return model.predict_proba(task.features)[:, 1]


def _figures(toxic: Any, scores: Any) -> tuple[float, ...]:
    from sklearn.metrics import average_precision_score, roc_auc_score

    return float(average_precision_score(toxic, scores)), float(roc_auc_score(toxic, scores))


def compare(task: Task, seeds: Sequence[int], **options: Any) -> tuple[list[Course], list[Course]]:
    """The courses with random labels, and those with chosen ones."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # several threads only wait for one another on problems this small
        at_random, chosen = ([simulate(task, active=a, seed=seed, **options) for seed in seeds] for a in (False, True))
    return at_random, chosen


def target(courses: Sequence[Course], figure: int) -> float:
    """The median of what they reach at the end."""
    return statistics.median([*course.curve.values()][-1][figure] for course in courses)


def needed(courses: Sequence[Course], figure: int, aim: float) -> list[float]:
    """Of each course, with how many labels it reached the aim: infinite where it did not."""
    return [course.needed(figure, aim) or float("inf") for course in courses]


def spread(numbers: Sequence[float]) -> str:
    """Median, and the second least and greatest of ten in between."""
    ordered = sorted(numbers)
    tenth = len(ordered) // 10
    low, high = ordered[tenth], ordered[-1 - tenth]
    return f"{statistics.median(ordered):g} [{low:g}, {high:g}]"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.active_selection", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="the folder of data sets")
    parser.add_argument("--seeds", type=int, default=10, help="how many courses of each kind")
    parser.add_argument("--sentences", action="store_true", help="learn from sentence embeddings")
    options = parser.parse_args()
    for name in SETS:
        found = task(name, options.data, sentences=options.sentences)
        sys.stdout.write(f"{name}: {found.toxic.mean():.3f} of {len(found.toxic)} texts toxic\n")
        courses = compare(found, range(options.seeds))
        for place, figure in enumerate(FIGURES):
            aim = target(courses[0], place)
            random_labels, chosen_labels = (spread(needed(each, place, aim)) for each in courses)
            end = target(courses[1], place)
            sys.stdout.write(
                f"  {figure} {aim:.3f}: random {random_labels}, active {chosen_labels} labels; active at {LABELS}: {end:.3f}\n"
            )
        for kind in courses[1][0].errors:
            last = [statistics.fmean(course.errors[kind][-4:]) for course in courses[1]]
            sys.stdout.write(f"  error by {kind}: {statistics.fmean(last):.3f} [{min(last):.3f}, {max(last):.3f}]\n")


if __name__ == "__main__":
    main()

"""A classifier held against known labels: everything a team asks of it, with intervals; errors left out and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import quantiles
from typing import Any

from classifiers import pipeline
from classifiers.agreement import Estimate
from classifiers.calibration import (
    Bin,
    Calibration,
    expected_calibration_error,
    fit_isotonic,
    fit_temperature,
    reliability,
)
from classifiers.curves import (
    RESAMPLES,
    Aim,
    Figure,
    Scored,
    at_threshold,
    average_precision,
    best_f1,
    bootstrap,
    bootstrap_difference,
    f1,
    false_positive_rate,
    mcnemar,
    pick_threshold,
    precision,
    recall,
    recall_at_fpr,
    roc_auc,
)
from classifiers.errors import InputError
from classifiers.evaluation import wilson
from classifiers.labelled import Labelled
from classifiers.policy import Rules
from classifiers.protocols import ClassifierProvider
from classifiers.types import Label

FITS = {"temperature": fit_temperature, "isotonic": fit_isotonic}
# By score, whatever the threshold; and by the label that was given.
BY_SCORE: Mapping[str, Figure] = {
    "auprc": average_precision,
    "roc_auc": roc_auc,
    "recall_at_1_percent_fpr": recall_at_fpr(0.01),
    "recall_at_5_percent_fpr": recall_at_fpr(0.05),
    "best_f1": best_f1,  # optimistic: its threshold is chosen on these very texts
}
BY_LABEL: Mapping[str, Figure] = {
    "f1": at_threshold(0.5, f1),
    "precision": at_threshold(0.5, precision),
    "recall": at_threshold(0.5, recall),
    "false_positive_rate": at_threshold(0.5, false_positive_rate),
}


@dataclass(frozen=True, slots=True)
class Said:
    """What was said of one labelled text; score and label are None and ERROR where it could not be judged.

    ``groups`` are those of people that the text names (fairness.groups); whoever keeps this without its text notes them.
    """

    toxic: bool
    label: Label
    score: float | None
    category: str = ""
    latency: float | None = None
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CategoryCount:
    """Of the texts of one category: how many, how many of them are toxic, were flagged, could not be judged."""

    name: str
    n: int
    toxic: int
    flagged: int
    errors: int


@dataclass(frozen=True)
class Measured:
    """``n`` texts, ``errors`` of which could not be judged and are in no figure; ``unscored`` have a label and no score."""

    n: int
    toxic: int
    errors: int
    unscored: int
    figures: Mapping[str, Estimate]
    bins: Sequence[Bin]
    categories: Sequence[CategoryCount]
    seconds: Mapping[str, float]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def judge(
    provider: ClassifierProvider,
    rows: Sequence[Labelled],
    *,
    batch: int = 64,
    rules: Rules = pipeline.NO_RULES,
    check: str = "",
) -> Iterator[Said]:
    """What the classifier says of each, in order, under these rules; ProviderError when it cannot work at all.

    ``check`` is the name that the rules know it by.
    """
    for start in range(0, len(rows), batch):
        some = rows[start : start + batch]
        for found, row in zip(pipeline.classify(provider, [row.subject for row in some]), some, strict=True):
            label = rules.apply(found, check=check, stage=row.subject.stage).label
            yield Said(row.toxic, label, found.score, row.category, found.latency)


def measure(said: Sequence[Said], *, seed: int = 0, resamples: int = RESAMPLES) -> Measured:
    """All figures. Those that are undefined (one kind of text only, no scores) say why."""
    judged = [each for each in said if each.label is not Label.ERROR]
    scored = [each for each in judged if each.score is not None]
    scores, truth = [each.score or 0.0 for each in scored], [each.toxic for each in scored]
    flags = Scored.of([float(each.label is Label.TOXIC) for each in judged], [each.toxic for each in judged])
    figures = bootstrap(Scored.of(scores, truth), BY_SCORE, seed=seed, resamples=resamples)
    figures |= bootstrap(flags, BY_LABEL, seed=seed, resamples=resamples)
    figures["false_positive_rate"] = _shares(judged, toxic=False)
    figures["recall"] = _shares(judged, toxic=True)
    error = expected_calibration_error(scores, truth)
    why = "" if error is not None else "There are no scores."
    figures["expected_calibration_error"] = Estimate(error, None, None, len(scored), why)
    return Measured(
        n=len(said),
        toxic=sum(each.toxic for each in said),
        errors=len(said) - len(judged),
        unscored=len(judged) - len(scored),
        figures=figures,
        bins=reliability(scores, truth) if scored else (),
        categories=list(_categories(said)),
        seconds=_latency([each.latency for each in said if each.latency is not None]),
    )


def _shares(judged: Sequence[Said], *, toxic: bool) -> Estimate:
    """The share flagged of one kind, with Wilson's interval, which holds where none or all were."""
    kind = [each for each in judged if each.toxic is toxic]
    return wilson(sum(each.label is Label.TOXIC for each in kind), len(kind))


def _categories(said: Sequence[Said]) -> Iterator[CategoryCount]:
    for name in sorted({each.category for each in said} - {""}):
        of = [each for each in said if each.category == name]
        labels = [each.label for each in of]
        yield CategoryCount(
            name, len(of), sum(e.toxic for e in of), labels.count(Label.TOXIC), labels.count(Label.ERROR)
        )


@dataclass(frozen=True, slots=True)
class CategoryConfusion:
    """What became of the texts of one category: flagged rightly and wrongly, passed wrongly and rightly, not judged."""

    name: str
    tp: int
    fp: int
    fn: int
    tn: int
    errors: int


def confusions(said: Sequence[Said]) -> list[CategoryConfusion]:
    """Of each category; first, without a name, of all texts."""
    names = ["", *sorted({each.category for each in said} - {""})]
    return [_confusion(name, [each for each in said if name in ("", each.category)]) for name in names]


def _confusion(name: str, said: Sequence[Said]) -> CategoryConfusion:
    counts = Counter((each.label, each.toxic) for each in said)
    return CategoryConfusion(
        name,
        tp=counts[Label.TOXIC, True],
        fp=counts[Label.TOXIC, False],
        fn=counts[Label.SAFE, True],
        tn=counts[Label.SAFE, False],
        errors=counts[Label.ERROR, True] + counts[Label.ERROR, False],
    )


def _latency(seconds: Sequence[float]) -> dict[str, float]:
    """p50 and p95 of a text, in seconds; empty with fewer than two."""
    cut = quantiles(seconds, n=20) if len(seconds) > 1 else []
    return {"p50": cut[9], "p95": cut[18]} if cut else {}


# Calibration and thresholds, fitted on one part and reported on the other


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A calibration fitted on ``fitted`` texts, and its error on the ``held`` others before and after."""

    calibration: Calibration
    fitted: int
    held: int
    before: float | None
    after: float | None

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "calibration": self.calibration.as_json()}


@dataclass(frozen=True, slots=True)
class Picked:
    """A threshold chosen on some texts, and what it does on the others."""

    aim: Aim
    threshold: float
    fitted: int
    figures: Mapping[str, Estimate]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def split(said: Sequence[Said], *, seed: int = 0, share: float = 0.5) -> tuple[list[Said], list[Said]]:
    """Scored texts in two parts at random, one to fit on and one to report on."""
    import numpy as np

    if not 0 < share < 1:
        raise InputError(f"The share to fit on is {share}; it must lie between 0 and 1.")
    scored = [each for each in said if each.score is not None]
    order = np.random.default_rng(seed).permutation(len(scored))
    first = round(len(scored) * share)
    return [scored[i] for i in order[:first]], [scored[i] for i in order[first:]]


def calibrate(said: Sequence[Said], kind: str, *, seed: int = 0, share: float = 0.5) -> Calibrated:
    """Raises InputError for an unknown kind, or when a part holds one kind of text only."""
    if kind not in FITS:
        raise InputError(f"A calibration is one of {', '.join(FITS)}, not {kind!r}.")
    fit, held = split(said, seed=seed, share=share)
    calibration = FITS[kind](*_pairs(fit))
    scores, truth = _pairs(held)
    before, after = (expected_calibration_error(s, truth) for s in (scores, calibration.apply(scores)))
    return Calibrated(calibration, len(fit), len(held), before, after)


def choose_threshold(said: Sequence[Said], aim: Aim, *, seed: int = 0, share: float = 0.5) -> Picked:
    """Chosen on one part, with figures of the other. Raises InputError when no threshold reaches the aim."""
    fit, held = split(said, seed=seed, share=share)
    threshold = pick_threshold(Scored.of(*_pairs(fit)).curve(), aim)
    named = {"f1": f1, "precision": precision, "recall": recall, "false_positive_rate": false_positive_rate}
    wanted = {name: at_threshold(threshold, figure) for name, figure in named.items()}
    return Picked(aim, threshold, len(fit), bootstrap(Scored.of(*_pairs(held)), wanted, seed=seed))


def _pairs(said: Sequence[Said]) -> tuple[list[float], list[bool]]:
    return [each.score or 0.0 for each in said], [each.toxic for each in said]


# Two on the same texts


@dataclass(frozen=True, slots=True)
class Paired:
    """The first against the second on the texts that both judged: differences, and who alone was right."""

    n: int
    left_out: int
    auprc: Estimate
    roc_auc: Estimate
    only_first: int
    only_second: int
    mcnemar_p: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def compare(first: Sequence[Said], second: Sequence[Said], *, seed: int = 0, resamples: int = RESAMPLES) -> Paired:
    """Raises InputError when they are not about the same texts, in the same order."""
    if [each.toxic for each in first] != [each.toxic for each in second]:
        raise InputError("Two classifiers are compared on the same texts. Evaluate both on the same data.")
    both = [
        (a, b)
        for a, b in zip(first, second, strict=True)
        if Label.ERROR not in (a.label, b.label) and a.score is not None and b.score is not None
    ]
    one, two = (Scored.of([p[i].score or 0.0 for p in both], [p[i].toxic for p in both]) for i in (0, 1))
    right = [[(p[i].label is Label.TOXIC) == p[i].toxic for p in both] for i in (0, 1)]
    only_first = sum(a and not b for a, b in zip(*right, strict=True))
    only_second = sum(b and not a for a, b in zip(*right, strict=True))
    return Paired(
        len(both),
        len(first) - len(both),
        bootstrap_difference(one, two, average_precision, seed=seed, resamples=resamples),
        bootstrap_difference(one, two, roc_auc, seed=seed, resamples=resamples),
        only_first,
        only_second,
        mcnemar(only_first, only_second),
    )

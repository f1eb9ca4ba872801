"""May one classifier take another's place? Both on the same texts, side by side, and what each gate says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from classifiers.agreement import Estimate
from classifiers.curves import (
    RESAMPLES,
    Figure,
    Scored,
    at_threshold,
    average_precision,
    bootstrap_pair,
    false_positive_rate,
    mcnemar,
    recall,
    recall_at_fpr,
    roc_auc,
)
from classifiers.errors import InputError
from classifiers.measuring import CategoryConfusion, Said, confusions
from classifiers.types import Label
from fairness.metrics import Gap, GroupRate, false_positive_rates, gap, gap_difference
from fairness.probes import CATEGORY


@dataclass(frozen=True, slots=True)
class Margins:
    """How many texts of each label are needed, by how much recall may be lower, and the gap between groups wider."""

    texts: int = 30
    recall: float = 0.02
    gap: float = 0.05

    def __post_init__(self) -> None:
        if self.texts < 1 or not (0 <= self.recall <= 1 and 0 <= self.gap <= 1):
            raise InputError("A promotion needs at least 1 text of each label, and margins between 0 and 1.")


@dataclass(frozen=True, slots=True)
class Beside:
    """A figure of both on the same texts, and the new one's less the old one's, with paired intervals."""

    old: Estimate
    new: Estimate
    change: Estimate


@dataclass(frozen=True, slots=True)
class GroupBeside:
    old: GroupRate
    new: GroupRate


@dataclass(frozen=True, slots=True)
class CategoryBeside:
    """Without a name, of all texts."""

    name: str
    old: CategoryConfusion
    new: CategoryConfusion


@dataclass(frozen=True, slots=True)
class Rivals:
    """Both on ``n`` texts that both judged, ``toxic`` of them toxic; ``lost`` texts only the old one could judge.

    Probes (fairness.probes) are in no figure but the groups'. ``fpr`` is the share of harmless texts that the old one
    flags. ``only_old`` and ``only_new`` count the texts that just one of them labelled rightly.
    """

    n: int
    toxic: int
    left_out: int
    probes: int
    lost: int
    fpr: float | None
    figures: Mapping[str, Beside]
    only_old: int
    only_new: int
    mcnemar_p: float
    categories: Sequence[CategoryBeside]
    groups: Sequence[GroupBeside]
    gaps: Sequence[Gap]  # the old one's, the new one's
    gap_change: Estimate

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Gate:
    """One thing that must hold, and a sentence of what was measured and what is needed."""

    name: str
    met: bool
    says: str


def compare(old: Sequence[Said], new: Sequence[Said], *, seed: int = 0, resamples: int = RESAMPLES) -> Rivals:
    """Raises InputError when they are not about the same texts, in the same order."""
    if [(e.toxic, e.category) for e in old] != [(e.toxic, e.category) for e in new]:
        raise InputError("Two classifiers are compared on the same texts. Evaluate both on the same data.")
    both = [(a, b) for a, b in zip(old, new, strict=True) if Label.ERROR not in (a.label, b.label)]
    real = [pair for pair in both if pair[0].category != CATEGORY]
    fpr = _share([a.label is Label.TOXIC for a, _ in real if not a.toxic])
    right = [[(each.label is Label.TOXIC) == each.toxic for each in pair] for pair in real]
    only_old, only_new = (sum(r[i] and not r[1 - i] for r in right) for i in (0, 1))
    options = {"seed": seed, "resamples": resamples}
    flags, toxic = [[e.label is Label.TOXIC for e in side] for side in _sides(both)], [a.toxic for a, _ in both]
    groups = [a.groups for a, _ in both]
    rates = [false_positive_rates(each, toxic, groups) for each in flags]
    return Rivals(
        n=len(real),
        toxic=sum(a.toxic for a, _ in real),
        left_out=len(old) - len(both),
        probes=len(both) - len(real),
        lost=sum(b.label is Label.ERROR and a.label is not Label.ERROR for a, b in zip(old, new, strict=True)),
        fpr=fpr,
        figures=_by_score(real, fpr or 0.0, options) | _by_label(real, options),
        only_old=only_old,
        only_new=only_new,
        mcnemar_p=mcnemar(only_old, only_new),
        categories=[CategoryBeside(a.name, a, b) for a, b in zip(confusions(old), confusions(new), strict=True)],
        groups=[GroupBeside(*pair) for pair in zip(*rates, strict=True)],
        gaps=[gap(each) for each in rates],
        gap_change=gap_difference(flags[1], flags[0], toxic, groups, seed=seed, resamples=resamples),
    )


def gates(rivals: Rivals, margins: Margins, *, learnt: int | None, whole: bool = True) -> list[Gate]:
    """What must hold before the new one may take the old one's place; ``learnt`` are the texts that it learnt from, ``whole``
    is whether that is known of the adapters before it too.

    They decide on what was measured, not on the ends of intervals: with few texts chance has a part in it.
    """
    return [
        _enough(rivals, margins),
        _unseen(learnt, whole),
        Gate("judges", not rivals.lost, f"{rivals.lost} texts that the old one judges cannot be judged by the new one; none may be."),
        _same_alarms(rivals, margins),
        _as_it_stands(rivals, margins),
        _between_groups(rivals, margins),
    ]  # fmt: skip


Pairs = Sequence[tuple[Said, Said]]


def _sides(pairs: Pairs) -> tuple[list[Said], list[Said]]:
    return [a for a, _ in pairs], [b for _, b in pairs]


def _by_score(pairs: Pairs, fpr: float, options: Mapping[str, int]) -> dict[str, Beside]:
    scored = [(a, b) for a, b in pairs if a.score is not None and b.score is not None]
    old, new = (Scored.of([e.score or 0.0 for e in side], [e.toxic for e in side]) for side in _sides(scored))
    figures = {"recall_at_same_fpr": recall_at_fpr(fpr), "auprc": average_precision, "roc_auc": roc_auc}
    return _beside(old, new, figures, options)


def _by_label(pairs: Pairs, options: Mapping[str, int]) -> dict[str, Beside]:
    flags = ([float(each.label is Label.TOXIC) for each in side] for side in _sides(pairs))
    old, new = (Scored.of(each, [a.toxic for a, _ in pairs]) for each in flags)
    named = {"recall": recall, "false_positive_rate": false_positive_rate, "informedness": informedness}
    return _beside(old, new, {name: at_threshold(0.5, figure) for name, figure in named.items()}, options)


def informedness(tp: float, fp: float, fn: float, tn: float) -> float | None:
    """Recall less false-positive rate: 1 for a classifier that is always right, 0 for one that flags all, none, or at
    random (Youden, Cancer 3, 1950). None unless there are both labels."""
    found, alarms = recall(tp, fp, fn, tn), false_positive_rate(tp, fp, fn, tn)
    return None if found is None or alarms is None else found - alarms


def _beside(old: Scored, new: Scored, figures: Mapping[str, Figure], options: Mapping[str, int]) -> dict[str, Beside]:
    pairs = bootstrap_pair(new, old, figures, seed=options["seed"], resamples=options["resamples"])
    return {name: Beside(pair.second, pair.first, pair.difference) for name, pair in pairs.items()}


def _enough(rivals: Rivals, margins: Margins) -> Gate:
    harmless = rivals.n - rivals.toxic
    says = f"Both judged {rivals.toxic} toxic and {harmless} harmless texts; {margins.texts} of each are needed."
    return Gate("texts", min(rivals.toxic, harmless) >= margins.texts, says)


def _unseen(learnt: int | None, whole: bool) -> Gate:
    if learnt is None:
        return Gate("unseen", False, "It is not known which texts the new one learnt from; that must be on record.")
    says = f"The new one learnt from {learnt} of these texts; it may have learnt from none."
    return Gate(
        "unseen",
        not learnt,
        says if whole else f"{says} What the adapter it went on from learnt is not on record here.",
    )


def _same_alarms(rivals: Rivals, margins: Margins) -> Gate:
    figure = rivals.figures["recall_at_same_fpr"]
    at = f"At the old one's {_percent(rivals.fpr)} false positives"
    return _not_lower("recall", figure, margins.recall, f"{at}, recall", rivals)


def _as_it_stands(rivals: Rivals, margins: Margins) -> Gate:
    figure = rivals.figures["informedness"]
    return _not_lower(
        "labels", figure, margins.recall, "By the labels as they stand, recall less false positives", rivals
    )


def _not_lower(name: str, figure: Beside, margin: float, what: str, rivals: Rivals) -> Gate:
    old, new = figure.old.value, figure.new.value
    if old is None or new is None:
        return Gate(name, False, f"{what} is not known; scored texts of both labels are needed.")
    least = max(0.0, old - margin)
    says = f"{what} is {_percent(new)} and was {_percent(old)}; {_percent(least)} is needed."
    return Gate(name, new >= old - margin - 1e-12, says)


def _between_groups(rivals: Rivals, margins: Margins) -> Gate:
    (old, new) = rivals.gaps
    if old.value is None or new.value is None:
        return Gate("groups", False, f"{new.why} Compare on texts that name groups of people.")
    of = f" ({new.highest} {_rate(rivals, new.highest)}, {new.lowest} {_rate(rivals, new.lowest)})"
    says = (
        f"Between groups that harmless texts name, false positives differ by {_percent(new.value)}{of} and did by "
        f"{_percent(old.value)}; {_percent(old.value + margins.gap)} is the most that may be."
    )
    return Gate("groups", new.value <= old.value + margins.gap + 1e-12, says)


def _rate(rivals: Rivals, name: str) -> str:
    return _percent(next(each.new.rate.value for each in rivals.groups if each.new.name == name))


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{100 * share:.1f} %"


def _share(flags: Sequence[bool]) -> float | None:
    return sum(flags) / len(flags) if flags else None

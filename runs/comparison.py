"""Two runs over the same prompts: where their configurations agree, and whether they differ by more than chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, F, OuterRef, Q, Subquery

from classifiers.types import Label, Stage
from runs.models import Result, Run
from runs.querysets import ResultQuerySet

JUDGED = (Label.SAFE, Label.TOXIC)


@dataclass(frozen=True)
class Agreement:
    """How often the first run gave one label and the second another, at one stage.

    An ERROR is no judgement: two runs that both failed on a prompt did not agree on it. So the figures rest on the
    prompts that both judged, and the others are counted. ``unshared`` prompts came to this stage in one run only.
    """

    stage: Stage
    table: Mapping[tuple[Label, Label], int]
    unshared: int = 0

    @property
    def judged(self) -> int:
        return sum(self.table.get((a, b), 0) for a in JUDGED for b in JUDGED)

    @property
    def errors(self) -> int:
        return sum(self.table.values()) - self.judged

    @property
    def discordant(self) -> tuple[int, int]:
        """SAFE then TOXIC, and TOXIC then SAFE."""
        return self.table.get((Label.SAFE, Label.TOXIC), 0), self.table.get((Label.TOXIC, Label.SAFE), 0)

    @property
    def observed(self) -> float | None:
        """The share of the prompts judged by both on which they agree; None when there is none."""
        return 1 - sum(self.discordant) / self.judged if self.judged else None

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa, (observed - chance) / (1 - chance), in [-1, 1]; None when chance alone explains all.

        Chance is the agreement of two that give each label as often as these did, independently of one another.
        J. Cohen, A Coefficient of Agreement for Nominal Scales, Educational and Psychological Measurement 20, 1960.
        """
        first, second = ({label: self._share(place, label) for label in JUDGED} for place in (0, 1))
        chance = sum(first[label] * second[label] for label in JUDGED)
        # In whole numbers, so that "all the same label" is exactly that.
        whole = self.judged**2
        return (
            None
            if chance == whole
            else (self.judged * (self.judged - sum(self.discordant)) - chance) / (whole - chance)
        )

    @property
    def p_value(self) -> float:
        """McNemar's test, exact and two-sided: how likely are discordant pairs so uneven if neither is stricter?

        The pairs are then tosses of a fair coin. Q. McNemar, Note on the Sampling Error of the Difference Between
        Correlated Proportions or Percentages, Psychometrika 12, 1947. Without discordant pairs it is 1.
        """
        from scipy.stats import binomtest

        first, second = self.discordant
        return float(binomtest(first, first + second).pvalue) if first + second else 1.0

    def _share(self, place: int, label: Label) -> int:
        return sum(n for pair, n in self.table.items() if pair[place] == label and Label.ERROR not in pair)

    def as_json(self) -> dict[str, Any]:
        return {
            "table": {a: {b: self.table.get((a, b), 0) for b in Label} for a in Label},
            "judged": self.judged,
            "errors": self.errors,
            "unshared": self.unshared,
            "agreement": self.observed,
            "kappa": self.kappa,
            "mcnemar_p": self.p_value,
        }


@dataclass(frozen=True)
class Comparison:
    """``matched`` prompts stand at the same position of both runs, with the same text.

    ``policies`` are those that the labels of the two follow from; None stands for the classifiers' own word.
    """

    matched: int
    stages: tuple[Agreement, ...]
    policies: tuple[str | None, str | None]

    def as_json(self) -> dict[str, Any]:
        policies = list(self.policies)
        return {
            "matched": self.matched,
            "policies": policies,
            **{agreement.stage.lower(): agreement.as_json() for agreement in self.stages},
        }


def compare(a: Run, b: Run) -> Comparison:
    """How two runs judged the prompts that they share."""
    labels = ("input_label", "output_label")
    rows = _matched(a, b).order_by().values_list(*labels, *(f"other_{label}" for label in labels))
    counts = Counter({tuple(pair): n for *pair, n in rows.annotate(n=Count("pk"))})
    stages = _agreement(Stage.INPUT, counts, 0), _agreement(Stage.OUTPUT, counts, 1)
    return Comparison(counts.total(), stages, (a.policy, b.policy))


def differing(a: Run, b: Run) -> ResultQuerySet:
    """The results of ``a`` to which ``b`` gave another label at a stage that both came to.

    Each has what ``b`` said in ``other_input_label`` and ``other_output_label``.
    """
    both_answered = Q(output_label__isnull=False, other_output_label__isnull=False)
    return _matched(a, b).filter(
        ~Q(input_label=F("other_input_label")) | both_answered & ~Q(output_label=F("other_output_label"))
    )


def _matched(a: Run, b: Run) -> ResultQuerySet:
    same = Result.objects.filter(run=b, position=OuterRef("position"), prompt=OuterRef("prompt"))
    both = Result.objects.filter(run=a).annotate(
        other_input_label=Subquery(same.values("input_label")), other_output_label=Subquery(same.values("output_label"))
    )
    return both.filter(other_input_label__isnull=False)


def _agreement(stage: Stage, counts: Counter[tuple[str | None, ...]], place: int) -> Agreement:
    table: Counter[tuple[Label, Label]] = Counter()
    unshared = 0
    for row, n in counts.items():
        first, second = row[place], row[place + 2]
        if first and second:
            table[Label(first), Label(second)] += n
        elif first or second:
            unshared += n
    return Agreement(stage, table, unshared)

"""What counts as harm: thresholds on raw scores, by category, stage and check. Deciding anew needs no model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

from classifiers.errors import InputError
from classifiers.loading import check_threshold
from classifiers.taxonomy import harms_of
from classifiers.types import Classification, Label, Stage

ANY = "*"


class Action(StrEnum):
    """What follows when a score reaches its threshold: the text is TOXIC, or it is only noted."""

    BLOCK = "BLOCK"
    INFORM = "INFORM"


@dataclass(frozen=True, slots=True)
class Rule:
    """From which score on a category counts. ``category`` is a classifier's own name, a harm, or ``*`` for any.

    An empty ``stage`` or ``check`` means all of them; a check's rules hold for its adapters (``gemma@mine``) too. Without
    a ``threshold`` the classifier's own word stands, and the rule says only what follows from it.
    """

    category: str
    threshold: float | None = None
    action: Action = Action.BLOCK
    stage: str = ""
    check: str = ""

    def __post_init__(self) -> None:
        if self.threshold is not None:
            check_threshold(self.threshold, of=self.category)
        if self.stage and self.stage not in list(Stage):
            raise InputError(f"There is no stage {self.stage!r}. A rule is for INPUT, OUTPUT or, left empty, both.")
        if not self.category:
            raise InputError(f"A rule names a category, or {ANY} for all.")

    def weight(self, name: str) -> tuple[int, int, int]:
        """The more exactly a rule speaks of something, the more it counts: first by check, then category, then stage."""
        of_category = 2 if self.category == name else 0 if self.category == ANY else 1
        return len(self.check), of_category, bool(self.stage)  # of those that fit, the longest check is the most exact


@dataclass(frozen=True)
class Rules:
    """All rules of one version of a policy. Of several that fit, the most exact counts; of equals the last."""

    rules: tuple[Rule, ...] = ()

    @classmethod
    def of(cls, rules: Iterable[Rule]) -> Rules:
        return cls(tuple(rules))

    def rule_for(self, name: str, *, check: str, stage: str) -> Rule | None:
        return self._table(check, stage)[name]

    def thresholds(self, names: Iterable[str], *, check: str, stage: str) -> dict[str, float]:
        """Those that this policy sets for these categories."""
        table = self._table(check, stage)
        fitting = {name: table[name] for name in names} if self.rules else {}
        return {name: rule.threshold for name, rule in fitting.items() if rule and rule.threshold is not None}

    def apply(self, own: Classification, *, check: str, stage: str) -> Classification:
        """What the policy makes of what a classifier said: its label and flags; scores and spans stay as they are."""
        label, flagged = self.decide(own.label, own.categories, own.flagged, check=check, stage=stage)
        thresholds = self.thresholds([*own.categories, *own.flagged], check=check, stage=stage)
        if own.label is Label.ERROR or ((label, flagged) == (own.label, own.flagged) and not thresholds):
            return own
        return replace(own, label=label, flagged=flagged, thresholds={**own.thresholds, **thresholds})

    def decide(
        self, label: Label, scores: Mapping[str, float], flagged: tuple[str, ...], *, check: str, stage: str
    ) -> tuple[Label, tuple[str, ...]]:
        """The label and the categories that count, of a classifier's own and the scores that it gave.

        An ERROR stays one: no policy makes safe what could not be judged.
        """
        if label is Label.ERROR or not self.rules:
            return label, flagged
        table = self._table(check, stage)
        counting = {name for name, score in scores.items() if _counts(table[name], score, name in flagged)}
        counting.update(name for name in flagged if name not in scores and _counts(table[name], None, True))
        # In an order that does not depend on that of the scores, which databases do not keep.
        counted = flagged if counting == set(flagged) else tuple(sorted(counting))
        unnamed = label is Label.TOXIC and not flagged and _counts(table[ANY], None, True)
        return Label.TOXIC if counted or unnamed else Label.SAFE, counted

    def _table(self, check: str, stage: str) -> _Table:
        place = check, stage
        if place not in self._tables:
            self._tables[place] = _Table(self.rules, check, stage)
        return self._tables[place]

    @cached_property
    def _tables(self) -> dict[tuple[str, str], _Table]:
        return {}


class _Table(dict[str, "Rule | None"]):
    """The rule for each category, for one check at one stage, looked up when it first comes."""

    def __init__(self, rules: tuple[Rule, ...], check: str, stage: str) -> None:
        super().__init__()
        checks, stages = ("", check, check.partition("@")[0]), ("", stage)
        self._fitting = [rule for rule in rules if rule.check in checks and rule.stage in stages]

    def __missing__(self, name: str) -> Rule | None:
        speaks_of = {name, ANY, *harms_of(name)}
        fitting = [rule for rule in self._fitting if rule.category in speaks_of]
        self[name] = max(reversed(fitting), key=lambda rule: rule.weight(name), default=None)
        return self[name]


def _counts(rule: Rule | None, score: float | None, flagged: bool) -> bool:
    """Of a category with this score that its classifier flagged or not; without a threshold, its word stands."""
    if rule is None:
        return flagged
    if rule.action is Action.INFORM:
        return False
    return flagged if rule.threshold is None or score is None else score >= rule.threshold

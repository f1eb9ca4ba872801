"""What counts as harm: thresholds on raw scores, by category, stage and check. Deciding anew needs no model."""

from __future__ import annotations

from collections.abc import Iterable
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

    An empty ``stage`` or ``check`` means all of them. Without a ``threshold`` the classifier's own word stands, and the
    rule says only what follows from it.
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
        return bool(self.check), of_category, bool(self.stage)


@dataclass(frozen=True)
class Rules:
    """All rules of one version of a policy. Of several that fit, the most exact counts; of equals the last."""

    rules: tuple[Rule, ...] = ()

    @classmethod
    def of(cls, rules: Iterable[Rule]) -> Rules:
        return cls(tuple(rules))

    def rule_for(self, name: str, *, check: str, stage: str) -> Rule | None:
        place = name, check, stage
        if place not in self._found:
            self._found[place] = _rule_for(self.rules, *place)
        return self._found[place]

    @cached_property
    def _found(self) -> dict[tuple[str, str, str], Rule | None]:
        return {}

    def thresholds(self, names: Iterable[str], *, check: str, stage: str) -> dict[str, float]:
        """Those that this policy sets for these categories."""
        fitting = {name: self.rule_for(name, check=check, stage=stage) for name in names} if self.rules else {}
        return {name: rule.threshold for name, rule in fitting.items() if rule and rule.threshold is not None}

    def apply(self, own: Classification, *, check: str, stage: str) -> Classification:
        """What the policy makes of what a classifier said: its label and flags; scores and spans stay as they are.

        An ERROR stays one: no policy makes safe what could not be judged.
        """
        if own.label is Label.ERROR or not self.rules:
            return own
        names = dict.fromkeys([*own.categories, *own.flagged])
        decided = {name: self.rule_for(name, check=check, stage=stage) for name in names}
        counting = {name for name, rule in decided.items() if _counts(own, name, rule)}
        # In an order that does not depend on that of the scores, which databases do not keep.
        flagged = own.flagged if counting == set(own.flagged) else tuple(sorted(counting))
        thresholds = self.thresholds(names, check=check, stage=stage)
        unnamed = own.label is Label.TOXIC and not own.flagged and self._blocks_unnamed(check, stage)
        label = Label.TOXIC if flagged or unnamed else Label.SAFE
        if (label, flagged) == (own.label, own.flagged) and not thresholds:
            return own
        return replace(own, label=label, flagged=flagged, thresholds={**own.thresholds, **thresholds})

    def _blocks_unnamed(self, check: str, stage: str) -> bool:
        """Toxic, and no category says why: only what is said of everything can say otherwise."""
        rule = self.rule_for(ANY, check=check, stage=stage)
        return rule is None or rule.action is Action.BLOCK


def _counts(own: Classification, name: str, rule: Rule | None) -> bool:
    if rule is None:
        return name in own.flagged
    if rule.action is Action.INFORM:
        return False
    score = own.categories.get(name)
    return name in own.flagged if rule.threshold is None or score is None else score >= rule.threshold


def _rule_for(rules: tuple[Rule, ...], name: str, check: str, stage: str) -> Rule | None:
    speaks_of = {name, ANY, *harms_of(name)}
    fitting = [
        rule for rule in rules if rule.category in speaks_of and rule.check in ("", check) and rule.stage in ("", stage)
    ]
    return max(reversed(fitting), key=lambda rule: rule.weight(name), default=None)

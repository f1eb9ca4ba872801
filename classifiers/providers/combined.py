"""Classifiers made of classifiers: a cascade asks the careful one only where the cheap one is in doubt; an ensemble asks all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any

from classifiers import pipeline
from classifiers.errors import InputError
from classifiers.loading import check_threshold, describe, load
from classifiers.protocols import Checkable, ClassifierProvider
from classifiers.types import Classification, Label, ModelInfo, Subject, digest

Entry = Mapping[str, Any]  # {"BACKEND": dotted path, "OPTIONS": {…}}, as in settings


class Member:
    """A classifier inside another one, made when it is first asked."""

    def __init__(self, name: str, entry: Entry) -> None:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("BACKEND"), str):
            raise InputError(f"{name} must be a dict with BACKEND (a dotted path) and OPTIONS (a dict).")
        self.name, self.path, self.options = name, entry["BACKEND"], dict(entry.get("OPTIONS", {}))

    @cached_property
    def provider(self) -> ClassifierProvider:
        made: ClassifierProvider = load(self.path, **self.options)
        return made

    def classify(self, subjects: Sequence[Subject]) -> list[Classification]:
        return pipeline.classify(self.provider, subjects)

    def describe(self) -> ModelInfo:
        return describe(self.provider, self.options)

    def problems(self) -> list[str]:
        found = self.provider.problems() if isinstance(self.provider, Checkable) else []
        return [f"{self.name}: {problem}" for problem in found]


class Cascade:
    """The cheap classifier decides what it is sure of: SAFE up to a score of ``low``, TOXIC from ``high`` on.

    What lies between, and what it could not judge, goes to the careful one, whose word then counts: if that one fails, the
    text is an ERROR. ``raw`` says who decided and what the cheap one said. The band is chosen from
    ``classifiers.cascades.cascade_curve``.
    """

    preferred_batch = 256

    def __init__(self, cheap: Entry, careful: Entry, *, low: float, high: float) -> None:
        for bound in (low, high):
            check_threshold(bound)
        if low >= high:
            raise InputError(f"The band from {low} to {high} is empty; low must be less than high.")
        self.cheap, self.careful, self.low, self.high = Member("cheap", cheap), Member("careful", careful), low, high

    def classify(self, subjects: Sequence[Subject]) -> list[Classification]:
        first = self.cheap.classify(subjects)
        doubtful = [i for i, said in enumerate(first) if self._in_doubt(said)]
        second = dict(zip(doubtful, self.careful.classify([subjects[i] for i in doubtful]), strict=True))
        return [self._decided(said, second.get(i)) for i, said in enumerate(first)]

    def _in_doubt(self, said: Classification) -> bool:
        return said.label is Label.ERROR or said.score is None or self.low < said.score < self.high

    def _decided(self, cheap: Classification, careful: Classification | None) -> Classification:
        raw = {"decided_by": "careful" if careful else "cheap", "cheap": _in_short(cheap)}
        if careful:
            return replace(careful, raw={**raw, "careful": careful.raw})
        toxic = cheap.score is not None and cheap.score >= self.high
        named = cheap.flagged or tuple(name for name, score in cheap.categories.items() if score >= self.high)
        flagged = (named or ("toxic",)) if toxic else ()
        return replace(
            cheap, label=Label.TOXIC if toxic else Label.SAFE, flagged=flagged, raw={**raw, "raw": cheap.raw}
        )

    def describe(self) -> ModelInfo:
        return _combined("cascade", [self.cheap, self.careful], low=self.low, high=self.high)

    def problems(self) -> list[str]:
        return [*self.cheap.problems(), *self.careful.problems()]


class Ensemble:
    """Several classifiers asked for each text.

    ``rule`` is ``any`` (one says TOXIC, and the score is the highest), ``majority`` (more than half do, and the score is
    their share), or ``mean`` (the mean score, weighted, reaches ``threshold``). A member that cannot judge makes the text
    an ERROR, unless the others alone make it TOXIC whatever that one would have said.
    """

    RULES = ("any", "majority", "mean")

    def __init__(
        self,
        members: Mapping[str, Entry],
        *,
        rule: str = "any",
        weights: Mapping[str, float] | None = None,
        threshold: float = 0.5,
    ) -> None:
        if len(members) < 2:
            raise InputError("An ensemble has at least two members.")
        if rule not in self.RULES:
            raise InputError(f"The rule of an ensemble is one of {', '.join(self.RULES)}, not {rule!r}.")
        check_threshold(threshold)
        self.members = [Member(name, entry) for name, entry in members.items()]
        self.rule, self.threshold = rule, threshold
        self.weights = {member.name: (weights or {}).get(member.name, 1.0) for member in self.members}
        if (weights or {}).keys() - members.keys() or min(self.weights.values()) <= 0:
            raise InputError("Weights are positive numbers by the names of the members.")

    def classify(self, subjects: Sequence[Subject]) -> list[Classification]:
        columns = [member.classify(subjects) for member in self.members]
        return [self._together(dict(zip(self.weights, row, strict=True))) for row in zip(*columns, strict=True)]

    def _together(self, said: Mapping[str, Classification]) -> Classification:
        judge: Callable[[Mapping[str, Classification]], tuple[float | None, bool]] = getattr(self, f"_{self.rule}")
        score, toxic = judge(said)
        failed = {name: c.reason for name, c in said.items() if c.label is Label.ERROR}
        raw = {name: _in_short(c) for name, c in said.items()}
        if failed and not toxic:
            reason = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
            return Classification.error(f"Not all members could judge. {reason}", raw=raw)
        categories = {name: c.score for name, c in said.items() if c.score is not None}
        flagged = tuple(name for name, c in said.items() if c.label is Label.TOXIC) if toxic else ()
        thresholds = {"mean": self.threshold} if self.rule == "mean" else {}
        label = Label.TOXIC if toxic else Label.SAFE
        return Classification(label, score, categories, flagged, thresholds, tuple(_spans(said)), raw=raw)

    def _any(self, said: Mapping[str, Classification]) -> tuple[float | None, bool]:
        scores = [c.score for c in said.values() if c.score is not None]
        return max(scores, default=None), any(c.label is Label.TOXIC for c in said.values())

    def _majority(self, said: Mapping[str, Classification]) -> tuple[float | None, bool]:
        toxic = sum(c.label is Label.TOXIC for c in said.values())
        return toxic / len(said), 2 * toxic > len(said)

    def _mean(self, said: Mapping[str, Classification]) -> tuple[float | None, bool]:
        """One that failed is taken at 0, so that what it would have said could only raise the mean."""
        total = sum(self.weights.values())
        mean = sum(self.weights[name] * (c.score or 0.0) for name, c in said.items()) / total
        return mean, mean >= self.threshold

    def describe(self) -> ModelInfo:
        return _combined("ensemble", self.members, rule=self.rule, weights=self.weights, threshold=self.threshold)

    def problems(self) -> list[str]:
        return [problem for member in self.members for problem in member.problems()]


def _combined(provider: str, members: Iterable[Member], **settings: Any) -> ModelInfo:
    infos = {member.name: member.describe() for member in members}
    within = {name: {**asdict(info), "fingerprint": info.fingerprint} for name, info in infos.items()}
    return ModelInfo(
        provider=provider,
        model=" + ".join(info.model or info.provider for info in infos.values()),
        revision=digest(*(info.fingerprint for info in infos.values())),
        settings={**settings, "members": within},
        reads_context=any(info.reads_context for info in infos.values()),
    )


def _in_short(said: Classification) -> dict[str, Any]:
    return {
        "label": said.label,
        "score": said.score,
        "categories": dict(said.categories),
        "flagged": list(said.flagged),
        "reason": said.reason,
    }


def _spans(said: Mapping[str, Classification]) -> Iterable[Any]:
    for name, c in said.items():
        yield from (replace(span, kind=f"{name}: {span.kind}") for span in c.spans)

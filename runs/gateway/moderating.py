"""Texts judged one by one, for whoever asks: the service behind every door that judges a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.conf import settings

from classifiers.errors import InputError
from classifiers.pipeline import Check, judge_or_error
from classifiers.text import unstorable
from classifiers.types import Classification, Label, Outcome, Prompt, Stage, StageOutcome, Subject
from moderation import policies
from moderation import services as moderation
from moderation.models import PolicyVersion
from moderation.services import Choice
from runs import live, services
from runs.gateway.askers import Asker
from runs.models import Result
from runs.recording import printable

MOST = 1000  # texts of a request, or of a conversation


@dataclass(frozen=True, slots=True)
class Moderated:
    """What was said of a text, the result that keeps it, where such are kept, and whether it passes unjudged."""

    judged: StageOutcome
    result: Result | None
    degraded: bool = False

    @property
    def together(self) -> Classification:
        """What all checks said, as if one had: of a category that several know the highest score and lowest threshold."""
        said = [each.classification for each in self.judged.judgements]
        categories = [name for c in said for name in c.categories]
        thresholds = [name for c in said for name in c.thresholds]
        return Classification(
            label=self.judged.label,
            score=self.judged.score,
            categories={name: max(c.categories.get(name, 0.0) for c in said) for name in categories},
            flagged=tuple(dict.fromkeys(name for c in said for name in c.flagged)),
            thresholds={name: min(c.thresholds.get(name, 1.0) for c in said) for name in thresholds},
            spans=tuple(span for c in said for span in c.spans),
            reason=" ".join(c.reason for c in said if c.reason),
        )


def moderate(texts: Sequence[str], *, aliases: Sequence[str], asker: Asker) -> list[Moderated]:
    """Judges texts by classifiers, side by side; one that cannot judge says ERROR. Raises InputError and ProviderError."""
    if not 0 < len(texts) <= MOST:
        raise InputError(f"Send 1 to {MOST} texts at a time, not {len(texts)}.")
    for place, text in enumerate(texts):
        if why := unstorable(text, name=f"Text {place}"):
            raise InputError(why)
    policy = policies.in_force()
    checks = {alias: check_of(alias, policy) for alias in aliases}
    outcomes, works = judge_or_error(list(checks.values()), [Subject(text, Stage.INPUT) for text in texts])
    degraded = [settings.SAFETY_FAIL_OPEN and judged.label is Label.ERROR for judged in outcomes]
    results: Sequence[Result | None] = [None] * len(texts)
    if settings.SAFETY_RECORD_MODERATIONS:
        prompts = [Prompt(text, metadata={**asker.facts, "index": place}) for place, text in enumerate(texts)]
        kept = [
            Outcome(prompt, judged, degraded=passes)
            for prompt, judged, passes in zip(prompts, outcomes, degraded, strict=True)
        ]
        line = live.Line(f"moderations {','.join(aliases)}", tuple(aliases))
        infos = {f"classifier {alias}": check.info for alias, check in checks.items()}
        results = live.keep(line, infos, kept, policy=policy, actor=asker.actor, via=asker.via)
    if not works:
        moderation.forget_versions()
    return [Moderated(*each) for each in zip(outcomes, results, degraded, strict=True)]


def check_of(alias: str, policy: PolicyVersion | None) -> Check:
    return services.check_of(Choice(alias), policies.rules_of(policy))


def as_json(aliases: Sequence[str], moderated: Sequence[Moderated]) -> dict[str, Any]:
    """What was said of texts, as every door but OpenAI's says it."""
    runs = {each.result.run_id for each in moderated if each.result}
    run = min(runs, default=None)
    results = [_one(each) for each in moderated]
    return {"model": ",".join(aliases), "run": run, "results": results, "safety": safety(moderated)}


def safety(moderated: Sequence[Moderated]) -> dict[str, Any]:
    """The extension of every answer: whether one of the texts passes though it could not be judged."""
    return {"degraded": any(each.degraded for each in moderated)}


def _one(moderated: Moderated) -> dict[str, Any]:
    checks = [{"check": j.check, **_said(j.classification)} for j in moderated.judged.judgements]
    result = moderated.result.pk if moderated.result else None
    return {**_said(moderated.together), "checks": checks, "result": result}


def _said(c: Classification) -> dict[str, Any]:
    return {
        "label": c.label,
        "score": c.score,
        "categories": dict(c.categories),
        "flagged": list(c.flagged),
        "thresholds": dict(c.thresholds),
        "spans": [asdict(span) for span in c.spans],
        "reason": printable(c.reason),
    }

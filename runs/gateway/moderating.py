"""Texts judged one by one, for whoever asks: the service behind every door that judges a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.conf import settings

from classifiers.errors import InputError
from classifiers.pipeline import Check, judge_or_error
from classifiers.text import unstorable
from classifiers.types import Classification, Label, Outcome, Prompt, Stage, Subject
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

    classification: Classification
    result: Result | None
    degraded: bool = False


def moderate(texts: Sequence[str], *, alias: str, asker: Asker) -> list[Moderated]:
    """Judges texts by a classifier; one that cannot be judged is an ERROR. Raises InputError and ProviderError."""
    if not 0 < len(texts) <= MOST:
        raise InputError(f"Send 1 to {MOST} texts at a time, not {len(texts)}.")
    for place, text in enumerate(texts):
        if why := unstorable(text, name=f"Text {place}"):
            raise InputError(why)
    policy = policies.in_force()
    check = check_of(alias, policy)
    outcomes, works = judge_or_error([check], [Subject(text, Stage.INPUT) for text in texts])
    degraded = [settings.SAFETY_FAIL_OPEN and judged.label is Label.ERROR for judged in outcomes]
    results: Sequence[Result | None] = [None] * len(texts)
    if settings.SAFETY_RECORD_MODERATIONS:
        prompts = [Prompt(text, metadata={**asker.facts, "index": place}) for place, text in enumerate(texts)]
        kept = [
            Outcome(prompt, judged, degraded=passes)
            for prompt, judged, passes in zip(prompts, outcomes, degraded, strict=True)
        ]
        line = live.Line(f"moderations {alias}", (alias,))
        infos = {f"classifier {alias}": check.info}
        results = live.keep(line, infos, kept, policy=policy, actor=asker.actor, via=asker.via)
    if not works:
        moderation.forget_versions()
    said = [outcome.judgements[0].classification for outcome in outcomes]
    return [Moderated(*each) for each in zip(said, results, degraded, strict=True)]


def check_of(alias: str, policy: PolicyVersion | None) -> Check:
    return services.check_of(Choice(alias), policies.rules_of(policy))


def as_json(alias: str, moderated: Sequence[Moderated]) -> dict[str, Any]:
    """What was said of texts, as every door but OpenAI's says it."""
    runs = {each.result.run_id for each in moderated if each.result}
    run = min(runs, default=None)
    return {"model": alias, "run": run, "results": [_one(each) for each in moderated], "safety": safety(moderated)}


def safety(moderated: Sequence[Moderated]) -> dict[str, Any]:
    """The extension of every answer: whether one of the texts passes though it could not be judged."""
    return {"degraded": any(each.degraded for each in moderated)}


def _one(moderated: Moderated) -> dict[str, Any]:
    c = moderated.classification
    return {
        "label": c.label,
        "score": c.score,
        "categories": dict(c.categories),
        "flagged": list(c.flagged),
        "thresholds": dict(c.thresholds),
        "spans": [asdict(span) for span in c.spans],
        "reason": printable(c.reason),
        "result": moderated.result.pk if moderated.result else None,
    }

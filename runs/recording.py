"""Turns outcomes into rows: results, verdicts, payloads and the audit entry that commits to them, in one transaction."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TypeAlias

from django.db import transaction
from django.utils import timezone

from audit.services import VIA, JSONValue, commitment, new_salt, record
from classifiers.types import Classification, Judgement, Label, Outcome, Span, Stage, StageOutcome
from moderation.models import ClassifierVersion
from runs.models import Chunk, Payload, Provenance, Result, Run, Verdict
from runs.storing import Kept

Versions = Mapping[str, ClassifierVersion]
Pairs: TypeAlias = list[tuple[Verdict, Judgement]]
# What a machine fills in; the rest of a result is what people said of it.
JUDGED = (
    *("prompt", "answer", "metadata", "texts", "digests", "degraded", "relabelled", "salt", "created_at"),
    *(f"{stage}_{kind}" for stage in ("input", "output") for kind in ("label", "score", "categories")),
)


def save_chunk(chunk: Chunk, outcomes: Sequence[Kept], *, versions: Versions, actor: str) -> bool:
    """Saves what came of a chunk, if it is still held by whoever claimed it; False, and nothing saved, if it is not."""
    with transaction.atomic():
        held = Chunk.objects.filter(pk=chunk.pk, state=Chunk.State.HELD, holder=chunk.holder)
        if not held.update(state=Chunk.State.DONE, payload="", holder="", lease_until=None):
            return False
        results = _replace(chunk.run, outcomes) if chunk.retry else _create(chunk.run, outcomes)
        pairs = _verdicts(results, outcomes, versions)
        _save_verdicts(_without_standing(results, pairs) if chunk.retry else pairs)
        data = {"chunk": chunk.index, "policy": chunk.run.policy_version_id, "results": _commitments(results, pairs)}
        record("run.chunk_saved", actor=actor, target=chunk.run, data=data)
    return True


def save_new(
    run: Run, outcomes: Sequence[Kept], *, versions: Versions, askers: Sequence[tuple[str, str]]
) -> list[Result]:
    """Saves what came of new prompts, at positions that are the caller's, in the caller's transaction.

    ``askers`` says for each outcome who asked and by what (audit.services.VIA); each gets an entry of the audit trail.
    """
    results = _create(run, outcomes)
    pairs = _verdicts(results, outcomes, versions)
    _save_verdicts(pairs)
    by: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for asker, (position, committed) in zip(askers, _commitments(results, pairs).items(), strict=True):
        by[asker][position] = committed
    for (actor, via), of_asker in by.items():
        before = VIA.set(via)
        record("run.chunk_saved", actor=actor, target=run, data={"policy": run.policy_version_id, "results": of_asker})
        VIA.reset(before)
    return results


def result_commitment(result: Result, verdicts: Iterable[Verdict]) -> str:
    """32 hex digits that commit to a result: its texts, and what each classifier said of them and why.

    What the policy makes of that is not in it, so that it holds under any other one too: labels follow from what the
    classifiers said and from the policy (runs.verification). The key of a verdict stands for the classifier's version.
    """
    said = sorted(
        [
            *(verdict.stage, verdict.check_name, verdict.key, own.label, own.flagged, own.reason),
            *(_floats({"": own.score} if own.score is not None else {}), _floats(own.categories)),
            _floats(own.thresholds),
        ]
        for verdict in verdicts
        for own in [classification_of(verdict)]
    )
    value: dict[str, JSONValue] = {"position": result.position, "prompt": result.prompt, "answer": result.answer}
    value |= {"degraded": result.degraded, "verdicts": json.dumps(said, sort_keys=True)}
    return commitment(value, salt=result.salt)[:32]


def _floats(numbers: Mapping[str, float]) -> dict[str, float]:
    """As they come back from any database: 1 as 1.0, and zero without a sign."""
    return {name: float(number) + 0.0 for name, number in numbers.items()}


def _commitments(results: Sequence[Result], pairs: Pairs) -> dict[str, str]:
    """By position."""
    of: dict[int, list[Verdict]] = defaultdict(list)
    for verdict, _ in pairs:
        of[verdict.result_id].append(verdict)
    return {str(result.position): result_commitment(result, of[result.pk]) for result in results}


def _create(run: Run, outcomes: Sequence[Kept]) -> list[Result]:
    return Result.objects.bulk_create([_result(run, outcome) for outcome in outcomes])


def _replace(run: Run, outcomes: Sequence[Kept]) -> list[Result]:
    results = [_result(run, outcome) for outcome in outcomes]
    replaced = Result.objects.filter(run=run, position__in=[each.outcome.prompt.position for each in outcomes])
    earlier = {position: (pk, answer) for position, pk, answer in replaced.values_list("position", "pk", "answer")}
    for result in results:
        result.pk = earlier[result.position][0]
    Result.objects.bulk_update(results, JUDGED)
    # What people said of another answer says nothing of this one.
    anew = [result.pk for result in results if result.answer != earlier[result.position][1]]
    Result.objects.filter(pk__in=anew).update(human_output_label=None, output_provenance=Provenance.MACHINE)
    return results


def _result(run: Run, kept: Kept) -> Result:
    outcome, output = kept.outcome, kept.outcome.output
    return Result(
        run_id=run.pk,
        position=outcome.prompt.position,
        prompt=outcome.prompt.text,
        answer=outcome.answer,
        metadata=outcome.prompt.metadata,
        texts=kept.texts,
        digests=kept.digests,
        input_label=outcome.input.label,
        input_score=outcome.input.score,
        input_categories=outcome.input.flagged,
        output_label=output.label if output else None,
        output_score=output.score if output else None,
        output_categories=output.flagged if output else [],
        degraded=outcome.degraded,
        salt=new_salt(),
        created_at=timezone.now(),
    )


def _verdicts(results: Sequence[Result], outcomes: Sequence[Kept], versions: Versions) -> Pairs:
    return [
        (_verdict(result, stage, judgement, versions), judgement)
        for result, kept in zip(results, outcomes, strict=True)
        for stage, judgement in _judgements(kept.outcome)
    ]


def _without_standing(results: Sequence[Result], pairs: Pairs) -> Pairs:
    """Of results judged again, the verdicts yet to be saved; those they replace are deleted.

    A verdict that was recalled from itself stays: else its payload would go, and with it what others may take over.
    """
    earlier = Verdict.objects.filter(result__in=results)
    standing = {_place(v): v.pk for v in earlier.exclude(label=Label.ERROR)}
    kept = standing.keys() & {_place(verdict) for verdict, judgement in pairs if judgement.recalled}
    earlier.exclude(pk__in=[standing[place] for place in kept]).delete()
    return [(verdict, judgement) for verdict, judgement in pairs if _place(verdict) not in kept]


def _place(verdict: Verdict) -> tuple[object, ...]:
    return verdict.result_id, verdict.stage, verdict.check_name, verdict.key, verdict.label, verdict.score


def _save_verdicts(pairs: Pairs) -> None:
    Verdict.objects.bulk_create([verdict for verdict, _ in pairs])
    Payload.objects.bulk_create(
        Payload(verdict=verdict, body=json.dumps(judgement.classification.raw, default=str, skipkeys=True))
        for verdict, judgement in pairs
        if judgement.classification.raw is not None
    )


def _judgements(outcome: Outcome) -> Iterator[tuple[Stage, Judgement]]:
    stages: list[tuple[Stage, StageOutcome | None]] = [(Stage.INPUT, outcome.input), (Stage.OUTPUT, outcome.output)]
    for stage, judged in stages:
        for judgement in judged.judgements if judged else ():
            yield stage, judgement


def _verdict(result: Result, stage: Stage, judgement: Judgement, versions: Versions) -> Verdict:
    c = judgement.classification
    own = judgement.own or c
    changed = (own.label, own.flagged) != (c.label, c.flagged)
    version = versions.get(judgement.check) if judgement.key else None
    return Verdict(
        result_id=result.pk,
        stage=stage,
        check_name=judgement.check,
        label=c.label,
        own_label=own.label if changed else None,
        own_flagged=list(own.flagged) if changed else None,
        score=c.score,
        categories=dict(c.categories),
        flagged=list(c.flagged),
        thresholds=dict(own.thresholds),
        spans=[asdict(span) for span in c.spans],
        reason=printable(c.reason),
        version_id=version.pk if version else None,
        key=judgement.key,
        recalled=judgement.recalled,
        latency=c.latency,
    )


def printable(text: str) -> str:
    """A provider's message with what no database takes made visible."""
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


def classification_of(verdict: Verdict) -> Classification:
    """A stored verdict as the classifier itself gave it, whatever the policy made of it; its payload stands apart."""
    return Classification(
        Label(verdict.own_label or verdict.label),
        score=verdict.score,
        categories=verdict.categories,
        flagged=tuple(verdict.flagged if verdict.own_flagged is None else verdict.own_flagged),
        thresholds=verdict.thresholds,
        spans=tuple(Span(**span) for span in verdict.spans),
        reason=verdict.reason,
    )

"""Evaluations: a classifier or a run held against known labels, stored so that cards and thresholds can cite it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.db import transaction

from audit.services import record
from classifiers.curves import Aim
from classifiers.errors import InputError, NotFoundError
from classifiers.labelled import Columns, Labelled, digest_of, read_labelled
from classifiers.measuring import Calibrated, Paired, Picked, Said, calibrate, choose_threshold, compare, judge, measure
from classifiers.sources import PromptSource
from classifiers.text import json_safe, unstorable
from classifiers.types import Label, Stage
from governance.models import Evaluation, EvaluationScores
from moderation import policies
from moderation import services as moderation
from moderation.services import Choice
from runs.models import Result, Run

MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of an evaluation beside the figures that all have. Fits are made on ``share``, told on the rest."""

    name: str = ""
    calibration: str = ""
    aim: Aim | None = None
    share: float = 0.5
    seed: int = 0
    cost_per_thousand: float | None = None

    def __post_init__(self) -> None:
        if len(self.name) > MAX_NAME or unstorable(self.name):
            raise InputError(f"An evaluation's name is plain text of at most {MAX_NAME} characters.")
        if self.cost_per_thousand is not None and not 0 <= self.cost_per_thousand < math.inf:
            raise InputError("What a thousand texts cost is a number from 0 on.")


@dataclass(frozen=True, slots=True)
class Data:
    """Labelled texts and where they came from."""

    source: PromptSource
    columns: Columns
    rows: Sequence[Labelled]

    @classmethod
    def read(cls, source: PromptSource, columns: Columns) -> Data:
        return cls(source, columns, read_labelled(source, columns))


def evaluate_classifier(choice: Choice, data: Data, wish: Wish, *, actor: str) -> Evaluation:
    """Judges every text of the data by one classifier, under the policy in force. Raises InputError, and ProviderError when it cannot work."""
    moderation.make_ready("classifier", choice)
    provider = moderation.classifier(choice)
    batch, policy = moderation.preferred_batch("classifier", choice), policies.in_force()
    said = list(judge(provider, data.rows, batch=batch, rules=policies.rules_of(policy), check=choice.alias))
    evaluation = Evaluation(alias=choice.alias, version=moderation.version_of(choice), policy_version=policy)
    return _store(evaluation, said, data, wish, actor=actor)


def evaluate_run(run: Run, data: Data, wish: Wish, *, actor: str) -> Evaluation:
    """What a run said of the texts of the data, without asking a model again.

    Raises InputError when the run has not judged some of them, since figures of a part would pass for those of all.
    """
    found = _said_in(run, data.rows)
    missing = sum(each is None for each in found)
    if missing:
        raise InputError(
            f"Run {run.pk} has not judged {missing} of the {len(found)} labelled texts. Evaluate it on the data that it was over."
        )
    stage = data.rows[0].subject.stage.lower()
    evaluation = Evaluation(alias=f"run {run.pk} {stage}", run=run)
    return _store(evaluation, [each for each in found if each], data, wish, actor=actor)


def _said_in(run: Run, rows: Sequence[Labelled]) -> list[Said | None]:
    """By text, and for answers by the answer: the first result of the run that has it."""
    stage = rows[0].subject.stage
    name, text = stage.lower(), "prompt" if stage is Stage.INPUT else "answer"
    results = Result.objects.filter(run=run).order_by("-position")
    columns = results.values_list(text, f"{name}_label", f"{name}_score")
    by_text = {words: (label, score) for words, label, score in columns.iterator(chunk_size=2000) if label}
    return [
        Said(row.toxic, Label(known[0]), known[1], row.category) if (known := by_text.get(row.subject.text)) else None
        for row in rows
    ]


def _store(evaluation: Evaluation, said: Sequence[Said], data: Data, wish: Wish, *, actor: str) -> Evaluation:
    measured = measure(said, seed=wish.seed)
    as_json = json_safe(measured.as_json())
    for name in ("n", "toxic", "errors", "unscored", "figures", "bins", "categories", "seconds"):
        setattr(evaluation, name, as_json[name])
    calibrated, picked = _fits(said, wish)
    evaluation.calibration = calibrated and calibrated.as_json()
    evaluation.threshold = picked and picked.as_json()
    evaluation.name = wish.name or f"{evaluation.alias} on {data.source.dataset_id}"[:MAX_NAME]
    evaluation.dataset = data.source.dataset_id
    evaluation.columns = json_safe({**asdict(data.columns), "sources": data.source.sources_column or ""})
    evaluation.data_digest, evaluation.created_by = digest_of(data.rows), actor
    evaluation.cost_per_thousand = wish.cost_per_thousand
    with transaction.atomic():
        evaluation.save(force_insert=True)
        EvaluationScores.objects.create(evaluation=evaluation, body=EvaluationScores.pack(said))
        told: dict[str, Any] = {"of": evaluation.alias, "data": evaluation.data_digest, "n": evaluation.n}
        record("evaluation.made", actor=actor, target=evaluation, data={**told, "errors": evaluation.errors})
    return evaluation


def _fits(said: Sequence[Said], wish: Wish) -> tuple[Calibrated | None, Picked | None]:
    options = {"seed": wish.seed, "share": wish.share}
    calibrated = calibrate(said, wish.calibration, **options) if wish.calibration else None  # type: ignore[arg-type]
    picked = choose_threshold(said, wish.aim, **options) if wish.aim else None  # type: ignore[arg-type]
    return calibrated, picked


def find_evaluation(pk: int) -> Evaluation:
    evaluation = Evaluation.objects.select_related("version", "run", "policy_version").filter(pk=pk).first()
    if evaluation is None:
        raise NotFoundError(f"There is no evaluation {pk}.")
    return evaluation


def compare_evaluations(first: Evaluation, second: Evaluation, *, seed: int = 0) -> Paired:
    """Paired, on the same texts. Raises InputError when the data are not the same."""
    if first.data_digest != second.data_digest:
        raise InputError(f"Evaluations {first.pk} and {second.pk} are on different data. Compare those on the same.")
    return compare(first.scores.said, second.scores.said, seed=seed)


def compare_all(evaluations: Iterable[Evaluation]) -> Mapping[int, Paired]:
    """Each of the others against the first, by number."""
    first, *others = evaluations
    return {other.pk: compare_evaluations(first, other) for other in others}

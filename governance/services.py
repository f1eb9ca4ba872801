"""Evaluations: a classifier or a run held against known labels, stored so that cards and thresholds can cite it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from django.db import transaction

from audit.services import record
from classifiers.curves import RESAMPLES, Aim
from classifiers.errors import InputError, NotFoundError
from classifiers.labelled import Columns, Labelled, digest_of, read_labelled
from classifiers.measuring import Calibrated, Paired, Picked, Said, calibrate, choose_threshold, compare, judge, measure
from classifiers.protocols import ClassifierProvider
from classifiers.sources import PromptSource
from classifiers.text import json_safe, unstorable
from classifiers.types import Label, Stage, digest
from fairness.groups import named
from governance.models import Evaluation, EvaluationScores, TrainingRun, pack
from moderation import policies
from moderation import services as moderation
from moderation.models import ClassifierVersion, PolicyVersion
from moderation.services import Choice
from runs.models import Result, Run
from training.data import marks

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
        if not 0 < self.share < 1:
            raise InputError(f"The share to fit on is {self.share}; it must lie between 0 and 1.")

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Wish:
        aim = value["aim"]
        return cls(**{**value, "aim": Aim(**aim) if aim else None})


@dataclass(frozen=True, slots=True)
class Data:
    """Labelled texts, what the file is called that they came from, and how they stood there."""

    name: str
    columns: Mapping[str, Any]
    rows: Sequence[Labelled]

    @classmethod
    def read(cls, source: PromptSource, columns: Columns, *, name: str = "") -> Data:
        rows = read_labelled(source, columns)
        more = {"text": source.text_column or "", "sources": source.sources_column or ""}
        return cls(name or source.dataset_id, json_safe({**asdict(columns), **more}), rows)


def evaluate_classifier(
    choice: Choice, data: Data, wish: Wish, *, policy: PolicyVersion | None, actor: str
) -> Evaluation:
    """Judges every text of the data by one classifier, under a policy. Raises InputError, and ProviderError when it cannot work."""
    said = list(saying(choice, data.rows, policy=policy))
    evaluation = of_classifier(moderation.version_of(choice), said, data, wish, policy=policy)
    return store(evaluation, said, actor=actor)


def saying(choice: Choice, rows: Sequence[Labelled], *, policy: PolicyVersion | None) -> Iterator[Said]:
    """What a classifier says of the texts under a policy, as it comes, with the groups that each text names."""
    moderation.make_ready("classifier", choice)
    return said_by(moderation.classifier(choice), rows, check=choice.alias, policy=policy)


def said_by(
    provider: ClassifierProvider, rows: Sequence[Labelled], *, check: str, policy: PolicyVersion | None
) -> Iterator[Said]:
    """The same of a classifier that is had, whose rules in the policy are those of ``check``."""
    said = judge(provider, rows, batch=moderation.batch_of(provider), rules=policies.rules_of(policy), check=check)
    return (replace(each, groups=named(row.subject.text)) for each, row in zip(said, rows, strict=True))


def of_classifier(
    version: ClassifierVersion, said: Sequence[Said], data: Data, wish: Wish, *, policy: PolicyVersion | None
) -> Evaluation:
    """All figures of what a version of a classifier said; not stored yet."""
    return _measured(Evaluation(alias=version.alias, version=version, policy_version=policy), said, data, wish)


def evaluate_run(run: Run, data: Data, wish: Wish, *, actor: str) -> Evaluation:
    """What a run said of the texts of the data, without asking a model again; InputError as of said_in_run."""
    said = said_in_run(run, data.rows)
    return store(of_run(run, said, data, wish), said, actor=actor)


def of_run(run: Run, said: Sequence[Said], data: Data, wish: Wish) -> Evaluation:
    """All figures of what a run said; not stored yet."""
    stage = data.rows[0].subject.stage.lower()
    evaluation = Evaluation(alias=f"run {run.pk} {stage}", run=run, policy_version=run.policy_version)
    return _measured(evaluation, said, data, wish)


def said_in_run(run: Run, rows: Sequence[Labelled]) -> list[Said]:
    """Raises InputError when the run has not judged some of them, since figures of a part would pass for those of all."""
    found = _said_in(run, rows)
    missing = sum(each is None for each in found)
    if missing:
        raise InputError(
            f"Run {run.pk} has not judged {missing} of the {len(found)} labelled texts. Evaluate it on the data that it was over."
        )
    return [each for each in found if each]


def _said_in(run: Run, rows: Sequence[Labelled]) -> list[Said | None]:
    """By text, and for answers by the answer: the first result of the run that has it, also where texts are not kept.

    What passed without having been judged by all, since the site failed open, counts as not judged.
    """
    stage = rows[0].subject.stage
    name, text = stage.lower(), "prompt" if stage is Stage.INPUT else "answer"
    results = Result.objects.filter(run=run, **{f"{name}_label__isnull": False}).order_by("-position")
    columns = results.values_list(text, "digests", f"{name}_label", f"{name}_score", "degraded")
    known: dict[str, tuple[Label, float | None]] = {}
    for words, digests, label, score, degraded in columns.iterator(chunk_size=2000):
        unjudged = degraded and label == Label.SAFE
        known[(digests or {}).get(stage) or digest(words)] = (Label.ERROR, None) if unjudged else (Label(label), score)
    found = [known.get(digest(row.subject.text)) for row in rows]
    return [
        each and Said(row.toxic, *each, row.category, groups=named(row.subject.text))
        for row, each in zip(rows, found, strict=True)
    ]


def _measured(evaluation: Evaluation, said: Sequence[Said], data: Data, wish: Wish) -> Evaluation:
    as_json = json_safe(measure(said, seed=wish.seed).as_json())
    for name in ("n", "toxic", "errors", "unscored", "figures", "bins", "categories", "seconds"):
        setattr(evaluation, name, as_json[name])
    calibrated, picked = _fits(said, wish)
    evaluation.calibration = calibrated and calibrated.as_json()
    evaluation.threshold = picked and picked.as_json()
    evaluation.name = wish.name or f"{evaluation.alias} on {data.name}"[:MAX_NAME]
    evaluation.dataset, evaluation.columns = data.name, {**data.columns}
    evaluation.data_digest, evaluation.cost_per_thousand = digest_of(data.rows), wish.cost_per_thousand
    evaluation.learnt = _learnt(evaluation.version, data.rows)
    return evaluation


def _learnt(version: ClassifierVersion | None, rows: Sequence[Labelled]) -> int | None:
    """How many of the texts the version's adapter learnt from; None where its training is not on record."""
    if version is None or not version.adapter_digest:
        return 0 if version else None
    training = TrainingRun.objects.filter(adapter__digest=version.adapter_digest).first()
    known = {*training.texts} if training else set()
    return sum(not known.isdisjoint(marks(row.subject.text)) for row in rows) if known else None


def store(evaluation: Evaluation, said: Sequence[Said], *, actor: str) -> Evaluation:
    evaluation.created_by = actor
    with transaction.atomic():
        evaluation.save(force_insert=True)
        EvaluationScores.objects.create(evaluation=evaluation, body=pack(said))
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


def compare_evaluations(first: Evaluation, second: Evaluation, *, seed: int = 0, resamples: int = RESAMPLES) -> Paired:
    """Paired, on the same texts. Raises InputError when the data are not the same."""
    if first.data_digest != second.data_digest:
        raise InputError(f"Evaluations {first.pk} and {second.pk} are on different data. Compare those on the same.")
    return compare(first.scores.said, second.scores.said, seed=seed, resamples=resamples)


def compare_all(evaluations: Iterable[Evaluation]) -> Mapping[int, Paired]:
    """Each of the others against the first, by number."""
    first, *others = evaluations
    return {other.pk: compare_evaluations(first, other) for other in others}


def pick(evaluation: Evaluation, aim: Aim, *, share: float = 0.5, seed: int = 0) -> Picked:
    """A threshold for the scores of an evaluation. Raises InputError when none reaches the aim."""
    return choose_threshold(evaluation.scores.said, aim, share=share, seed=seed)

"""Adapters: trained from labelled texts, measured on a part that training never saw, and recorded with how they came to be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.db import transaction

from audit.services import record
from classifiers.curves import Aim
from classifiers.errors import ConflictError, InputError
from classifiers.labelled import Labelled
from classifiers.measuring import Picked
from classifiers.models import folder_digest
from classifiers.providers.gemma import Judging
from classifiers.text import unstorable
from classifiers.types import Stage, Subject, digest
from governance import services
from governance.models import Evaluation, TrainingRun
from governance.services import Data, Wish
from moderation import services as moderation
from moderation.models import Adapter
from moderation.services import Choice
from training.adapters import ADAPTER, Step, losses, train
from training.calibrating import calibrate
from training.cards import write_card
from training.data import Row, balanced, digest_of
from training.recipes import Recipe

MAX_NAME = 100


@dataclass(frozen=True, slots=True)
class Plan:
    """A training as it is asked for: ``rows`` by part (train, tune, held, and maybe calibrate), from what ``dataset`` names (``sources``, if there are several, each with
    its licence), with the command that asked."""

    name: str
    recipe: Recipe
    rows: Mapping[str, Sequence[Row]]
    dataset: str
    folder: Path
    command: str = ""
    alias: str = "gemma"
    sources: Sequence[str] = ()

    @property
    def calibrating(self) -> Sequence[Row]:
        """What scores become probabilities with: texts at their natural rate, which in most data the tuning rows are."""
        return self.rows.get("calibrate") or self.rows["tune"]

    @property
    def data(self) -> dict[str, Any]:
        return {
            part: {"n": len(rows), "toxic": sum(row.toxic for row in rows), "digest": digest_of(rows)}
            for part, rows in self.rows.items()
        }


def training(plan: Plan) -> Iterator[Step]:
    """The steps as they are made; a folder that holds a part of this training goes on from it.

    Raises InputError and ConflictError before the first step when it could not be measured or recorded in the end.
    """
    if not plan.name.strip() or len(plan.name) > MAX_NAME or unstorable(plan.name):
        raise InputError(f"An adapter's name is plain text of 1 to {MAX_NAME} characters.")
    for rows in plan.rows.values():
        balanced(rows)
    moderation.check_alias("classifier", plan.alias)
    if Adapter.objects.filter(name=plan.name).exists():
        raise ConflictError(f"There is an adapter {plan.name} already. Choose another name.")
    return train(plan.recipe, plan.rows["train"], plan.rows["tune"], plan.folder)


def finish(plan: Plan, *, actor: str) -> TrainingRun:
    """Calibrates the adapter, measures it on the held rows, writes its card, and records all of it. ConflictError when it is known."""
    folder = (plan.folder / ADAPTER).resolve()
    judging = calibrate(folder, plan.recipe, plan.calibrating)
    known = Adapter.objects.filter(digest=folder_digest(folder)).first()
    if known:
        raise ConflictError(f"This training gave the adapter {known} again, byte for byte. It is recorded already.")
    choice = Choice(plan.alias, {"base_model": plan.recipe.base_model, "adapter_path": str(folder)})
    evaluation = _evaluated(choice, plan, judging, actor=actor)
    card = write_card(folder, name=plan.name, about=_about(plan, folder, evaluation), evaluation=_shown(evaluation))
    with transaction.atomic():
        adapter = Adapter.objects.create(
            name=plan.name, digest=folder_digest(folder), folder=str(folder), card=card, created_by=actor,
            base_model=plan.recipe.base_model, base_revision=evaluation.version.revision if evaluation.version else "",
        )  # fmt: skip
        run = TrainingRun.objects.create(
            adapter=adapter, evaluation=evaluation, recipe=asdict(plan.recipe), dataset=plan.dataset, data=plan.data,
            texts=_learnt(plan), losses=losses(plan.folder), created_by=actor,
        )  # fmt: skip
        record("adapter.trained", actor=actor, target=adapter, data={"digest": adapter.digest, "data": plan.data})
    return run


def _learnt(plan: Plan) -> list[str]:
    """What it learnt from, and what that learnt from which it started from."""
    before = TrainingRun.objects.filter(adapter__digest=plan.recipe.start_digest).first()
    return sorted({*(digest(row.text) for row in plan.rows["train"]), *(before.texts if before else ())})


def _evaluated(choice: Choice, plan: Plan, judging: Judging, *, actor: str) -> Evaluation:
    """With the threshold that was chosen apart from the held rows, and what it does on them."""
    rows = [Labelled(Subject(row.text, Stage.INPUT), row.toxic) for row in plan.rows["held"]]
    data = Data(f"{plan.dataset}, held part", {}, rows)
    said = list(services.saying(choice, rows, policy=None))
    wish = Wish(f"{plan.name} on its held texts")
    evaluation = services.of_classifier(moderation.version_of(choice), said, data, wish, policy=None)
    shown = {name: evaluation.figures[name] for name in ("f1", "precision", "recall", "false_positive_rate")}
    evaluation.threshold = Picked(Aim("f1"), judging.threshold, len(plan.calibrating), shown).as_json()
    return services.store(evaluation, said, actor=actor)


def _about(plan: Plan, folder: Path, evaluation: Evaluation) -> dict[str, Any]:
    return {
        "base_model": plan.recipe.base_model, "base_revision": evaluation.version.revision if evaluation.version else "",
        "digest": folder_digest(folder), "command": plan.command, "recipe": asdict(plan.recipe), "data": plan.data,
        "dataset": plan.dataset, "sources": plan.sources, "judging": asdict(Judging.read(folder)),
    }  # fmt: skip


def _shown(evaluation: Evaluation) -> dict[str, Any]:
    return {name: getattr(evaluation, name) for name in ("n", "errors", "figures", "threshold", "bins")}

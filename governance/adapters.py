"""Adapters: trained from labelled texts, measured on a part that training never saw, and recorded with how they came to be."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.db import transaction

from audit.services import record
from classifiers.curves import Aim
from classifiers.errors import ConflictError, InputError
from classifiers.labelled import Labelled
from classifiers.measuring import Picked, Said
from classifiers.models import folder_digest
from classifiers.providers.gemma import Judging
from classifiers.types import Stage, Subject
from governance import services
from governance.models import Evaluation, TrainingRun
from governance.services import Data, Wish
from moderation.adapters import can_train, check_name
from moderation.models import Adapter
from moderation.services import aliases, own_classifier, stored_version
from training.adapters import ADAPTER, Step, losses, train
from training.calibrating import calibrate
from training.cards import write_card
from training.data import Row, balanced, digest_of, marks
from training.recipes import Recipe


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


def training(plan: Plan) -> Generator[Step, None, None]:
    """The steps as they are made; a folder that holds a part of this training goes on from it.

    Raises InputError and ConflictError before the first step when it could not be measured or recorded in the end.
    """
    check(plan)
    return train(plan.recipe, plan.rows["train"], plan.rows["tune"], plan.folder)


def check(plan: Plan) -> None:
    """InputError or ConflictError when what comes of the plan could not be trained, measured or recorded."""
    check_name(plan.name)
    if not can_train(plan.alias):
        known = ", ".join(filter(can_train, aliases("classifier"))) or "none"
        raise InputError(f"{plan.alias} takes no adapters here. Those that do: {known}.")
    for rows in plan.rows.values():
        balanced(rows)
    if Adapter.objects.filter(name=plan.name).exists():
        raise ConflictError(f"There is an adapter {plan.name} already. Choose another name.")


def finish(plan: Plan, *, actor: str, then: Callable[[TrainingRun], None] | None = None) -> TrainingRun:
    """Calibrates the adapter, measures it on the held rows, writes its card, and records all of it. ConflictError when it is known.

    ``then`` is called with the record before it holds: what it raises leaves nothing recorded.
    """
    folder = (plan.folder / ADAPTER).resolve()
    judging, fitted = calibrate(folder, plan.recipe, plan.calibrating, plan.rows["train"])
    known = Adapter.objects.filter(digest=folder_digest(folder)).first()
    if known:
        raise ConflictError(f"This training gave the adapter {known} again, byte for byte. It is recorded already.")
    evaluation, said = _measured(plan, folder)
    evaluation.threshold = _chosen(judging, fitted, evaluation)
    card = write_card(folder, name=plan.name, about=_about(plan, folder, evaluation), evaluation=_shown(evaluation))
    with transaction.atomic():
        services.store(evaluation, said, actor=actor)
        adapter = Adapter.objects.create(
            name=plan.name, digest=folder_digest(folder), folder=str(folder), card=card, created_by=actor,
            base_model=plan.recipe.base_model, base_revision=evaluation.version.revision if evaluation.version else "",
        )  # fmt: skip
        run = TrainingRun.objects.create(
            adapter=adapter, evaluation=evaluation, recipe=asdict(plan.recipe), dataset=plan.dataset, data=plan.data,
            texts=_learnt(plan), losses=losses(plan.folder), created_by=actor,
        )  # fmt: skip
        record("adapter.trained", actor=actor, target=adapter, data={"digest": adapter.digest, "data": plan.data})
        if then:
            then(run)
    return run


def _learnt(plan: Plan) -> list[str]:
    """What it learnt from, and what that learnt from which it started from."""
    before = TrainingRun.objects.filter(adapter__digest=plan.recipe.start_digest).first()
    return sorted(
        {*(mark for row in plan.rows["train"] for mark in marks(row.text)), *(before.texts if before else ())}
    )


def _measured(plan: Plan, folder: Path) -> tuple[Evaluation, Sequence[Said]]:
    """By a classifier of its own, whose memory is free again then. Not stored yet."""
    provider, info = own_classifier(plan.alias, base_model=plan.recipe.base_model, adapter_path=str(folder))
    rows = [Labelled(Subject(row.text, Stage.INPUT), row.toxic) for row in plan.rows["held"]]
    data, wish = Data(f"{plan.dataset}, held part", {}, rows), Wish(f"{plan.name} on its held texts")
    said = list(services.said_by(provider, rows, check=plan.alias, policy=None))
    evaluation = services.of_classifier(
        stored_version(f"{plan.alias}@{plan.name}", info), said, data, wish, policy=None
    )
    return evaluation, said


def _chosen(judging: Judging, fitted: int, evaluation: Evaluation) -> dict[str, Any] | None:
    """The threshold that was chosen apart from the held rows, and what it does on them; None where it is as usual."""
    if not fitted:
        return None
    shown = {name: evaluation.figures[name] for name in ("f1", "precision", "recall", "false_positive_rate")}
    return Picked(Aim("f1"), judging.threshold, fitted, shown).as_json()


def _about(plan: Plan, folder: Path, evaluation: Evaluation) -> dict[str, Any]:
    return {
        "base_model": plan.recipe.base_model, "base_revision": evaluation.version.revision if evaluation.version else "",
        "digest": folder_digest(folder), "command": plan.command, "recipe": asdict(plan.recipe), "data": plan.data,
        "dataset": plan.dataset, "sources": plan.sources, "judging": asdict(Judging.read(folder)),
    }  # fmt: skip


def _shown(evaluation: Evaluation) -> dict[str, Any]:
    return {name: getattr(evaluation, name) for name in ("n", "errors", "figures", "threshold", "bins")}

"""Trainings that people and programs ask for, carried on by workers in turns (governance.turns).

A training lies in a folder of its own under SAFETY_ADAPTERS, which all workers see; whoever takes a turn goes on from its
checkpoint. Its texts lie in the job until it has ended, its adapter in the folder from then on.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from audit.services import record
from classifiers.errors import ConflictError, InputError, ProviderError
from classifiers.hub import is_hub_id
from classifiers.text import unstorable
from governance import adapters, turns
from governance.adapters import Plan
from governance.hyper import BROUGHT
from governance.models import TrainingJob, TrainingRun
from governance.reviewed import parted, reviewed_rows
from governance.services import Data
from moderation.adapters import adapter_folder, can_train, own_entry
from training.adapters import CHECKPOINT, losses
from training.data import SHARES, Row, merged, split
from training.recipes import Recipe, from_reviews, going_on

MAX_UNDER_WAY = 5
TURN = 300.0  # seconds
MOST_STEPS, MOST_APART = 20_000, 1000
MOST_TRIES = 3  # to calibrate and measure an adapter within a task's time
TOLD = 2.0  # seconds between two notes of how far it has come
EMBEDDED = "embedded"
PLACE = ("device", "dtype", "quantization", "threads")  # options of an alias that a recipe has too
REVIEWS = "what people decided on this site"


def ask(
    data: Data | None,
    *,
    name: str,
    actor: str,
    alias: str = "gemma",
    start: str = "",
    base_model: str = "",
    **recipe: Any,
) -> TrainingJob:
    """Notes what is wanted, for ``work`` to do: an adapter of this name for a classifier, from labelled texts, or without any
    from what people decided here. ``start`` names an adapter to go on from; ``recipe`` sets fields of Recipe where it is not
    to be as usual.

    InputError or ConflictError, and nothing is stored, for what could not be trained, measured or recorded.
    """
    if not can_train(alias):
        raise InputError(f"{alias[:100]} takes no adapters here. Those that do: {', '.join(trainable()) or 'none'}.")
    texts = merged(_rows_of(data) if data else reviewed_rows())
    rows = (split if data else parted)(texts, _shares(len(texts)))
    usual = Recipe() if data else from_reviews(len(rows["train"]))
    wanted = _recipe(usual, alias, start, base_model, recipe)
    plan = Plan(name, wanted, rows, data.name if data else REVIEWS, Path(), alias=alias)
    adapters.check(plan)
    if (steps := wanted.steps(len(rows["train"]))) > MOST_STEPS:
        raise InputError(
            f"These would be {steps:,} steps; at most {MOST_STEPS:,} are made here. Raise batch, lower epochs, or set most_steps."
        )
    with transaction.atomic():
        turns.check_room(TrainingJob, MAX_UNDER_WAY)
        if turns.light(TrainingJob).filter(name=name, state__in=turns.UNDER_WAY).exists():
            raise ConflictError(f"An adapter {name} is being trained already. Choose another name.")
        job = TrainingJob.objects.create(
            name=name, alias=alias, recipe=asdict(plan.recipe), dataset=plan.dataset, rows=_packed(rows), data=plan.data,
            total=steps, created_by=actor, moved_at=timezone.now(),
        )  # fmt: skip
        record("training.asked", actor=actor, target=job, data={"name": name, "alias": alias, "data": plan.data})
    return job


def find_job(pk: int) -> TrainingJob:
    return turns.find(TrainingJob, pk)


def seconds_left(job: TrainingJob) -> float | None:
    """By the steps that are made; None before the first, and when it has ended."""
    if not job.done or job.state not in turns.UNDER_WAY:
        return None
    return job.seconds / job.done * (job.total - job.done)


def trainable() -> list[str]:
    """The classifiers that adapters can be trained for."""
    return [alias for alias in sorted(settings.SAFETY_CLASSIFIERS) if can_train(alias)]


def _shares(texts: int) -> dict[str, float]:
    """Those of the command, as long as a worker can judge the parts beside the first within one task."""
    apart = min(SHARES["held"], MOST_APART / max(texts, 1))
    return {"train": 1 - 2 * apart, "tune": apart, "held": apart}


def _rows_of(data: Data) -> list[Row]:
    return [Row(row.subject.text, row.toxic, group=row.subject.prompt or "") for row in data.rows]


def _recipe(usual: Recipe, alias: str, start: str, base_model: str, given: Mapping[str, Any]) -> Recipe:
    """The usual one with what is given, where the alias itself would be loaded."""
    options = own_entry(alias).get("OPTIONS", {})
    own = str(options.get("base_model", EMBEDDED))
    place = {name: options[name] for name in PLACE if name in options}
    recipe = replace(usual, base_model=base_model or own, **{**place, **given})
    if start:
        folder = adapter_folder(start)
        if base_model or given.keys() & {*BROUGHT}:
            raise InputError(f"The adapter {start} brings its base model, {', '.join(BROUGHT)}. Leave those out.")
        return going_on(recipe, folder)
    if recipe.base_model not in (own, EMBEDDED) and (unstorable(base_model) or not _of_hub(base_model)):
        raise InputError(f"The base model is {EMBEDDED}, {own}, or a model of the hub (owner/name).")
    return recipe


def _of_hub(base_model: str) -> bool:
    """Nobody has the site read a folder of its machine."""
    return is_hub_id(base_model) and ":" not in base_model and not os.path.exists(base_model)


def _packed(rows: Mapping[str, Sequence[Row]]) -> str:
    return json.dumps({part: [[r.text, r.toxic, r.weight, r.group] for r in held] for part, held in rows.items()})


def plan_of(job: TrainingJob) -> Plan:
    """The plan as it was asked for; only a job that is under way has its rows."""
    recipe = Recipe(**{**job.recipe, "modules": tuple(job.recipe["modules"])})
    rows = {part: [Row(*row) for row in held] for part, held in json.loads(job.rows).items()}
    return Plan(
        job.name, recipe, rows, job.dataset, folder_of(job), command=f"training {job.pk} of this site", alias=job.alias
    )


def folder_of(job: TrainingJob) -> Path:
    return Path(settings.SAFETY_ADAPTERS) / f"{job.name}-{job.pk}"


# At work


def work(job: TrainingJob, *, seconds: float = TURN) -> bool:
    """A turn at it, of so many seconds and a little; True when something is left."""
    unfinished = turns.work(job, lambda job: _turn(job, until=time.monotonic() + seconds))
    if find_job(job.pk).state in ("FAILED", "CANCELLED"):
        clear(job)
    return unfinished


def _turn(job: TrainingJob, *, until: float) -> bool:
    plan = plan_of(job)
    if not _trained(job, plan, until=until):
        return turns.pause(job)
    _try_to_measure(plan.folder)
    adapters.finish(plan, actor=job.created_by, then=lambda made: _end(job, made))  # both, or neither if it was stopped
    (plan.folder / CHECKPOINT).unlink(missing_ok=True)
    return False


def _end(job: TrainingJob, made: TrainingRun) -> None:
    steps = len(made.losses)
    turns.finish(job, adapter=made.adapter, losses=made.losses, total=steps, done=steps)


def _trained(job: TrainingJob, plan: Plan, *, until: float) -> bool:
    """Whether all steps are made; else the time is over, and a checkpoint is there to go on from."""
    told, spent = time.monotonic(), 0.0
    with closing(adapters.training(plan)) as steps:
        for step in steps:
            now, spent = time.monotonic(), spent + step.seconds
            over = now > until and step.number < step.of
            if over or now - told > TOLD:
                seconds = F("seconds") + spent
                turns.update(
                    job, done=step.number, seconds=seconds, losses=losses(plan.folder), moved_at=timezone.now()
                )
                told, spent = now, 0.0
            if over:
                return False
    return True


def _try_to_measure(folder: Path) -> None:
    """ProviderError when it was tried often enough: what is always killed in the middle would be begun anew for ever."""
    tried = folder / "tried"
    times = int(tried.read_text()) if tried.is_file() else 0
    if times >= MOST_TRIES:
        raise ProviderError(
            f"The adapter is trained, but its worker was ended {times} times while it judged the held texts. Raise "
            "AI_SAFETY_MONITOR_TASK_TIMEOUT, or train it by the command train_adapter."
        )
    tried.write_text(str(times + 1))


def cancel(job: TrainingJob, *, actor: str) -> TrainingJob:
    """Stops it for good. ConflictError when it has ended otherwise."""
    stopped = turns.cancel(job, actor=actor)
    if job.state == "WAITING":  # else whoever is at it clears up
        clear(job)
    return stopped


def clear(job: TrainingJob) -> None:
    """What a training that came to nothing leaves behind."""
    shutil.rmtree(folder_of(job), ignore_errors=True)

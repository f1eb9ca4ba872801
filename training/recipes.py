"""How an adapter is trained, and in which order its texts come."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path

from classifiers.errors import InputError
from classifiers.models import folder_digest

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
ALL_LINEAR = (*ATTENTION, "gate_proj", "up_proj", "down_proj")
OTHER_KINDS = ("alpha_pattern", "rank_pattern", "modules_to_save", "use_dora", "use_rslora")  # of LoRA, in PEFT's words
POOL = 16  # batches whose texts are sorted by length together


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an adapter is trained. The same recipe, rows and versions give the same adapter on the same kind of CPU.

    ``from_layer``: layers below stay as they are, which saves their way back. ``batch`` is the texts of a step, read in
    ``accumulation`` pieces. Texts are cut to ``max_tokens``. ``balance`` lets both labels weigh the same. ``smoothing`` is
    the share of a label that goes to the other. Training ends early when the loss on the tuning rows has not fallen for
    ``patience`` looks, one every ``look_every`` steps, or after ``most_steps`` of the schedule; a checkpoint is made every
    ``save_every``. ``start`` is the folder of an adapter to go on from, as ``going_on`` sets it with what else is its own.
    """

    base_model: str = "embedded"
    revision: str | None = None
    rank: int = 8
    alpha: int = 16
    dropout: float = 0.0
    modules: tuple[str, ...] = ALL_LINEAR
    from_layer: int = 0
    learning_rate: float = 3e-4
    warmup: float = 0.05
    epochs: float = 1.0
    batch: int = 32
    accumulation: int = 1
    max_tokens: int = 128
    smoothing: float = 0.0
    balance: bool = True
    look_every: int = 50
    patience: int = 4
    most_steps: int | None = None
    save_every: int = 25
    seed: int = 0
    threads: int | None = None
    device: str = "auto"
    dtype: str = "auto"
    quantization: str = "auto"
    start: str | None = None
    start_digest: str | None = None

    def __post_init__(self) -> None:
        most = 1 if self.most_steps is None else self.most_steps
        counts = (self.rank, self.alpha, self.batch, self.accumulation, self.max_tokens, self.patience, most)
        if min(*counts, self.look_every, self.save_every) < 1:
            raise InputError(
                "Rank, alpha, batch, accumulation, max_tokens, patience, most_steps, look_every and save_every are 1 at least."
            )
        if not (self.epochs > 0 and self.learning_rate > 0 and 0 <= self.smoothing < 1 and 0 <= self.dropout < 1):
            raise InputError("Epochs and learning rate are above 0; smoothing and dropout lie from 0 up to below 1.")

    def steps(self, texts: int) -> int:
        """How many there are at most, of so many texts to learn from."""
        schedule = self.schedule(texts)
        return min(schedule, self.most_steps or schedule)

    def schedule(self, texts: int) -> int:
        """The steps of all epochs."""
        return max(1, round(self.epochs * -(-texts // self.batch)))


def from_reviews(texts: int) -> Recipe:
    """What suits labels that people gave to so many texts, often a few hundred and not all of them right: gone through five
    times and looked at once each, without an early end, for on some thirty tuning texts the loss goes up and down
    (docs/quality.md, "Learning from reviewers")."""
    return Recipe(
        batch=16, epochs=5.0, warmup=0.1, smoothing=0.05, look_every=max(10, texts // 16), patience=6, save_every=10
    )


def going_on(recipe: Recipe, adapter: Path) -> Recipe:
    """The recipe, starting from the weights of an adapter: its base model, rank, alpha, modules and layers are the adapter's.

    InputError when the folder holds none, or one of a kind that is not trained here.
    """
    try:
        stated = json.loads((adapter / "adapter_config.json").read_text())
        if isinstance(stated["target_modules"], str) or any(stated.get(kind) for kind in OTHER_KINDS):
            raise InputError(f"{adapter} is an adapter of another kind than is trained here. Start without it.")
        return replace(
            recipe, start=str(adapter), start_digest=folder_digest(adapter), base_model=stated["base_model_name_or_path"],
            rank=stated["r"], alpha=stated["lora_alpha"], modules=_ordered(stated["target_modules"]),
            from_layer=min(stated.get("layers_to_transform") or [0]),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{adapter} is no LoRA adapter: adapter_config.json is missing or broken. Check the path."
        ) from error


def _ordered(modules: Sequence[str]) -> tuple[str, ...]:
    """In the order in which recipes name them, others last."""
    return (*(name for name in ALL_LINEAR if name in modules), *sorted(set(modules) - {*ALL_LINEAR}))


def epoch_batches(lengths: Sequence[int], size: int, *, seed: int, epoch: int) -> list[list[int]]:
    """Places of ``lengths`` in batches of exactly ``size``, texts of like length together, in an order drawn anew.

    Each place comes once, but for those that fill up the last batch.
    """
    draw = random.Random(f"{seed} {epoch}")  # noqa: S311 - nothing secret
    order = draw.sample(range(len(lengths)), len(lengths))
    order = list(islice(cycle(order), -(-len(order) // size) * size))
    pools = [sorted(order[at : at + size * POOL], key=lengths.__getitem__) for at in range(0, len(order), size * POOL)]
    batches = [pool[at : at + size] for pool in pools for at in range(0, len(pool), size)]
    draw.shuffle(batches)
    return batches

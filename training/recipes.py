"""How an adapter is trained, and in which order its texts come."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from classifiers.errors import InputError

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
ALL_LINEAR = (*ATTENTION, "gate_proj", "up_proj", "down_proj")
POOL = 16  # batches whose texts are sorted by length together


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an adapter is trained. The same recipe, rows and versions give the same adapter on the same kind of CPU.

    ``from_layer``: layers below stay as they are, which saves their way back. ``batch`` is the texts of a step, read in
    ``accumulation`` pieces. Texts are cut to ``max_tokens``. ``balance`` lets both labels weigh the same. ``smoothing`` is
    the share of a label that goes to the other. Training ends early when the loss on the tuning rows has not fallen for
    ``patience`` looks, one every ``look_every`` steps, or after ``most_steps`` of the schedule; a checkpoint is made every
    ``save_every``.
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

    def __post_init__(self) -> None:
        if min(self.rank, self.batch, self.accumulation, self.max_tokens, self.look_every, self.save_every) < 1:
            raise InputError("Rank, batch, accumulation, max_tokens, look_every and save_every are 1 at least.")
        if self.epochs <= 0 or self.learning_rate <= 0 or not 0 <= self.smoothing < 1 or not 0 <= self.dropout < 1:
            raise InputError("Epochs and learning rate are above 0; smoothing and dropout lie from 0 up to below 1.")


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

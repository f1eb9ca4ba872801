"""The fields of a recipe that people and programs may set, and how far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from training.recipes import Recipe


@dataclass(frozen=True, slots=True)
class Hyper:
    name: str
    low: float
    high: float
    says: str

    @property
    def default(self) -> Any:
        """None where the recipe leaves it open."""
        return getattr(Recipe(), self.name)

    @property
    def whole(self) -> bool:
        """Whether it is a whole number."""
        return not isinstance(self.default, float)


HYPER: Sequence[Hyper] = (
    Hyper("epochs", 0.01, 20, "How often each text is learnt from."),
    Hyper("learning_rate", 1e-6, 1e-2, "Of the first steps after the warm-up; it falls to nothing at the end."),
    Hyper("batch", 1, 256, "Texts of a step."),
    Hyper("accumulation", 1, 64, "Pieces that a step is read in: more take less memory."),
    Hyper("max_tokens", 8, 512, "Longer texts are cut."),
    Hyper("rank", 1, 64, "Of the matrices that are learnt."),
    Hyper("alpha", 1, 256, "What they are scaled by; twice the rank is usual."),
    Hyper("from_layer", 0, 200, "Layers below stay as they are, which saves time."),
    Hyper("smoothing", 0.0, 0.5, "Share of each label that goes to the other."),
    Hyper("dropout", 0.0, 0.5, "Share of the matrices' inputs that a step leaves out."),
    Hyper("patience", 1, 100, "Looks at the tuning texts without a lower loss until it ends early."),
    Hyper("look_every", 1, 1000, "Steps between two looks at the tuning texts."),
    Hyper("most_steps", 1, 100_000, "At most so many steps of the schedule."),
    Hyper("seed", 0, 2**32 - 1, "The same gives the same adapter, on the same kind of CPU."),
)
# An adapter that another one starts from has these of its own.
BROUGHT = ("rank", "alpha", "from_layer")

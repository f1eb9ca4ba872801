"""How often the promotion gate about groups of people refuses by chance, and how often it finds a group that is worse off.

Every group has as many harmless sentences as there are probes for it. The old and the new classifier flag each with the same
chance, and the new one says what the old one says on a share of them; in the other case it flags one group 20 points more often.

    python -m benchmarks.gap_gate
"""

from __future__ import annotations

from typing import Any

from fairness.gates import Margins
from fairness.probes import SENTENCES, WORDS

DRAWS, HARM = 4000, 0.2


def gap(flags: Any) -> Any:
    """Of flags of shape (draws, groups, sentences), per draw."""
    rates = flags.mean(2)
    return rates.max(1) - rates.min(1)


def refused(old: Any, new: Any) -> float:
    return float((gap(new) > gap(old) + Margins().gap + 1e-12).mean())


def main() -> None:
    import numpy as np

    chance = np.random.default_rng(0)
    shape = DRAWS, len(WORDS), len(SENTENCES)
    print(f"{shape[1]} groups, {shape[2]} sentences each, margin {Margins().gap}, {DRAWS} draws")
    print("false positives  says the same  refused by chance  one group 20 points worse: refused")
    for rate in (0.02, 0.05, 0.1, 0.2):
        for same in (0.0, 0.8):
            old = chance.random(shape) < rate
            new = np.where(chance.random(shape) < same, old, chance.random(shape) < rate)
            worse = new.copy()
            worse[:, 0] |= chance.random(worse[:, 0].shape) < HARM
            print(f"{rate:15.0%} {same:14.0%} {refused(old, new):18.1%} {refused(old, worse):38.1%}")


if __name__ == "__main__":
    main()

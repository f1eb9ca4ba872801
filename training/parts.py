"""Every trained part of ``guardrails``, by its name, and how it is made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from classifiers.errors import InputError
from guardrails import heads, tagging
from guardrails.toxicity import WEIGHTS as TOXICITY
from training import pii, toxicity
from training.heads import MAKERS


def train(part: str, data: Path) -> str:
    """Makes the part's weights anew from the sets in ``data`` and says what came of it. InputError when a set is missing."""
    try:
        return PARTS[part](data)
    except FileNotFoundError as error:
        raise InputError(
            f"There is no {error.filename}. Name the folder that holds the data sets with --data."
        ) from error


def _head(name: str) -> Callable[[Path], str]:
    def made(data: Path) -> str:
        card = MAKERS[name](data)
        heads.path(name).with_suffix(".md").write_text(card)
        return card

    return made


def _pii(data: Path) -> str:
    pii.train(data)
    return f"Wrote {tagging.MODEL} and {tagging.WORDS}."


def _toxicity(data: Path) -> str:
    told = ", ".join(f"{label} {f1:.3f}" for label, f1 in toxicity.train(data).items())
    return f"Wrote {TOXICITY}. F1 on comments kept apart: {told}."


PARTS: dict[str, Callable[[Path], str]] = {
    **{name: _head(name) for name in MAKERS},
    "pii": _pii,
    "toxicity": _toxicity,
}

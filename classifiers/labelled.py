"""Texts whose right label is known, read from any labelled file; how the label stands there is said by options."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from classifiers.errors import InputError
from classifiers.prompts import read_prompts
from classifiers.sources import PromptSource
from classifiers.types import Prompt, Stage, Subject, digest

USUAL_LABELS = ("label", "toxic", "is_toxic", "hateful", "unsafe", "is_attack", "flagged", "hallucination", "refusal")
TOXIC_WORDS = frozenset({"1", "true", "yes", "toxic", "unsafe", "hate", "hateful", "attack", "injection", "jailbreak"})
SAFE_WORDS = frozenset({"0", "false", "no", "safe", "benign", "harmless", "none", "not hateful", "non-hateful"})


@dataclass(frozen=True, slots=True)
class Columns:
    """Where things stand in a row, dotted where nested.

    ``toxic`` and ``safe`` are further values of the label column that mean so; numbers mean toxic from ``toxic_from`` on.
    Texts are judged as answers where ``prompt`` names the column of what they reply to, or ``output`` says so.
    ``everything`` is SAFE or TOXIC for a file whose texts all are, such as a benign set.
    """

    label: str = ""
    toxic: tuple[str, ...] = ()
    safe: tuple[str, ...] = ()
    toxic_from: float | None = None
    category: str = ""
    prompt: str = ""
    output: bool = False
    everything: str = ""

    def __post_init__(self) -> None:
        if self.everything not in ("", "SAFE", "TOXIC"):
            raise InputError("All texts of a file can be SAFE or TOXIC, and nothing else.")
        if self.everything and self.label:
            raise InputError("Name the column of the label, or say what all texts are; not both.")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A subject with what is true of it."""

    subject: Subject
    toxic: bool
    category: str = ""


def read_labelled(source: PromptSource, columns: Columns) -> list[Labelled]:
    """All labelled texts of a source, in order. InputError, naming the row's label, for one that cannot be understood."""
    found = list(_labelled(source, columns))
    if not found:
        raise InputError(f"{source.dataset_id} gives no labelled texts.")
    return found


def digest_of(rows: Sequence[Labelled]) -> str:
    """32 hex digits of texts and labels in order: two evaluations with the same one were on the same data."""
    return digest(*(f"{row.toxic:d}{row.subject.stage}{row.subject.prompt or ''}\n{row.subject.text}" for row in rows))


def is_toxic(value: Any, columns: Columns) -> bool:
    """What a label means. InputError when that is not known."""
    if isinstance(value, bool):
        return value
    word = "" if value is None else str(value).strip()
    if word in columns.toxic or word in columns.safe:
        return word in columns.toxic
    if columns.toxic_from is not None:
        return _number(value, word) >= columns.toxic_from
    known = word.lower().removesuffix(".0")
    if known in TOXIC_WORDS or known in SAFE_WORDS:
        return known in TOXIC_WORDS
    raise InputError(
        f"The label {word[:60]!r} is not understood. Say which values mean toxic, and which safe, or from which number on."
    )


def _labelled(source: PromptSource, columns: Columns) -> Iterator[Labelled]:
    label = columns.label
    for prompt in read_prompts(source):
        label = label or ("" if columns.everything else _usual(prompt, source))
        toxic = columns.everything == "TOXIC" if columns.everything else is_toxic(_at(prompt, label), columns)
        asked = str(_at(prompt, columns.prompt)) if columns.prompt else None
        stage = Stage.OUTPUT if asked is not None or columns.output else Stage.INPUT
        subject = Subject(prompt.text, stage, prompt=asked, sources=prompt.sources)
        yield Labelled(subject, toxic, str(_at(prompt, columns.category)) if columns.category else "")


def _usual(prompt: Prompt, source: PromptSource) -> str:
    found = [name for name in USUAL_LABELS if name in prompt.metadata]
    if len(found) == 1:
        return found[0]
    there = ", ".join(prompt.metadata) or "none beside the text"
    raise InputError(f"Which column of {source.dataset_id} holds the label? Its columns: {there}.")


def _at(prompt: Prompt, column: str) -> Any:
    value: Any = prompt.metadata
    for part in [column] if column in prompt.metadata else column.split("."):
        if not isinstance(value, Mapping) or part not in value:
            there = ", ".join(prompt.metadata) or "none"
            raise InputError(f"Row {prompt.position} has no column {column}. Beside the text it has: {there}.")
        value = value[part]
    return value


def _number(value: Any, word: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"The label {word[:60]!r} is no number, so that it cannot be toxic from a number on.")
    return number

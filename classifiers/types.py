"""What goes through the pipeline. Plain, frozen values: no database, no network, no model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any


class Label(StrEnum):
    """SAFE, TOXIC ("not safe by policy"), or ERROR: could not be judged, which never counts as safe."""

    SAFE = "SAFE"
    TOXIC = "TOXIC"
    ERROR = "ERROR"


def precedence(labels: Set[Label]) -> Label:
    """What several labels come to: TOXIC if it is among them, else ERROR, else SAFE."""
    return next((label for label in (Label.TOXIC, Label.ERROR) if label in labels), Label.SAFE)


class Stage(StrEnum):
    INPUT = "INPUT"
    OUTPUT = "OUTPUT"


@dataclass(frozen=True, slots=True)
class Prompt:
    """One row of a source: its text, its place (from 0), and what the row held beside the text."""

    text: str
    position: int = 0
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sources(self) -> tuple[str, ...]:
        """The documents that came with it, which its answer should rest on: the texts under ``sources`` in its metadata."""
        given = self.metadata.get("sources")
        return tuple(text for text in given if isinstance(text, str)) if isinstance(given, list) else ()


@dataclass(frozen=True, slots=True)
class Subject:
    """What is judged. Most providers read only ``text``; ``prompt`` is what an answer replies to."""

    text: str
    stage: Stage
    prompt: str | None = None
    sources: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """Characters ``start`` to ``end`` (end excluded) of the judged text, and what was found there."""

    start: int
    end: int
    kind: str
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Classification:
    """What a provider says of one subject.

    ``score`` is the raw score in [0, 1], the higher the more toxic; it is None when there is none (always so for
    ERROR). ``categories`` are scores in [0, 1] by category name, ``flagged`` the names that led to TOXIC.
    ``thresholds`` are the ones applied, by category name. ``reason`` is for people, and required for ERROR.
    ``raw`` is the provider's own answer, anything JSON can hold. ``latency`` is in seconds.
    """

    label: Label
    score: float | None = None
    categories: Mapping[str, float] = field(default_factory=dict)
    flagged: tuple[str, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)
    spans: tuple[Span, ...] = ()
    reason: str = ""
    raw: Any = None
    latency: float | None = None

    @classmethod
    def error(cls, reason: str, *, raw: Any = None, latency: float | None = None) -> Classification:
        return cls(Label.ERROR, reason=reason, raw=raw, latency=latency)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a generator wrote, or, with ``text`` None, why it could not (``reason``). ``latency`` is in seconds."""

    text: str | None
    reason: str = ""
    raw: Any = None
    latency: float | None = None


@dataclass(frozen=True)
class ModelInfo:
    """Which model judged or wrote, exactly enough to tell two versions apart.

    ``settings`` holds what else changes its answers (thresholds, temperature, token limits).
    ``reads_context`` says that a judgement depends on more of the Subject than its text and stage.
    """

    provider: str
    model: str = ""
    revision: str = ""
    adapter_digest: str = ""
    template_hash: str = ""
    dtype: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    reads_context: bool = False

    @cached_property
    def fingerprint(self) -> str:
        """32 hex digits that differ when any field does."""
        return digest(json.dumps(asdict(self), sort_keys=True, default=str))


@dataclass(frozen=True, slots=True)
class Judgement:
    """A Classification with the name of the check that gave it, and whether it was taken over from an earlier one.

    ``own`` is what the classifier itself said, where the policy made something else of it; None where it did not.
    """

    check: str
    classification: Classification
    key: str
    recalled: bool = False
    own: Classification | None = None


@dataclass(frozen=True, slots=True)
class StageOutcome:
    """What all checks of a stage said."""

    judgements: tuple[Judgement, ...]

    @property
    def label(self) -> Label:
        """TOXIC if any check says so, else ERROR if any could not judge, else SAFE."""
        return precedence({j.classification.label for j in self.judgements})

    def passes(self, *, fail_open: bool = False) -> bool:
        """Only what is SAFE does; and what could not be judged, where somebody chose to fail open."""
        return self.label is Label.SAFE or (fail_open and self.label is Label.ERROR)

    @property
    def score(self) -> float | None:
        """The highest score of any check."""
        return max(
            (j.classification.score for j in self.judgements if j.classification.score is not None), default=None
        )

    @property
    def flagged(self) -> list[str]:
        return sorted({name for j in self.judgements for name in j.classification.flagged})


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything about one prompt. ``output`` is None when that stage did not run.

    ``degraded``: a check could not judge it, and it passed all the same, since somebody chose to fail open.
    """

    prompt: Prompt
    input: StageOutcome
    answer: str | None = None
    output: StageOutcome | None = None
    degraded: bool = False


def digest(*parts: str) -> str:
    """32 hex digits of BLAKE2b over the parts, each with its length, so that no two lists of parts agree by accident."""
    h = hashlib.blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        h.update(len(encoded).to_bytes(8, "big") + encoded)
    return h.hexdigest()


def judgement_key(info: ModelInfo, subject: Subject) -> str:
    """Names a judgement: two subjects with the same key get the same answer from the same classifier version."""
    context: Sequence[str] = ()
    if info.reads_context:
        context = (subject.prompt or "", json.dumps([subject.sources, subject.alternatives]))
    return digest(info.fingerprint, subject.stage, subject.text, *context)

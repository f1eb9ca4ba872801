"""What a provider must do. There is no base class: any class with these methods is a provider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from classifiers.types import Answer, Classification, ModelInfo, Subject


@runtime_checkable
class ClassifierProvider(Protocol):
    """Judges texts. ``classify`` is all that is required; ``tests/classifiers/test_contract.py`` holds it to this:

    one Classification for each subject, in order; none in, none out; a text that cannot be judged gives ERROR with
    a reason, never SAFE; a provider that cannot work at all raises ProviderError with what to do about it.
    ``__init__`` only keeps its options: weights load, packages import and keys are read on first use.
    """

    def classify(self, subjects: Sequence[Subject]) -> list[Classification]: ...


@runtime_checkable
class AnswerGenerator(Protocol):
    """Answers prompts: one Answer for each prompt, in order; one that failed has text None and a reason.

    Raises ProviderError when it cannot work at all.
    """

    def generate(self, prompts: Sequence[str]) -> list[Answer]: ...


@runtime_checkable
class Described(Protocol):
    """Optional: a provider that can name its model. Without it, the class and its options stand for the version.

    Called before the first text, so it may load the model; raises ProviderError like ``classify``.
    """

    def describe(self) -> ModelInfo: ...


@runtime_checkable
class Checkable(Protocol):
    """Optional: says what is missing without loading anything large.

    Returns a sentence for each thing that keeps the provider from running here and what to do about it;
    an empty list means that it can run.
    """

    def problems(self) -> list[str]: ...


@runtime_checkable
class Batched(Protocol):
    """Optional: how many texts it wants at a time, to keep all its requests busy; 64 otherwise."""

    preferred_batch: int


class Recall(Protocol):
    """Looks up earlier judgements by their key (types.judgement_key), errors left out."""

    def __call__(self, keys: Sequence[str]) -> Mapping[str, Classification]: ...

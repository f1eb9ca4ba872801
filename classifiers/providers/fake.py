"""Scripted answers, delays and faults, for tests and load runs. Never a default."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from classifiers.errors import ProviderError
from classifiers.types import Answer, Classification, Label, Subject, digest


class FakeClassifier:
    """Judges by substrings, the same text always alike.

    A text with a word of ``toxic`` is TOXIC with score .9, one with a word of ``fail`` is ERROR, any other SAFE with
    a score below .5 that is made from the text. ``latency`` is the seconds that a call takes; ``broken`` is the
    sentence of the ProviderError that every call raises.
    """

    def __init__(
        self, toxic: Sequence[str] = ("toxic",), fail: Sequence[str] = ("fail",), latency: float = 0, broken: str = ""
    ) -> None:
        self.toxic = tuple(toxic)
        self.fail = tuple(fail)
        self.latency = latency
        self.broken = broken

    def problems(self) -> list[str]:
        return [self.broken] if self.broken else []

    def classify(self, subjects: Sequence[Subject]) -> list[Classification]:
        if self.broken:
            raise ProviderError(self.broken)
        if subjects:
            time.sleep(self.latency)
        return [self._classify(subject.text) for subject in subjects]

    def _classify(self, text: str) -> Classification:
        if any(word in text for word in self.fail):
            return Classification.error("The fake classifier was told to fail on this text.")
        toxic = any(word in text for word in self.toxic)
        score = 0.9 if toxic else int(digest(text)[:4], 16) / 0xFFFF / 2.01
        return Classification(
            Label.TOXIC if toxic else Label.SAFE,
            score=score,
            categories={"toxic": score},
            flagged=("toxic",) if toxic else (),
            thresholds={"toxic": 0.5},
        )


class FakeGenerator:
    """Answers with the prompt's own words behind ``prefix``, or with what ``answers`` has for the prompt.

    A prompt with a word of ``fail`` gets no answer. ``latency`` is the seconds that a call takes.
    """

    def __init__(
        self,
        prefix: str = "You said: ",
        answers: Mapping[str, str] | None = None,
        fail: Sequence[str] = ("unanswerable",),
        latency: float = 0,
    ) -> None:
        self.prefix = prefix
        self.answers = answers or {}
        self.fail = tuple(fail)
        self.latency = latency

    def generate(self, prompts: Sequence[str]) -> list[Answer]:
        if prompts:
            time.sleep(self.latency)
        return [self._answer(prompt) for prompt in prompts]

    def _answer(self, prompt: str) -> Answer:
        if any(word in prompt for word in self.fail):
            return Answer(None, reason="The fake generator was told not to answer this prompt.")
        return Answer(self.answers.get(prompt, self.prefix + prompt))

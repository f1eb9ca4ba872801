"""Prompts in, outcomes out: judge, answer what is safe, judge the answers. Knows no database."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeVar

from classifiers import metrics
from classifiers.errors import ProviderError
from classifiers.policy import Rules
from classifiers.protocols import AnswerGenerator, ClassifierProvider, Recall
from classifiers.text import unstorable, unstorable_json
from classifiers.types import (
    Answer,
    Classification,
    Judgement,
    Label,
    ModelInfo,
    Outcome,
    Prompt,
    Stage,
    StageOutcome,
    Subject,
    judgement_key,
)

logger = logging.getLogger(__name__)

NO_RULES = Rules()
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Check:
    """A classifier at work in a stage, under the name that its verdicts carry, and the policy that decides on its scores."""

    name: str
    provider: ClassifierProvider
    info: ModelInfo
    rules: Rules = NO_RULES


@dataclass(frozen=True, slots=True)
class Generation:
    """A generator at work, under the name that a failure to answer carries."""

    name: str
    provider: AnswerGenerator


def remembers_nothing(keys: Sequence[str]) -> Mapping[str, Classification]:
    return {}


@dataclass(frozen=True)
class Pipeline:
    """One configuration. Only what is SAFE goes on to the next step; a failure is an ERROR, never SAFE. With ``fail_open``
    what a check could not judge, and none found TOXIC, goes on too: an ERROR all the same, and its outcome is degraded.

    Without a generator no answer is made; without output checks answers are not judged. ``recall`` finds earlier
    judgements of the same text by the same classifier version, which are then not asked for again. ``alternatives`` says how
    many further answers to each prompt output checks get to compare the first with; only that one counts otherwise.
    """

    input_checks: Sequence[Check]
    generation: Generation | None = None
    output_checks: Sequence[Check] = ()
    batch_size: int = 32
    recall: Recall = remembers_nothing
    alternatives: int = 0
    fail_open: bool = False

    def __post_init__(self) -> None:
        if not self.input_checks:
            raise ValueError("A pipeline needs at least one input check: nothing may pass unjudged.")

    def run(self, prompts: Iterable[Prompt]) -> Iterator[Outcome]:
        """Outcomes in the order of the prompts, a batch at a time. Raises ProviderError when a provider cannot work."""
        stream = iter(prompts)
        while batch := list(islice(stream, self.batch_size)):
            yield from self._run_batch(batch)

    def _run_batch(self, batch: list[Prompt]) -> list[Outcome]:
        inputs = judge(self.input_checks, [_asked(prompt) for prompt in batch], self.recall)
        answers: dict[int, Answer] = {}
        if self.generation:
            passed = [index for index, judged in enumerate(inputs) if judged.passes(fail_open=self.fail_open)]
            made = answer(self.generation.provider, [batch[i].text for i in passed], alias=self.generation.name)
            answers = dict(zip(passed, made, strict=True))
        outputs = self._judge_answers(batch, answers)
        return [
            self._outcome(prompt, inputs[i], answers[i].text if i in answers else None, outputs.get(i))
            for i, prompt in enumerate(batch)
        ]

    def _outcome(self, prompt: Prompt, asked: StageOutcome, text: str | None, output: StageOutcome | None) -> Outcome:
        judged = [asked, *([output] if output and text is not None else [])]
        degraded = self.fail_open and any(each.label is Label.ERROR for each in judged)
        return Outcome(prompt, asked, text, output, degraded)

    def _judge_answers(self, batch: list[Prompt], answers: Mapping[int, Answer]) -> dict[int, StageOutcome]:
        written = {i: a.text for i, a in answers.items() if a.text is not None}
        outputs = {i: self._unanswered(a) for i, a in answers.items() if a.text is None}
        if not self.output_checks:
            return outputs
        others = self._alternatives([batch[i].text for i in written])
        subjects = [
            Subject(text, Stage.OUTPUT, batch[i].text, batch[i].sources, other)
            for (i, text), other in zip(written.items(), others, strict=True)
        ]
        return outputs | dict(zip(written, judge(self.output_checks, subjects, self.recall), strict=True))

    def _alternatives(self, prompts: Sequence[str]) -> list[tuple[str, ...]]:
        """Further answers to each prompt, asked for in one call, since a seed may make each call say the same again."""
        if not (self.generation and self.alternatives):
            return [()] * len(prompts)
        again = [prompt for prompt in prompts for _ in range(self.alternatives)]
        texts = [made.text for made in answer(self.generation.provider, again, alias=self.generation.name)]
        of_each = (texts[start : start + self.alternatives] for start in range(0, len(texts), self.alternatives))
        return [tuple(text for text in some if text is not None) for some in of_each]

    def _unanswered(self, failed: Answer) -> StageOutcome:
        return unanswered(self.generation.name if self.generation else "", failed)


def _asked(prompt: Prompt) -> Subject:
    """Its documents are part of what the model would be told."""
    return Subject(prompt.text, Stage.INPUT, sources=prompt.sources)


def unanswered(name: str, failed: Answer) -> StageOutcome:
    """A prompt without an answer is an ERROR of the output stage, so that it is listed and can be retried."""
    error = Classification.error(f"No answer: {failed.reason}", raw=failed.raw, latency=failed.latency)
    return StageOutcome((Judgement(name, error, key=""),))


def judge(
    checks: Sequence[Check], subjects: Sequence[Subject], recall: Recall = remembers_nothing
) -> list[StageOutcome]:
    """What all checks say of each subject, in order; they work side by side.

    Identical subjects are judged once, and not at all when an earlier judgement is known. Raises ProviderError when one of
    the checks cannot work at all.
    """
    asked = [_Asked.of(check, subjects, recall) for check in checks]
    return _outcomes(asked, _side_by_side(asked, _Asked.ask))


def judge_or_error(
    checks: Sequence[Check], subjects: Sequence[Subject], recall: Recall = remembers_nothing
) -> tuple[list[StageOutcome], bool]:
    """As judge, and whether all checks work: one that cannot says ERROR and why, and the others are heard all the same."""
    asked = [_Asked.of(check, subjects, recall) for check in checks]
    told = _side_by_side(asked, _Asked.ask_or_error)
    return _outcomes(asked, [made for made, _ in told]), all(works for _, works in told)


def _outcomes(asked: Sequence[_Asked], made: Sequence[Sequence[Classification]]) -> list[StageOutcome]:
    columns = [each.judgements(said) for each, said in zip(asked, made, strict=True)]
    return [StageOutcome(judgements) for judgements in zip(*columns, strict=True)]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What one check is asked: of subjects with the same key one, and none of those that are ``known``."""

    check: Check
    keys: Sequence[str]
    stages: Sequence[Stage]
    known: Mapping[str, Classification]
    fresh: Mapping[str, Subject]

    @classmethod
    def of(cls, check: Check, subjects: Sequence[Subject], recall: Recall) -> _Asked:
        keys = [judgement_key(check.info, subject) for subject in subjects]
        known = dict(recall(keys)) if keys else {}
        fresh = {key: subject for key, subject in zip(keys, subjects, strict=True) if key not in known}
        return cls(check, keys, [subject.stage for subject in subjects], known, fresh)

    def ask(self) -> list[Classification]:
        return classify(self.check.provider, list(self.fresh.values()), alias=self.check.name)

    def ask_or_error(self) -> tuple[list[Classification], bool]:
        try:
            return self.ask(), True
        except ProviderError as error:
            return [Classification.error(error.message)] * len(self.fresh), False

    def judgements(self, made: Sequence[Classification]) -> list[Judgement]:
        """Of all subjects; what came again in the batch was recalled from its first."""
        said, seen = {**self.known, **dict(zip(self.fresh, made, strict=True))}, set(self.known)
        judgements = []
        for key, stage in zip(self.keys, self.stages, strict=True):
            own = said[key]
            ruled = self.check.rules.apply(own, check=self.check.name, stage=stage)
            judgements.append(Judgement(self.check.name, ruled, key, key in seen, None if ruled is own else own))
            seen.add(key)
        return judgements


def _side_by_side(asked: Sequence[_Asked], ask: Callable[[_Asked], T]) -> list[T]:
    if sum(bool(each.fresh) for each in asked) < 2:
        return [ask(each) for each in asked]
    with ThreadPoolExecutor(len(asked), thread_name_prefix="check") as pool:
        return list(pool.map(ask, asked))


def classify(
    provider: ClassifierProvider, subjects: Sequence[Subject], *, alias: str | None = None
) -> list[Classification]:
    """One sound Classification for each subject, whatever the provider does short of ProviderError."""
    if not subjects:
        return []
    with metrics.call("classifier", alias or type(provider).__name__, len(subjects)) as call:
        made = _classified(provider, subjects)
        call.errors = sum(c.label is Label.ERROR for c in made)
    return made


def _classified(provider: ClassifierProvider, subjects: Sequence[Subject]) -> list[Classification]:
    started = time.perf_counter()
    try:
        made = list(provider.classify(subjects))
    except ProviderError:
        raise
    except Exception as error:
        logger.exception("%s failed on %d texts", type(provider).__name__, len(subjects))
        return [Classification.error(f"{type(provider).__name__} failed: {type(error).__name__}: {error}")] * len(
            subjects
        )
    if len(made) != len(subjects):
        reason = f"{type(provider).__name__} gave {len(made)} answers for {len(subjects)} texts."
        return [Classification.error(reason)] * len(subjects)
    each = (time.perf_counter() - started) / len(subjects)
    return [_sound(c, each) for c in made]


def answer(provider: AnswerGenerator, prompts: Sequence[str], *, alias: str | None = None) -> list[Answer]:
    """One Answer for each prompt that can be stored, whatever the generator does short of ProviderError."""
    if not prompts:
        return []
    with metrics.call("generator", alias or type(provider).__name__, len(prompts)) as call:
        made = _answered(provider, prompts)
        call.errors = sum(a.text is None for a in made)
    return made


def _answered(provider: AnswerGenerator, prompts: Sequence[str]) -> list[Answer]:
    try:
        made = list(provider.generate(prompts))
    except ProviderError:
        raise
    except Exception as error:
        logger.exception("%s failed on %d prompts", type(provider).__name__, len(prompts))
        return [Answer(None, reason=f"{type(provider).__name__} failed: {type(error).__name__}: {error}")] * len(
            prompts
        )
    if len(made) != len(prompts):
        reason = f"{type(provider).__name__} gave {len(made)} answers for {len(prompts)} prompts."
        return [Answer(None, reason=reason)] * len(prompts)
    return [_storable(a) for a in made]


def _sound(c: Classification, latency: float) -> Classification:
    """The classification with its latency; an error, without a score, unless it says soundly what it says."""
    if not isinstance(c, Classification):
        return Classification.error(f"The classifier gave no classification but a {type(c).__name__}.", latency=latency)
    latency = latency if c.latency is None else c.latency
    reason = (c.reason or "The classifier gave no reason.") if c.label is Label.ERROR else _flaw(c)
    return Classification.error(reason, raw=c.raw, latency=latency) if reason else replace(c, latency=latency)


def _flaw(c: Classification) -> str:
    """A label of no meaning, a score that is no probability, a name that no database takes; "" when all is well."""
    if not isinstance(c.label, Label):
        return f"The classifier gave the label {c.label!r}, which is none of {', '.join(Label)}."
    scores = [*c.categories.values(), *([] if c.score is None else [c.score])]
    if not all(_is_finite(score) and 0 <= score <= 1 for score in scores):
        return f"The classifier gave a score outside 0 to 1: {scores}."
    if not all(map(_is_finite, c.thresholds.values())):
        return f"The classifier gave a threshold that is no number: {dict(c.thresholds)}."
    names = [*c.categories, *c.flagged, *c.thresholds, *(span.kind for span in c.spans)]
    unfit = unstorable_json(names, name="Its list of names")
    return f"The classifier's answer cannot be stored. {unfit}" if unfit else ""


def _is_finite(number: object) -> bool:
    return isinstance(number, int | float) and math.isfinite(number)


def _storable(a: Answer) -> Answer:
    if not isinstance(a, Answer) or not isinstance(a.text, str | None):
        return Answer(None, reason=f"The generator gave no text but {a!r:.200}.")
    problem = None if a.text is None else unstorable(a.text)
    return a if problem is None else replace(a, text=None, reason=f"The answer cannot be stored: {problem}")

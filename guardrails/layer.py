"""Everything that stands between people and a model, in one object: checks before, checks after, and what follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Protocol

from classifiers.errors import InputError
from classifiers.pipeline import Check, judge_or_error
from classifiers.types import Judgement, Label, Stage, StageOutcome, Subject

REFUSAL = "I can't help with that."
REPLACEMENT = "[This answer was withheld because it does not meet the safety policy.]"


class Remedy(StrEnum):
    """What follows when a check says TOXIC: nothing goes on, what it found is taken out, or other words stand instead."""

    REFUSE = "REFUSE"
    REDACT = "REDACT"
    REPLACE = "REPLACE"


class Redactor(Protocol):
    """Takes out what a check found, and can put it back (guardrails.pii)."""

    def redact(self, text: str) -> tuple[str, Mapping[str, str]]: ...

    def restore(self, text: str, vault: Mapping[str, str]) -> str: ...


@dataclass(frozen=True, slots=True)
class Validation:
    """What all checks of a stage say of a text. ``degraded``: one could not judge, and it passes all the same, since the
    layer is told to fail open."""

    text: str
    stage: Stage
    outcome: StageOutcome
    degraded: bool = False

    @property
    def label(self) -> Label:
        return self.outcome.label

    @property
    def allowed(self) -> bool:
        return self.label is Label.SAFE or self.degraded

    @property
    def against(self) -> list[Judgement]:
        """Those that keep the text from passing, or would have."""
        return [each for each in self.outcome.judgements if each.classification.label is not Label.SAFE]

    @property
    def reasons(self) -> list[str]:
        """A sentence for each of them."""
        return [_sentence(each) for each in self.against]


@dataclass(frozen=True, slots=True)
class SafeResponse:
    """``text`` is what may be shown. ``done`` says in sentences what was done to get there; empty when nothing was.

    ``withheld`` is what the model said where something else is shown, for the record only.
    """

    text: str
    input: Validation
    output: Validation | None = None
    done: Sequence[str] = ()
    withheld: str | None = None

    @property
    def blocked(self) -> bool:
        return self.output is None or not self.output.allowed

    @property
    def degraded(self) -> bool:
        return self.input.degraded or bool(self.output and self.output.degraded)


@dataclass(frozen=True)
class SafetyLayer:
    """Input and output checks in any number, side by side; a stage is TOXIC if any says so, else ERROR if any could not
    judge, else SAFE.

    Fails closed: what could not be judged does not pass, unless ``fail_open``, and then it is *degraded*. ``remedies`` say by
    the name of a check what follows from its TOXIC: REFUSE where nothing is said. A check with REDACT needs its redactor;
    a text is refused all the same when it is still TOXIC after that.
    """

    input_checks: Sequence[Check]
    output_checks: Sequence[Check] = ()
    remedies: Mapping[str, Remedy] = field(default_factory=dict)
    redactors: Mapping[str, Redactor] = field(default_factory=dict)
    fail_open: bool = False
    refusal: str = REFUSAL
    replacement: str = REPLACEMENT

    def __post_init__(self) -> None:
        names = {check.name for check in (*self.input_checks, *self.output_checks)}
        if not self.input_checks:
            raise InputError("A safety layer needs at least one input check: nothing may pass unjudged.")
        if unknown := sorted(self.remedies.keys() - names):
            raise InputError(
                f"There is a remedy for {unknown[0]}, which is no check here: {', '.join(sorted(names))} are."
            )
        without = [
            name for name, remedy in self.remedies.items() if remedy is Remedy.REDACT and name not in self.redactors
        ]
        if without:
            raise InputError(f"What {without[0]} finds is to be redacted, and nothing is given that can do so.")

    def validate_input(self, text: str, *, context: Sequence[str] = ()) -> Validation:
        """What the input checks say of a prompt. ``context`` are tool results and documents that go to the model with it,
        each judged too; the worst of them counts."""
        subjects = [Subject(text, Stage.INPUT), *(Subject(each, Stage.INPUT) for each in context)]
        outcomes, _ = judge_or_error(self.input_checks, subjects)
        return self._validation(text, Stage.INPUT, StageOutcome(tuple(j for each in outcomes for j in each.judgements)))

    def validate_output(self, text: str, *, prompt: str | None = None, sources: Sequence[str] = ()) -> Validation:
        """What the output checks say of an answer, to its prompt and against the sources it should rest on."""
        subject = Subject(text, Stage.OUTPUT, prompt=prompt, sources=tuple(sources))
        (outcome,), _ = judge_or_error(self.output_checks, [subject])
        return self._validation(text, Stage.OUTPUT, outcome)

    def safe_response(
        self, prompt: str, generate: Callable[[str], str], *, context: Sequence[str] = (), sources: Sequence[str] = ()
    ) -> SafeResponse:
        """An answer that may be shown. ``generate`` is asked only when the prompt passes, redacted if need be.

        What was taken out of the prompt stands in the answer again where the model used its placeholder. Raises what
        ``generate`` raises.
        """
        judge_prompt = partial(self.validate_input, context=context)
        asked, vault, before, done = self._mend(prompt, judge_prompt)
        if not before.allowed:
            return SafeResponse(
                self.refusal, before, done=[*done, f"The prompt was refused. {' '.join(before.reasons)}"]
            )
        done = [*done, *_unjudged("prompt", before)]
        said = generate(asked)
        shown, _, after, mended = self._mend(said, partial(self.validate_output, prompt=asked, sources=sources))
        if not after.allowed:
            text, what = self._instead(after)
            return SafeResponse(text, before, after, [*done, f"The answer was {what}. {' '.join(after.reasons)}"], said)
        if vault and not mended:  # else a placeholder of the answer may be that of another value in the prompt
            for redactor in self.redactors.values():
                shown = redactor.restore(shown, vault)
        return SafeResponse(
            shown, before, after, [*done, *mended, *_unjudged("answer", after)], said if mended else None
        )

    def _validation(self, text: str, stage: Stage, outcome: StageOutcome) -> Validation:
        return Validation(text, stage, outcome, degraded=self.fail_open and outcome.label is Label.ERROR)

    def _mend(self, text: str, judge: Callable[[str], Validation]) -> tuple[str, dict[str, str], Validation, list[str]]:
        """The text without what is to be redacted, what was taken out, how it is judged then, and what was done."""
        found = judge(text)
        toxic = {j.check for j in found.against if j.classification.label is Label.TOXIC}
        names = sorted(name for name in toxic if self.remedies.get(name) is Remedy.REDACT)
        if not names:
            return text, {}, found, []
        vault, done = dict[str, str](), []
        for name in names:
            text, taken = self.redactors[name].redact(text)
            vault |= taken
            done.append(f"What {name} found was redacted: {', '.join(sorted(taken)) or 'nothing that could be'}.")
        return text, vault, judge(text), done

    def _instead(self, found: Validation) -> tuple[str, str]:
        remedies = {self.remedies.get(j.check, Remedy.REFUSE) for j in found.against}
        return (self.replacement, "replaced") if remedies == {Remedy.REPLACE} else (self.refusal, "refused")


def _unjudged(what: str, found: Validation) -> list[str]:
    return [f"The {what} passed all the same. {' '.join(found.reasons)}"] if found.degraded else []


def _sentence(judgement: Judgement) -> str:
    said = judgement.classification
    if said.label is Label.ERROR:
        return f"{judgement.check} could not judge it: {said.reason}"
    named = f" for {', '.join(said.flagged)}" if said.flagged else ""
    return f"{judgement.check} flagged it{named}."

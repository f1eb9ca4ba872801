"""One exchange of a program with a model: guarded, recorded as a result of a live run, and told of in the protocol's words."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.conf import settings

from classifiers.errors import SafetyError, TransientError
from classifiers.guarded import Guarded, Said, mends_nothing
from classifiers.pipeline import judge_or_error
from classifiers.types import Classification, Judgement, Label, Outcome, Prompt, Stage, StageOutcome, Subject
from classifiers.upstream import Piece
from moderation import policies
from moderation import services as moderation
from runs import live
from runs.gateway.askers import Asker
from runs.gateway.mending import counted, mend
from runs.gateway.moderating import check_of
from runs.gateway.routes import Route, upstream_of
from runs.models import Result
from runs.recording import printable

SOON = 5.0  # seconds until a text that could not be judged may be tried again


class UnjudgedError(TransientError):
    code = "unjudged"


class BlockedError(SafetyError):
    code = "content_filter"
    status = 400


@dataclass(frozen=True)
class ModerationWish:
    """The ``moderation`` of a request: a classifier's word on both sides, and whether it may block each."""

    alias: str
    blocks_input: bool = False
    blocks_output: bool = False


@dataclass(frozen=True)
class Conversation:
    """A request, understood: ``asked`` is judged, ``messages`` and ``parameters`` go to the model."""

    route: Route
    asked: Sequence[Said]
    messages: Sequence[Mapping[str, Any]]
    parameters: Mapping[str, Any]
    streamed: bool = False
    moderation: ModerationWish | None = None


@dataclass
class Exchange:
    """Iterate ``pieces`` once, to its end or not: then it is recorded, and the rest says what came of it."""

    conversation: Conversation
    asker: Asker
    result: Result | None = None
    hung_up: bool = False
    moderated: dict[Stage, Classification | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        wanted, route = self.conversation, self.conversation.route
        wish = wanted.moderation
        self.line = route.line(
            more_input=wish.alias if wish and wish.blocks_input else "",
            more_output=wish.alias if wish and wish.blocks_output else "",
        )
        self.infos = self.line.infos()
        # One for all that is judged here, though another comes into force meanwhile.
        self.policy = policies.in_force()
        upstream = upstream_of(route)
        body = {"messages": list(wanted.messages), **wanted.parameters}
        self.ignored = [] if upstream.whole_conversation else sorted(wanted.parameters)
        self.guarded = Guarded(
            wanted.asked,
            [check_of(alias, self.policy) for alias in self.line.input_checks],
            [check_of(alias, self.policy) for alias in self.line.output_checks],
            upstream,
            body if upstream.whole_conversation else {"prompt": wanted.asked[-1].text},
            streamed=wanted.streamed,
            recall=remembered,
            fail_open=settings.SAFETY_FAIL_OPEN,
            mend=mend if route.on_block == "redact" else mends_nothing,
        )

    def pieces(self) -> Iterator[Piece]:
        """What may go out. The exchange is recorded before this ends, also when the client hangs up."""
        try:
            yield from self.guarded.run()
        except GeneratorExit:
            self.hung_up = True
            raise
        finally:
            self._keep()

    def _keep(self) -> None:
        guarded = self.guarded
        remembered.note(guarded.inputs)
        self._moderate()
        prompt = Prompt(guarded.prompt, metadata=self._metadata())
        outcome = Outcome(prompt, guarded.input, guarded.answer, guarded.output, guarded.degraded)
        kept = live.keep(
            self.line, self.infos, [outcome], policy=self.policy, actor=self.asker.actor, via=self.asker.via
        )
        self.result = kept[0]
        if guarded.broken:
            moderation.forget_versions()

    def _metadata(self) -> dict[str, Any]:
        wanted, reply = self.conversation, self.guarded.reply
        facts: dict[str, Any] = {
            **self.asker.facts,
            "route": wanted.route.alias,
            "outcome": self.outcome,
            "withheld": self.guarded.answer is not None and self.guarded.released < len(reply.text),
            "released_characters": self.guarded.released,
            "redacted": self.redacted,
            "finish_reason": reply.finish,
            "model_seconds": reply.seconds,
            "messages": list(wanted.messages),
            "parameters": {**wanted.parameters, "stream": wanted.streamed},
        }
        if self.ignored or not self.guarded.upstream.whole_conversation:
            facts["not_sent"] = self.not_sent
        return facts

    # What came of it

    @property
    def outcome(self) -> str:
        if self.hung_up:
            return "disconnected"
        if self.guarded.passed:
            return "redacted" if self.guarded.mended else "released"
        return "blocked" if self.blocked else "failed"

    @property
    def blocked(self) -> bool:
        guarded = self.guarded
        return guarded.label is Label.TOXIC and not guarded.passed and guarded.failure is None

    @property
    def stage(self) -> Stage:
        """Where the label comes from."""
        output = self.guarded.output
        return Stage.OUTPUT if output and output.label is self.guarded.label else Stage.INPUT

    @property
    def redacted(self) -> dict[str, int]:
        """How many places of each kind were taken out of the answer."""
        output = self.guarded.output
        return counted(output) if output and self.guarded.mended else {}

    @property
    def done(self) -> list[str]:
        """What was done about what was found, a sentence each; empty when nothing was."""
        if self.blocked:
            return [f"The {'prompt' if self.stage is Stage.INPUT else 'answer'} was refused."]
        taken = ", ".join(f"{n} {kind}" for kind, n in sorted(self.redacted.items()))
        redacted = [f"Personal data was taken out of the answer: {taken}."] if taken else []
        passed = ["What could not be judged passed: the site is told to fail open."] if self.guarded.degraded else []
        return [*redacted, *passed]

    @property
    def not_sent(self) -> list[str]:
        """Of the request, what a generator of ours did not get."""
        earlier = ["earlier messages"] if len(self.conversation.messages) > 1 else []
        return [*earlier, *self.ignored]

    @property
    def error(self) -> SafetyError | None:
        """Why there is no whole answer, if the protocol is to call that an error."""
        if self.blocked and self.conversation.route.on_block == "error":
            return BlockedError(f"{self.conversation.route.refusal} {' '.join(self.reasons)}".strip())
        if self.guarded.passed or self.blocked:
            return None
        if failure := self.guarded.failure:
            return failure
        what = "The prompt" if self.stage is Stage.INPUT else "The answer"
        return UnjudgedError(
            f"{what} could not be judged, so nothing passes. {' '.join(self.reasons)}", retry_after=SOON
        )

    def refuse(self) -> None:
        """Raises the error that the protocol gives instead of an answer, if there is one."""
        if error := self.error:
            error.safety = self.safety  # type: ignore[attr-defined]
            raise error

    @property
    def reasons(self) -> list[str]:
        """A sentence for each check that did not say SAFE."""
        stages = [stage for stage in (self.guarded.input, self.guarded.output) if stage]
        judgements = [judgement for stage in stages for judgement in stage.judgements]
        return [_sentence(each) for each in judgements if each.classification.label is not Label.SAFE]

    @property
    def safety(self) -> dict[str, Any]:
        """The extension of every answer: what was decided, why, and where it can be reviewed."""
        said = self._said
        facts = {
            "blocked": self.blocked,
            "stage": self.stage.lower() if self.guarded.label is not Label.SAFE else None,
            "label": self.guarded.label,
            "degraded": self.guarded.degraded,
            "categories": said.flagged,
            "scores": {j.check: j.classification.score for j in said.judgements},
            "reasons": self.reasons,
            "done": self.done,
            "run": self.result.run_id if self.result else None,
            "result": self.result.pk if self.result else None,
        }
        if not self.guarded.upstream.whole_conversation:
            facts["not_sent"] = self.not_sent
        return facts

    @property
    def _said(self) -> StageOutcome:
        return self.guarded.output or self.guarded.input

    # What ``moderation`` asked for

    def _moderate(self) -> None:
        """A classifier's word on prompt and answer: from the checks, if it was one of them, else asked for now."""
        if not (wish := self.conversation.moderation):
            return
        guarded = self.guarded
        subjects = {Stage.INPUT: Subject(guarded.prompt, Stage.INPUT)}
        if guarded.answer is not None:
            subjects[Stage.OUTPUT] = Subject(guarded.answer, Stage.OUTPUT, guarded.prompt, guarded.sources)
        known = {Stage.INPUT: _of(guarded.input, wish.alias), Stage.OUTPUT: _of(guarded.output, wish.alias)}
        self.moderated = {stage: known[stage] for stage in Stage}
        missing = [stage for stage in subjects if known[stage] is None]
        if missing:
            outcomes, works = judge_or_error(
                [check_of(wish.alias, self.policy)], [subjects[stage] for stage in missing]
            )
            guarded.broken = guarded.broken or not works
            self.moderated |= {
                stage: each.judgements[0].classification for stage, each in zip(missing, outcomes, strict=True)
            }


def _sentence(judgement: Judgement) -> str:
    c = judgement.classification
    flagged = f" ({', '.join(c.flagged)})" if c.flagged else ""
    return f"{judgement.check}: {c.label}{flagged}{'. ' if c.reason else ''}{printable(c.reason)}"


def _of(outcome: StageOutcome | None, alias: str) -> Classification | None:
    judgements = outcome.judgements if outcome else ()
    return next((each.classification for each in judgements if each.check == alias and each.key), None)


class Remembered:
    """What was said of texts lately: a conversation brings all of its earlier messages again with each turn."""

    def __init__(self, most: int = 10_000) -> None:
        self.most = most
        self._known: OrderedDict[str, Classification] = OrderedDict()

    def __call__(self, keys: Sequence[str]) -> Mapping[str, Classification]:
        return {key: known for key in keys if (known := self._known.get(key))}

    def note(self, outcomes: Sequence[StageOutcome]) -> None:
        for judgement in (each for outcome in outcomes for each in outcome.judgements):
            if judgement.key and judgement.classification.label is not Label.ERROR:
                self._known[judgement.key] = replace(judgement.own or judgement.classification, raw=None)
        while len(self._known) > self.most:
            self._known.popitem(last=False)


remembered = Remembered()

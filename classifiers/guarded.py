"""An exchange with a model under guard: nothing goes to it, and nothing of it comes out, before it was judged."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from typing import Any

from classifiers.errors import ProviderError, SafetyError, TransientError
from classifiers.pipeline import Check, judge_or_error, remembers_nothing, unanswered
from classifiers.protocols import Recall
from classifiers.text import unstorable
from classifiers.types import (
    Answer,
    Classification,
    Judgement,
    Label,
    Stage,
    StageOutcome,
    Subject,
    digest,
    precedence,
)
from classifiers.upstream import Piece, Reply, Upstream, as_safety_error, timed

logger = logging.getLogger(__name__)

SENTENCE_END = re.compile(r"""[.!?\u2026]+["'\u201d\u2019\u00bb)\]]*(?=\s)|[\u3002\uff01\uff1f]|\n""")
TOOLS = ("tool", "function")
LONG = 400  # characters without an end, from which on a sentence is cut at white space, and at twice that anywhere


@dataclass(frozen=True, slots=True)
class Said:
    """A text that goes to the model: by whom, and at which place of the conversation (from 1)."""

    text: str
    role: str = "user"
    place: int = 1


def mends_nothing(text: str, judged: StageOutcome) -> str | None:
    return None


@dataclass
class Guarded:
    """One exchange. ``asked`` are the texts that go to the model; the last of them is the prompt.

    Iterate ``run`` once; then ``input``, ``output``, ``reply`` and ``failure`` say what came of it. Checks see all of
    the answer that is about to be released together with what was released before. A check that fails lets nothing
    pass; with ``fail_open`` it does, unless another one says TOXIC, and the exchange is ``degraded`` from then on.
    ``mend`` makes of a text that is TOXIC another one that may be released in its place if it is judged well itself; the
    verdict on what the model said stays. ``broken`` is set when a provider cannot work at all: its server may hold
    another model by now.
    """

    asked: Sequence[Said]
    input_checks: Sequence[Check]
    output_checks: Sequence[Check]
    upstream: Upstream
    body: dict[str, Any]
    streamed: bool = False
    recall: Recall = remembers_nothing
    fail_open: bool = False
    mend: Callable[[str, StageOutcome], str | None] = mends_nothing
    inputs: Sequence[StageOutcome] = ()  # of each text that is asked
    input: StageOutcome = field(default_factory=lambda: StageOutcome(()))
    output: StageOutcome | None = None
    reply: Reply = field(default_factory=Reply)
    judged: str | None = None
    allowed: str | None = None  # what may be shown of the answer, as far as it was judged
    shown: str = ""
    released: int = 0  # characters of what the model said that stand behind what was shown
    failure: SafetyError | None = None
    broken: bool = False
    degraded: bool = False

    def __post_init__(self) -> None:
        if not (self.asked and self.input_checks and self.output_checks):
            raise ValueError("A guarded exchange needs a prompt and checks of both stages: nothing may pass unjudged.")

    @property
    def prompt(self) -> str:
        return self.asked[-1].text

    @property
    def sources(self) -> tuple[str, ...]:
        """What tools said: an answer should rest on it."""
        return tuple(each.text for each in self.asked if each.role in TOOLS)

    @property
    def label(self) -> Label:
        """The worse of both stages."""
        return precedence({stage.label for stage in (self.input, self.output) if stage})

    @property
    def passed(self) -> bool:
        """Whether all of the answer was released, mended or not."""
        return self.failure is None and self.allowed is not None

    @property
    def mended(self) -> bool:
        return self.passed and self.output is not None and self.output.label is Label.TOXIC

    @property
    def answer(self) -> str | None:
        """What the model said, as far as it was judged, released or not."""
        return self.judged

    def run(self) -> Iterator[Piece]:
        """The pieces that may go out, as soon as they may. What stopped it, if anything did, is in the fields."""
        self.input = self._judge_input()
        if self._goes_on(self.input):
            yield from self._answer()

    def _goes_on(self, judged: StageOutcome) -> bool:
        passes = judged.passes(fail_open=self.fail_open)
        self.degraded = self.degraded or (passes and judged.label is Label.ERROR)
        return passes

    def _answer(self) -> Iterator[Piece]:
        try:
            for bunch, ended in self._bunches():
                for piece in bunch:
                    self.reply.add(piece)
                if why := unstorable(self.reply.said, name="The answer"):
                    raise TransientError(f"{why} Ask again.", code="unstorable")
                if ended:
                    yield from self._end()
                elif cut := ready(self.reply.text[self.released :]):
                    end = self.released + cut
                    if not self._passes(self.reply.text[:end], end):
                        return
                    yield self._release(end)
        except Exception as error:
            if not isinstance(error, SafetyError):
                logger.exception("%s failed", self.upstream.name)
            self._fail(as_safety_error(error, self.upstream.name))

    def _end(self) -> Iterator[Piece]:
        if not self.reply.finish:
            raise TransientError(f"{self.upstream.name} broke off in the middle of its answer.", code="broke_off")
        said = self.reply.said
        end = len(self.reply.text)
        if (self.output and said == self.judged) or self._passes(said, end):
            rest = self._release(end)
            calls = tuple(call for _, call in sorted(self.reply.calls.items()))
            yield replace(rest, refusal=self.reply.refusal, calls=calls, finish=self.reply.finish)

    def _release(self, end: int) -> Piece:
        allowed = self.allowed or ""
        piece = Piece(text=allowed[len(self.shown) :])
        self.shown, self.released = allowed, end
        return piece

    def _bunches(self) -> Iterator[tuple[list[Piece], bool]]:
        pieces = timed(lambda: self.upstream.ask(self.body, streamed=self.streamed), self.reply)
        if self.streamed:
            yield from as_they_come(pieces)
        else:
            yield list(pieces), True

    def _passes(self, said: str, end: int) -> bool:
        """Judges the answer so far: all that was said, of which ``end`` characters are text that may be shown then."""
        self.judged, self.output = said, self._judge_answer(said)
        self.allowed = self.reply.text[:end] if self._goes_on(self.output) else self._mended(said, end)
        if self.allowed is not None and not self.allowed.startswith(self.shown):
            raise TransientError("What is to be left out of the answer was shown in part. Ask again.", code="unsettled")
        return self.allowed is not None

    def _judge_answer(self, text: str) -> StageOutcome:
        (judged,) = self._judge(self.output_checks, [Subject(text, Stage.OUTPUT, self.prompt, self.sources)])
        return judged

    def _mended(self, said: str, end: int) -> str | None:
        """What may be shown in place of a text; of tools that are called, and of the model's own refusal, nothing can."""
        judged, text = self.output, self.reply.text[:end]
        mended = self.mend(text, judged) if judged and said == text else None
        return mended if mended is not None and self._goes_on(self._judge_answer(mended)) else None

    def _judge_input(self) -> StageOutcome:
        """For each check, the worst that it says of any of the texts; the prompt's, where they are alike."""
        subjects = [Subject(each.text, Stage.INPUT) for each in self.asked]
        self.inputs = self._judge(self.input_checks, subjects)
        columns = zip(*(outcome.judgements for outcome in self.inputs), strict=True)
        return StageOutcome(tuple(self._worst(column) for column in columns))

    def _worst(self, column: Sequence[Judgement]) -> Judgement:
        place = max(reversed(range(len(column))), key=lambda i: _badness(column[i].classification))
        return column[place] if place == len(column) - 1 else _of_another(column[place], self.asked[place])

    def _judge(self, checks: Sequence[Check], subjects: Sequence[Subject]) -> list[StageOutcome]:
        outcomes, works = judge_or_error(checks, subjects, self.recall)
        self.broken = self.broken or not works
        return outcomes

    def _fail(self, error: SafetyError) -> None:
        """The answer could not be made, or not to its end: an ERROR of its stage, beside what the checks said before."""
        self.failure = error
        self.broken = self.broken or isinstance(error, ProviderError)
        name = self.upstream.name
        lost = unanswered(name, Answer(None, reason=error.message, latency=self.reply.seconds))
        before = self.output.judgements if self.output else ()
        self.output = StageOutcome((*(each for each in before if each.check != name), *lost.judgements))


def ready(text: str) -> int:
    """How many characters of a text that goes on are whole sentences; a very long one counts up to a white space."""
    ends = [match.end() for match in SENTENCE_END.finditer(text)]
    if ends:
        return ends[-1]
    if len(text) < LONG:
        return 0
    return text.rfind(" ") + 1 or (len(text) if len(text) >= 2 * LONG else 0)


def as_they_come(pieces: Iterator[Piece]) -> Iterator[tuple[list[Piece], bool]]:
    """What has come since the last time, and whether that is all. Raises what reading raised, after what came before it.

    A thread of its own reads, so that nothing waits while a check is at work. Left early, it ends with the next piece.
    """
    came: SimpleQueue[Piece | BaseException | None] = SimpleQueue()
    left = threading.Event()
    threading.Thread(target=_read, args=(pieces, came.put, left), name="upstream", daemon=True).start()
    try:
        while True:
            bunch: list[Piece] = []
            got = came.get()
            while isinstance(got, Piece):
                bunch.append(got)
                if came.empty():
                    break
                got = came.get()
            if isinstance(got, BaseException):
                if bunch:
                    yield bunch, False
                raise got
            yield bunch, got is None
            if got is None:
                return
    finally:
        left.set()


def _read(pieces: Iterator[Piece], put: Callable[[Piece | BaseException | None], None], left: threading.Event) -> None:
    try:
        for piece in pieces:
            if left.is_set():
                pieces.close()  # type: ignore[attr-defined]
                return
            put(piece)
        put(None)
    except BaseException as error:  # noqa: BLE001 - raised again where the pieces are taken
        put(error)


def _badness(c: Classification) -> tuple[int, float]:
    rank = (Label.SAFE, Label.ERROR, Label.TOXIC).index(c.label)
    return rank, -1.0 if c.score is None else c.score


def _of_another(judgement: Judgement, said: Said) -> Judgement:
    """A judgement of another text than the prompt: it says so, and its key is that of no text, so that nobody recalls it."""
    c, where = judgement.classification, f"message {said.place} ({said.role})"
    reason = f"In {where}: {c.reason}" if c.reason else f"In {where}."
    return replace(
        judgement, classification=replace(c, reason=reason), key=digest(judgement.key, where), recalled=False
    )

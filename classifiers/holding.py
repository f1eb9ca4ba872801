"""The models that one process holds, each behind a queue: whatever waits for a model goes to it in one call."""

from __future__ import annotations

import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from classifiers import pipeline
from classifiers.errors import NotFoundError, ProviderError, TransientError
from classifiers.protocols import AnswerGenerator, ClassifierProvider
from classifiers.types import Answer, Classification, Label, ModelInfo, Stage, Subject

Item = TypeVar("Item")
Made = TypeVar("Made")
OnDemand = Callable[[str], tuple[ClassifierProvider, ModelInfo] | None]

GRACE = 30.0  # seconds that the batch in hand gets when it is to stop
MOST_ON_DEMAND = 3  # classifiers that were loaded when they were asked for; the one asked for longest ago goes
# What every classifier is tried on, with all that one may need beside the text.
GREETING = Subject("Hello.", Stage.INPUT, "Say hello.", sources=("Hello.",), alternatives=("Hello.", "Hello."))


class QueueFullError(TransientError):
    """As much waits as may wait."""

    code = "queue_full"
    status = 429


class Batcher(Generic[Item, Made]):
    """One thread that makes a call for many: what waits is put together, in order, up to ``most`` items a call.

    Who comes first waits ``patience`` seconds for others; with ``room`` items waiting, nobody else is let in.
    """

    def __init__(
        self, call: Callable[[list[Item]], list[Made]], *, most: int = 128, patience: float = 0.005, room: int = 1024
    ) -> None:
        self.call, self.most, self.patience, self.room = call, most, patience, room
        self.waiting: deque[tuple[Item, Future[Made]]] = deque()
        self.in_hand: list[Future[Made]] = []
        self.stopping = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="batcher", daemon=True)
        self._thread.start()

    def ask(self, items: Sequence[Item]) -> list[Made]:
        """What the call makes of each item, in order, when it is done.

        Raises QueueFullError, TransientError when the batcher stops, and whatever the call raises.
        """
        asked: list[tuple[Item, Future[Made]]] = [(item, Future()) for item in items]
        with self._changed:
            if self.stopping:
                raise stopping()
            if len(self.waiting) >= self.room:
                raise QueueFullError(f"{len(self.waiting)} texts wait already. Try again later.", retry_after=1)
            self.waiting.extend(asked)
            self._changed.notify()
        return [future.result() for _, future in asked]

    def stop(self) -> bool:
        """Lets the call in hand end; whoever waits for a later one is told to try again.

        False when the call takes longer than GRACE: it is given up, its callers are told the same, and it goes on.
        """
        with self._changed:
            self.stopping = True
            while self.waiting:
                self.waiting.popleft()[1].set_exception(stopping())
            self._changed.notify()
        self._thread.join(GRACE)
        if not self._thread.is_alive():
            return True
        for future in self.in_hand:
            with suppress(InvalidStateError):  # it ended after all
                future.set_exception(stopping())
        return False

    def _work(self) -> None:
        while batch := self._next():
            self.in_hand = futures = [future for _, future in batch]
            try:
                for future, made in zip(futures, self.call([item for item, _ in batch]), strict=True):
                    future.set_result(made)
            except BaseException as error:  # noqa: BLE001 - raised again in the threads that wait in ask()
                for future in futures:
                    if not future.done():
                        future.set_exception(error)

    def _next(self) -> list[tuple[Item, Future[Made]]]:
        """The next batch; none when it is time to stop."""
        with self._changed:
            self._changed.wait_for(lambda: self.waiting or self.stopping)
            self._changed.wait_for(lambda: len(self.waiting) >= self.most or self.stopping, timeout=self.patience)
            return [self.waiting.popleft() for _ in range(min(self.most, len(self.waiting)))]


@dataclass(frozen=True, slots=True)
class Hosted(Generic[Item, Made]):
    """A model at work under an alias: which one it is, and its queue."""

    alias: str
    info: ModelInfo
    batcher: Batcher[Item, Made]

    @property
    def heading(self) -> dict[str, Any]:
        """What each answer says of who gave it. The fingerprint tells a client that the model was changed."""
        return {"id": uuid.uuid4().hex, "model": self.alias, "system_fingerprint": self.info.fingerprint}


class HeldModels:
    """Classifiers and generators by alias: those that were added, and classifiers that are loaded when first asked for."""

    on_demand: OnDemand | None = None
    """Makes a classifier that nobody added, when it is first asked for by its alias; None where there is none. May raise
    ProviderError."""

    def __init__(self) -> None:
        self.classifiers: dict[str, Hosted[Subject, Classification]] = {}
        self.generators: dict[str, Hosted[str, Answer]] = {}
        self._asked_for: dict[str, None] = {}  # those that were loaded on demand, the one asked for last at the end
        self._loading = threading.Lock()
        self._reordering = threading.Lock()

    def add_classifier(self, alias: str, provider: ClassifierProvider, info: ModelInfo) -> None:
        """Loads the classifier, by the one thread that will ever use it. Raises ProviderError."""
        with _begun(Batcher(partial(pipeline.classify, provider))) as batcher:
            (tried,) = batcher.ask([GREETING])
            if tried.label is Label.ERROR:
                raise ProviderError(f"{alias} cannot judge even a greeting: {tried.reason}")
        self.classifiers[alias] = Hosted(alias, info, batcher)

    def classifier(self, alias: object) -> Hosted[Subject, Classification]:
        """Raises NotFoundError, and ProviderError where it cannot be loaded."""
        found = (self.classifiers.get(alias) or self._load(alias)) if isinstance(alias, str) else None
        if found is None:
            raise _unknown("classifier", alias, self.classifiers)
        with self._reordering:
            if found.alias in self._asked_for:  # else it was never loaded on demand, or was let go of just now
                self._asked_for[found.alias] = self._asked_for.pop(found.alias)
        return found

    def _load(self, alias: str) -> Hosted[Subject, Classification] | None:
        """Loads one on demand, once for all who ask, and lets go of another."""
        with self._loading:
            if alias in self.classifiers:
                return self.classifiers[alias]
            made = self.on_demand(alias) if self.on_demand else None
            if made is None:
                return None
            self.add_classifier(alias, *made)
            found = self.classifiers[alias]
            with self._reordering:
                self._asked_for[alias] = None
                over = next(iter(self._asked_for)) if len(self._asked_for) > MOST_ON_DEMAND else None
                if over:
                    del self._asked_for[over]
            if over:
                self.classifiers.pop(over).batcher.stop()
            return found

    def add_generator(self, alias: str, provider: AnswerGenerator, info: ModelInfo) -> None:
        """The same for one that answers."""
        with _begun(Batcher(partial(pipeline.answer, provider))) as batcher:
            (tried,) = batcher.ask(["Hello."])
            if tried.text is None:
                raise ProviderError(f"{alias} cannot answer even a greeting: {tried.reason}")
        self.generators[alias] = Hosted(alias, info, batcher)

    def generator(self, alias: object) -> Hosted[str, Answer]:
        """Raises NotFoundError."""
        found = self.generators.get(alias) if isinstance(alias, str) else None
        if found is None:
            raise _unknown("generator", alias, self.generators)
        return found

    def __iter__(self) -> Iterator[tuple[str, Hosted[Any, Any]]]:
        """Each with its kind: classifier or generator."""
        kinds: dict[str, Mapping[str, Hosted[Any, Any]]] = {
            "classifier": self.classifiers,
            "generator": self.generators,
        }
        for kind, hosted in kinds.items():
            for model in list(hosted.values()):
                yield kind, model

    @property
    def batchers(self) -> dict[str, Batcher[Any, Any]]:
        return {f"{kind} {model.alias}": model.batcher for kind, model in self}


@contextmanager
def _begun(batcher: Batcher[Item, Made]) -> Iterator[Batcher[Item, Made]]:
    """Stops the batcher if its first batch fails: nobody would ask it for a second. An interrupt waits for nothing."""
    try:
        yield batcher
    except Exception:
        batcher.stop()
        raise


def _unknown(kind: str, alias: object, hosted: Mapping[str, object]) -> NotFoundError:
    return NotFoundError(
        f"No {kind} {alias!r} is served here, only: {', '.join(hosted) or 'none'}. "
        "Models are chosen where serve_models runs.",
        code="model_not_found",
    )


def stopping() -> TransientError:
    return TransientError("The model server is stopping. Try again when it is back.")

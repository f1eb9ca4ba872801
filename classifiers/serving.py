"""Local models behind OpenAI's protocol: one process holds the weights, and all others ask it as they would ask vLLM.

POST /v1/moderations and /v1/chat/completions, with an alias as ``model``; GET /v1/models and /healthz. Whatever waits for
a model, from whichever client, goes to it in one call. No key is asked for. GET /v1/models/ALIAS loads what is loaded on demand.
"""

from __future__ import annotations

import json
import logging
import socket
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Generic, TypeVar
from urllib.parse import unquote

from classifiers import pipeline
from classifiers.errors import InputError, NotFoundError, ProviderError, SafetyError, TransientError, openai_error
from classifiers.protocols import AnswerGenerator, ClassifierProvider
from classifiers.types import Answer, Classification, Label, ModelInfo, Stage, Subject
from classifiers.wire import read_subject, whole

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Made = TypeVar("Made")
Route = Callable[[bytes], dict[str, Any]]
OnDemand = Callable[[str], tuple[ClassifierProvider, ModelInfo] | None]

MAX_BODY = 16 * 2**20  # bytes of a request
GRACE = 30.0  # seconds that the batch in hand gets when the server stops
IDLE = 75.0  # seconds that a connection is kept without a request
MOST_ON_DEMAND = 3  # classifiers that were loaded when they were asked for; the one asked for longest ago goes
# What every classifier is tried on, with all that one may need beside the text.
GREETING = Subject("Hello.", Stage.INPUT, "Say hello.", sources=("Hello.",), alternatives=("Hello.", "Hello."))


class QueueFullError(TransientError):
    """As much waits as may wait."""

    code = "queue_full"
    status = 429


class TooLargeError(InputError):
    code = "too_large"
    status = 413


class UnansweredError(SafetyError):
    """The generator gave no answer to this prompt, and would give none to it again."""

    code = "no_answer"
    status = 422


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
                raise _stopping()
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
                self.waiting.popleft()[1].set_exception(_stopping())
            self._changed.notify()
        self._thread.join(GRACE)
        if not self._thread.is_alive():
            return True
        for future in self.in_hand:
            with suppress(InvalidStateError):  # it ended after all
                future.set_exception(_stopping())
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


class ModelServer(ThreadingHTTPServer):
    """Serves the models that were added to it, from ``with server:`` on until the block ends.

    The address is taken at once and answers when the block begins; port 0 takes a free one. Raises InputError when the
    address cannot be had.
    """

    request_queue_size = 128
    on_demand: OnDemand | None = None
    """Makes a classifier that nobody added, when it is first asked for by its alias; None where there is none. May raise
    ProviderError."""
    stuck: Sequence[str] = ()
    """When it has stopped, the models whose last batch did not end in time. A thread in native code cannot be stopped and
    has the process aborted when the interpreter ends: with such ones at work, leave by ``os._exit``."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.classifiers: dict[str, Hosted[Subject, Classification]] = {}
        self.generators: dict[str, Hosted[str, Answer]] = {}
        self._asked_for: dict[str, None] = {}  # those that were loaded on demand, the one asked for last at the end
        self._loading = threading.Lock()
        self.closing = False
        self._answering = 0
        self._connections: set[Any] = set()
        self._changed = threading.Condition()
        super().__init__((host, port), _Handler, bind_and_activate=False)
        try:
            self.server_bind()
        except (OSError, OverflowError) as error:
            self.server_close()
            why = getattr(error, "strerror", None) or error
            raise InputError(f"The address {host}:{port} cannot be used: {why}.") from error

    @property
    def url(self) -> str:
        host, port = self.server_address[:2]
        return f"http://{f'[{host!s}]' if ':' in str(host) else host!s}:{port}/v1"

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
        with self._changed:
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
            with self._changed:
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

    def __enter__(self) -> ModelServer:
        self.server_activate()
        self._thread = threading.Thread(target=partial(self.serve_forever, 0.05), name="model-server", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Ends the batches in hand, answers whoever is owed an answer, cuts the rest, and lets go of the address."""
        self.closing = True
        self.shutdown()
        self._thread.join()
        self.stuck = [name for name, batcher in self.batchers.items() if not batcher.stop()]
        with self._changed:
            self._changed.wait_for(lambda: not self._answering, timeout=GRACE)
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._changed.wait_for(lambda: not self._connections, timeout=GRACE)
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changed:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._changed:
            self._connections.discard(request)
            self._changed.notify_all()

    @property
    def batchers(self) -> dict[str, Batcher[Any, Any]]:
        hosted: dict[str, Mapping[str, Hosted[Any, Any]]] = {
            "classifier": self.classifiers,
            "generator": self.generators,
        }
        return {f"{kind} {alias}": model.batcher for kind, of in hosted.items() for alias, model in list(of.items())}

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Counts who is owed an answer."""
        with self._changed:
            self._answering += 1
        try:
            yield
        finally:
            with self._changed:
                self._answering -= 1
                self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news; anything else is a fault of ours, and the client finds itself cut off."""
        level = logging.DEBUG if isinstance(sys.exc_info()[1], OSError) else logging.ERROR
        logger.log(level, "A request of %s failed", client_address, exc_info=True)

    # What it answers

    def models(self, _: bytes) -> dict[str, Any]:
        """Each alias once, with the exact version of the model that judges, and of the one that answers, under it."""
        listed: dict[str, dict[str, Any]] = {}
        kinds: dict[str, Mapping[str, Hosted[Any, Any]]] = {
            "classifier_version": self.classifiers,
            "generator_version": self.generators,
        }
        for field, hosted in kinds.items():
            for alias, model in list(hosted.items()):
                entry = listed.setdefault(alias, {"id": alias, "object": "model", "owned_by": "serve_models"})
                entry[field] = {**asdict(model.info), "fingerprint": model.info.fingerprint}
        return {"object": "list", "data": list(listed.values())}

    def model(self, alias: str, _: bytes) -> dict[str, Any]:
        """One of them, loaded if that is what it takes."""
        if alias not in self.generators:
            self.classifier(alias)
        listed: list[dict[str, Any]] = self.models(b"")["data"]
        found = next((entry for entry in listed if entry["id"] == alias), None)
        if found is None:  # others were asked for meanwhile
            raise _stopping()
        return found

    def health(self, _: bytes) -> dict[str, Any]:
        return {"status": "ok", "waiting": {name: len(batcher.waiting) for name, batcher in self.batchers.items()}}

    def moderate(self, content: bytes) -> dict[str, Any]:
        """Texts are judged by themselves, as prompts are, unless ``context``, an extension, has the rest for each of them."""
        body = _object(content)
        judge = self.classifier(body.get("model"))
        judged = judge.batcher.ask(_subjects(body))
        return {**judge.heading, "results": [moderation_result(found) for found in judged]}

    def chat(self, content: bytes) -> dict[str, Any]:
        """Answers the last message. How long an answer may get, and the temperature, are the generator's own."""
        body = _object(content)
        alias = body.get("model")
        generator = self.generators.get(alias) if isinstance(alias, str) else None
        if generator is None:
            raise _unknown("generator", alias, self.generators)
        (answer,) = generator.batcher.ask([_prompt(body)])
        if answer.text is None:
            raise UnansweredError(answer.reason or "The generator gave no answer.")
        message = {"role": "assistant", "content": answer.text, "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        return {
            **generator.heading,
            "object": "chat.completion",
            "created": int(time.time()),
            "choices": [choice],
        }


class _Handler(BaseHTTPRequestHandler):
    server: ModelServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "ai-safety-monitor", ""
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body in one piece
    timeout = IDLE

    def do_GET(self) -> None:
        alias = unquote(self.path.partition("?")[0].removeprefix("/v1/models/"))
        one = {f"/v1/models/{alias}": partial(self.server.model, alias)}
        self._serve({"/v1/models": self.server.models, "/healthz": self.server.health, **one})

    def do_POST(self) -> None:
        self._serve({"/v1/moderations": self.server.moderate, "/v1/chat/completions": self.server.chat})

    def _serve(self, routes: Mapping[str, Route]) -> None:
        with self.server.answering():
            try:
                content = self._content()
                route = routes.get(unquote(self.path.partition("?")[0]))
                if route is None:
                    raise NotFoundError(f"There is no {self.command} {self.path[:100]} here.")
                self._send(200, route(content))
            except SafetyError as error:
                self._send(
                    error.status, {"error": openai_error(error)}, retry_after=getattr(error, "retry_after", None)
                )

    def _content(self) -> bytes:
        """The body, read to its end even if it is not wanted: else the client, still sending, would not see why."""
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            raise InputError("Send the body in one piece, with its Content-Length.")
        left = int(length)
        if left <= MAX_BODY:
            return self.rfile.read(left)
        while left and (piece := self.rfile.read(min(left, 2**20))):
            left -= len(piece)
        raise TooLargeError(f"The body has {length} bytes; the limit is {MAX_BODY}. Send fewer texts at a time.")

    def _send(self, status: int, body: dict[str, Any], *, retry_after: float | None = None) -> None:
        content = json.dumps(body, default=str).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if retry_after is not None:
            self.send_header("Retry-After", f"{retry_after:.0f}")
        if self.server.closing:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        logger.debug(format, *args)


@contextmanager
def _begun(batcher: Batcher[Item, Made]) -> Iterator[Batcher[Item, Made]]:
    """Stops the batcher if its first batch fails: nobody would ask it for a second. An interrupt waits for nothing."""
    try:
        yield batcher
    except Exception:
        batcher.stop()
        raise


def moderation_result(found: Classification) -> dict[str, Any]:
    """A classification as a result of /v1/moderations; as an extension, the whole of what the provider said.

    A text that could not be judged has an ``error`` and no verdict, so that nobody takes it for safe; so has one whose
    verdict comes without a score, which this protocol needs.
    """
    scores = dict(found.categories) or ({} if found.score is None else {"toxic": found.score})
    if found.label is Label.ERROR or not scores:
        reason = found.reason or f"The classifier said {found.label} and gave no score."
        return {"error": {"message": reason, "type": "unjudged", "param": None, "code": "unjudged"}}
    return {
        "flagged": found.label is Label.TOXIC,
        "categories": {name: name in found.flagged for name in scores},
        "category_scores": scores,
        "category_applied_input_types": {name: ["text"] for name in scores},
        "classification": whole(found),
    }


def _subjects(body: Mapping[str, Any]) -> list[Subject]:
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise InputError("input must be a text or an array of texts.")
    context = body.get("context", [{}] * len(texts))
    if not isinstance(context, list) or len(context) != len(texts):
        raise InputError("context must be an array with an object for each text.")
    try:
        return list(map(read_subject, texts, context))
    except ValueError as error:
        raise InputError(f"A context cannot be read: {error}.") from error


def _unknown(kind: str, alias: object, hosted: Mapping[str, object]) -> NotFoundError:
    return NotFoundError(
        f"No {kind} {alias!r} is served here, only: {', '.join(hosted) or 'none'}. "
        "Models are chosen where serve_models runs.",
        code="model_not_found",
    )


def _prompt(body: Mapping[str, Any]) -> str:
    """The last user message. What would change the answer and cannot be kept to is refused, not passed over."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        raise InputError("messages must be an array of messages.")
    if any(message.get("role") in ("system", "developer") for message in messages):
        raise InputError("This generator takes plain prompts, without a system message. Leave it out.")
    if body.get("stream"):
        raise InputError("Answers are not streamed here. Leave stream out.")
    prompt = messages[-1].get("content")
    if messages[-1].get("role") != "user" or not isinstance(prompt, str):
        raise InputError("The last message must be the user's, and its content a text.")
    return prompt


def _object(content: bytes) -> dict[str, Any]:
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"The body is not JSON: {error}.") from error
    if not isinstance(body, dict):
        raise InputError("The body must be a JSON object.")
    return body


def _stopping() -> TransientError:
    return TransientError("The model server is stopping. Try again when it is back.")

"""Local models behind OpenAI's protocol: one process holds the weights, and all others ask it as they would ask vLLM.

POST /v1/moderations and /v1/chat/completions, with an alias as ``model``; GET /v1/models and /healthz. No key is asked for.
GET /v1/models/ALIAS loads what is loaded on demand.
"""

from __future__ import annotations

import json
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from classifiers import holding
from classifiers.errors import InputError, NotFoundError, SafetyError, openai_error
from classifiers.holding import HeldModels
from classifiers.types import Classification, Label, Subject
from classifiers.wire import read_subject, whole

logger = logging.getLogger(__name__)

Route = Callable[[bytes], dict[str, Any]]

MAX_BODY = 16 * 2**20  # bytes of a request
IDLE = 75.0  # seconds that a connection is kept without a request


class TooLargeError(InputError):
    code = "too_large"
    status = 413


class UnansweredError(SafetyError):
    """The generator gave no answer to this prompt, and would give none to it again."""

    code = "no_answer"
    status = 422


class ModelServer(ThreadingHTTPServer):
    """Serves the models that it holds, from ``with server:`` on until the block ends.

    The address is taken at once and answers when the block begins; port 0 takes a free one. Raises InputError when the
    address cannot be had.
    """

    request_queue_size = 128
    stuck: Sequence[str] = ()
    """When it has stopped, the models whose last batch did not end in time. A thread in native code cannot be stopped and
    has the process aborted when the interpreter ends: with such ones at work, leave by ``os._exit``."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.held = HeldModels()
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
        self.stuck = [name for name, batcher in self.held.batchers.items() if not batcher.stop()]
        with self._changed:
            self._changed.wait_for(lambda: not self._answering, timeout=holding.GRACE)
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._changed.wait_for(lambda: not self._connections, timeout=holding.GRACE)
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
        for kind, model in self.held:
            entry = listed.setdefault(model.alias, {"id": model.alias, "object": "model", "owned_by": "serve_models"})
            entry[f"{kind}_version"] = {**asdict(model.info), "fingerprint": model.info.fingerprint}
        return {"object": "list", "data": list(listed.values())}

    def model(self, alias: str, _: bytes) -> dict[str, Any]:
        """One of them, loaded if that is what it takes."""
        if alias not in self.held.generators:
            self.held.classifier(alias)
        listed: list[dict[str, Any]] = self.models(b"")["data"]
        found = next((entry for entry in listed if entry["id"] == alias), None)
        if found is None:  # others were asked for meanwhile
            raise holding.stopping()
        return found

    def health(self, _: bytes) -> dict[str, Any]:
        return {"status": "ok", "waiting": {name: len(batcher.waiting) for name, batcher in self.held.batchers.items()}}

    def moderate(self, content: bytes) -> dict[str, Any]:
        """Texts are judged by themselves, as prompts are, unless ``context``, an extension, has the rest for each of them."""
        body = _object(content)
        judge = self.held.classifier(body.get("model"))
        judged = judge.batcher.ask(_subjects(body))
        return {**judge.heading, "results": [moderation_result(found) for found in judged]}

    def chat(self, content: bytes) -> dict[str, Any]:
        """Answers the last message. How long an answer may get, and the temperature, are the generator's own."""
        body = _object(content)
        generator = self.held.generator(body.get("model"))
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

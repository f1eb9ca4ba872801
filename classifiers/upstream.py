"""A model that a conversation is put to, whole or in pieces: any server of OpenAI's chat completions, or a generator of ours."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from classifiers.endpoint import Endpoint, MalformedError, first_choice
from classifiers.errors import SafetyError, TransientError
from classifiers.loading import need
from classifiers.pipeline import answer
from classifiers.protocols import AnswerGenerator

FINISHES = ("stop", "length", "tool_calls", "content_filter")


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool, or a piece of one: pieces of the same ``index`` belong together."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""
    kind: str = "function"

    def with_more(self, more: Call) -> Call:
        return Call(self.index, self.id or more.id, self.name + more.name, self.arguments + more.arguments, self.kind)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an answer: some text, some of the model's own refusal, tool calls, why it ended, what it cost."""

    text: str = ""
    refusal: str = ""
    calls: tuple[Call, ...] = ()
    finish: str | None = None
    usage: Mapping[str, Any] | None = None


@dataclass
class Reply:
    """What has come of an answer so far. ``seconds`` is how long the model took."""

    text: str = ""
    refusal: str = ""
    calls: dict[int, Call] = field(default_factory=dict)
    finish: str | None = None
    usage: Mapping[str, Any] | None = None
    seconds: float | None = None

    def add(self, piece: Piece) -> None:
        self.text += piece.text
        self.refusal += piece.refusal
        for call in piece.calls:
            self.calls[call.index] = self.calls[call.index].with_more(call) if call.index in self.calls else call
        self.finish = piece.finish or self.finish
        self.usage = piece.usage or self.usage

    @property
    def said(self) -> str:
        """All of it as one text, as it is judged and stored: what a tool is called with can harm as well."""
        calls = [f"{call.name}({call.arguments})" for _, call in sorted(self.calls.items())]
        return "\n".join(part for part in (self.text, self.refusal, *calls) if part)


class Upstream(Protocol):
    """``ask`` gives the answer in pieces: all at once, or as they come where ``streamed``. Raises SafetyError."""

    name: str
    whole_conversation: bool

    def ask(self, body: Mapping[str, Any], *, streamed: bool) -> Iterator[Piece]: ...


@runtime_checkable
class Served(Protocol):
    """A provider that stands for one model at one address."""

    endpoint: Endpoint


class ChatServer:
    """A server of OpenAI's chat completions: it gets the whole conversation and the parameters as they came.

    It is asked once: whoever asked us tries again better than we can.
    """

    whole_conversation = True

    def __init__(self, name: str, endpoint: Endpoint, *, system_prompt: str | None = None) -> None:
        self.name, self.endpoint, self.system_prompt = name, endpoint, system_prompt

    def ask(self, body: Mapping[str, Any], *, streamed: bool) -> Iterator[Piece]:
        first = [{"role": "system", "content": self.system_prompt}] if self.system_prompt else []
        sent = {**body, "model": self.endpoint.model, "messages": [*first, *body["messages"]]}
        if limit := sent.pop("max_output_tokens", None):
            sent |= self.endpoint.token_limit(limit)
        try:
            yield from self._streamed(sent) if streamed else self._whole(sent)
        except need("openai", feature="An OpenAI-compatible provider").APIError as error:
            raise self.endpoint.explain(error) from error

    def _whole(self, body: Mapping[str, Any]) -> Iterator[Piece]:
        raw = need("httpx2", feature="An OpenAI-compatible provider").Response
        post = self.endpoint.client.post
        answered, _ = self.endpoint.ask(lambda **_: post("/chat/completions", cast_to=raw, body=dict(body)))
        yield _piece(answered, "message", self.endpoint.name)

    def _streamed(self, body: Mapping[str, Any]) -> Iterator[Piece]:
        openai = need("openai", feature="An OpenAI-compatible provider")
        sent = {**body, "stream": True, "stream_options": {"include_usage": True}}
        stream = self.endpoint.client.post(
            "/chat/completions", cast_to=object, body=sent, stream=True, stream_cls=openai.Stream[object]
        )
        with stream:
            try:
                for chunk in stream:
                    yield _piece(chunk, "delta", self.endpoint.name)
            except ValueError as error:
                raise MalformedError(f"{self.endpoint.name} sent a piece that is not JSON.") from error


class Generator:
    """One of our generators: it answers the last message of the user, at once, by its own parameters."""

    whole_conversation = False

    def __init__(self, name: str, provider: AnswerGenerator) -> None:
        self.name, self.provider = name, provider

    def ask(self, body: Mapping[str, Any], *, streamed: bool) -> Iterator[Piece]:
        (made,) = answer(self.provider, [body["prompt"]])
        if made.text is None:
            raise TransientError(made.reason or "The generator gave no answer.", code="no_answer")
        yield Piece(text=made.text, finish="stop")


def timed(ask: Callable[[], Iterator[Piece]], reply: Reply) -> Iterator[Piece]:
    """The pieces; notes in the reply how long they took to come."""
    started = time.perf_counter()
    try:
        yield from ask()
    finally:
        reply.seconds = time.perf_counter() - started


def _piece(body: Any, part: str, name: str) -> Piece:
    """A piece from a completion (``message``) or from a chunk of one (``delta``). Raises MalformedError."""
    if not isinstance(body, dict):
        raise MalformedError(f"{name} sent something that is no JSON object.")
    usage = body["usage"] if isinstance(body.get("usage"), dict) else None
    if part == "delta" and not body.get("choices"):
        return Piece(usage=usage)
    choice = first_choice(body, name)
    said = choice.get(part)
    if not isinstance(said, dict):
        raise MalformedError(f"{name} gave an answer without a {part}.")
    finish = choice.get("finish_reason")
    if finish is not None and finish not in FINISHES:
        finish = "stop"
    return Piece(_text(said, "content", name), _text(said, "refusal", name), _calls(said, name), finish, usage)


def _text(said: Mapping[str, Any], field: str, name: str) -> str:
    value = said.get(field)
    if value is None or isinstance(value, str):
        return value or ""
    raise MalformedError(f"{name} gave a {field} that is no text.")


def _calls(said: Mapping[str, Any], name: str) -> tuple[Call, ...]:
    listed = said.get("tool_calls") or []
    if said.get("function_call") or not isinstance(listed, list):
        raise MalformedError(f"{name} called a function in a way that is not understood here.")
    return tuple(_call(entry, place, name) for place, entry in enumerate(listed))


def _call(entry: Any, place: int, name: str) -> Call:
    match entry:
        case {"type": "custom", "custom": {**called}}:
            kind, arguments = "custom", called.get("input")
        case {"function": {**called}}:
            kind, arguments = "function", called.get("arguments")
        case _:
            raise MalformedError(f"{name} called a tool in a way that is not understood here.")
    index, id, tool = entry.get("index", place), entry.get("id") or "", called.get("name") or ""
    match index, id, tool, arguments or "":
        case int(), str(), str(), str() as text:
            return Call(index, id, tool, text, kind)
    raise MalformedError(f"{name} called a tool in a way that is not understood here.")


def as_safety_error(error: Exception, name: str) -> SafetyError:
    """Whatever else goes wrong while a model is asked, as an error that can be told."""
    return (
        error if isinstance(error, SafetyError) else MalformedError(f"{name} failed: {type(error).__name__}: {error}")
    )

"""OpenAI's /v1/chat/completions: a request understood, and an exchange told of, whole or in chunks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from classifiers.errors import SafetyError
from classifiers.guarded import Said
from classifiers.upstream import Call, Piece
from runs.gateway.exchanges import Conversation, Exchange
from runs.gateway.moderating import MOST
from runs.gateway.moderations import moderation_field, read_wish
from runs.gateway.routes import find_route
from runs.gateway.wire import FieldError, Fields, checked, error_of, event, new_id, now

NUMBER = (int, float)
# What goes to the model's server as it comes, by its wire name; nothing else does.
PASSED = {
    **dict.fromkeys(("temperature", "top_p", "presence_penalty", "frequency_penalty"), NUMBER),
    **dict.fromkeys(("min_p", "repetition_penalty"), NUMBER),
    **dict.fromkeys(("max_tokens", "max_completion_tokens", "seed", "top_k"), int),
    **dict.fromkeys(("user", "safety_identifier", "reasoning_effort", "verbosity", "service_tier"), str),
    **dict.fromkeys(("prompt_cache_key", "prompt_cache_retention"), str),
    **dict.fromkeys(("logit_bias", "metadata", "response_format", "prediction", "prompt_cache_options"), dict),
    **dict.fromkeys(("parallel_tool_calls", "store"), bool),
    "stop": (str, list),
    "tools": list,
    "tool_choice": (str, dict),
}
# Whose texts are judged; the others are the site's own or the model's, which were judged when they were made.
JUDGED = ("user", "tool", "function")
ROLES = ("system", "developer", "assistant", *JUDGED)
UNJUDGED = "Nothing passes here that cannot be judged."


def read(body: Any) -> tuple[Conversation, bool]:
    """What is asked, and whether usage is wanted in the stream. Raises InputError."""
    fields = Fields(checked(body))
    route = find_route(fields.text("model", required=True))
    messages = fields.take("messages", list, "an array of messages", required=True)
    streamed = fields.flag("stream")
    options = Fields(fields.take("stream_options", dict, "an object") or {})
    usage = options.flag("include_usage")
    options.flag("include_obfuscation")
    options.end()
    wish = read_wish(fields)
    fields.refuse("n", "One answer is given to a request.", unless=(1,))
    fields.refuse("modalities", UNJUDGED, unless=(["text"],))
    fields.refuse("audio", UNJUDGED)
    fields.refuse("logprobs", "Log-probabilities would tell of tokens before they are judged.", unless=(False,))
    fields.refuse("top_logprobs", "Log-probabilities would tell of tokens before they are judged.", unless=(0,))
    for old in ("functions", "function_call"):
        fields.refuse(old, "Use tools.")
    parameters = fields.pick(PASSED)
    fields.end()
    return Conversation(route, read_asked(messages), messages, parameters, streamed, wish), usage


def read_asked(messages: Sequence[Any]) -> list[Said]:
    """The texts to be judged, the last message of the user at the end. Raises InputError."""
    said = [each for place, message in enumerate(messages, start=1) if (each := _said(message, place))]
    prompts = [each for each in said if each.role == "user"]
    if not prompts:
        raise FieldError("messages", "messages must hold at least one of the user.")
    if len(said) > MOST:
        raise FieldError("messages", f"messages may hold at most {MOST} texts to judge; these have {len(said)}.")
    return [*(each for each in said if each is not prompts[-1]), prompts[-1]]


def _said(message: Any, place: int) -> Said | None:
    where = f"messages[{place - 1}]"
    if not isinstance(message, dict) or message.get("role") not in ROLES:
        raise FieldError(where, f"{where} must be a message with a role: {', '.join(ROLES)}.")
    role = message["role"]
    if message.get("audio") or message.get("function_call"):
        raise FieldError(where, f"{where} has audio or a function_call, which cannot be taken. {UNJUDGED}")
    content = message.get("content")
    if content is None and role == "assistant":
        return None
    text = content if isinstance(content, str) else _joined(content, f"{where}.content")
    return Said(text, role, place) if role in JUDGED else None


def _joined(parts: Any, where: str) -> str:
    if not isinstance(parts, list) or not parts:
        raise FieldError(where, f"{where} must be a text or an array of text parts.")
    texts = []
    for part in parts:
        match part:
            case {"type": "text", "text": str() as text} | {"type": "refusal", "refusal": str() as text}:
                texts.append(text)
            case {"type": str() as kind}:
                raise FieldError(where, f"{where} has a part of type {kind[:60]!r}; only texts are taken. {UNJUDGED}")
            case _:
                raise FieldError(where, f"{where} must be a text or an array of text parts.")
    return "\n".join(texts)


# Told whole


def completion(exchange: Exchange) -> dict[str, Any]:
    """The answer, or the refusal in its place. Raises the error that there is instead."""
    exchange.refuse()
    return {
        "id": new_id("chatcmpl-"),
        "object": "chat.completion",
        "created": now(),
        "model": exchange.conversation.route.alias,
        "choices": [{"index": 0, "message": _message(exchange), "finish_reason": _finish(exchange), "logprobs": None}],
        "usage": usage_of(exchange.guarded.reply.usage),
        **moderation_field(exchange, listed=True),
        "safety": exchange.safety,
    }


def _message(exchange: Exchange) -> dict[str, Any]:
    if exchange.blocked:
        refusal = exchange.conversation.route.refusal
        # In both places: older clients show the content only.
        return {"role": "assistant", "content": refusal, "refusal": refusal}
    reply = exchange.guarded.reply
    calls = [_call(call) for _, call in sorted(reply.calls.items())]
    message = {"role": "assistant", "content": exchange.guarded.shown or None, "refusal": reply.refusal or None}
    return {**message, "tool_calls": calls} if calls else message


def _call(call: Call) -> dict[str, Any]:
    if call.kind == "custom":
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _finish(exchange: Exchange) -> str:
    return "content_filter" if exchange.blocked else exchange.guarded.reply.finish or "stop"


def usage_of(usage: Mapping[str, Any] | None) -> dict[str, Any]:
    """The tokens that the model's server counted; 0 for what it did not."""
    counted = {name: value for name, value in (usage or {}).items() if type(value) is int}
    wanted = ("prompt_tokens", "completion_tokens", "total_tokens")
    return {name: counted.get(name, 0) for name in wanted}


# Told in chunks


def chunks(exchange: Exchange, pieces: Iterator[Piece], *, usage: bool) -> Iterator[str]:
    """The events of a stream. ``pieces`` are the exchange's; when they end, it is recorded, and only then this ends."""
    tell = _Chunks(exchange.conversation.route.alias)
    try:
        yield tell.delta({"role": "assistant", "content": ""})
        released = False
        for piece in pieces:
            released = True
            yield from tell.piece(piece)
        if error := exchange.error:
            yield event({"error": {**error_of(error), "safety": exchange.safety}})
            return
        if exchange.blocked:
            refusal = exchange.conversation.route.refusal
            yield tell.delta({"refusal": refusal} if released else {"content": refusal, "refusal": refusal})
    except SafetyError as error:  # it could not be recorded
        yield event({"error": error_of(error)})
        return
    yield tell.chunk([{**tell.choice({}), "finish_reason": _finish(exchange)}], safety=exchange.safety)
    if moderation := moderation_field(exchange, listed=True):
        yield tell.chunk([], **moderation)
    if usage:
        yield tell.chunk([], usage=usage_of(exchange.guarded.reply.usage))
    yield event("[DONE]")


class _Chunks:
    """The chunks of one stream: all have the same id and time."""

    def __init__(self, model: str) -> None:
        self.heading = {"id": new_id("chatcmpl-"), "object": "chat.completion.chunk", "created": now(), "model": model}

    def chunk(self, choices: Sequence[Mapping[str, Any]], **more: Any) -> str:
        return event({**self.heading, "choices": choices, **more})

    def choice(self, delta: Mapping[str, Any]) -> dict[str, Any]:
        return {"index": 0, "delta": delta, "finish_reason": None, "logprobs": None}

    def delta(self, delta: Mapping[str, Any]) -> str:
        return self.chunk([self.choice(delta)])

    def piece(self, piece: Piece) -> Iterator[str]:
        if piece.text:
            yield self.delta({"content": piece.text})
        if piece.refusal:
            yield self.delta({"refusal": piece.refusal})
        if piece.calls:
            yield self.delta({"tool_calls": [{"index": i, **_call(call)} for i, call in enumerate(piece.calls)]})

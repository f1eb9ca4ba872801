"""OpenAI's /v1/responses, asked of the model as a chat: a request understood, and an exchange told of as a response."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from classifiers.errors import SafetyError
from classifiers.upstream import Call
from runs.gateway.chat import NUMBER, UNJUDGED, read_asked, usage_of
from runs.gateway.exchanges import BlockedError, Conversation, Exchange
from runs.gateway.moderations import moderation_field, read_wish
from runs.gateway.routes import find_route
from runs.gateway.wire import FieldError, Fields, checked, new_id, now

PASSED = {
    **dict.fromkeys(("temperature", "top_p"), NUMBER),
    "max_output_tokens": int,
    "metadata": dict,
    "parallel_tool_calls": bool,
    **dict.fromkeys(("user", "safety_identifier", "service_tier", "prompt_cache_key", "prompt_cache_retention"), str),
}
WHOLE = "Nothing is kept here between requests: send the whole conversation as input."
TEXTS = ("input_text", "output_text", "text")


@dataclass
class Asked:
    """A request: the conversation that it stands for, and what the response repeats of it."""

    conversation: Conversation
    echoed: Mapping[str, Any]
    id: str = field(default_factory=lambda: new_id("resp_"))
    created: int = field(default_factory=now)


def read(body: Any) -> Asked:
    """Raises InputError."""
    fields = Fields(checked(body))
    route = find_route(fields.text("model", required=True))
    given = fields.take("input", (str, list), "a text or an array of items", required=True)
    instructions = fields.text("instructions")
    streamed = fields.flag("stream")
    _refuse_what_is_not_here(fields)
    wish = read_wish(fields)
    fields.flag("store")
    echoed = fields.pick(PASSED)
    tools, choice = _tools(fields), fields.take("tool_choice", (str, dict), "a text or an object")
    text = fields.take("text", dict, "an object") or {}
    reasoning = fields.take("reasoning", dict, "an object") or {}
    fields.end()
    messages = [*([{"role": "system", "content": instructions}] if instructions else []), *_messages(given)]
    parameters = {
        **{name: value for name, value in echoed.items() if name != "metadata"},
        **_options(tools, choice, text, reasoning),
    }
    echoed = {**echoed, "instructions": instructions, "text": text or {"format": {"type": "text"}}}
    echoed |= {"tools": tools, "tool_choice": choice or "auto"}
    return Asked(Conversation(route, read_asked(messages), messages, parameters, streamed, wish), echoed)


def _refuse_what_is_not_here(fields: Fields) -> None:
    for name in ("previous_response_id", "conversation", "prompt"):
        fields.refuse(name, WHOLE)
    fields.refuse("background", "An answer is given at once.", unless=(False,))
    fields.refuse("truncation", "Nothing is cut off here.", unless=("disabled",))
    fields.refuse("include", UNJUDGED, unless=([],))
    fields.refuse("top_logprobs", UNJUDGED, unless=(0,))
    fields.refuse("max_tool_calls", "Tools are called by whoever asks.")
    options = Fields(fields.take("stream_options", dict, "an object") or {})
    options.flag("include_obfuscation")
    options.end()


def _tools(fields: Fields) -> list[dict[str, Any]]:
    tools = fields.take("tools", list, "an array of functions") or []
    for tool in tools:
        if not (isinstance(tool, dict) and tool.get("type") == "function" and isinstance(tool.get("name"), str)):
            raise FieldError("tools", "tools must be functions with a name; no other tools are here.")
    return tools


def _options(
    tools: Sequence[Mapping[str, Any]], choice: Any, text: Mapping[str, Any], reasoning: Mapping[str, Any]
) -> dict[str, Any]:
    """What chat has other names for."""
    about = ("name", "description", "parameters", "strict")
    functions = [{"type": "function", "function": {k: tool[k] for k in about if k in tool}} for tool in tools]
    if isinstance(choice, dict):
        choice = {"type": "function", "function": {"name": choice.get("name")}}
    options = {
        "tools": functions,
        "tool_choice": choice,
        "response_format": _format(text.get("format")),
        "verbosity": text.get("verbosity"),
        "reasoning_effort": reasoning.get("effort"),
    }
    return {name: value for name, value in options.items() if value}


def _format(given: Any) -> dict[str, Any] | None:
    match given:
        case None | {"type": "text"}:
            return None
        case {"type": "json_object"}:
            return {"type": "json_object"}
        case {"type": "json_schema", **schema}:
            return {"type": "json_schema", "json_schema": schema}
    raise FieldError("text.format", "text.format has a type: text, json_object or json_schema.")


def _messages(given: str | Sequence[Any]) -> list[dict[str, Any]]:
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    messages: list[dict[str, Any]] = []
    for place, item in enumerate(given):
        message = _message(item, f"input[{place}]")
        # Calls made together stand in one message of a chat.
        if "tool_calls" in message and messages and "tool_calls" in messages[-1]:
            messages[-1]["tool_calls"] += message["tool_calls"]
        else:
            messages.append(message)
    return messages


def _message(item: Any, where: str) -> dict[str, Any]:
    match item:
        case {"type": "function_call", "call_id": str() as call, "name": str() as name, "arguments": str() as text}:
            function = {"name": name, "arguments": text}
            called = [{"id": call, "type": "function", "function": function}]
            return {"role": "assistant", "content": None, "tool_calls": called}
        case {"type": "function_call_output", "call_id": str() as call, "output": output}:
            return {"role": "tool", "tool_call_id": call, "content": _text(output, where)}
        case {"role": "user" | "assistant" | "system" | "developer" as role, "content": content} if (
            item.get("type", "message") == "message"
        ):
            return {"role": role, "content": _text(content, where)}
    raise FieldError(where, f"{where} must be a message, a function_call or a function_call_output. {UNJUDGED}")


def _text(content: Any, where: str) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise FieldError(where, f"{where} must hold a text or an array of text parts.")
    texts = []
    for part in content:
        match part:
            case {"type": kind, "text": str() as text} if kind in TEXTS:
                texts.append(text)
            case {"type": "refusal", "refusal": str() as text}:
                texts.append(text)
            case _:
                raise FieldError(where, f"{where} has a part that is no text; only texts are taken. {UNJUDGED}")
    return "\n".join(texts)


# Told whole


def response(asked: Asked, exchange: Exchange) -> dict[str, Any]:
    """The response, with a refusal in place of what was blocked. Raises the error that there is instead."""
    exchange.refuse()
    return ended(asked, exchange, _output(exchange))


def _output(exchange: Exchange) -> list[dict[str, Any]]:
    if exchange.blocked:
        return [message(new_id("msg_"), [refusal_part(exchange.conversation.route.refusal)], "incomplete")]
    reply = exchange.guarded.reply
    parts = [text_part(exchange.guarded.shown)] if exchange.guarded.shown else []
    parts += [refusal_part(reply.refusal)] if reply.refusal else []
    status = "completed" if reply.finish in ("stop", "tool_calls") else "incomplete"
    calls = [function_call(new_id("fc_"), call, "completed") for _, call in sorted(reply.calls.items())]
    return [*([message(new_id("msg_"), parts, status)] if parts else []), *calls]


def message(id: str, parts: Sequence[Mapping[str, Any]], status: str) -> dict[str, Any]:
    return {"id": id, "type": "message", "role": "assistant", "status": status, "content": list(parts)}


def text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def refusal_part(refusal: str) -> dict[str, Any]:
    return {"type": "refusal", "refusal": refusal}


def function_call(id: str, call: Call, status: str) -> dict[str, Any]:
    called = {"call_id": call.id, "name": call.name, "arguments": call.arguments}
    return {"id": id, "type": "function_call", "status": status, **called}


def heading(asked: Asked, status: str, output: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """What a response always holds."""
    defaults = dict.fromkeys(("temperature", "top_p", "max_output_tokens", "previous_response_id", "user"))
    return {
        "id": asked.id,
        "object": "response",
        "created_at": asked.created,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": asked.conversation.route.alias,
        "output": list(output),
        "metadata": {},
        "parallel_tool_calls": True,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "truncation": "disabled",
        "usage": None,
        **defaults,
        **asked.echoed,
    }


def ended(asked: Asked, exchange: Exchange, output: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The response when all is over and recorded."""
    reason = _incomplete(exchange)
    return {
        **heading(asked, "incomplete" if reason else "completed", output),
        "incomplete_details": {"reason": reason} if reason else None,
        "usage": _usage(exchange.guarded.reply.usage),
        **moderation_field(exchange, listed=False),
        "safety": exchange.safety,
    }


def failed(asked: Asked, exchange: Exchange, output: Sequence[Mapping[str, Any]], error: SafetyError) -> dict[str, Any]:
    """The response that ended in an error after it had begun; the codes are the protocol's."""
    code = "invalid_prompt" if isinstance(error, BlockedError) else "server_error"
    said = {"code": code, "message": error.message}
    return {**heading(asked, "failed", output), "error": said, "safety": exchange.safety}


def _incomplete(exchange: Exchange) -> str | None:
    if exchange.blocked:
        return "content_filter"
    return {"length": "max_output_tokens", "content_filter": "content_filter"}.get(exchange.guarded.reply.finish or "")


def _usage(usage: Mapping[str, Any] | None) -> dict[str, Any]:
    counted = usage_of(usage)
    return {
        "input_tokens": counted["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": counted["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": counted["total_tokens"],
    }

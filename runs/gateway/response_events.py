"""A response told of in the events of OpenAI's stream, each with its number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from classifiers.errors import SafetyError
from classifiers.upstream import Call, Piece
from runs.gateway.exchanges import Exchange
from runs.gateway.responses import (
    Asked,
    ended,
    failed,
    function_call,
    heading,
    message,
    refusal_part,
    text_part,
)
from runs.gateway.wire import event, new_id


def events(asked: Asked, exchange: Exchange, pieces: Iterator[Piece]) -> Iterator[str]:
    """``pieces`` are the exchange's; when they end, it is recorded, and only then the last event goes out."""
    tell = _Events()
    error: SafetyError | None = None
    yield tell("response.created", response=heading(asked, "in_progress"))
    yield tell("response.in_progress", response=heading(asked, "in_progress"))
    try:
        for piece in pieces:
            yield from tell.piece(piece)
        error = exchange.error
    except SafetyError as unrecorded:
        error = unrecorded
    if error is None and exchange.blocked:
        yield from tell.refusal(exchange.conversation.route.refusal)
    yield from tell.close("completed" if error is None and not exchange.blocked else "incomplete")
    if error is not None:
        yield tell("response.failed", response=failed(asked, exchange, tell.output, error))
        return
    last = ended(asked, exchange, tell.output)
    yield tell(f"response.{last['status']}", response=last)


class _Events:
    """The events of one stream. An item and its part are opened with their first text and closed once they are whole."""

    def __init__(self) -> None:
        self.number = 0
        self.output: list[dict[str, Any]] = []
        self.item: dict[str, Any] | None = None  # the message that is open
        self.parts: list[dict[str, Any]] = []
        self.open = False  # whether its last part is

    def __call__(self, kind: str, **data: Any) -> str:
        numbered = {"type": kind, "sequence_number": self.number, **data}
        self.number += 1
        return event(numbered, kind)

    def piece(self, piece: Piece) -> Iterator[str]:
        if piece.text:
            yield from self._text(piece.text)
        if piece.refusal:
            yield from self.refusal(piece.refusal)
        if piece.calls:
            yield from self.close("completed")
            for call in piece.calls:
                yield from self._call(call)

    def _text(self, text: str) -> Iterator[str]:
        if not self.open:
            yield from self._begin(text_part(""))
        self.parts[-1]["text"] += text
        yield self("response.output_text.delta", **self._place, delta=text, logprobs=[])

    def refusal(self, refusal: str) -> Iterator[str]:
        yield from self._end_part()
        yield from self._begin(refusal_part(""))
        self.parts[-1]["refusal"] = refusal
        yield self("response.refusal.delta", **self._place, delta=refusal)

    def close(self, status: str) -> Iterator[str]:
        """Ends the open message, if there is one."""
        if self.item is None:
            return
        yield from self._end_part()
        whole = message(self.item["id"], self.parts, status)
        self.output.append(whole)
        yield self("response.output_item.done", output_index=len(self.output) - 1, item=whole)
        self.item = None

    def _begin(self, part: Mapping[str, Any]) -> Iterator[str]:
        if self.item is None:
            self.item, self.parts = message(new_id("msg_"), [], "in_progress"), []
            yield self("response.output_item.added", output_index=len(self.output), item=self.item)
        self.parts.append(dict(part))
        self.open = True
        yield self("response.content_part.added", **self._place, part=part)

    def _end_part(self) -> Iterator[str]:
        if not self.open:
            return
        self.open = False
        part = self.parts[-1]
        if part["type"] == "refusal":
            yield self("response.refusal.done", **self._place, refusal=part["refusal"])
        else:
            yield self("response.output_text.done", **self._place, text=part["text"], logprobs=[])
        yield self("response.content_part.done", **self._place, part=part)

    def _call(self, call: Call) -> Iterator[str]:
        id, place = new_id("fc_"), len(self.output)
        begun = function_call(id, Call(call.index, call.id, call.name), "in_progress")
        whole = function_call(id, call, "completed")
        where = {"item_id": id, "output_index": place}
        yield self("response.output_item.added", output_index=place, item=begun)
        yield self("response.function_call_arguments.delta", **where, delta=call.arguments)
        yield self("response.function_call_arguments.done", **where, arguments=call.arguments, name=call.name)
        self.output.append(whole)
        yield self("response.output_item.done", output_index=place, item=whole)

    @property
    def _place(self) -> dict[str, Any]:
        item = self.item or {}
        return {"item_id": item.get("id"), "output_index": len(self.output), "content_index": len(self.parts) - 1}

"""The addresses under /v1/, which speak OpenAI's protocol."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import StreamingHttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from audit.rest import Need, Resource
from classifiers.errors import InputError
from moderation.services import is_known, names
from runs.gateway import chat, moderations, response_events, responses, wire
from runs.gateway.askers import Asker
from runs.gateway.exchanges import Exchange
from runs.gateway.moderating import moderate

MODERATE = Need("moderate", ["runs.moderate"])


class ProtocolResource(Resource):
    """Refusals in OpenAI's shape. Not in the OpenAPI document: OpenAI's own describes these addresses."""

    schema = None
    content_negotiation_class = wire.AnyAccept

    def get_exception_handler(self) -> Any:
        return wire.problem

    @property
    def asker(self) -> Asker:
        return Asker.of(self.actor, self.request.auth)


class ModerationProtocol(ProtocolResource):
    needs = {"create": MODERATE}

    def create(self, request: Request) -> Response:
        aliases, texts = moderations.read(request.data)
        return Response(moderations.answer(moderate(texts, aliases=aliases, asker=self.asker), aliases))


class ModelProtocol(ProtocolResource):
    needs = {"list": MODERATE, "retrieve": MODERATE}

    def list(self, request: Request) -> Response:
        return Response({"object": "list", "data": [_model(name) for name in _models()]})

    def retrieve(self, request: Request, name: str) -> Response:
        if name not in _models():
            raise wire.not_there(name)
        return Response(_model(name))


class ChatProtocol(ProtocolResource):
    needs = {"create": MODERATE}

    def create(self, request: Request) -> Response | StreamingHttpResponse:
        conversation, usage = chat.read(request.data)
        exchange = Exchange(conversation, self.asker)
        if not conversation.streamed:
            _run(exchange)
            return Response(chat.completion(exchange))
        _refuse_key(self)
        pieces = _Begun(exchange)
        return wire.streamed(wire.Stream(chat.chunks(exchange, pieces, usage=usage), pieces))


class ResponseProtocol(ProtocolResource):
    needs = {"create": MODERATE}

    def create(self, request: Request) -> Response | StreamingHttpResponse:
        asked = responses.read(request.data)
        exchange = Exchange(asked.conversation, self.asker)
        if not asked.conversation.streamed:
            _run(exchange)
            return Response(responses.response(asked, exchange))
        _refuse_key(self)
        pieces = _Begun(exchange)
        return wire.streamed(wire.Stream(response_events.events(asked, exchange, pieces), pieces))


class _Begun:
    """The pieces of an exchange, the first of them taken already: what cannot even begin is refused with a status."""

    def __init__(self, exchange: Exchange) -> None:
        self._pieces = exchange.pieces()
        self._first = [piece for piece in [next(self._pieces, None)] if piece]
        if not self._first:
            exchange.refuse()

    def __iter__(self) -> _Begun:
        return self

    def __next__(self) -> Any:
        return self._first.pop() if self._first else next(self._pieces)

    def close(self) -> None:
        self._pieces.close()  # type: ignore[attr-defined]


def _run(exchange: Exchange) -> None:
    for _ in exchange.pieces():
        pass


def _refuse_key(resource: ProtocolResource) -> None:
    """A stream cannot be kept to be given again."""
    if resource.act:
        raise InputError("A stream takes no Idempotency-Key. Leave it out, or ask without stream.")


def _models() -> list[str]:
    return sorted({*names("classifier"), *settings.SAFETY_ROUTES})


def _model(name: str) -> dict[str, Any]:
    """``created`` is 0: an alias has no birthday. ``serves`` says what it can be named for."""
    serves = [
        *(["moderations"] if is_known("classifier", name) else []),
        *(["chat/completions", "responses"] if name in settings.SAFETY_ROUTES else []),
    ]
    return {"id": name, "object": "model", "created": 0, "owned_by": "ai-safety-monitor", "serves": serves}

"""What the addresses under /v1/ share: how a body is read, how a refusal is written, and how pieces go out one by one."""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, StreamingHttpResponse
from rest_framework import exceptions
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.response import Response

from classifiers.endpoint import Rejected
from classifiers.errors import InputError, NotFoundError, SafetyError, openai_error
from classifiers.text import unstorable_json

logger = logging.getLogger(__name__)

# How OpenAI names what DRF refuses.
CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded"}


class AnyAccept(DefaultContentNegotiation):
    """Streams and JSON come from the same address, whatever the client says that it takes."""

    def select_renderer(self, request: Any, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


def problem(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's exception handler for these addresses. None for what is a fault of ours."""
    if isinstance(error, RecursionError):
        error = InputError("The body is nested too deeply.")
    if isinstance(error, SafetyError):
        return Response(
            {"error": error_of(error), **_safety(error)},
            status=status_of(error),
            headers=_headers(error, getattr(error, "retry_after", None)),
        )
    if isinstance(error, Http404):
        error = exceptions.NotFound("There is nothing at this address.")
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if not isinstance(error, exceptions.APIException):
        return None
    refused = SafetyError(str(error.detail), code=error.default_code)
    said = {"error": _named_as_there(refused, error.status_code)}
    return Response(said, status=error.status_code, headers=_headers(error, getattr(error, "wait", None)))


def error_of(error: SafetyError) -> dict[str, Any]:
    """An error as OpenAI writes it."""
    return _named_as_there(error, status_of(error))


def _named_as_there(error: SafetyError, status: int) -> dict[str, Any]:
    written = openai_error(error, status)
    return {**written, "code": CODES.get(status, written["code"])}


def _safety(error: SafetyError) -> dict[str, Any]:
    """Of an exchange that ended in an error: what was decided, and where it can be reviewed."""
    safety = getattr(error, "safety", None)
    return {"safety": safety} if safety else {}


def status_of(error: SafetyError) -> int:
    """What the model's server refuses as it is, the client asked for."""
    return 400 if isinstance(error, Rejected) else error.status


def _headers(error: Exception, wait: float | None) -> dict[str, str]:
    headers = {} if wait is None else {"Retry-After": f"{max(1, round(wait))}"}
    if getattr(error, "status", getattr(error, "status_code", 0)) == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return headers


class FieldError(InputError):
    """A field of the request that cannot be taken; ``param`` names it."""

    code = "invalid_value"

    def __init__(self, param: str, message: str) -> None:
        super().__init__(message)
        self.param = param


class MissingError(FieldError):
    code = "missing_required_parameter"


class UnknownFieldError(FieldError):
    code = "unknown_parameter"


def checked(body: Any) -> dict[str, Any]:
    """A body that can be stored. Raises InputError."""
    if not isinstance(body, dict):
        raise InputError("The body must be a JSON object.")
    try:
        json.dumps(body, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise InputError(f"The body cannot be taken: {error}.") from error
    if why := unstorable_json(body, name="The body"):
        raise InputError(why)
    return body


class Fields:
    """Takes the fields of a body one by one; what is left at the end is unknown, and refused."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.left = dict(body)

    def take(self, name: str, kind: type | tuple[type, ...], says: str, *, required: bool = False) -> Any:
        """None when it is not there, or null. Raises InputError."""
        value = self.left.pop(name, None)
        if value is None:
            if required:
                raise MissingError(name, f"{name} is missing: it is {says}.")
            return None
        # True is a number to Python, and to nobody else.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise FieldError(name, f"{name} must be {says}.")
        return value

    def text(self, name: str, *, required: bool = False) -> Any:
        return self.take(name, str, "a text", required=required)

    def flag(self, name: str) -> bool:
        return bool(self.take(name, bool, "true or false"))

    def refuse(self, name: str, why: str, *, unless: tuple[Any, ...] = ()) -> None:
        """Of what cannot be had here, only the values that ask for nothing are taken."""
        value = self.left.pop(name, None)
        if value is not None and value not in unless:
            raise FieldError(name, f"{name} cannot be {json.dumps(value)[:60]} here. {why}")

    def pick(self, names: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the named fields that are there, each of its kind."""
        found = {name: self.take(name, kind, f"{_named(kind)}") for name, kind in names.items() if name in self.left}
        return {name: value for name, value in found.items() if value is not None}

    def end(self) -> None:
        if self.left:
            name = sorted(self.left)[0]
            raise UnknownFieldError(name[:60], f"There is no field {name[:60]!r} here, or it cannot be followed.")


def _named(kind: Any) -> str:
    if kind is bool:
        return "true or false"
    words = {int: "a whole number", float: "a number", str: "a text", list: "an array", dict: "an object"}
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return " or ".join(words[each] for each in kinds if not (each is int and float in kinds))


def new_id(prefix: str) -> str:
    return f"{prefix}{uuid.uuid4().hex}"


def now() -> int:
    return int(time.time())


class Stream:
    """What a client gets piece by piece. ``close`` ends both the rendering and the exchange, at whatever point."""

    def __init__(self, rendered: Iterator[str], pieces: Any) -> None:
        self.rendered, self.pieces = rendered, pieces

    def __iter__(self) -> Iterator[str]:
        return self.rendered

    def close(self) -> None:
        try:
            self.rendered.close()  # type: ignore[attr-defined]
            self.pieces.close()
        except Exception:  # Django would pass over it without a word
            logger.exception("An exchange whose client hung up could not be recorded")
            raise


def streamed(stream: Stream) -> StreamingHttpResponse:
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingHttpResponse(stream, content_type="text/event-stream", headers=headers)


def event(data: Mapping[str, Any] | str, name: str = "") -> str:
    body = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"event: {name}\ndata: {body}\n\n" if name else f"data: {body}\n\n"


def not_there(name: str) -> NotFoundError:
    return NotFoundError(f"There is no model {name[:100]!r} here. List them at /v1/models.", code="model_not_found")

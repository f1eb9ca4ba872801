"""Text from outside is hostile: what cannot be stored faithfully is named here, so that it can be refused."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterator, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def unstorable(text: str, *, name: str = "The text") -> str | None:
    """A sentence that says why PostgreSQL cannot hold ``text`` as it is, None when it can.

    NUL characters and lone surrogates (which are no Unicode text) are the only such characters. Positions count
    characters from 1. ``name`` is the subject of the sentence.
    """
    found = _UNSTORABLE.search(text)
    if not found:
        return None
    what = "a NUL character" if found[0] == "\x00" else f"a lone surrogate (U+{ord(found[0]):04X})"
    return f"{name} has {what} at character {found.start() + 1}, which cannot be stored."


def unstorable_json(value: Any, *, name: str = "The metadata") -> str | None:
    """The same for a JSON value, keys included; the sentence names the place: ``The metadata.scores[2] has …``."""
    return next((sentence for where, text in _strings(value, name) if (sentence := unstorable(text, name=where))), None)


def _strings(value: Any, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield f"A key of {where}", key
            yield from _strings(item, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _strings(item, f"{where}[{index}]")


def json_safe(value: Any) -> Any:
    """``value`` as JSON can hold it; ValueError when it cannot be held.

    Dates become ISO 8601, durations seconds, NaN and infinities null, exact decimals and UUIDs strings, arrays lists, and bytes
    ``{"base64": "…"}``, which nothing else looks like.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): json_safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_safe(item) for item in value]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal | UUID):
        return str(value)
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if hasattr(value, "tolist"):  # numpy's arrays and scalars, without importing numpy
        return json_safe(value.tolist())
    raise ValueError(f"holds a {type(value).__name__}, which cannot be kept as metadata")

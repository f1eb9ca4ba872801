"""What a provider sent, for people to read."""

from __future__ import annotations

import json

from runs.recording import printable

MAX_SHOWN = 5_000_000  # characters
# Indenting can make a deeply nested text many times as long.
MAX_INDENTED = 4 * MAX_SHOWN


def readable(body: str) -> str:
    """A payload's JSON with one value a line; as it is stored when it would become too long, or is no JSON."""
    parts: list[str] = []
    length = 0
    try:
        for part in json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(json.loads(body)):
            parts.append(part)
            length += len(part)
            if length > MAX_INDENTED:
                return body
    except (ValueError, RecursionError):
        return body
    # It may hold what has no UTF-8.
    return printable("".join(parts))

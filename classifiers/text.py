"""Text from outside is hostile: what cannot be stored faithfully is named here, so that it can be refused."""

from __future__ import annotations

import base64
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

# Characters that show nothing, or that change how their neighbours are shown.
_HIDDEN = (
    r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # controls (ESC begins a terminal's sequences)
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    r"\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    r"\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"  # no characters at all
)
_EMOJI = r"\u00a9\u00ae\u203c-\u205f\u2070-\u27ff\u2900-\u3163\u3165-\u3299\U0001f000-\U0001faff"
_HAN = r"\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_JOINING = (
    r"\u0620-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u17b3\u17b6-\u180a\u1810-\u18af"  # Arabic, Indic and their kin
)
# Where such a character belongs to what is seen: line breaks, emoji with their selectors and joiners, joiners in
# the scripts that spell with them.
_BELONGS = (
    r"\r\n"
    rf"|(?<=[0-9#*{_EMOJI}])\ufe0f|(?<=[{_EMOJI}])\ufe0e|(?<=[\u2200-\u22ff{_HAN}])[\ufe00-\ufe02]"
    rf"|(?<=[{_HAN}])[\U000e0100-\U000e01ef]"
    rf"|(?<=[\ufe0f{_EMOJI}])\u200d(?=[{_EMOJI}])|(?<=[{_JOINING}])[\u200c\u200d](?=[{_JOINING}])"
)
_SHOWN_OR_HIDDEN = re.compile(rf"((?:{_BELONGS}|[^{_HIDDEN}\r])+)|([{_HIDDEN}\r])\2*")
_CONTROLS = {
    0x00: "NULL",
    0x07: "BELL",
    0x08: "BACKSPACE",
    0x0B: "LINE TABULATION",
    0x0C: "FORM FEED",
    0x0D: "CARRIAGE RETURN",
    0x1B: "ESCAPE",
    0x7F: "DELETE",
    0x85: "NEXT LINE",
    0x9B: "CONTROL SEQUENCE INTRODUCER",
}


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a text: characters that are shown as they are, or a run of one character that cannot be seen."""

    text: str
    hidden: bool

    @property
    def code(self) -> str:
        """Of a hidden one: U+202E."""
        return f"U+{ord(self.text[0]):04X}"

    @property
    def name(self) -> str:
        """Of a hidden one: RIGHT-TO-LEFT OVERRIDE."""
        point = ord(self.text[0])
        kind = "a surrogate" if 0xD800 <= point <= 0xDFFF else "a control character" if point < 0xA0 else "no character"
        return _CONTROLS.get(point) or str(unicodedata.name(self.text[0], kind))


def segments(text: str) -> Iterator[Segment]:
    """``text`` in parts, so that what hides in it can be marked; their texts, joined, are ``text`` again.

    Hidden are controls but tab and line feed, bidirectional controls (UAX #9), what Unicode calls
    Default_Ignorable_Code_Point (zero-width characters, tags, variation selectors), line and paragraph separators,
    the braille blank, lone surrogates and noncharacters; not, though, where they belong to an emoji or a script's
    spelling. Time is linear in the length; equal neighbours come as one.
    """
    for match in _SHOWN_OR_HIDDEN.finditer(text):
        yield Segment(match[0], match[1] is None)


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

"""How values stand on a page: ``{% load display %}``. Text from outside is escaped, and what hides in it is shown."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from django import template
from django.utils.html import conditional_escape, escape, format_html
from django.utils.safestring import SafeString, mark_safe

from classifiers.text import Segment, segments

register = template.Library()

# More elements than this make a browser slow; further marks are plain text.
MARKS = 2_000
MARKED = '<span class="placeholder">{}</span>'
PLACEHOLDERS = re.compile(r"(<[A-Z_]+_\d{1,9}>)")
NOTHING = "\N{EN DASH}"


@register.filter
def visible(text: object) -> SafeString:
    """The text, escaped; each character that cannot be seen, and each that reorders others, as a mark with its code."""
    if text is None:
        return SafeString("")
    left = MARKS
    parts: list[str] = []
    for segment in segments(str(text)):
        if not segment.hidden:
            parts.append(escape(segment.text))
            continue
        parts.append(_element(segment) if left > 0 else _mark(segment))
        left -= 1
    return mark_safe("".join(parts))  # noqa: S308  every part is escaped, or made of a code and a Unicode name


@register.filter
def placeholders(text: str) -> SafeString:
    """The same of a redacted text, with its placeholders marked as such."""
    parts = PLACEHOLDERS.split(text)
    marked = (format_html(MARKED, part) if place % 2 else visible(part) for place, part in enumerate(parts))
    return mark_safe("".join(marked))  # noqa: S308  every part is escaped


@register.filter
def cut(text: str, length: int) -> str:
    """The beginning of a text, with an ellipsis where something is left off."""
    return text if len(text) <= length else f"{text[:length]}…"


@register.filter
def percent(share: float | None, digits: int = 1) -> str:
    """0.1234 as 12.3 %; a dash for what is not known."""
    return NOTHING if share is None else f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


@register.filter
def score(value: float | None) -> str:
    """A score in [0, 1] with two digits; never rounded to a bound that it does not reach."""
    if value is None:
        return NOTHING
    if 0 < value < 0.005:
        return "<0.01"
    return ">0.99" if 0.995 <= value < 1 else f"{value:.2f}"


@register.filter
def when(moment: datetime | None) -> SafeString:
    """A moment in UTC, to the second, for people and for machines."""
    if moment is None:
        return conditional_escape(NOTHING)
    utc = moment.astimezone(UTC)
    return format_html(
        '<time datetime="{}" class="nowrap">{} UTC</time>',
        utc.isoformat(timespec="seconds"),
        f"{utc:%Y-%m-%d %H:%M:%S}",
    )


def _element(segment: Segment) -> str:
    return f'<span class="mark" title="{segment.code} {segment.name}">{_mark(segment)}</span>'


def _mark(segment: Segment) -> str:
    times = f" \N{MULTIPLICATION SIGN}{len(segment.text)}" if len(segment.text) > 1 else ""
    return f"⟨{segment.code}{times}⟩"

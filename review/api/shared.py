"""What the resources of reviewing share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.http import HttpResponse, StreamingHttpResponse

from audit.rest import Cursor, Need
from review import desk
from review.desk import Sheet
from review.models import Claim, Preferences

SEE, SETTLE_SEE, LOOK = (Need("read", [f"review.{name}"]) for name in ("work", "adjudicate", "oversee"))
WORK, SETTLE, LEAD = (Need("review", [f"review.{name}"]) for name in ("work", "adjudicate", "lead"))
MINE, OWN = Need("read"), Need("review")
TYPES = {"jsonl": "application/x-ndjson", "csv": "text/csv", "json": "application/json"}
# Programs get the texts that they are to judge; to mask them is up to whoever shows them to people.
UNMASKED = Preferences(mask=Preferences.Mask.NONE)


class ByResult(Cursor):
    """In the order that an index holds."""

    ordering = "result_id"


def sheet_of(claim: Claim) -> Sheet:
    return desk.sheet(claim, UNMASKED)


def file(content: str | Iterator[str], name: str, form: str) -> HttpResponse:
    kind: type[Any] = HttpResponse if isinstance(content, str) else StreamingHttpResponse
    response: HttpResponse = kind(content, content_type=f"{TYPES[form]}; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.{form}"'
    return response

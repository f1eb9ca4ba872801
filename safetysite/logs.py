"""Which request a log line belongs to, and how lines look: for people, or as JSON for programs."""

from __future__ import annotations

import logging
import re
import uuid
from contextvars import ContextVar

REQUEST_ID: ContextVar[str] = ContextVar("REQUEST_ID", default="")
WELL_FORMED = re.compile(r"[A-Za-z0-9._:+/=@-]{1,128}")


def request_id(sent: str) -> str:
    """The one that a client or a proxy gave, if it can stand in a log; else a new one."""
    return sent if WELL_FORMED.fullmatch(sent) else uuid.uuid4().hex


class RequestId(logging.Filter):
    """Gives each record the id of the request that it was logged in."""

    def filter(self, record: logging.LogRecord) -> bool:
        if found := REQUEST_ID.get():
            record.request_id = found
        return True


class LineFormatter(logging.Formatter):
    """One line for people; the request's id stands at its end."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        found = getattr(record, "request_id", "")
        return super().formatMessage(record) + (f" [{found}]" if found else "")

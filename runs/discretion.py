"""What is logged, and why something failed, without the texts that a provider may have quoted in it.

Of a log line what has the form of personal data is replaced, and of an exception all is told but its own words: both are
written on the way, where no model can be asked.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from django.conf import settings

from classifiers.errors import SafetyError
from guardrails.patterns import FINDERS

WITHHELD = "What else it said is not kept, since texts are not."


def discreet(sentence: str) -> str:
    """With placeholders for what has the form of personal data, unless all texts are kept."""
    return sentence if settings.SAFETY_STORE_TEXT == "full" else _rules()(sentence)


def told(error: BaseException) -> str:
    """What went wrong, for the record: in its own words if they are ours, or if all texts are kept; else by its kind."""
    if isinstance(error, SafetyError):
        return discreet(error.message)
    kind = type(error).__name__
    return f"{kind}: {error}" if settings.SAFETY_STORE_TEXT == "full" else f"{kind}. {WITHHELD}"


@contextmanager
def discreetly() -> Iterator[None]:
    """Around a task whose failure django-q2 keeps, with all that led to it."""
    try:
        yield
    except Exception as error:
        if settings.SAFETY_STORE_TEXT == "full":
            raise
        raise SafetyError(told(error)) from None


def log_discreetly() -> None:
    """Makes every log record of this process a discreet one, whoever handles it."""
    if getattr(make := logging.getLogRecordFactory(), "discreet", False):
        return

    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        return record if settings.SAFETY_STORE_TEXT == "full" else _discreet_record(record)

    factory.discreet = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(factory)


def _discreet_record(record: logging.LogRecord) -> logging.LogRecord:
    record.msg, record.args = discreet(record.getMessage()), None
    if record.exc_info and (error := record.exc_info[1]):
        record.exc_text, record.exc_info = _without_words(error), None
    return record


def _without_words(error: BaseException) -> str:
    """Where it was raised, and what led to it."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    frames = "".join(traceback.format_tb(error.__traceback__))
    return (f"{_without_words(before)}\n\n" if before else "") + f"{frames}{told(error)}"


@cache
def _rules() -> Callable[[str], str]:
    from guardrails.pii import PiiCheck

    check = PiiCheck(tuple(FINDERS))
    return lambda sentence: check.redact(sentence)[0]

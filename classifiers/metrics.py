"""How long providers take and what they fail at, by alias, for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

from prometheus_client import Counter, Histogram

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class _Meters(NamedTuple):
    seconds: Histogram
    texts: Counter
    errors: Counter


@cache
def _meters() -> _Meters:
    names = ["kind", "alias"]
    return _Meters(
        Histogram("safety_provider_seconds", "Seconds that a call of a provider took", names, buckets=SECONDS),
        Counter("safety_provider_texts", "Texts that a provider was asked about", names),
        Counter("safety_provider_errors", "Texts that a provider could not judge or answer", names),
    )


@dataclass
class Call:
    errors: int = 0


@contextmanager
def call(kind: Literal["classifier", "generator"], alias: str, texts: int) -> Iterator[Call]:
    """Notes a call of a provider. ``errors`` is of how many texts it could say nothing; of all, when it raises."""
    made, started, done = Call(), time.perf_counter(), False
    try:
        yield made
        done = True
    finally:
        meters = _meters()
        meters.seconds.labels(kind, alias).observe(time.perf_counter() - started)
        meters.texts.labels(kind, alias).inc(texts)
        meters.errors.labels(kind, alias).inc(made.errors if done else texts)

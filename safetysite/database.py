"""Which database: one URL, from ``--database-url`` or the environment, as Django wants it."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

VARIABLE = "AI_SAFETY_MONITOR_DB"
OPTION = "--database-url"
DEFAULT = "sqlite:///./ai_monitor.db"
SCHEMES = {
    "sqlite": "django.db.backends.sqlite3",
    "postgresql": "django.db.backends.postgresql",
    "postgres": "django.db.backends.postgresql",
    "pgsql": "django.db.backends.postgresql",
}
# Readers don't block writers; a transaction takes the write lock at its start, so that it waits instead of failing.
SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 30,
    "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;"
    "PRAGMA journal_size_limit=27103364;PRAGMA cache_size=2000;",
}
ADVICE = "Write postgresql://user:password@host:5432/name, special characters percent-encoded (%40 for @, %23 for #)."


def take_database_url(argv: list[str], environ: MutableMapping[str, str]) -> None:
    """Moves ``--database-url URL`` from the command line into the environment; the last one wins over what was there.

    One without a URL stays on the line, for the parser to refuse: it must not mean the default database.
    """
    rest, words = [], iter(argv)
    for word in words:
        option, joined, url = word.partition("=")
        if option != OPTION:
            rest.append(word)
        elif given := url if joined else next(words, None):
            environ[VARIABLE] = given
        else:
            rest.append(OPTION if given is None else f"{OPTION}=")
    argv[:] = rest


def parse(url: str) -> dict[str, Any]:
    """Django's settings for one database.

    Takes ``sqlite:///relative.db`` (from the working directory), ``sqlite:////absolute.db``,
    ``postgresql+psycopg://user:password@host:port/name`` and the same with ``postgresql``, ``postgres`` or
    ``pgsql``; a Unix socket as ``postgresql:///name?host=/folder`` or ``postgresql://%2Ffolder/name``.
    Raises ValueError with a sentence, in which no part of the URL stands that may be a password.
    """
    scheme, separator, _ = url.partition("://")
    engine = SCHEMES.get(scheme.partition("+")[0])
    if not separator or engine is None:
        instead = f", not with {scheme!r}" if separator else ""
        raise ValueError(f"The database URL must start with sqlite:///, or postgresql://{instead}. Example: {DEFAULT}")
    return _sqlite(url) if "sqlite" in engine else _postgresql(url)


def _sqlite(url: str) -> dict[str, Any]:
    path = unquote(url.partition("://")[2].partition("?")[0])
    if not path.startswith("/") or path == "/":
        raise ValueError(
            f"A SQLite URL has three slashes before a relative path and four before an absolute one: {DEFAULT}"
        )
    return {
        "ENGINE": SCHEMES["sqlite"],
        "NAME": str(Path.cwd() / path[1:]),
        "OPTIONS": dict(SQLITE_OPTIONS),
        # Reopening means running the PRAGMAs again on every request and every look at the queue.
        "CONN_MAX_AGE": None,
    }


def _postgresql(url: str) -> dict[str, Any]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        reason = re.sub(r"""( as)? ?['"].*['"]""", "", str(error), flags=re.DOTALL)
        raise ValueError(f"The database URL cannot be read: {reason.strip()}. {ADVICE}") from None
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    name = unquote(parts.path.lstrip("/"))
    if not name:
        raise ValueError(f"The database URL names no database. {ADVICE}")
    return {
        "ENGINE": SCHEMES["postgresql"],
        "NAME": name,
        "USER": unquote(parts.username or "") or options.pop("user", ""),
        "PASSWORD": unquote(parts.password or "") or options.pop("password", ""),
        "HOST": options.pop("host", "") or unquote(_host(parts.netloc)),
        "PORT": str(port or options.pop("port", "")),
        "OPTIONS": options,
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }


def _host(netloc: str) -> str:
    """The host as written: urlsplit lower-cases it, and folder names are case-sensitive."""
    host = netloc.rpartition("@")[2]
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]

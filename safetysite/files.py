"""Static files without collectstatic: a changed file has a new address, and what has one is kept by browsers for good."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import StaticFilesStorage
from django.http import FileResponse, HttpRequest
from whitenoise.middleware import WhiteNoiseMiddleware

FOR_GOOD = "max-age=31536000, public, immutable"


class DigestStorage(StaticFilesStorage):
    """Addresses with a digest of what is in the file."""

    def url(self, name: str | None) -> str:
        address = super().url(name)
        digest = digest_of(name or "")
        return f"{address}?v={digest}" if digest else address


class FilesMiddleware(WhiteNoiseMiddleware):  # type: ignore[misc]
    """What is asked for by the address of its present content never changes there; the rest is fresh for a minute."""

    def serve(self, static_file: Any, request: HttpRequest) -> FileResponse:
        response: FileResponse = super().serve(static_file, request)
        name = request.path_info.removeprefix(settings.STATIC_URL)
        if request.GET.get("v", "-") == digest_of(name):
            response.headers["Cache-Control"] = FOR_GOOD
        return response


def digest_of(name: str) -> str:
    """12 hex digits of what is in a file; empty when there is none."""
    return _digest.__wrapped__(name) if settings.DEBUG else _digest(name)


@cache
def _digest(name: str) -> str:
    found = finders.find(name)
    return hashlib.sha256(Path(found).read_bytes()).hexdigest()[:12] if isinstance(found, str) else ""

"""What every template knows, those of errors too."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest


def fail_open(request: HttpRequest) -> dict[str, bool]:
    return {"fail_open": settings.SAFETY_FAIL_OPEN}

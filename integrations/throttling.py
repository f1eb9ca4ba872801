"""How often a token, or a person without one, may ask."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle


class TokenThrottle(SimpleRateThrottle):
    """By token, else by person, else by address; the rate is SAFETY_API_RATE. Without Redis each process counts by itself."""

    scope = "api"

    def get_cache_key(self, request: Request, view: Any) -> str:
        if request.auth is not None:
            return f"throttle.token.{request.auth.pk}"
        if request.user and request.user.is_authenticated:
            return f"throttle.user.{request.user.pk}"
        return f"throttle.address.{self.get_ident(request)}"

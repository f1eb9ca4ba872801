"""A token in the header ``Authorization: Bearer asm_…`` lets a program act for the token's person."""

from __future__ import annotations

from django.contrib.auth.models import User
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.request import Request

from integrations.models import ApiToken
from integrations.services import UnusableTokenError, token_of


class TokenAuthentication(BaseAuthentication):
    """Sets ``request.auth`` to the ApiToken. Without the header it leaves the request to others."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        scheme, _, key = get_authorization_header(request).decode("latin-1").partition(" ")
        if not scheme:
            return None
        if scheme.lower() != "bearer" or not key.strip():
            raise UnusableTokenError("The header Authorization must read: Bearer and then a token.")
        token = token_of(key.strip())
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="AI Safety Monitor"'


class TokenScheme(OpenApiAuthenticationExtension):
    """How the OpenAPI document names it."""

    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "A token of the console, or of `create_token`."}

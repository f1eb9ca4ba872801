"""Programs that act for the cast, over HTTP as Django's test client does it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client

from integrations.models import Scope
from integrations.services import create_token
from tests.api.protocol import nothing_remembered, site, stub  # noqa: F401  fixtures
from tests.governance.promoting import make_adapter  # noqa: F401  a fixture
from tests.review.conftest import cast, make_queue  # noqa: F401  fixtures


@pytest.fixture(autouse=True)
def unthrottled() -> None:
    cache.clear()


class Program:
    """``Program(cast.lena, "read").get("/api/v1/runs/")``: with all scopes unless some are named."""

    def __init__(self, user: User, *scopes: str) -> None:
        self.token, self.key = create_token(
            user,
            name=f"program {user.api_tokens.count()}",
            scopes=scopes or Scope.values,
            expires_at=None,
            actor="test",
        )
        self.client = Client(raise_request_exception=False)

    def get(self, path: str, **query: Any) -> Any:
        return self.send("get", path, query)

    def post(self, path: str, data: Any = None, **headers: str) -> Any:
        return self.send("post", path, json.dumps({} if data is None else data), **headers)

    def patch(self, path: str, data: Any, **headers: str) -> Any:
        return self.send("patch", path, json.dumps(data), **headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self.send("delete", path, **headers)

    def send(self, method: str, path: str, data: Any = None, **headers: str) -> Any:
        """Headers by their names with underscores: ``Idempotency_Key="1"``."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        options: dict[str, Any] = {} if method == "get" else {"content_type": "application/json"}
        return getattr(self.client, method)(
            path, data, headers={"Authorization": f"Bearer {self.key}", **named}, **options
        )

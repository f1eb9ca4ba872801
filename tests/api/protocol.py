"""OpenAI's own client before the site, and a server behind it whose answers and faults a test chooses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

from runs import live
from runs.gateway import exchanges
from runs.models import Result
from tests.review.conftest import Cast
from tests.stub_server import StubServer

Site = Callable[..., openai.OpenAI]
HELLO = [{"role": "user", "content": "Hello."}]


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    live.forget()
    exchanges.remembered._known.clear()


@pytest.fixture
def stub(settings: Any) -> Iterator[StubServer]:
    """A model's server: behind the routes ``stub`` and ``stub-error``, and the classifier ``stub``."""
    with StubServer() as server:
        options = {"model": "stub", "base_url": server.url, "timeout": 2.0}
        chat = {"BACKEND": "classifiers.providers.openai.OpenAIChat", "OPTIONS": options}
        judge = {
            "BACKEND": "classifiers.providers.openai.OpenAIModeration",
            "OPTIONS": {**options, "give_up_after": 0.5},
        }
        route = {"GENERATOR": "stub", "INPUT": ["fake"], "OUTPUT": ["fake"], "REFUSAL": "Not here."}
        settings.SAFETY_GENERATORS = {**settings.SAFETY_GENERATORS, "stub": chat}
        settings.SAFETY_CLASSIFIERS = {**settings.SAFETY_CLASSIFIERS, "stub": judge}
        settings.SAFETY_ROUTES = {
            **settings.SAFETY_ROUTES,
            "stub": route,
            "stub-error": {**route, "ON_BLOCK": "error"},
            "judged": {**route, "INPUT": ["stub"], "OUTPUT": ["stub"]},
            "broken": {**route, "INPUT": ["fake-broken"]},
        }
        yield server


@pytest.fixture
def site(live_server: Any, cast: Cast) -> Iterator[Site]:
    """``site(cast.prog)``: OpenAI's client with a token of this person, strict about every typed field."""
    made: list[openai.OpenAI] = []

    def client(user: Any = None, *scopes: str, key: str = "") -> openai.OpenAI:
        from tests.api.conftest import Program

        key = key or Program(user or cast.prog, *(scopes or ("moderate",))).key
        made.append(
            openai.OpenAI(
                api_key=key, base_url=f"{live_server.url}/v1", max_retries=0, _strict_response_validation=True
            )
        )
        return made[-1]

    yield client
    for each in made:
        each.close()


def result() -> Result:
    """The one that there is."""
    return Result.objects.get()


def extra(model: Any, name: str) -> Any:
    """A field that OpenAI's types do not know."""
    return (model.model_extra or {})[name]


def events(answer: Any) -> str:
    """All of a stream that Django's test client asked for."""
    return b"".join(answer.streaming_content).decode()

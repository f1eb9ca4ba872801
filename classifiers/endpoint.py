"""One model at one address that speaks OpenAI's protocol: OpenAI's own, vLLM, llama.cpp and the like."""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypedDict
from urllib.parse import urlsplit

from classifiers.errors import ProviderError, SafetyError, TransientError
from classifiers.loading import need, without_login
from classifiers.remote import AdaptivePool, RateLimited, retry_after

OPENAI = "https://api.openai.com/v1"
NO_CREDIT = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}  # 429s that no waiting ends
PROBE_TIMEOUT = 2.0  # seconds, for problems()


class Rejected(SafetyError):
    """The service will not take this request as it is; another may pass."""

    code = "rejected"
    status = 422


class MalformedError(SafetyError):
    """The service answered with something that cannot be understood."""

    code = "malformed_answer"
    status = 502


class Connection(TypedDict, total=False):
    """The options that all providers of this protocol share.

    ``api_key`` is by default the environment's OPENAI_API_KEY, which goes to OpenAI only: a server named by
    ``base_url`` (with its /v1) gets the key of its own options or none. ``timeout`` is in seconds without a byte from
    the server, ``give_up_after`` in seconds for all attempts at one request. ``concurrency`` is the number of requests at once
    to start with, ``max_concurrency`` the highest.
    """

    api_key: str | None
    base_url: str | None
    timeout: float
    give_up_after: float
    concurrency: int
    max_concurrency: int


class Endpoint:
    """One model at one address: its key, its client, its pool, and what its errors mean."""

    def __init__(
        self,
        model: str,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout: float = 60.0,
        give_up_after: float = 300.0,
        concurrency: int = 20,
        max_concurrency: int = 64,
    ) -> None:
        self.model, self.timeout = model, timeout
        self._api_key, self._base_url = api_key, base_url
        self.pool = AdaptivePool(concurrency=concurrency, max_concurrency=max_concurrency, give_up_after=give_up_after)

    @property
    def base_url(self) -> str:
        return (self._base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI).rstrip("/")

    @property
    def is_openai(self) -> bool:
        return self._host == "api.openai.com" or self._host.endswith(".api.openai.com")  # eu.api.openai.com, too

    @property
    def _host(self) -> str:
        try:
            return urlsplit(self.base_url).hostname or ""
        except ValueError:  # http://[
            return ""

    @property
    def name(self) -> str:
        return "OpenAI" if self.is_openai else f"The server at {self.address}"

    @property
    def address(self) -> str:
        """The base_url as it is stored and shown."""
        return without_login(self.base_url)

    @cached_property
    def client(self) -> Any:
        """The SDK's client, its own retries off; ProviderError when the key or the address cannot work."""
        openai = need("openai", feature="An OpenAI-compatible provider")
        if not self.base_url.startswith(("http://", "https://")) or not self._host:
            raise ProviderError(f"base_url {self.address} is no address; it should look like http://localhost:8000/v1.")
        return openai.OpenAI(api_key=self._key(), base_url=self.base_url, timeout=self.timeout, max_retries=0)

    def _key(self) -> str:
        key = (self._api_key or "").strip()
        if not key and (self.is_openai or not self._base_url):
            key = os.environ.get("OPENAI_API_KEY", "").strip()
        if not key and self.is_openai:
            raise ProviderError(
                "OpenAI needs an API key and there is none. Set the environment variable OPENAI_API_KEY, or "
                "give a base_url to use a server of your own."
            )
        if not re.fullmatch("[!-~]*", key):  # the HTTP client would quote it, whole, in its complaint
            raise ProviderError("The API key has characters that no key has. Copy it again and set OPENAI_API_KEY.")
        return key or "none"  # the SDK insists on one; servers without keys ignore it

    def token_limit(self, count: int) -> dict[str, int]:
        """The parameter that caps the answer: OpenAI's newer models refuse the old name, other servers know only it."""
        return {"max_completion_tokens" if self.is_openai else "max_tokens": count}

    def ask(self, method: Callable[..., Any], **body: Any) -> tuple[dict[str, Any], float]:
        """The answer as JSON, by its wire names, and the seconds that it took.

        ``method`` is one of the client's ``with_raw_response`` methods. Raises TransientError, RateLimited,
        ProviderError, Rejected or MalformedError.
        """
        openai = need("openai", feature="An OpenAI-compatible provider")
        start = time.perf_counter()
        try:
            response = method(model=self.model, **body)
        except openai.APIError as error:
            raise self.explain(error) from error
        except UnicodeEncodeError as error:
            raise Rejected(f"The text cannot be sent: it is no valid Unicode ({error.reason}).") from error
        latency = time.perf_counter() - start
        return self._object(response.content), latency

    def _object(self, content: bytes) -> dict[str, Any]:
        try:
            body = json.loads(content, parse_constant=_finite, parse_float=_finite)
        except (ValueError, RecursionError) as error:
            raise MalformedError(f"{self.name} answered with something that is not JSON: {content[:80]!r}.") from error
        if not isinstance(body, dict):
            raise MalformedError(f"{self.name} answered with JSON that is not an object.")
        return body

    def explain(self, error: Any) -> SafetyError:
        """What an exception of the SDK means here, and what can be done about it."""
        openai = need("openai", feature="An OpenAI-compatible provider")
        if isinstance(error, openai.APITimeoutError):
            return TransientError(f"{self.name} did not answer within {self.timeout:g} s.", code="timeout")
        if isinstance(error, openai.APIConnectionError):
            return TransientError(f"{self.name} cannot be reached: {error.__cause__ or error}.", code="unreachable")
        if not isinstance(error, openai.APIStatusError):
            return MalformedError(f"{self.name} gave an answer that the client cannot read: {error}.")
        return self._hopeless(error) or self._explain_status(error)

    def _hopeless(self, error: Any) -> ProviderError | None:
        """The errors that every other request would meet too."""
        said, status = _said(error), error.status_code
        if status == 401:
            return ProviderError(
                f"{self.name} does not accept the API key: {said} Set OPENAI_API_KEY, or api_key in the provider's "
                f"OPTIONS when you use base_url."
            )
        if status == 403:
            return ProviderError(
                f"{self.name} denies access: {said} Check what the key may use; it asked for {self.model}."
            )
        if status == 404 or (status == 400 and "model" in (error.param, error.code)) or error.code == "model_not_found":
            return ProviderError(
                f"{self.name} does not know the model {self.model} or the path: {said} Check the model's name, and "
                f"that base_url ends as the server wants it (mostly in /v1)."
            )
        if status == 429 and NO_CREDIT & {error.code, error.type}:
            return ProviderError(f"{self.name} has no credit left for this key: {said} Add credit or use another key.")
        return None

    def _explain_status(self, error: Any) -> SafetyError:
        sentence, wait = (
            f"{self.name} answered {error.status_code}: {_said(error)}",
            retry_after(error.response.headers),
        )
        if error.status_code == 429:
            return RateLimited(sentence, retry_after=wait)
        if error.status_code >= 500 or error.status_code in (408, 409):
            return TransientError(sentence, retry_after=wait)
        return Rejected(sentence)

    def problems(self) -> list[str]:
        """What keeps the model from being asked. OpenAI itself is not called; another server is asked what it has."""
        try:
            client = self.client
        except ProviderError as error:
            return [error.message]
        openai = need("openai", feature="An OpenAI-compatible provider")
        try:
            if not self.is_openai:
                client.with_options(timeout=PROBE_TIMEOUT).models.with_raw_response.list()
        except openai.NotFoundError:
            pass  # it answers; not every server lists its models
        except openai.APITimeoutError:
            return [
                f"{self.name} did not answer within {PROBE_TIMEOUT:g} s. Check that it runs and that base_url is right."
            ]
        except openai.APIConnectionError as error:
            return [f"{self.explain(error).message} Start it, or correct base_url."]
        except openai.APIError as error:
            return [self.explain(error).message]
        return []


def first_choice(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The first of a completion's choices; MalformedError when there is none."""
    choices = body.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return choices[0]
    raise MalformedError(f"{name} gave an answer without choices.")


def _said(error: Any) -> str:
    """The service's own words, as one sentence of at most 300 characters."""
    body = error.body
    message = body.get("message") if isinstance(body, dict) else body
    text = " ".join(str(message or "no reason given").split())[:300]
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _finite(number: str) -> float:
    """Refuses NaN and infinities, which are not JSON and which no database column of JSON takes."""
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number} is no number")
    return value

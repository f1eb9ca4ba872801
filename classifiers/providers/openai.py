"""OpenAI's moderation and chat, and the way to any server that speaks the same protocol."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypedDict, Unpack
from urllib.parse import urlsplit

from classifiers.errors import InputError, ProviderError, SafetyError, TransientError
from classifiers.loading import need
from classifiers.remote import AdaptivePool, RateLimited, retry_after
from classifiers.types import Answer, Classification, Label, ModelInfo, Subject, digest

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
    ``base_url`` (with its /v1) gets the key of its own options or none. ``timeout`` is in seconds for one attempt,
    ``give_up_after`` in seconds for all attempts at one request. ``concurrency`` is the number of requests at once
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
        host = urlsplit(self.base_url).hostname or ""
        return host == "api.openai.com" or host.endswith(".api.openai.com")  # eu.api.openai.com, too

    @property
    def name(self) -> str:
        return "OpenAI" if self.is_openai else f"The server at {self.base_url}"

    @cached_property
    def client(self) -> Any:
        """The SDK's client, its own retries off; ProviderError when the key or the address cannot work."""
        openai = need("openai", feature="An OpenAI-compatible provider")
        if not self.base_url.startswith(("http://", "https://")):
            raise ProviderError(
                f"base_url {self.base_url} is no address; it should look like http://localhost:8000/v1."
            )
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
        if not key.isascii():
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


class OpenAIModeration:
    """OpenAI's /v1/moderations: texts go out in arrays, several requests at once.

    A text is TOXIC when OpenAI flags it. ``thresholds`` (a score in [0, 1] by category, such as ``self-harm/intent``)
    decide for the categories they name in place of OpenAI's own hidden ones; the score is the highest of all
    categories. ``raw`` is the result's JSON with the ``model`` that gave it, ``latency`` that of the whole array.
    """

    def __init__(
        self,
        model: str = "omni-moderation-latest",
        *,
        texts_per_request: int = 32,
        thresholds: Mapping[str, float] | None = None,
        **connection: Unpack[Connection],
    ) -> None:
        self.endpoint = Endpoint(model, **connection)
        self.texts_per_request = texts_per_request
        self.thresholds = dict(thresholds or {})
        if texts_per_request < 1:
            raise InputError(f"texts_per_request is {texts_per_request}; it must be at least 1.")
        for category, threshold in self.thresholds.items():
            if not 0 <= threshold <= 1:
                raise InputError(f"The threshold of {category} is {threshold}; it must lie between 0 and 1.")

    def classify(self, subjects: Sequence[Subject]) -> list[Classification]:
        """One Classification for each subject. A request that is rejected is halved until only the bad text is left."""
        texts = [subject.text for subject in subjects]
        answers: dict[int, Classification] = {}
        size = self.texts_per_request
        pending = [range(len(texts))[start : start + size] for start in range(0, len(texts), size)]
        while pending:
            replies = self.endpoint.pool.map(lambda places: self._moderate([texts[i] for i in places]), pending)
            halves: list[range] = []
            for places, reply in zip(pending, replies, strict=True):
                middle = len(places) // 2
                if isinstance(reply, Rejected) and middle:
                    halves += [places[:middle], places[middle:]]
                elif isinstance(reply, SafetyError):
                    answers.update({i: Classification.error(reply.message) for i in places})
                else:
                    answers.update(zip(places, reply, strict=True))
            pending = halves
        return [answers[i] for i in range(len(texts))]

    def describe(self) -> ModelInfo:
        settings = {"base_url": self.endpoint.base_url, "thresholds": self.thresholds}
        return ModelInfo(provider="openai", model=self.endpoint.model, settings=settings)

    def problems(self) -> list[str]:
        return self.endpoint.problems()

    def _moderate(self, texts: list[str]) -> list[Classification]:
        body, latency = self.endpoint.ask(self.endpoint.client.moderations.with_raw_response.create, input=texts)
        results = body.get("results")
        if not isinstance(results, list) or len(results) != len(texts):
            count = len(results) if isinstance(results, list) else "no"
            raise MalformedError(f"{self.endpoint.name} gave {count} results for {len(texts)} texts.")
        return [self._judge(result, body.get("model"), latency) for result in results]

    def _judge(self, result: Any, model: Any, latency: float) -> Classification:
        try:
            found = _Moderation.read(result, required=self.thresholds)
        except MalformedError as error:
            return Classification.error(f"{self.endpoint.name} {error}", raw=result, latency=latency)
        flagged = found.flagged_categories(self.thresholds)
        return Classification(
            Label.TOXIC if flagged or found.flagged_without_category else Label.SAFE,
            score=max(found.scores.values()),
            categories=found.scores,
            flagged=flagged,
            thresholds=self.thresholds,
            raw={**result, "model": model},
            latency=latency,
        )


@dataclass(frozen=True)
class _Moderation:
    """A moderation result, checked. ``flags`` and ``scores`` are by wire name; a flag may be null."""

    flagged: bool
    flags: Mapping[str, bool | None]
    scores: Mapping[str, float]

    @classmethod
    def read(cls, result: Any, *, required: Iterable[str] = ()) -> _Moderation:
        """MalformedError, as the end of a sentence, unless all is there: categories with a flag have a score too."""
        fields = result if isinstance(result, dict) else {}
        flagged, flags, scores = (fields.get(name) for name in ("flagged", "categories", "category_scores"))
        if not (isinstance(flagged, bool) and isinstance(flags, dict) and isinstance(scores, dict) and scores):
            raise MalformedError("gave a result without flagged, categories or category_scores.")
        if not all(flag is None or isinstance(flag, bool) for flag in flags.values()):
            raise MalformedError("gave a category that is neither true, false nor null.")
        # a category that this model does not judge is null in both
        judged = {name: score for name, score in scores.items() if score is not None or flags.get(name) is not None}
        expected = {name for name, flag in flags.items() if flag is not None} | set(required)
        if missing := sorted(expected - judged.keys()):
            raise MalformedError(f"gave no score for {', '.join(missing)}.")
        for name, score in judged.items():
            if not _is_probability(score):
                raise MalformedError(f"gave {score!r} as the score of {name}; it must lie between 0 and 1.")
        if not judged:
            raise MalformedError("gave no score for any category.")
        return cls(flagged, flags, {name: float(score) for name, score in judged.items()})

    def flagged_categories(self, thresholds: Mapping[str, float]) -> tuple[str, ...]:
        own = {name for name, threshold in thresholds.items() if self.scores[name] >= threshold}
        theirs = {name for name, flag in self.flags.items() if flag and name not in thresholds}
        return tuple(sorted(own | theirs))

    @property
    def flagged_without_category(self) -> bool:
        """Flagged, and no category says why: no threshold of ours can have looked at that."""
        return self.flagged and not any(self.flags.values())


class OpenAIChat:
    """Answers by chat completions of OpenAI or, with ``base_url``, of any compatible server (vLLM, llama.cpp).

    ``max_tokens`` caps an answer; ``temperature`` None leaves it to the model (some accept no other). A refusal is an
    answer, with a reason beside it.
    """

    def __init__(
        self,
        model: str = "gpt-4o-mini",
        *,
        system_prompt: str | None = None,
        max_tokens: int = 512,
        temperature: float | None = 0.0,
        **connection: Unpack[Connection],
    ) -> None:
        self.endpoint = Endpoint(model, **connection)
        self.system_prompt = system_prompt
        self.max_tokens = max_tokens
        self.temperature = temperature

    def generate(self, prompts: Sequence[str]) -> list[Answer]:
        replies = self.endpoint.pool.map(self._answer, prompts)
        return [Answer(None, reason=reply.message) if isinstance(reply, SafetyError) else reply for reply in replies]

    def describe(self) -> ModelInfo:
        return ModelInfo(
            provider="openai",
            model=self.endpoint.model,
            template_hash=digest(self.system_prompt) if self.system_prompt else "",
            settings={
                "base_url": self.endpoint.base_url,
                "max_tokens": self.max_tokens,
                "temperature": self.temperature,
            },
        )

    def problems(self) -> list[str]:
        return self.endpoint.problems()

    def _answer(self, prompt: str) -> Answer:
        messages = [{"role": "system", "content": self.system_prompt}] if self.system_prompt else []
        parameters: dict[str, Any] = self.endpoint.token_limit(self.max_tokens)
        if self.temperature is not None:
            parameters["temperature"] = self.temperature
        body, latency = self.endpoint.ask(
            self.endpoint.client.chat.completions.with_raw_response.create,
            messages=[*messages, {"role": "user", "content": prompt}],
            **parameters,
        )
        text, reason = self._read(body)
        return Answer(text, reason=reason, raw=body, latency=latency)

    def _read(self, body: dict[str, Any]) -> tuple[str | None, str]:
        """The answer's text, if there is one, and what is to be known about it."""
        choice = first_choice(body, self.endpoint.name)
        message, finish = choice.get("message"), choice.get("finish_reason")
        if not isinstance(message, dict):
            raise MalformedError(f"{self.endpoint.name} gave an answer without a message.")
        content, refusal = message.get("content"), message.get("refusal")
        if isinstance(content, str) and content:
            return content, "Cut short by the service's content filter." if finish == "content_filter" else ""
        if isinstance(refusal, str) and refusal:
            return refusal, "The model refused."
        if finish == "content_filter":
            return None, f"{self.endpoint.name} withheld the answer: its content filter stopped it."
        return None, f"{self.endpoint.name} gave an answer without text (finish reason: {finish})."


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


def _is_probability(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1

"""OpenAI's moderation and chat, and the way to any server that speaks the same protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Unpack

from classifiers.endpoint import Connection, Endpoint, MalformedError, Rejected, first_choice
from classifiers.errors import InputError, ProviderError, SafetyError
from classifiers.loading import check_threshold, without_login
from classifiers.types import Answer, Classification, Label, ModelInfo, Subject, digest
from classifiers.wire import context_of, read_classification

# What a server may say of its model.
NAMED = ("provider", "model", "revision", "adapter_digest", "template_hash", "dtype", "settings", "reads_context")


class OpenAIModeration:
    """OpenAI's /v1/moderations: texts go out in arrays, several requests at once.

    A text is TOXIC when OpenAI flags it. ``thresholds`` (a score in [0, 1] by category, such as ``self-harm/intent``)
    decide for the categories they name in place of OpenAI's own hidden ones; the score is the highest of all
    categories. ``raw`` is the result's JSON with the ``model`` that gave it, ``latency`` that of the whole array.
    """

    preferred_batch = 640

    def __init__(
        self,
        model: str = "omni-moderation-latest",
        *,
        texts_per_request: int = 32,
        thresholds: Mapping[str, float] | None = None,
        **connection: Unpack[Connection],
    ) -> None:
        self.endpoint = _endpoint(model, connection)
        self.origin = _Origin(self.endpoint, "classifier_version")
        self.texts_per_request = texts_per_request
        self.thresholds = dict(thresholds or {})
        if texts_per_request < 1:
            raise InputError(f"texts_per_request is {texts_per_request}; it must be at least 1.")
        for category, threshold in self.thresholds.items():
            check_threshold(threshold, of=category)

    def classify(self, subjects: Sequence[Subject]) -> list[Classification]:
        """One Classification for each subject. A request that is rejected is halved until only the bad text is left."""
        answers: dict[int, Classification] = {}
        size, count = self.texts_per_request, len(subjects)
        pending = [range(count)[start : start + size] for start in range(0, count, size)]
        while pending:
            replies = self.endpoint.pool.map(lambda places: self._moderate([subjects[i] for i in places]), pending)
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
        return [answers[i] for i in range(count)]

    def describe(self) -> ModelInfo:
        """Behind ``manage.py serve_models``: the very model that judges there, as if it judged here."""
        if served := self.origin.info():
            own = {"thresholds": self.thresholds} if self.thresholds else {}
            return replace(served, settings={**served.settings, **own})
        settings = {"base_url": self.endpoint.address, "thresholds": self.thresholds}
        return ModelInfo(provider="openai", model=self.endpoint.model, settings=settings)

    def problems(self) -> list[str]:
        return self.endpoint.problems()

    def _moderate(self, subjects: list[Subject]) -> list[Classification]:
        create = self.endpoint.client.moderations.with_raw_response.create
        more: dict[str, Any] = {}
        if self.origin.reads_context:
            more["extra_body"] = {"context": [context_of(subject) for subject in subjects]}
        body, latency = self.endpoint.ask(create, input=[subject.text for subject in subjects], **more)
        results = body.get("results")
        if not isinstance(results, list) or len(results) != len(subjects):
            count = len(results) if isinstance(results, list) else "no"
            raise MalformedError(f"{self.endpoint.name} gave {count} results for {len(subjects)} texts.")
        self.origin.check(body)
        return [self._judge(result, body.get("model"), latency) for result in results]

    def _judge(self, result: Any, model: Any, latency: float) -> Classification:
        try:
            found = _Moderation.read(result, required=self.thresholds)
        except MalformedError as error:
            return Classification.error(f"{self.endpoint.name} {error}", raw=result, latency=latency)
        if found.whole and not self.thresholds:
            return replace(found.whole, latency=latency)
        flagged = found.flagged_categories(self.thresholds)
        said = found.whole or Classification(Label.SAFE, raw={**result, "model": model})
        return replace(
            said,
            label=Label.TOXIC if flagged or found.flagged_without_category else Label.SAFE,
            score=max(found.scores.values()),
            categories=found.scores,
            flagged=flagged,
            thresholds={**said.thresholds, **self.thresholds},
            latency=latency,
        )


@dataclass(frozen=True)
class _Moderation:
    """A moderation result, checked. All maps are by wire name; a flag may be null."""

    flagged: bool
    flags: Mapping[str, bool | None]
    scores: Mapping[str, float]
    whole: Classification | None  # as the provider itself gave it, from a server that says so

    @classmethod
    def read(cls, result: Any, *, required: Iterable[str] = ()) -> _Moderation:
        """MalformedError, as the end of a sentence, unless all is there: categories with a flag have a score too."""
        fields = result if isinstance(result, dict) else {}
        if isinstance(error := fields.get("error"), dict):
            raise MalformedError(f"could not judge this text: {str(error.get('message') or 'no reason given')[:300]}")
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
        try:
            whole = read_classification(fields["classification"]) if "classification" in fields else None
        except ValueError as error:
            raise MalformedError(f"gave a classification that cannot be read: {error}.") from error
        if whole and flagged != (whole.label is Label.TOXIC):
            raise MalformedError(f"gave the label {whole.label} for what it says is flagged: {flagged}.")
        return cls(flagged, flags, {name: float(score) for name, score in judged.items()}, whole)

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

    preferred_batch = 256

    def __init__(
        self,
        model: str = "gpt-4o-mini",
        *,
        system_prompt: str | None = None,
        max_tokens: int = 512,
        temperature: float | None = 0.0,
        **connection: Unpack[Connection],
    ) -> None:
        self.endpoint = _endpoint(model, connection)
        self.origin = _Origin(self.endpoint, "generator_version")
        self.system_prompt = system_prompt
        self.max_tokens = max_tokens
        self.temperature = temperature

    def generate(self, prompts: Sequence[str]) -> list[Answer]:
        replies = self.endpoint.pool.map(self._answer, prompts)
        return [Answer(None, reason=reply.message) if isinstance(reply, SafetyError) else reply for reply in replies]

    def describe(self) -> ModelInfo:
        """Behind ``manage.py serve_models``: the very model that answers there, with its own settings."""
        if served := self.origin.info():
            return served
        return ModelInfo(
            provider="openai",
            model=self.endpoint.model,
            template_hash=digest(self.system_prompt) if self.system_prompt else "",
            settings={
                "base_url": self.endpoint.address,
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
        self.origin.check(body)
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


class _Origin:
    """Which model stands behind an alias of ``manage.py serve_models``, which lists it under ``field``.

    OpenAI is not asked; other servers do not say.
    """

    def __init__(self, endpoint: Endpoint, field: str) -> None:
        self.endpoint, self.field = endpoint, field
        self.listed: list[Any] | None = None
        self.changed = False  # since then

    def info(self) -> ModelInfo | None:
        """None where it is not said. Raises ProviderError when the server has models, but not this one."""
        if self.changed:
            self.listed, self.changed = None, False
        found = self._versions()
        if found and self.endpoint.model not in found and "@" in self.endpoint.model:
            self._have_it_loaded()
            found = self._versions()
        if found and self.endpoint.model not in found:
            raise ProviderError(
                f"{self.endpoint.name} does not serve {self.endpoint.model}, only: {', '.join(found)}. "
                "The model is chosen where serve_models runs; name the alias there."
            )
        version = found.get(self.endpoint.model)
        return ModelInfo(**{name: version[name] for name in NAMED if name in version}) if version else None

    def _have_it_loaded(self) -> None:
        """An adapter is listed from when it was first asked for. Raises ProviderError with what kept it from being loaded."""
        try:
            entry, _ = self.endpoint.ask(self.endpoint.client.models.with_raw_response.retrieve)
        except SafetyError as error:
            raise ProviderError(error.message) from error
        self.listed = [*(self.listed or ()), entry]

    def check(self, body: Mapping[str, Any]) -> None:
        """Raises ProviderError when an answer comes from another version than the one that ``info`` gave.

        So does every further answer, until ``info`` is asked again: what named the old version must not go on.
        """
        version = self._versions(ask=False).get(self.endpoint.model)
        if version and body.get("system_fingerprint") != version.get("fingerprint"):
            self.changed = True
            raise ProviderError(
                f"{self.endpoint.name} has changed the model behind {self.endpoint.model} since it was asked which one "
                "it is. Start or resume the run: its verdicts will name the new one."
            )

    @property
    def reads_context(self) -> bool:
        """Whether the model reads more than a text; by what ``info`` was told."""
        return bool(self._versions(ask=False).get(self.endpoint.model, {}).get("reads_context"))

    def _versions(self, *, ask: bool = True) -> dict[str, dict[str, Any]]:
        """By alias. A server that cannot be reached is asked again next time."""
        if self.listed is None and ask and not self.endpoint.is_openai:
            try:
                body, _ = self.endpoint.ask(lambda **_: self.endpoint.client.models.with_raw_response.list())
                self.listed = body["data"] if isinstance(body.get("data"), list) else []
            except SafetyError:
                return {}
        said = {str(e.get("id")): e.get(self.field) for e in self.listed or () if isinstance(e, dict)}
        return {
            alias: version for alias, version in said.items() if isinstance(version, dict) and "provider" in version
        }


def _endpoint(model: str, connection: Connection) -> Endpoint:
    """The endpoint, unless it is given an option that only the process that holds the model can follow."""
    strange = sorted(connection.keys() - Connection.__annotations__.keys())
    if strange and (base_url := connection.get("base_url")):
        raise InputError(
            f"{strange[0]} cannot be set here: {model} is served at {without_login(base_url)}, and the model and its "
            "options are chosen where serve_models runs."
        )
    return Endpoint(model, **connection)


def _is_probability(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1

"""What a program may name as ``model``: classifiers for moderations, and the routes of SAFETY_ROUTES for conversations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from django.conf import settings

from classifiers.errors import InputError, NotFoundError
from classifiers.upstream import ChatServer, Generator, Served, Upstream
from moderation import services as moderation
from moderation.services import Choice, is_known, names
from runs.live import Line
from runs.requests import MAX_CHECKS

# What an unchanged client of OpenAI's asks for; here it is the classifier of SAFETY_MODERATION_MODEL.
OPENAI_NAMES = ("omni-moderation", "text-moderation")
REFUSAL = "This was withheld: it is against the rules of this service."


@dataclass(frozen=True)
class Route:
    """Which model answers, and the checks before and after it. ``on_block`` says how a block is told."""

    alias: str
    generator: str
    input_checks: tuple[str, ...]
    output_checks: tuple[str, ...]
    on_block: Literal["refuse", "error", "redact"] = "refuse"
    refusal: str = REFUSAL

    def line(self, *, more_input: str = "", more_output: str = "") -> Line:
        """What is recorded together, with a further check that the request itself asks for."""
        inputs, outputs = (
            tuple(dict.fromkeys((*checks, more) if more else checks))
            for checks, more in ((self.input_checks, more_input), (self.output_checks, more_output))
        )
        return Line(f"chat {self.alias}", inputs, self.generator, outputs)


class UnknownModelError(NotFoundError):
    code = "model_not_found"


def routes() -> dict[str, Route]:
    return {alias: _route(alias, entry) for alias, entry in settings.SAFETY_ROUTES.items()}


def find_route(alias: str) -> Route:
    entry = settings.SAFETY_ROUTES.get(alias)
    if entry is None:
        known = ", ".join(sorted(settings.SAFETY_ROUTES)) or "none"
        raise UnknownModelError(f"There is no route {alias[:100]!r} here. model names one of: {known}.")
    return _route(alias, entry)


def find_classifier(model: str | None) -> str:
    """The alias that ``model`` stands for. Raises UnknownModelError."""
    if model is None or (model.startswith(OPENAI_NAMES) and not is_known("classifier", model)):
        model = settings.SAFETY_MODERATION_MODEL
    if is_known("classifier", model):
        return model
    known = ", ".join(names("classifier"))
    raise UnknownModelError(f"There is no classifier {model[:100]!r} here. model names one of: {known}.")


def find_classifiers(model: str | None) -> tuple[str, ...]:
    """Those that ``model`` stands for: one, or several as in ``toxicity,pii``. Raises InputError and UnknownModelError."""
    if model is None or is_known("classifier", model):
        return (find_classifier(model),)
    named = [name.strip() for name in model.split(",")]
    if len(named) > MAX_CHECKS:
        raise InputError(f"At most {MAX_CHECKS} classifiers judge a text at once; these are {len(named)}.")
    return tuple(dict.fromkeys(map(find_classifier, named)))


def upstream_of(route: Route) -> Upstream:
    """The server that gets the whole conversation, or the generator that gets the last message.

    A process of ``serve_models`` is one of our generators: its description is that of the model it holds.
    """
    choice = Choice(route.generator)
    provider = moderation.generator(choice)
    if isinstance(provider, Served) and moderation.info_of("generator", choice).provider == "openai":
        return ChatServer(route.generator, provider.endpoint, system_prompt=getattr(provider, "system_prompt", None))
    return Generator(route.generator, provider)


def _route(alias: str, entry: dict[str, Any]) -> Route:
    return Route(
        alias,
        entry["GENERATOR"],
        tuple(entry["INPUT"]),
        tuple(entry["OUTPUT"]),
        entry.get("ON_BLOCK", "refuse"),
        entry.get("REFUSAL", REFUSAL),
    )

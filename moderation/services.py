"""Configured providers: from an alias in settings and a run's options to a working object."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Literal, cast

from django.conf import settings

from classifiers.errors import InputError, ProviderError
from classifiers.loading import describe, load
from classifiers.protocols import AnswerGenerator, Batched, Checkable, ClassifierProvider
from classifiers.types import ModelInfo
from moderation.models import ClassifierVersion

Kind = Literal["classifier", "generator"]
SETTINGS: dict[Kind, str] = {"classifier": "SAFETY_CLASSIFIERS", "generator": "SAFETY_GENERATORS"}


@dataclass(frozen=True)
class Choice:
    """An alias and the options that a run sets over those in settings. Holds no secrets, so it can be stored."""

    alias: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Choice:
        return cls(value["alias"], value.get("options", {}))

    def as_json(self) -> dict[str, Any]:
        return {"alias": self.alias, "options": dict(self.options)}


def aliases(kind: Kind) -> dict[str, dict[str, Any]]:
    return cast(dict[str, dict[str, Any]], getattr(settings, SETTINGS[kind]))


def classifier(choice: Choice) -> ClassifierProvider:
    return cast(ClassifierProvider, _provider("classifier", choice))


def generator(choice: Choice) -> AnswerGenerator:
    return cast(AnswerGenerator, _provider("generator", choice))


def info_of(kind: Kind, choice: Choice) -> ModelInfo:
    """Which model stands behind the choice; may load it. Raises ProviderError when it cannot work."""
    return _described(*_configured(kind, choice))


def version_of(choice: Choice) -> ClassifierVersion:
    """The stored version of the classifier behind the choice, recorded when it is new."""
    return stored_version(choice.alias, info_of("classifier", choice))


def stored_version(alias: str, info: ModelInfo) -> ClassifierVersion:
    return ClassifierVersion.objects.get_or_create(
        alias=alias, fingerprint=info.fingerprint, defaults=ClassifierVersion.fields_of(info)
    )[0]


def forget_versions() -> None:
    """To be called when a provider failed: its server may hold another model now, and verdicts must name that one."""
    _described.cache_clear()


def problems(kind: Kind, choice: Choice) -> list[str]:
    """What keeps the provider from running here, a sentence each with what to do about it."""
    provider = _provider(kind, choice)
    return provider.problems() if isinstance(provider, Checkable) else []


def make_ready(kind: Kind, choice: Choice) -> None:
    """Raises ProviderError, with what to do, unless the provider can work here."""
    if found := problems(kind, choice):
        raise ProviderError(" ".join(found))
    info_of(kind, choice)


def preferred_batch(kind: Kind, choice: Choice) -> int:
    """How many texts the provider wants at a time."""
    provider = _provider(kind, choice)
    return provider.preferred_batch if isinstance(provider, Batched) else 64


def check_alias(kind: Kind, alias: str) -> None:
    """Raises InputError, with the known aliases, when settings have no such one."""
    known = sorted(aliases(kind))
    if alias in known:
        return
    close = get_close_matches(alias, known, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    raise InputError(
        f"There is no {kind} called {alias!r}.{hint} Known: {', '.join(known)}. "
        f"Add one in settings under {SETTINGS[kind]}."
    )


def _provider(kind: Kind, choice: Choice) -> object:
    return _made(*_configured(kind, choice))


def _configured(kind: Kind, choice: Choice) -> tuple[str, str]:
    """The class behind an alias, and its options with those of the choice, as JSON."""
    check_alias(kind, choice.alias)
    entry = aliases(kind)[choice.alias]
    return entry["BACKEND"], json.dumps({**entry.get("OPTIONS", {}), **choice.options}, sort_keys=True)


@lru_cache(maxsize=64)
def _made(backend: str, options: str) -> object:
    """One instance a process, so that two stages and all chunks share the weights."""
    return load(backend, **json.loads(options))


@lru_cache(maxsize=64)
def _described(backend: str, options: str) -> ModelInfo:
    """Asked for once, until ``forget_versions``: it may mean hashing the files of an adapter."""
    return describe(_made(backend, options), json.loads(options))

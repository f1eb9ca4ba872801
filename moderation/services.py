"""Configured providers: from an alias in settings and a run's options to a working object."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Literal, cast

from django.conf import settings

from classifiers.errors import InputError, NotFoundError, ProviderError
from classifiers.loading import describe, load
from classifiers.protocols import AnswerGenerator, Batched, Checkable, ClassifierProvider
from classifiers.types import ModelInfo
from moderation import adapters
from moderation.models import Adapter, ClassifierVersion

Kind = Literal["classifier", "generator"]
MAX_ALIAS = 100
SETTINGS: dict[Kind, str] = {"classifier": "SAFETY_CLASSIFIERS", "generator": "SAFETY_GENERATORS"}


@dataclass(frozen=True)
class Choice:
    """An alias and the options that a run sets over those in settings. Holds no secrets, so it can be stored.

    ``adapter`` is the name of the one that a plain alias is pinned to, empty for none; unless it is pinned, what is
    promoted holds.
    """

    alias: str
    options: Mapping[str, Any] = field(default_factory=dict)
    adapter: str | None = None

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Choice:
        return cls(value["alias"], value.get("options", {}), value.get("adapter"))

    def as_json(self) -> dict[str, Any]:
        pinned = {} if self.adapter is None else {"adapter": self.adapter}
        return {"alias": self.alias, "options": dict(self.options), **pinned}


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
    return problems_of(_provider(kind, choice))


def problems_of(provider: object) -> list[str]:
    """The same of one that is had; asks no database, so any thread may."""
    return provider.problems() if isinstance(provider, Checkable) else []


def make_ready(kind: Kind, choice: Choice) -> None:
    """Raises ProviderError, with what to do, unless the provider can work here."""
    if found := problems(kind, choice):
        raise ProviderError(" ".join(found))
    info_of(kind, choice)


def preferred_batch(kind: Kind, choice: Choice) -> int:
    """How many texts the provider wants at a time."""
    return batch_of(_provider(kind, choice))


def batch_of(provider: object) -> int:
    return provider.preferred_batch if isinstance(provider, Batched) else 64


def names(kind: Kind) -> list[str]:
    """The aliases that can be chosen, and those with an adapter, as ``gemma@mine``."""
    known = sorted(aliases(kind))
    if kind == "classifier" and (taking := [alias for alias in known if adapters.takes_adapters(alias)]):
        known += [f"{alias}{adapters.AT}{name}" for name in adapters.newest() for alias in taking]
    return known


def is_known(kind: Kind, alias: str) -> bool:
    try:
        check_alias(kind, alias)
    except InputError:
        return False
    return True


def check_alias(kind: Kind, alias: str) -> None:
    """Raises InputError, with the known ones, when settings have no such alias, or there is no such adapter."""
    _parted(kind, alias)


def pinned(choice: Choice) -> Choice:
    """The same with what is promoted now: a promotion does not change it any more."""
    alias = choice.alias
    if choice.adapter is not None or not _follows(choice) or not adapters.takes_adapters(alias):
        return choice
    held = adapters.promoted(alias)
    return replace(choice, adapter=held.name if held else "")


def entry_of(kind: Kind, choice: Choice) -> tuple[str, dict[str, Any]]:
    """The class behind an alias, and its options: those of settings, under those of the adapter, under the choice's own."""
    alias, adapter = _parted(kind, choice.alias)
    entry = aliases(kind)[alias]
    if kind == "classifier" and adapter is None:
        adapter = _standing(choice)
    loaded = adapters.over(entry, adapter) if adapter else {}
    return entry["BACKEND"], {**entry.get("OPTIONS", {}), **loaded, **choice.options}


def own_classifier(alias: str, **options: Any) -> tuple[ClassifierProvider, ModelInfo]:
    """One of its own, in this process even where the alias is a client of serve_models, with what it says of itself."""
    entry = adapters.own_entry(alias)
    options = {**entry.get("OPTIONS", {}), **options}
    provider = load(entry["BACKEND"], **options)
    return provider, describe(provider, options)


def _parted(kind: Kind, alias: str) -> tuple[str, Adapter | None]:
    """The alias in settings, and the adapter that is named with it."""
    known = sorted(aliases(kind))
    if alias in known:
        return alias, None
    name, at, adapter = alias.partition(adapters.AT)
    if at and name in known:
        return name, _named(kind, name, adapter)
    close = get_close_matches(alias, known, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    raise InputError(
        f"There is no {kind} called {alias!r}.{hint} Known: {', '.join(known)}. "
        f"Add one in settings under {SETTINGS[kind]}."
    )


def _named(kind: Kind, alias: str, adapter: str) -> Adapter:
    if kind != "classifier" or not adapters.takes_adapters(alias):
        raise InputError(f"{alias} takes no adapters. Name it without {adapters.AT}{adapter[:100]}.")
    if len(alias) + len(adapter) >= MAX_ALIAS:
        raise InputError(f"An alias with its adapter has at most {MAX_ALIAS} characters.")
    try:
        return adapters.find_adapter(adapter)
    except NotFoundError as error:
        raise InputError(error.message) from error


def _provider(kind: Kind, choice: Choice) -> object:
    return _made(*_configured(kind, choice))


def _configured(kind: Kind, choice: Choice) -> tuple[str, str]:
    """The same with the options as JSON."""
    backend, options = entry_of(kind, choice)
    return backend, json.dumps(options, sort_keys=True)


def _standing(choice: Choice) -> Adapter | None:
    """The adapter that a plain alias loads: the one that it is pinned to, else the one that is promoted."""
    if choice.adapter is not None:
        return adapters.find_adapter(choice.adapter) if choice.adapter else None
    return adapters.promoted(choice.alias) if _follows(choice) and adapters.takes_adapters(choice.alias) else None


def _follows(choice: Choice) -> bool:
    """Whether it loads what is promoted; who names weights gets those."""
    return adapters.AT not in choice.alias and not {"base_model", "adapter_path", "model"} & choice.options.keys()


def _made(backend: str, options: str) -> object:
    """One instance a process, so that two stages and all chunks share the weights."""
    return (_few if '"adapter_path"' in options else _many)(backend, options)


def _load(backend: str, options: str) -> object:
    return load(backend, **json.loads(options))


_many = lru_cache(maxsize=64)(_load)
_few = lru_cache(maxsize=3)(_load)  # each adapter comes with a model of its own, and there is always a newer one


@lru_cache(maxsize=64)
def _described(backend: str, options: str) -> ModelInfo:
    """Asked for once, until ``forget_versions``: it may mean hashing the files of an adapter."""
    return describe(_made(backend, options), json.loads(options))

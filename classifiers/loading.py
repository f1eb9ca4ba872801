"""Makes providers from settings, the way Django's CACHES and STORAGES do: a dotted path and its options."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from classifiers.errors import InputError, ProviderError
from classifiers.protocols import Described
from classifiers.types import ModelInfo, digest

SECRETS = ("key", "token", "secret", "password", "authorization")  # how the names of such options end


def load(dotted_path: str, **options: Any) -> Any:
    """An instance of the class at ``dotted_path``; InputError says which part of the path or which option is wrong."""
    module_name, _, class_name = dotted_path.rpartition(".")
    try:
        cls = getattr(import_module(module_name), class_name)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise InputError(f"The provider class {dotted_path} cannot be imported: {error}. Check BACKEND.") from error
    try:
        return cls(**options)
    except TypeError as error:
        raise InputError(f"{class_name} does not take these OPTIONS: {error}.") from error


def describe(provider: object, options: Mapping[str, Any]) -> ModelInfo:
    """The provider's own description, else one made from its class and options."""
    if isinstance(provider, Described):
        return provider.describe()
    cls = type(provider)
    return ModelInfo(provider=f"{cls.__module__}.{cls.__qualname__}", settings=without_secrets(options))


def without_secrets(value: Any, name: str = "") -> Any:
    """Options as they may be stored and shown: of a key only a digest, of an address not who logs in there."""
    if isinstance(value, Mapping):
        return {inner: without_secrets(held, inner) for inner, held in value.items()}
    if name.lower().endswith(SECRETS):
        return digest(str(value))
    return without_login(value) if isinstance(value, str) else value


def without_login(url: str) -> str:
    """The address without the name and password that it may hold."""
    return re.sub("//[^/]*@", "//", url)


def check_threshold(value: float, *, of: str = "") -> None:
    """InputError unless a score can reach it: from a threshold of 50, meant as a percentage, on all texts are safe."""
    if not (isinstance(value, int | float) and 0 <= value <= 1):
        raise InputError(f"The threshold{of and f' of {of}'} is {value}; it must lie between 0 and 1.")


def need(package: str, *, feature: str) -> Any:
    """Imports an optional or heavy package on first use; a missing one becomes a sentence that says what to install."""
    try:
        return import_module(package)
    except ImportError as error:
        name = package.partition(".")[0]
        raise ProviderError(
            f"{feature} needs the package {name}, which cannot be imported ({error}). "
            f"Install it with: pip install -r requirements.txt"
        ) from error

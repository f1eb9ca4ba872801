"""What can run on this machine, and what to do about what can't. Loads no model."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from classifiers.errors import InputError, ProviderError, SafetyError
from classifiers.loading import need
from moderation import services
from moderation.services import SETTINGS, Choice, Kind, aliases, is_known

PACKAGES = ("torch", "transformers", "peft", "bitsandbytes", "gguf", "openai", "datasets")


@dataclass(frozen=True)
class Readiness:
    """One configured provider, and a sentence for each thing that keeps it from running here."""

    kind: Kind
    alias: str
    problems: list[str]


def readiness(only: Sequence[str] = ()) -> Iterator[Readiness]:
    """Of all aliases in settings, or of those named, whether they classify or answer."""
    if unknown := sorted(alias for alias in only if not any(is_known(kind, alias) for kind in SETTINGS)):
        known = sorted({alias for kind in SETTINGS for alias in aliases(kind)})
        raise InputError(f"There is no alias {unknown[0]!r} in settings. Known: {', '.join(known)}.")
    for kind in SETTINGS:
        for alias in dict.fromkeys(only or aliases(kind)):
            if is_known(kind, alias):
                yield Readiness(kind, alias, problems_of(kind, alias))


def problems_of(kind: Kind, alias: str) -> list[str]:
    return checker(kind, alias)()


def checker(kind: Kind, alias: str) -> Callable[[], list[str]]:
    """Looks up what stands behind the alias; what is returned asks it, which any thread may do."""
    try:
        provider = services.classifier(Choice(alias)) if kind == "classifier" else services.generator(Choice(alias))
    except SafetyError as error:  # a wrong BACKEND or option
        return partial(list, [error.message])
    return partial(services.problems_of, provider)


def machine() -> dict[str, Any]:
    """The hardware, packages and logins that providers rest on. Secrets are told of, not told."""
    return {
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "packages": {name: _version(name) for name in PACKAGES},
        **_torch(),
        **_hub(),
        "openai_api_key": bool(os.environ.get("OPENAI_API_KEY")),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _torch() -> dict[str, Any]:
    try:
        torch = need("torch", feature="A local model")
    except ProviderError:
        return {"torch_threads": None, "cuda_devices": []}
    devices = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    return {
        "torch_threads": torch.get_num_threads(),
        "cuda_devices": [f"{device.name}, {device.total_memory / 2**30:.0f} GiB" for device in devices],
    }


def _hub() -> dict[str, Any]:
    try:
        hub = need("huggingface_hub", feature="A model from the Hugging Face hub")
    except ProviderError:
        return {"hub_login": False, "hub_offline": False}
    return {"hub_login": hub.get_token() is not None, "hub_offline": bool(hub.constants.HF_HUB_OFFLINE)}

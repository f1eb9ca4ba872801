"""Adapters behind aliases: ``gemma@mine`` names one, and a promotion has the plain alias load one from then on."""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Max
from django.utils.module_loading import import_string

from classifiers.errors import InputError, NotFoundError
from classifiers.providers.gemma import EMBEDDED_ADAPTER
from classifiers.text import unstorable
from moderation.models import Adapter, Promotion

AT = "@"
COMES_ALONG = "embedded"
MAX_NAME, MAX_SHOWN = 60, 50
NAME = re.compile(rf"[A-Za-z0-9._-]{{1,{MAX_NAME}}}")


def check_name(name: str) -> None:
    """Raises InputError unless it can stand behind an alias."""
    if not NAME.fullmatch(name):
        raise InputError(
            f"An adapter's name has 1 to {MAX_NAME} letters, digits, dots, dashes or underscores, since it is named "
            "after its classifier, as in gemma@mine."
        )


def find_adapter(name: str) -> Adapter:
    adapter = None if unstorable(name) else Adapter.objects.filter(name=name).first()
    if adapter is None:
        known = newest()
        close = get_close_matches(name, known, n=1)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise NotFoundError(f"There is no adapter {name[:MAX_NAME]!r}.{hint} Known: {', '.join(known) or 'none'}.")
    return adapter


def adapter_folder(name: str) -> Path:
    """Where an adapter lies: a recorded one, or the one that comes with the embedded model. NotFoundError for another name."""
    if name == COMES_ALONG and not Adapter.objects.filter(name=name).exists():
        return EMBEDDED_ADAPTER
    return Path(find_adapter(name).folder)


def usual_start(alias: str) -> str:
    """The adapter that an alias judges with now, by name; empty when it has none."""
    if held := promoted(alias):
        return held.name
    return COMES_ALONG if own_entry(alias).get("OPTIONS", {}).get("base_model") == COMES_ALONG else ""


def newest() -> list[str]:
    """The names that are offered."""
    return list(Adapter.objects.order_by("-pk").values_list("name", flat=True)[:MAX_SHOWN])


def plain(alias: str) -> str:
    """The alias in settings that ``gemma@mine`` is a form of."""
    return alias.partition(AT)[0]


def promoted(alias: str) -> Adapter | None:
    """What a plain alias loads now."""
    row = Promotion.objects.filter(alias=alias).select_related("adapter").order_by("-pk").first()
    return row.adapter if row else None


def holding() -> dict[str, int]:
    """By alias the number of the adapter that is promoted, of those that have one."""
    newest_rows = Promotion.objects.values("alias").annotate(newest=Max("pk")).values("newest")
    rows = Promotion.objects.filter(pk__in=newest_rows, adapter__isnull=False)
    return dict(rows.values_list("alias", "adapter_id"))


def own_entry(alias: str) -> Mapping[str, Any]:
    """The entry of a classifier that loads it in this process, also where the alias is a client of serve_models: then with the
    base model that this was told to load."""
    entry: Mapping[str, Any] = settings.SAFETY_SERVED.get(alias) or settings.SAFETY_CLASSIFIERS[alias]
    if alias not in settings.SAFETY_SERVED or not _has_place(str(entry["BACKEND"])):
        return entry
    told = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    told.add_argument("--gemma-base-model", dest="base_model", default=argparse.SUPPRESS)
    return {
        **entry,
        "OPTIONS": {**entry.get("OPTIONS", {}), **vars(told.parse_known_args(settings.SAFETY_SERVED_MODELS)[0])},
    }


def takes_adapters(alias: str) -> bool:
    """Whether an alias of the settings is a classifier that an adapter can be loaded into."""
    if alias not in settings.SAFETY_CLASSIFIERS:
        return False
    entry = own_entry(alias)
    return _is_served(entry) or _has_place(str(entry["BACKEND"]))


def can_train(alias: str) -> bool:
    """Whether this process can load the model of an alias of the settings to train an adapter for it."""
    return takes_adapters(alias) and not _is_served(own_entry(alias))


def over(entry: Mapping[str, Any], adapter: Adapter) -> dict[str, Any]:
    """The options that have an alias of this entry judge with the adapter; a client of serve_models names it there."""
    options = entry.get("OPTIONS", {})
    if _is_served(entry):
        return {"model": f"{options['model']}{AT}{adapter.name}"}
    return {"base_model": adapter.base_model, "adapter_path": adapter.folder}


def _is_served(entry: Mapping[str, Any]) -> bool:
    return bool({"base_url", "model"} <= entry.get("OPTIONS", {}).keys())


@lru_cache
def _has_place(backend: str) -> bool:
    try:
        return "adapter_path" in inspect.signature(import_string(backend)).parameters
    except (ImportError, TypeError, ValueError):  # told where it is loaded
        return False

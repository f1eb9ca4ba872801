"""System checks: a wrong provider setting stops the start, not the first run."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error, register

from moderation.services import SETTINGS, aliases


@register
def providers_are_well_formed(**kwargs: Any) -> list[CheckMessage]:
    return [
        Error(
            f'{SETTINGS[kind]}["{alias}"] must be a dict with BACKEND (a dotted path) and OPTIONS (a dict), under a name '
            "of at most 100 characters.",
            hint='Example: {"BACKEND": "classifiers.providers.openai.OpenAIModeration", "OPTIONS": {}}',
            id="moderation.E001",
        )
        for kind in SETTINGS
        for alias, entry in aliases(kind).items()
        if not _well_formed(entry) or len(alias) > 100
    ]


def _well_formed(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("BACKEND"), str)
        and "." in entry["BACKEND"]
        and isinstance(entry.get("OPTIONS", {}), dict)
        and not entry.keys() - {"BACKEND", "OPTIONS"}
    )

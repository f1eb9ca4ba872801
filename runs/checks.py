"""System checks: settings that would lose or repeat work, or let texts pass unjudged, stop the start."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from moderation.adapters import plain

ROUTE_KEYS = {"GENERATOR", "INPUT", "OUTPUT", "ON_BLOCK", "REFUSAL"}


@register
def task_queue_is_sound(**kwargs: Any) -> list[CheckMessage]:
    q: dict[str, Any] = settings.Q_CLUSTER
    timeout, retry = q.get("timeout") or 0, q.get("retry", 60)
    rules = [
        (
            "max_attempts" in q and q["max_attempts"] > 0,
            "max_attempts must be set: without it a failing task is retried for ever.",
            "Set it to 3.",
        ),
        (
            0 < timeout * 2 <= retry,
            "retry must be at least twice timeout, or a task that still runs is started again.",
            f"timeout is {timeout} s, retry is {retry} s.",
        ),
        (
            q.get("save_limit", 250) <= 0,
            "save_limit must be -1 or 0: any other makes each finished task lock and read all kept ones.",
            "Set it to -1.",
        ),
        (
            q.get("queue_limit", 50) <= 4 * q.get("workers", 1),
            "queue_limit must be small: tasks wait behind others in a cluster that took too many.",
            "Set it to twice the number of workers.",
        ),
        (
            settings.SAFETY_LEASE_SECONDS >= 1,
            "SAFETY_LEASE_SECONDS must be at least 1.",
            "Set AI_SAFETY_MONITOR_LEASE_SECONDS.",
        ),
        (
            settings.SAFETY_WATCHDOG_SECONDS >= 5,
            "SAFETY_WATCHDOG_SECONDS must be at least 5: workers need a while to start.",
            "Set AI_SAFETY_MONITOR_WATCHDOG_SECONDS.",
        ),
    ]
    return [
        Error(f"Task queue: {message}", hint=hint, id=f"runs.E{number:03}")
        for number, (holds, message, hint) in enumerate(rules, start=1)
        if not holds
    ]


@register
def routes_are_well_formed(**kwargs: Any) -> list[CheckMessage]:
    """A route that names what is not there would refuse every request; one without checks would let everything pass."""
    found: list[CheckMessage] = [
        Error(
            f'SAFETY_ROUTES["{alias}"] is not well formed: {why}.',
            hint='Example: {"GENERATOR": "openai", "INPUT": ["openai"], "OUTPUT": ["openai"], "ON_BLOCK": "refuse"}',
            id="runs.E007",
        )
        for alias, entry in settings.SAFETY_ROUTES.items()
        if (why := _flaw_of_route(entry))
    ]
    if plain(settings.SAFETY_MODERATION_MODEL) not in settings.SAFETY_CLASSIFIERS:
        said = f"SAFETY_MODERATION_MODEL is {settings.SAFETY_MODERATION_MODEL!r}, which is no classifier."
        hint = f"Set AI_SAFETY_MONITOR_MODERATION_MODEL to one of: {', '.join(settings.SAFETY_CLASSIFIERS)}."
        found.append(Error(said, hint=hint, id="runs.E008"))
    return found


@register
def texts_can_be_redacted(**kwargs: Any) -> list[CheckMessage]:
    """Without its check nothing would be stored, result after result."""
    if settings.SAFETY_STORE_TEXT != "redacted" or settings.SAFETY_REDACTOR in settings.SAFETY_CLASSIFIERS:
        return []
    said = f"SAFETY_REDACTOR is {settings.SAFETY_REDACTOR!r}, which is no classifier: no text could be redacted."
    return [Error(said, hint="Set AI_SAFETY_MONITOR_REDACTOR to pii, or to another that finds places.", id="runs.E010")]


@register
def fails_closed(**kwargs: Any) -> list[CheckMessage]:
    """Whoever starts a process that fails open reads so."""
    if not settings.SAFETY_FAIL_OPEN:
        return []
    said = "SAFETY_FAIL_OPEN is on: a text that a check could not judge passes all the same, told as degraded."
    return [Warning(said, hint="Leave AI_SAFETY_MONITOR_FAIL_OPEN out, and nothing passes unjudged.", id="runs.W009")]


def _flaw_of_route(entry: object) -> str:
    if not isinstance(entry, dict) or (unknown := sorted(entry.keys() - ROUTE_KEYS)):
        return f"it has {unknown[0]!r}" if isinstance(entry, dict) else "it is no dict"
    if entry.get("GENERATOR") not in settings.SAFETY_GENERATORS:
        return f"GENERATOR is {entry.get('GENERATOR')!r}, which is none of SAFETY_GENERATORS"
    for stage in ("INPUT", "OUTPUT"):
        checks = entry.get(stage)
        if (
            not isinstance(checks, list)
            or not checks
            or not {plain(str(each)) for each in checks} <= settings.SAFETY_CLASSIFIERS.keys()
        ):
            return f"{stage} must be a list of at least one of SAFETY_CLASSIFIERS"
    if entry.get("ON_BLOCK", "refuse") not in ("refuse", "error", "redact"):
        return "ON_BLOCK is refuse, error or redact"
    if entry.get("ON_BLOCK") == "redact" and settings.SAFETY_REDACTOR not in entry["OUTPUT"]:
        return f"ON_BLOCK is redact, and {settings.SAFETY_REDACTOR}, which finds what is redacted, is not in OUTPUT"
    refusal = entry.get("REFUSAL", "-")
    return "" if isinstance(refusal, str) and refusal else "REFUSAL is the text of a refusal"

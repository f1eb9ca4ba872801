"""System checks: task queue settings that would lose or repeat work stop the start."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register


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

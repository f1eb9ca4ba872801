"""The groups that people are in, and what each may do."""

from __future__ import annotations

from django.contrib.auth.models import Group, Permission
from django.db import transaction

from audit.services import record

READ = frozenset(
    {
        *("runs.view_run", "runs.view_result", "runs.view_verdict", "runs.view_runlog"),
        *("moderation.view_classifierversion", "moderation.view_policy", "moderation.view_adapter"),
        "governance.view_evaluation",
        "governance.view_driftassessment",
        *("review.view_queue", "review.oversee", "review.view_savedview"),
    }
)
LEAD = READ | {
    *("review.lead", "review.work", "review.adjudicate", "review.export"),
    *("runs.add_run", "runs.change_run", "runs.moderate", "moderation.set_policy"),
    *("governance.add_evaluation", "moderation.train_adapter", "moderation.promote_adapter"),
}
ADMIN = LEAD | {
    "audit.view_auditevent",
    *(f"integrations.{verb}_apitoken" for verb in ("add", "change", "view")),
    *(f"integrations.{verb}_webhook" for verb in ("add", "change", "delete", "view")),
    *(f"integrations.{verb}_delivery" for verb in ("change", "view")),
    *(f"auth.{verb}_{model}" for verb in ("add", "change", "delete", "view") for model in ("user", "group")),
}

# Who may see the record sees the machine's verdicts, and so may not work in blind queues (review.rights).
ROLES: dict[str, frozenset[str]] = {
    "reviewer": frozenset({"review.work", "moderation.view_policy"}),
    "senior": frozenset({"review.work", "review.adjudicate", "moderation.view_policy"}),
    "lead": LEAD,
    "auditor": READ | {"audit.view_auditevent"},
    "admin": ADMIN,
    # For the accounts of programs: they have texts judged and answered, and see nothing of the record.
    "program": frozenset({"runs.moderate"}),
}


def ensure_roles(*, actor: str) -> None:
    """Makes the groups that lack, and gives each of ours exactly its permissions; other groups are left alone."""
    by_name = {f"{p.content_type.app_label}.{p.codename}": p for p in Permission.objects.select_related("content_type")}
    with transaction.atomic():
        changed = {}
        for name, wanted in ROLES.items():
            group, _ = Group.objects.get_or_create(name=name)
            held = {
                f"{p.content_type.app_label}.{p.codename}" for p in group.permissions.select_related("content_type")
            }
            if held != wanted:
                group.permissions.set([by_name[permission] for permission in sorted(wanted)])
                changed[name] = {"before": sorted(held), "after": sorted(wanted)}
        if changed:
            record("roles.changed", actor=actor, data=changed)

"""What happens to accounts and logins, in the audit trail. Each function writes one entry, in the caller's transaction or its own."""

from __future__ import annotations

from typing import Any, TypeAlias

from django.contrib.auth.models import AbstractBaseUser, Group, Permission, User
from django.db import transaction
from django.utils.crypto import salted_hmac

from audit.services import JSONValue, record

Rights: TypeAlias = dict[str, Any]


def actor_of(user: AbstractBaseUser) -> str:
    return f"user:{user.get_username()}"


def note_login(user: User, *, address: str | None) -> None:
    with transaction.atomic():
        record("auth.login", actor=actor_of(user), target=user, data={"address": address})


def note_logout(user: User) -> None:
    with transaction.atomic():
        record("auth.logout", actor=actor_of(user), target=user)


def note_refused(name: str, *, address: str | None) -> None:
    _note_visitor("auth.login_refused", name, address=address, data={})


def note_locked_out(name: str, *, address: str | None, minutes: int) -> None:
    _note_visitor("auth.locked_out", name, address=address, data={"minutes": minutes})


def note_password(user: User, *, actor: str) -> None:
    with transaction.atomic():
        record("user.password_changed", actor=actor, target=user, data={"name": user.get_username()})


def rights_of(user: User) -> Rights:
    """What the stored account may do: read it before and after a change."""
    stored = User.objects.get(pk=user.pk)
    return {
        "name": stored.username,
        **{flag: getattr(stored, flag) for flag in ("is_active", "is_staff", "is_superuser")},
        "groups": sorted(stored.groups.values_list("name", flat=True)),
        "permissions": _names(stored.user_permissions.all()),
    }


def rights_of_group(group: Group) -> Rights:
    stored = Group.objects.get(pk=group.pk)
    return {"name": stored.name, "permissions": _names(stored.permissions.all())}


def note_saved(account: User | Group, *, before: Rights | None, after: Rights, actor: str) -> None:
    """An account or a group was made (nothing before) or changed; of a change only what differs is kept."""
    kind = account._meta.model_name
    data: JSONValue = after
    if before is not None:
        changed = [key for key in after if after[key] != before[key]]
        pairs = {"before": before, "after": after}
        data = {"name": after["name"]} | {when: {key: rights[key] for key in changed} for when, rights in pairs.items()}
    with transaction.atomic():
        record(f"{kind}.{'created' if before is None else 'changed'}", actor=actor, target=account, data=data)


def note_deleted(account: User | Group, *, before: Rights, actor: str) -> None:
    """Call it before the row is gone: the entry names its key."""
    with transaction.atomic():
        record(f"{account._meta.model_name}.deleted", actor=actor, target=account, data=before)


def _note_visitor(action: str, name: str, *, address: str | None, data: dict[str, JSONValue]) -> None:
    """Somebody who is not logged in.

    A name that no account bears may be a password typed into the wrong field, and the chain is for ever: of such a name
    only a keyed digest is kept, which shows that the same one was tried again.
    """
    user = User.objects.filter(username=name).first() if "\0" not in name else None
    told: JSONValue = {"name": user.username} if user else {"unknown_name": _digest(name)}
    with transaction.atomic():
        record(action, actor=f"visitor:{address or 'unknown'}", target=user, data={**told, **data})  # type: ignore[dict-item]


def _digest(name: str) -> str:
    encoded = name.encode(errors="backslashreplace")
    return salted_hmac("audit.unknown_name", encoded, algorithm="sha256").hexdigest()[:16]


def _names(permissions: Any) -> list[str]:
    found: list[Permission] = permissions.select_related("content_type")
    return sorted(f"{p.content_type.app_label}.{p.codename}" for p in found)

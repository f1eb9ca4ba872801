"""Tokens: made, used and revoked. The key is shown once and kept as a digest only."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from audit.services import record
from classifiers.errors import ForbiddenError, InputError, NotFoundError
from classifiers.text import unstorable
from integrations.models import MAX_NAME, ApiToken, Scope
from integrations.querysets import ApiTokenQuerySet

PREFIX = "asm_"  # so that a leaked key is found by scanners of secrets
SHOWN = 12  # characters of a key that stay readable
LONGEST = 200
USED_EVERY = timedelta(minutes=1)


def create_token(
    user: User, *, name: str, scopes: Sequence[str], expires_at: datetime | None, actor: str
) -> tuple[ApiToken, str]:
    """A token for a person, and its key, which is told this once. Raises InputError."""
    _check(name, scopes, expires_at)
    key = PREFIX + secrets.token_urlsafe(32)
    token = ApiToken(
        user=user,
        name=name,
        prefix=key[:SHOWN],
        digest=digest_of(key),
        scopes=sorted(set(scopes)),
        expires_at=expires_at,
        created_by=actor,
    )
    with transaction.atomic():
        try:
            token.validate_constraints()
        except ValidationError as error:
            raise InputError(" ".join(error.messages)) from error
        token.save(force_insert=True)
        data = {"user": user.get_username(), "name": name, "scopes": token.scopes}
        ends = expires_at.isoformat() if expires_at else None
        record("token.created", actor=actor, target=token, data={**data, "expires_at": ends})
    return token, key


def ends_in(days: int) -> datetime:
    """When a token that lives for so many days expires. Raises InputError for more than SAFETY_TOKEN_DAYS."""
    if not 1 <= days <= settings.SAFETY_TOKEN_DAYS:
        raise InputError(
            f"A token lives for 1 to {settings.SAFETY_TOKEN_DAYS} days. Make a new one when it has expired."
        )
    return timezone.now() + timedelta(days=days)


def _check(name: str, scopes: Sequence[str], expires_at: datetime | None) -> None:
    if not 0 < len(name) <= MAX_NAME or unstorable(name):
        raise InputError(f"A token needs a name of 1 to {MAX_NAME} characters of plain text.")
    if not scopes or (unknown := sorted(set(scopes) - set(Scope.values))):
        said = f"There is no scope {unknown[0][:60]!r}. " if scopes else ""
        raise InputError(f"{said}Give a token one or more of: {', '.join(Scope.values)}.")
    if expires_at and expires_at <= timezone.now():
        raise InputError("The token would have expired already. Choose a time to come.")


def revoke_token(token: ApiToken, *, actor: str) -> ApiToken:
    """From now on its key opens nothing. A second time changes nothing."""
    with transaction.atomic():
        now = timezone.now()
        if ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now):
            record("token.revoked", actor=actor, target=token, data={"name": token.name})
    token.refresh_from_db()
    return token


def tokens_for(person: User) -> ApiTokenQuerySet:
    """Those that a person may see and revoke: their own, or everybody's."""
    found = ApiToken.objects.select_related("user").order_by("-pk")
    return found if person.has_perm("integrations.change_apitoken") else found.filter(user=person)


def find_token(pk: int, *, person: User | None = None) -> ApiToken:
    """Any token, or one that ``person`` may see and revoke. Raises NotFoundError."""
    tokens = tokens_for(person) if person else ApiToken.objects.select_related("user")
    return _first(tokens.filter(pk=pk), pk)


def find_own_token(pk: int, *, person: User) -> ApiToken:
    return _first(ApiToken.objects.select_related("user").filter(pk=pk, user=person), pk)


def _first(tokens: ApiTokenQuerySet, pk: int) -> ApiToken:
    token = tokens.first()
    if token is None:
        raise NotFoundError(f"There is no token {pk} that is yours to look at. Take one of the list.")
    return token


def token_of(key: str) -> ApiToken:
    """The token of a key, noted as used. Raises ForbiddenError with status 401 unless it can be used now."""
    now = timezone.now()
    token = ApiToken.objects.select_related("user").filter(digest=digest_of(key)).first()
    if token is None or len(key) > LONGEST:
        raise UnusableTokenError("This token is not known here. Copy it again, or make a new one in the console.")
    if token.revoked_at:
        raise UnusableTokenError(f"The token {token.name} was revoked. Make a new one in the console.")
    if token.expires_at and token.expires_at <= now:
        raise UnusableTokenError(f"The token {token.name} expired on {token.expires_at:%Y-%m-%d}. Make a new one.")
    if not token.user.is_active:
        raise UnusableTokenError("The account of this token is switched off. Ask an administrator.")
    if token.last_used_at is None or token.last_used_at < now - USED_EVERY:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return token


def digest_of(key: str) -> str:
    """SHA-256: a key of 256 random bits needs no slow hash."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


class UnusableTokenError(ForbiddenError):
    code = "token_unusable"
    status = 401

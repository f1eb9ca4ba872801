from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict
from datetime import UTC, timedelta
from typing import Any, TypeAlias

import rfc8785
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Model
from django.utils import timezone

from audit.chain import NO_CHECKPOINT, ChainState, Checkpoint, Fault, Verification, fault_in
from audit.models import GENESIS, AuditEvent, ChainCheck
from audit.querysets import EntryFilter, Page
from classifiers.errors import ConflictError, InputError, NotFoundError, SafetyError

JSONValue: TypeAlias = "bool | int | float | str | Sequence[JSONValue] | Mapping[str, JSONValue] | None"

MAX_DATA_BYTES = 64 * 1024
# Entries that are verified while somebody waits: of a whole chain, and of what came after its last check.
SHORT, FEW = 20_000, 1_000
# How long a check that was asked for may wait for a worker before another is asked for.
PATIENCE = timedelta(minutes=15)
POSTGRESQL_LOCK = 0x6175646974  # "audit": the chain's advisory lock

# What Django's converters and the hash raise at a value that no entry was ever recorded with: SQLite stores any.
UNREADABLE = (ValueError, TypeError, AttributeError)


# By what a person acts where it is not their own hand: "token 3". Each request sets it, and the entries of the chain name it.
VIA: ContextVar[str] = ContextVar("via", default="")


class OutsideTransactionError(SafetyError):
    """An event was to be recorded outside the transaction of what it records."""

    code = "outside_transaction"


def record(action: str, *, actor: str, target: Model | None = None, data: JSONValue = None) -> AuditEvent:
    """Appends an event to the chain, in the transaction of what it records; call it last there.

    Until that transaction ends, all others that record wait. ``action`` is like "run.created", ``actor`` like
    "user:alice" or "command:run_pipeline by root". ``data`` is JSON of at most 64 KiB; the text of a prompt never
    goes in, its ``commitment`` does. Raises OutsideTransactionError, and InputError for what cannot be recorded.
    """
    if not connection.in_atomic_block:
        raise OutsideTransactionError(
            f"The audit event {action!r} was recorded outside a transaction. "
            "Record it in the transaction.atomic() block of the change itself, so that both happen or neither."
        )
    if via := VIA.get():
        data = {**(data if isinstance(data, Mapping) else {"data": data} if data is not None else {}), "via": via}
    event = AuditEvent(action=action, actor=actor, data=_data_text(data))
    if target is not None:
        event.target_type, event.target_id = _name(target)
    _require_storable(event)
    _lock_chain()
    size, event.previous = _head()
    event.sequence, event.time = size + 1, timezone.now()
    event.hash = event.digest()
    event.save(force_insert=True)
    return event


def verify(*, checkpoint: Mapping[str, Any] | None = None) -> Verification:
    """Reads the whole chain in order and stops at the first bad entry.

    With a ``checkpoint``, the chain must still hold the entry that was its head then: this finds what the chain alone
    cannot show, a cut tail or a chain built anew. Raises InputError when the checkpoint is none.
    """
    return _verify(NO_CHECKPOINT if checkpoint is None else Checkpoint.parse(checkpoint))


def check_chain(*, actor: str) -> ChainCheck:
    """Verifies the chain, also against the last good check, and stores what came of it."""
    return finish_check(ask_check(actor=actor))


def ask_check(*, actor: str) -> ChainCheck:
    """A check that is not finished: the one that was asked for lately, else a new one."""
    return waiting_check() or ChainCheck.objects.create(actor=actor, asked_at=timezone.now())


def waiting_check() -> ChainCheck | None:
    """The check that somebody asked for and no worker has finished yet."""
    return ChainCheck.objects.filter(finished_at__isnull=True, asked_at__gt=timezone.now() - PATIENCE).first()


def finish_check(check: ChainCheck) -> ChainCheck:
    return store_check(check, verify(checkpoint=last_mark()))


def last_mark() -> dict[str, Any] | None:
    """The last good check as a checkpoint: weaker than one kept elsewhere, but it asks nobody for a file."""
    good = ChainCheck.objects.good().order_by("-size", "-pk").first()
    return asdict(_mark(good)) if good else None


def store_check(check: ChainCheck, verification: Verification) -> ChainCheck:
    """Stores what was found, and records that the chain was looked at."""
    check.size, check.head, check.finished_at = verification.size, verification.head, timezone.now()
    if fault := verification.fault:
        check.fault, check.fault_at = str(fault), fault.sequence
    with transaction.atomic():
        if not fault:
            last = ChainCheck.objects.last()
            check.whole_since = last.whole_since if last and last.whole_since else check.finished_at
        check.save()
        data: JSONValue = {"size": check.size, "head": check.head, "fault": check.fault}
        record("audit.chain_checked", actor=check.actor, target=check, data=data)
    return check


def chain_state() -> ChainState:
    """What is known of the chain without reading all of it."""
    check, newest = ChainCheck.objects.last(), _head()[0]
    newer = newest - check.size if check else newest
    return ChainState(
        check=check,
        newer=newer,
        verification=_verify_newer(check) if check and not check.fault and newer <= FEW else None,
        waiting=waiting_check() is not None,
    )


def fault_of(event: AuditEvent) -> Fault | None:
    """What is wrong with one entry, as the successor of the one before it."""
    before = AuditEvent.objects.filter(sequence=event.sequence - 1).values_list("sequence", "hash").first()
    return fault_in(event, *(before or (0, GENESIS)))


def entries(wanted: EntryFilter, *, size: int, before: int | None = None, after: int | None = None) -> Page:
    """A page of the trail; ConflictError when one of its entries was changed so that it cannot be read."""
    with _readable("One of these audit entries"):
        return AuditEvent.objects.page(wanted, size=size, before=before, after=after)


def find_entry(sequence: int) -> AuditEvent:
    with _readable(f"Audit entry {sequence}"):
        event = AuditEvent.objects.filter(sequence=sequence).first()
    if event is None:
        raise NotFoundError(f"There is no audit entry {sequence}. Numbers count from 1; look at the list.")
    return event


@contextmanager
def _readable(what: str) -> Iterator[None]:
    try:
        yield
    except UNREADABLE as error:
        raise ConflictError(
            f"{what} cannot be read, so somebody changed it past this site. "
            "Run audit_verify: it names the entry and what is wrong with it."
        ) from error


def is_short() -> bool:
    """Whether the chain can be verified while somebody waits."""
    return _head()[0] <= SHORT


def _mark(check: ChainCheck) -> Checkpoint:
    return Checkpoint(check.size, check.head, f"{check.finished_at:%Y-%m-%d %H:%M} UTC")


def _verify_newer(check: ChainCheck) -> Verification:
    """Verifies what came after a good check, and that its head still stands where it stood."""
    mark, event = _mark(check), AuditEvent.objects.filter(sequence=check.size).first()
    fault = mark.fault_at(event) if event else mark.fault_after(_head()[0])
    return Verification(check.size, check.head, fault) if fault else _verify(mark, size=check.size, head=check.head)


def _verify(mark: Checkpoint, *, size: int = 0, head: str = GENESIS) -> Verification:
    events = AuditEvent.objects.filter(sequence__gt=size) if size else AuditEvent.objects.all()
    try:
        for event in events.order_by("sequence").iterator(chunk_size=1000):
            if fault := fault_in(event, size, head) or mark.fault_at(event):
                return Verification(size, head, fault)
            size, head = event.sequence, event.hash
    except UNREADABLE as error:
        return Verification(size, head, Fault(size + 1, f"it cannot be read, so it was changed ({error})"))
    return Verification(size, head, mark.fault_after(size))


def checkpoint() -> dict[str, str | int]:
    """The chain's size, head and the present date (UTC). Kept elsewhere, it shows a later cut or rebuilding."""
    size, head = _head()
    return {"size": size, "head": head, "date": timezone.now().astimezone(UTC).isoformat(timespec="seconds")}


def commitment(value: JSONValue, *, salt: str) -> str:
    """HMAC-SHA256 of the canonical JSON of ``value`` under ``salt``, as 64 hex digits.

    It shows later that a text was this one, to whoever has text and salt; when the salt is erased, it says nothing.
    """
    return hmac.new(salt.encode(), _canonical(value), "sha256").hexdigest()


def new_salt() -> str:
    """256 random bits as 64 hex digits. It belongs beside the text and is erased with it."""
    return secrets.token_hex(32)


def _canonical(value: JSONValue) -> bytes:
    try:
        return rfc8785.dumps(value)  # type: ignore[arg-type]
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"This cannot be written as canonical JSON (RFC 8785): {error}. It takes null, booleans, Unicode text, finite "
            "numbers, integers up to 2^53 - 1, and lists and dicts of these; write a larger integer as text."
        ) from error


def _data_text(data: JSONValue) -> str:
    encoded = _canonical(data)
    if len(encoded) > MAX_DATA_BYTES:
        raise InputError(
            f"The data of an audit event is {len(encoded)} bytes of JSON; at most {MAX_DATA_BYTES} are taken. "
            "Record counts, ids and commitments, and leave the texts where they are stored."
        )
    return encoded.decode()


def _name(target: Model) -> tuple[str, str]:
    if target.pk is None:
        raise InputError(
            f"The target of an audit event has no key: {target._meta.label_lower} is not saved, or is deleted."
        )
    return target._meta.label_lower, str(target.pk)


def _lock_chain() -> None:
    """Held to the end of the transaction. On SQLite, IMMEDIATE transactions come one after another by themselves."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [POSTGRESQL_LOCK])


def _head() -> tuple[int, str]:
    return AuditEvent.objects.order_by("-sequence").values_list("sequence", "hash").first() or (0, GENESIS)


def _require_storable(event: AuditEvent) -> None:
    try:
        event.clean_fields(exclude={"sequence", "time", "previous", "hash"})
    except ValidationError as error:
        why = " ".join(f"{field}: {' '.join(texts)}" for field, texts in error.message_dict.items())
        raise InputError(f"The audit event {event.action!r} cannot be recorded. {why}") from error

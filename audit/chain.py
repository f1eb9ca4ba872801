"""What a whole chain looks like, and the names of what can be wrong with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audit.models import GENESIS, AuditEvent, ChainCheck
from classifiers.errors import InputError


@dataclass(frozen=True, slots=True)
class Fault:
    """The first entry that is not as it was recorded, and why."""

    sequence: int
    reason: str

    def __str__(self) -> str:
        return f"Entry {self.sequence}: {self.reason}."


@dataclass(frozen=True, slots=True)
class Verification:
    """How many entries were found whole, the hash of the last of them, and what is wrong after it, if anything."""

    size: int
    head: str
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class ChainState:
    """The last check of the whole chain, and what can be said of the entries after it.

    ``verification`` is None when there are too many of those to look at now, or when the check itself failed.
    """

    check: ChainCheck | None
    newer: int
    verification: Verification | None
    waiting: bool

    @property
    def fault(self) -> str:
        """What is wrong, if anything that is known of is."""
        if self.verification and self.verification.fault:
            return str(self.verification.fault)
        return self.check.fault if self.check else ""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The size and head of the chain on a date, kept elsewhere."""

    size: int
    head: str
    date: str

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> Checkpoint:
        """The checkpoint that ``audit_checkpoint`` wrote; InputError when this is none."""
        match value:
            case {"size": int(size), "head": str(head), "date": str(date)} if (
                size >= 0 and not isinstance(size, bool) and re.fullmatch("[0-9a-f]{64}", head)
            ):
                return cls(size, head, date)
        raise InputError(
            "This is not a checkpoint of the audit chain: it needs a size, a head of 64 hex digits and a date, "
            "as audit_checkpoint writes them."
        )

    def fault_at(self, event: AuditEvent) -> Fault | None:
        if event.sequence != self.size or event.hash == self.head:
            return None
        return Fault(
            self.size, f"its hash is not the one that the checkpoint of {self.date} holds; the chain was rebuilt"
        )

    def fault_after(self, size: int) -> Fault | None:
        if size >= self.size:
            return None
        return Fault(
            size + 1,
            f"it is missing; the tail was cut off, for the checkpoint of {self.date} counts {self.size} entries",
        )


NO_CHECKPOINT = Checkpoint(0, GENESIS, "")


def fault_in(event: AuditEvent, size: int, head: str) -> Fault | None:
    """What is wrong with ``event`` as the successor of ``size`` whole entries that end with the hash ``head``."""
    if event.sequence != size + 1:
        return _out_of_sequence(event.sequence, size)
    if event.previous != head:
        return Fault(event.sequence, _broken_link(event, size))
    if event.hash != event.digest():
        return Fault(event.sequence, "its content does not give its hash; it was changed after it was recorded")
    return None


def _out_of_sequence(sequence: int, size: int) -> Fault:
    if not isinstance(sequence, int) or sequence < 1:
        return Fault(size + 1, f"{sequence!r} stands in its place, which is no number of an entry")
    if sequence <= size:
        return Fault(sequence, "it is there twice (a duplicate)")
    if size == 0:
        return Fault(1, f"it is missing; the chain begins with entry {sequence} in place of its genesis")
    return Fault(size + 1, f"it is missing; there is a gap from entry {size} to entry {sequence}")


def _broken_link(event: AuditEvent, size: int) -> str:
    if size == 0:
        return "it is not the genesis of the chain: the hash before it is not 64 zeros"
    follows = AuditEvent.objects.filter(hash=event.previous).values_list("sequence", flat=True).first()
    if event.previous == GENESIS or follows is not None:
        return f"the order is wrong; it follows entry {follows or 0}, not entry {size}"
    return f"its link is broken; the hash before it is not that of entry {size}, so one of the two was changed"

"""Whether the results of a run are still those that the audit trail committed to when they were saved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from audit.models import AuditEvent
from runs.models import Result, Run
from runs.recording import COMMITTED, result_commitment


@dataclass(frozen=True, slots=True)
class Discrepancy:
    position: int
    reason: str

    def __str__(self) -> str:
        return f"Result {self.position} {self.reason}"


def discrepancies(run: Run) -> Iterator[Discrepancy]:
    """What was changed, put in or taken out behind the services' back. Judged again, a result has its newest commitment.

    This says nothing about the trail itself: audit.services.verify does.
    """
    committed = _commitments(run)
    for result in (
        Result.objects.filter(run=run).only(*COMMITTED, "salt").order_by("position").iterator(chunk_size=1000)
    ):
        expected = committed.pop(str(result.position), None)
        if expected is None:
            yield Discrepancy(result.position, "was never recorded in the audit trail.")
        elif expected != result_commitment(result, result.verdicts.all()):
            yield Discrepancy(result.position, "is not as it was when the audit trail recorded it.")
    for position in sorted(map(int, committed)):
        yield Discrepancy(position, "was recorded in the audit trail and is gone.")


def _commitments(run: Run) -> dict[str, str]:
    saved = AuditEvent.objects.filter(
        action="run.chunk_saved", target_type=run._meta.label_lower, target_id=str(run.pk)
    ).order_by("sequence")
    committed: dict[str, str] = {}
    for event in saved.iterator(chunk_size=100):
        committed |= event.details["results"]
    return committed

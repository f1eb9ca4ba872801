"""The background door: a long chain is verified by a worker."""

from __future__ import annotations

from django_q.tasks import async_task

from audit import services
from audit.models import ChainCheck


def ask_check(*, actor: str) -> ChainCheck:
    """A short chain is checked at once, a long one by a worker."""
    if services.is_short():
        return services.check_chain(actor=actor)
    if waiting := services.waiting_check():
        return waiting
    check = services.ask_check(actor=actor)
    async_task("audit.tasks.check_chain", check.pk)
    return check


def check_chain(check_id: int) -> None:
    """Finishes a check that was asked for; delivered twice, it does nothing."""
    check = ChainCheck.objects.get(pk=check_id)
    if not check.finished_at:
        services.finish_check(check)

"""What several do to one run at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from django.db import connections

from audit.services import verify
from classifiers.errors import ConflictError
from runs import services
from runs.models import Result, Run, Verdict

pytestmark = pytest.mark.django_db(transaction=True)
TEXTS = [f"fail {i}" for i in range(8)]
Act = Callable[[Run], object]


def together(run: Run, *acts: Act) -> list[object]:
    """What came of each, a value or an exception, all begun at once, each on a connection of its own."""
    start = threading.Barrier(len(acts))

    def do(act: Act) -> object:
        start.wait()
        try:
            return act(Run.objects.get(pk=run.pk))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(acts)) as pool:
        begun = [pool.submit(do, act) for act in acts]
    return [each.exception() or each.result() for each in begun]


def work(run: Run) -> None:
    for _ in services.execute_run(run, actor="test"):
        pass


def retry(run: Run) -> int:
    return services.retry_errors(run, actor="test")


def cancel(run: Run) -> None:
    with suppress(ConflictError):
        services.cancel_run(run, actor="test")


@pytest.mark.parametrize("_", range(3))
def test_errors_are_retried_once_and_worked_on_once(make_run: Callable[..., Run], _: int) -> None:
    run = make_run(TEXTS, batch_size=2, generator=None)
    work(run)
    came = together(run, retry, retry, retry)
    assert came.count(8) == 1
    assert sum(isinstance(each, ConflictError) for each in came) == 2
    assert run.chunks.filter(retry=True).count() == 4
    assert together(run, work, work, work, cancel) == [None] * 4
    run.refresh_from_db()
    if run.status == "CANCELLED":
        services.resume_run(run, actor="test")
        work(run)
        run.refresh_from_db()
    assert run.status == "DONE"
    assert not run.chunks.unfinished().exists()
    assert Result.objects.filter(run=run).count() == Verdict.objects.filter(result__run=run).count() == 8
    assert verify().fault is None

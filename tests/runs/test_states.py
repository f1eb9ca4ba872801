"""Whatever is done to a run, in whatever order, keeps its promises."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.services import verify
from classifiers.errors import ConflictError, InputError
from runs import services
from runs.models import Result, Run, Verdict

TEXTS = ["one", "two", "fail", "four", "toxic", "unanswerable"]


def work(run: Run) -> None:
    """One chunk, if the run may be worked on."""
    for _ in services.execute_run(run, actor="test"):
        return


ACTS: dict[str, Callable[[Run], object]] = {
    "work": work,
    "cancel": lambda run: services.cancel_run(run, actor="test"),
    "fail": lambda run: services.fail_run(run, actor="test", reason="broken"),
    "resume": lambda run: services.resume_run(run, actor="test"),
    "retry": lambda run: services.retry_errors(run, actor="test"),
    "finish": lambda run: services.finish_run(run, actor="test"),
}
MAY_FOLLOW = {
    "QUEUED": {"RUNNING", "FAILED", "CANCELLED"},
    "RUNNING": {"DONE", "FAILED", "CANCELLED"},
    "DONE": {"RUNNING"},
    "FAILED": {"RUNNING"},
    "CANCELLED": {"RUNNING"},
}


@pytest.mark.django_db
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(st.sampled_from(sorted(ACTS)), max_size=15))
def test_no_order_of_acts_breaks_a_run(make_run: Callable[..., Run], acts: list[str]) -> None:
    run = make_run(TEXTS, batch_size=2)
    for act in acts:
        before = run.status
        with suppress(ConflictError, InputError):
            ACTS[act](run)
        run.refresh_from_db()
        assert run.status == before or run.status in MAY_FOLLOW[before], (act, before, run.status)
        if before in ("DONE", "FAILED", "CANCELLED") and run.status == "RUNNING":
            assert act == ("retry" if before == "DONE" else "resume")
    with suppress(ConflictError):
        services.resume_run(run, actor="test")
    for _ in range(8):
        if run.status == "RUNNING":
            work(run)
        run.refresh_from_db()
    assert run.status == "DONE"
    results = Result.objects.filter(run=run).order_by("position")
    assert [r.prompt for r in results] == TEXTS
    assert [r.input_label for r in results] == ["SAFE", "SAFE", "ERROR", "SAFE", "TOXIC", "SAFE"]
    assert Verdict.objects.filter(result__run=run).count() == 10
    assert verify().fault is None

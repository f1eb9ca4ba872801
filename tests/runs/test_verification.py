"""A result that is changed behind the services' back is found."""

from collections.abc import Callable

import pytest
from django.core.management import CommandError, call_command

from runs import services
from runs.models import Result, Run, Verdict
from runs.verification import discrepancies

TEXTS = ["one", "toxic", "fail", "four"]


@pytest.fixture
def run(done_run: Callable[..., Run]) -> Run:
    return done_run(TEXTS, batch_size=2)


def found(run: Run) -> list[str]:
    return [str(each) for each in discrepancies(run)]


def test_an_untouched_run_is_whole(run: Run) -> None:
    assert found(run) == []


@pytest.mark.parametrize(
    "change",
    [{"prompt": "two"}, {"input_label": "SAFE"}, {"input_score": 0.1}, {"salt": "0" * 64}, {"input_label": "ERROR"}],
)
def test_a_changed_result_is_named(run: Run, change: dict[str, object]) -> None:
    Result.objects.filter(run=run, position=1).update(**change)
    assert found(run) == ["Result 1 is not as it was when the audit trail recorded it."]
    with pytest.raises(CommandError, match="Result 1 is not as it was"):
        call_command("verify_run", str(run.pk))


@pytest.mark.parametrize(
    "change", [{"label": "TOXIC"}, {"score": 0.9}, {"flagged": ["hate"]}, {"reason": "Because."}, {"key": "0" * 32}]
)
def test_a_changed_verdict_is_named(run: Run, change: dict[str, object]) -> None:
    Verdict.objects.filter(result__run=run, result__position=0, stage="OUTPUT").update(**change)
    assert found(run) == ["Result 0 is not as it was when the audit trail recorded it."]


def test_a_verdict_taken_out_is_named(run: Run) -> None:
    Verdict.objects.filter(result__run=run, result__position=3, stage="INPUT").delete()
    assert found(run) == ["Result 3 is not as it was when the audit trail recorded it."]


def test_a_missing_and_a_smuggled_result_are_named(run: Run) -> None:
    Result.objects.filter(run=run, position=3).update(position=9)
    assert found(run) == [
        "Result 9 was never recorded in the audit trail.",
        "Result 3 was recorded in the audit trail and is gone.",
    ]


def test_a_result_that_was_judged_again_is_whole(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    services.retry_errors(run, actor="test")
    list(services.execute_run(run, actor="test"))
    assert found(run) == []
    call_command("verify_run", str(run.pk))
    assert "every result is as" in capsys.readouterr().out

"""A result that is changed behind the services' back is found."""

from collections.abc import Callable

import pytest
from django.core.management import CommandError, call_command

from classifiers.policy import Action, Rule
from moderation import policies
from moderation.policies import Content
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


CHANGED = "is not as it was when the audit trail recorded it."
MISLABELLED = "has labels that do not follow from what was said of it and its policy."


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"prompt": "two"}, CHANGED),
        ({"salt": "0" * 64}, CHANGED),
        ({"degraded": True}, CHANGED),
        ({"input_label": "SAFE"}, MISLABELLED),
        ({"input_label": "ERROR"}, MISLABELLED),
        ({"input_score": 0.1}, MISLABELLED),
        ({"input_categories": ["hate"]}, MISLABELLED),
    ],
)
def test_a_changed_result_is_named(run: Run, change: dict[str, object], why: str) -> None:
    Result.objects.filter(run=run, position=1).update(**change)
    assert found(run) == [f"Result 1 {why}"]
    with pytest.raises(CommandError, match=f"Result 1 {why}"):
        call_command("verify_run", str(run.pk))


def test_a_label_that_no_policy_gave_is_named(run: Run) -> None:
    """The classifier's own word is put aside as if a policy had overruled it."""
    said = Verdict.objects.filter(result__run=run, result__position=1, stage="INPUT")
    said.update(label="SAFE", own_label="TOXIC", own_flagged=said.get().flagged, flagged=[])
    Result.objects.filter(run=run, position=1).update(input_label="SAFE", input_categories=[])
    assert found(run) == [f"Result 1 {MISLABELLED}"]


def test_another_policy_than_the_recorded_one_is_named(run: Run) -> None:
    version = policies.create_policy("lax", Content((Rule("*", action=Action.INFORM),)), note="Lax.", actor="test")
    Run.objects.filter(pk=run.pk).update(policy_version=version)
    run.refresh_from_db()
    assert found(run)[0] == "The run is not labelled under the policy that the audit trail names."


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

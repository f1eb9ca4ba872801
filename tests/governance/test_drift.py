"""Drift of classifiers: what they said is counted once, compared with their own past, and told when it begins."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.models import AuditEvent
from governance import drift, drift_tallies
from governance.drift import check_drift
from governance.models import DriftAssessment, DriftCheck, Tally
from runs.models import Result, Run, Verdict
from tests.governance.drifting import HIGH, days, drawn, judged, version_of

pytestmark = pytest.mark.django_db
PAST, LATELY = range(7, 21), range(7)


def checked(**wanted: Any) -> DriftAssessment:
    check_drift(actor="test")
    return DriftAssessment.objects.get(**wanted)


def levels(assessment: DriftAssessment) -> dict[str, str]:
    return {finding["respect"]: finding["level"] for finding in assessment.findings}


def day(days_ago: int) -> date:
    return timezone.now().date() - timedelta(days=days_ago)


def told() -> list[str]:
    return list(
        AuditEvent.objects.filter(action__startswith="classifier.").order_by("pk").values_list("action", flat=True)
    )


# What is found


def test_a_classifier_that_says_what_it_always_said_does_not_drift() -> None:
    days(itertools.chain(PAST, LATELY), 60)
    found = checked()
    assert (found.level, found.why, found.since) == ("none", "", None)
    assert (found.reference["judged"], found.recent["judged"]) == (14 * 60, 7 * 60)
    assert told() == []


def test_other_scores_are_found() -> None:
    days(PAST, 60)
    days(LATELY, 60, HIGH)
    found = checked()
    assert found.level == "drift"
    assert levels(found)["scores"] == levels(found)["labels"] == "drift"
    assert found.since is not None


def test_few_texts_are_not_called_no_drift() -> None:
    days(PAST, 60)
    days(LATELY, 5, HIGH)
    found = checked()
    assert found.level == "unknown"
    assert "needs 200 texts; the reference has 840 judged texts, the recent one 35" in found.why


def test_a_rise_of_errors_is_drift() -> None:
    days(PAST, 60)
    for day in LATELY:
        judged(day, [*drawn(60, seed=day), *[None] * 10])
    found = checked()
    assert (found.level, levels(found)["errors"], levels(found)["scores"]) == ("drift", "drift", "none")


def test_the_label_of_the_policy_is_told_apart_from_the_classifiers_own() -> None:
    days(PAST, 60)
    days(LATELY, 60, policy_from=0.1)
    found = checked()
    assert (levels(found)["labels"], levels(found)["policy labels"], levels(found)["scores"]) == (
        "none",
        "drift",
        "none",
    )


def test_another_version_starts_a_reference_of_its_own_and_is_named() -> None:
    days(PAST, 60)
    new = version_of(model="two")
    days(LATELY, 60, HIGH, version=new)
    found = checked(version=new)
    assert found.level == "unknown"
    assert f"It is a new version, at work since {day(6)}" in found.why
    assert f"version {version_of().pk} was" in found.why


def test_stages_and_what_programs_ask_are_told_apart() -> None:
    days(PAST, 60)
    days(LATELY, 60)
    days(PAST, 60, stage="OUTPUT")
    days(LATELY, 60, HIGH, stage="OUTPUT")
    days(LATELY, 60, HIGH, live=False)
    check_drift(actor="test")
    found = {(each.stage, each.live): each.level for each in DriftAssessment.objects.all()}
    assert found == {("INPUT", True): "none", ("OUTPUT", True): "drift", ("INPUT", False): "unknown"}


def test_what_lies_further_back_is_no_reference() -> None:
    days(range(35, 50), 60, HIGH)
    days(itertools.chain(PAST, LATELY), 60)
    assert checked().level == "none"


def test_the_windows_are_those_of_the_settings(settings: Any) -> None:
    settings.SAFETY_DRIFT_RECENT_DAYS, settings.SAFETY_DRIFT_REFERENCE_DAYS = 2, 3
    days(range(10), 100)
    found = checked()
    assert (found.reference["judged"], found.recent["judged"]) == (300, 200)


# When it is told


def test_drift_is_told_once_and_its_end_too() -> None:
    days(PAST, 60)
    days(LATELY, 60, HIGH)
    for _ in range(3):
        check_drift(actor="test")
    assert told() == ["classifier.drifted"]
    since = DriftAssessment.objects.get().since
    Run.objects.filter(tallies__day__gt=day(7)).delete()
    days(LATELY, 10)
    assert checked().level == "unknown"
    assert DriftAssessment.objects.get().since == since, "few texts do not end it"
    days(LATELY, 60, live=False)
    days(LATELY, 60)
    assert checked(live=True).level == "none"
    assert told() == ["classifier.drifted", "classifier.settled"]


def test_what_is_told_names_the_classifier_and_the_figures_and_no_text() -> None:
    days(PAST, 60)
    days(LATELY, 60, HIGH)
    found = checked()
    entry = AuditEvent.objects.get(action="classifier.drifted")
    assert (entry.actor, entry.target_id) == ("test", str(found.pk))
    assert entry.details["classifier"] == "guard"
    assert entry.details["texts"] == {"reference": 840, "recent": 420}
    assert {finding["respect"] for finding in entry.details["findings"]} == {"scores", "labels", "policy labels"}


def test_of_many_who_ask_whether_it_is_due_one_is_told_so() -> None:
    assert [drift.due() for _ in range(3)] == [True, False, False]
    DriftCheck.objects.update(asked_at=timezone.now() - drift.EVERY)
    assert [drift.due() for _ in range(3)] == [True, False, False]


@pytest.mark.django_db(transaction=True)
def test_of_many_who_look_at_the_same_time_one_tells_it() -> None:
    days(PAST, 30)
    days(LATELY, 60, HIGH)

    def look(_: int) -> None:
        try:
            check_drift(actor="test")
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(look, range(4)))
    assert told() == ["classifier.drifted"]
    assert DriftAssessment.objects.get().recent["judged"] == 420


def test_a_version_that_is_not_used_any_more_has_no_assessment() -> None:
    judged(3, drawn(300))
    check_drift(actor="test")
    Run.objects.all().delete()
    check_drift(actor="test")
    assert not DriftAssessment.objects.exists()


# What is counted


def test_a_run_is_counted_once_until_it_changes(done_run: Any) -> None:
    run = done_run(["Hello", "You are toxic", "error"])
    today = timezone.now().date()
    assert [each.pk for each in drift_tallies.tally(since=today)] == [run.pk]
    assert list(drift_tallies.tally(since=today)) == []
    Run.objects.filter(pk=run.pk).update(relabelled_at=timezone.now())
    assert [each.pk for each in drift_tallies.tally(since=today)] == [run.pk]


def test_a_run_at_work_is_counted_as_far_as_it_is() -> None:
    run = judged(0, [0.1, 0.2])
    Run.objects.update(status="RUNNING", finished_at=None)
    assert checked().recent["judged"] == 2
    result = Result.objects.create(
        run=run, position=2, prompt="x", input_label="SAFE", salt="", created_at=timezone.now()
    )
    Verdict.objects.create(
        result=result, stage="INPUT", check_name="guard", label="SAFE", score=1.0, version=version_of()
    )
    assert checked().recent["judged"] == 3


def test_a_turn_ends_in_time_and_the_next_one_goes_on() -> None:
    days(range(4), 3)
    assert not check_drift(actor="test", seconds=0)
    assert not DriftAssessment.objects.exists()
    assert Tally.objects.count() == 1
    assert check_drift(actor="test", seconds=60)
    assert DriftAssessment.objects.get().recent["judged"] == 12


SCORES = st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=12)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 2), SCORES), max_size=4), st.sampled_from([0.2, 0.5]))
def test_what_the_database_counts_is_what_python_counts(
    runs: list[tuple[int, list[float | None]]], policy: float
) -> None:
    Run.objects.all().delete()
    for day, scores in runs:
        judged(day, scores, policy_from=policy, live=False)
    check_drift(actor="test")
    said = [score for _, scores in runs for score in scores]
    known = [score for score in said if score is not None]
    window = sum(
        (window for _, _, window in drift_tallies.windows(since=timezone.now().date() - drift.EVERY * 99)),
        drift_tallies.NOTHING,
    )
    assert window.scores == [sum(min(int(score * 20), 19) == place for score in known) for place in range(20)]
    assert (window.judged, window.errors) == (len(known), len(said) - len(known))
    assert window.toxic == sum(score >= 0.5 for score in known)
    assert window.policy_toxic == sum(score >= policy for score in known)

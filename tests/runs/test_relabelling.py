"""Under another policy labels are other ones, from what was said already: told beforehand, recorded, and undone alike."""

from __future__ import annotations

from collections.abc import Callable
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.models import AuditEvent
from classifiers.errors import ConflictError, InputError
from classifiers.policy import Action, Rule
from classifiers.types import Stage
from moderation import policies
from moderation.models import PolicyVersion
from moderation.policies import Content
from runs import services
from runs.models import Chunk, Result, Run, Verdict
from runs.relabelling import preview, relabel
from runs.verification import discrepancies

TEXTS = ["one", "toxic two", "fail three", "four", "unanswerable five"]


def version(*rules: Rule, name: str = "Team") -> PolicyVersion:
    return policies.create_policy(name, Content(rules), note="For the test.", actor="user:lena")


def labels(run: Run) -> list[tuple[str, str | None]]:
    return list(Result.objects.filter(run=run).order_by("position").values_list("input_label", "output_label"))


def stored(run: Run) -> list[object]:
    """Everything that labels are made of and what they are."""
    results = Result.objects.filter(run=run).order_by("position")
    verdicts = Verdict.objects.filter(result__run=run).order_by("result__position", "stage", "check_name")
    return [
        *results.values_list(
            "prompt", "answer", "input_label", "input_score", "input_categories", "output_label", "output_categories"
        ),
        *verdicts.values_list("label", "own_label", "flagged", "own_flagged", "score", "categories", "thresholds"),
    ]


@pytest.fixture
def run(done_run: Callable[..., Run]) -> Run:
    return done_run(TEXTS)


def test_a_laxer_policy_makes_toxic_safe_and_an_error_stays_one(run: Run) -> None:
    lax = version(Rule("toxic", 0.95))
    told = relabel(run, lax, note="Too many were flagged.", actor="user:lena")
    assert labels(run) == [
        ("SAFE", "SAFE"), ("SAFE", None), ("ERROR", None), ("SAFE", "SAFE"), ("SAFE", "ERROR")
    ]  # fmt: skip
    assert (told.total, told.changed, told.unanswered, told.answered, told.examples) == (5, 1, 1, 0, [1])
    assert told.labels == {(Stage.INPUT, "TOXIC", "SAFE"): 1}
    assert run.policy_version == lax
    assert run.relabelled_at is not None
    assert run.counts["input"] == {"SAFE": 4, "ERROR": 1}
    verdict = Verdict.objects.get(result__run=run, result__position=1)
    assert (verdict.label, verdict.own_label, verdict.flagged, verdict.own_flagged) == ("SAFE", "TOXIC", [], ["toxic"])
    assert list(discrepancies(run)) == []


def test_a_stricter_policy_makes_answered_prompts_toxic(run: Run) -> None:
    told = relabel(run, version(Rule("toxic", 0.0)), note="", actor="user:lena")
    assert labels(run) == [
        ("TOXIC", "TOXIC"), ("TOXIC", None), ("ERROR", None), ("TOXIC", "TOXIC"), ("TOXIC", "ERROR")
    ]  # fmt: skip
    assert (told.answered, told.unanswered) == (2, 0)
    assert Result.objects.filter(run=run, answer__isnull=False).count() == 2
    assert list(discrepancies(run)) == []


def test_what_a_preview_tells_is_what_happens_and_it_changes_nothing(run: Run) -> None:
    strict, before = version(Rule("toxic", 0.0, stage="OUTPUT")), stored(run)
    told = preview(run, strict)
    assert stored(run) == before
    assert relabel(run, strict, note="", actor="user:lena").as_json == told.as_json
    assert told.as_json["labels"] == [{"stage": "OUTPUT", "before": "SAFE", "after": "TOXIC", "results": 2}]
    assert told.as_json["policy"] == "Team@1"


def test_no_policy_brings_back_what_the_classifiers_said(run: Run) -> None:
    before = stored(run)
    relabel(run, version(Rule("toxic", action=Action.INFORM)), note="", actor="user:lena")
    assert stored(run) != before
    relabel(run, None, note="Back.", actor="user:lena")
    assert stored(run) == before
    assert list(discrepancies(run)) == []


def test_the_trail_says_who_labelled_what_under_which_version(run: Run) -> None:
    lax = version(Rule("toxic", 0.95))
    relabel(run, lax, note="Too many.", actor="user:lena")
    event = AuditEvent.objects.get(action="run.relabelled")
    assert event.actor == "user:lena"
    assert event.details == {"from": None, "policy": lax.pk, "note": "Too many.", "changed": 1}


def test_no_classifier_is_asked(run: Run) -> None:
    with patch("moderation.services.classifier", side_effect=AssertionError):
        assert relabel(run, version(Rule("toxic", 0.0)), note="", actor="user:lena").changed == 3


def test_only_categories_may_change(run: Run) -> None:
    """TOXIC by a category of its own, and still so by none that is named."""
    Verdict.objects.filter(result__run=run, result__position=1).update(flagged=["toxic", "spam"])
    Result.objects.filter(run=run, position=1).update(input_categories=["spam", "toxic"])
    told = relabel(run, version(Rule("spam", action=Action.INFORM)), note="", actor="user:lena")
    assert (told.changed, told.recategorised) == (0, 1)
    assert Result.objects.get(run=run, position=1).input_categories == ["toxic"]


@pytest.mark.parametrize("status", ["QUEUED", "RUNNING"])
def test_a_run_that_is_worked_on_is_refused(run: Run, status: str) -> None:
    Run.objects.filter(pk=run.pk).update(status=status)
    before = stored(run)
    with pytest.raises(ConflictError, match="being worked on"):
        relabel(run, version(Rule("toxic", 0.95)), note="", actor="user:lena")
    assert stored(run) == before


def test_a_cancelled_run_whose_last_chunk_is_still_worked_on_is_refused(run: Run, make_run: Callable[..., Run]) -> None:
    waiting = make_run(TEXTS, queued=True)
    chunk = waiting.chunks.first()
    assert chunk
    services.resume_run(waiting, actor="test")
    from runs import leases

    assert leases.claim(chunk.pk, holder=leases.this_process())
    services.cancel_run(waiting, actor="test")
    assert Chunk.objects.filter(run=waiting, state="HELD").exists()
    with pytest.raises(ConflictError, match="being worked on"):
        relabel(waiting, version(Rule("toxic", 0.95)), note="", actor="user:lena")


def test_a_live_run_is_refused_until_it_ends(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(status="RUNNING", live="x" * 32)
    with pytest.raises(ConflictError, match="still records"):
        relabel(run, version(Rule("toxic", 0.95)), note="", actor="user:lena")


def test_the_same_version_again_is_refused(run: Run) -> None:
    lax = version(Rule("toxic", 0.95))
    relabel(run, lax, note="", actor="user:lena")
    with pytest.raises(ConflictError, match="Team v1 already"):
        relabel(run, lax, note="", actor="user:lena")
    assert AuditEvent.objects.filter(action="run.relabelled").count() == 1


@pytest.mark.parametrize("note", ["x" * 2001, "\0"])
def test_a_note_that_cannot_be_kept_changes_nothing(run: Run, note: str) -> None:
    before = stored(run)
    with pytest.raises(InputError, match="note"):
        relabel(run, version(Rule("toxic", 0.95)), note=note, actor="user:lena")
    assert stored(run) == before


def test_errors_are_judged_again_under_the_policy_of_the_run(run: Run) -> None:
    relabel(run, version(Rule("toxic", 0.0)), note="", actor="user:lena")
    services.retry_errors(run, actor="test")
    with patch("classifiers.providers.fake.FakeClassifier._classify", side_effect=_says_little):
        list(services.execute_run(run, actor="test"))
    run.refresh_from_db()
    assert labels(run)[2] == ("TOXIC", None)
    assert list(discrepancies(run)) == []


def _says_little(text: str) -> object:
    from classifiers.types import Classification, Label

    return Classification(Label.SAFE, score=0.1, categories={"toxic": 0.1}, thresholds={"toxic": 0.5})


def test_a_run_made_under_a_policy_is_as_one_labelled_anew(run: Run, done_run: Callable[..., Run]) -> None:
    strict = version(Rule("toxic", 0.2))
    relabel(run, strict, note="", actor="user:lena")
    made = done_run(TEXTS)
    assert made.policy_version == strict
    first = [row for row in stored(run) if row]
    # What was answered before the policy stays; a prompt that it blocks is not answered in the first place.
    assert [row[2:5] for row in first[: len(TEXTS)]] == [row[2:5] for row in stored(made)[: len(TEXTS)]]  # type: ignore[index]
    assert made.relabelled_at is None


THRESHOLDS = st.none() | st.floats(0, 1)
RULES = st.lists(
    st.builds(
        Rule, st.sampled_from(["toxic", "*"]), THRESHOLDS, st.sampled_from(Action), st.sampled_from(["", *Stage])
    ),
    max_size=4,
    unique_by=lambda rule: (rule.category, rule.stage),
)


def test_results_that_end_alike_are_all_counted_though_they_were_said_to_be_different(run: Run) -> None:
    relabel(run, version(Rule("toxic", 0.0)), note="", actor="user:lena")
    told = preview(run, None)
    assert (told.total, told.changed) == (5, 3)
    other = preview(run, version(Rule("*", 0.0), name="Other"))
    assert (other.total, other.changed) == (5, 0)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rules=RULES)
def test_whatever_the_rules_a_run_is_whole_and_can_be_brought_back(run: Run, rules: list[Rule]) -> None:
    before, number = stored(run), PolicyVersion.objects.count()
    under = version(*rules, name=f"Policy {number}")
    assert preview(run, under).as_json == relabel(run, under, note="", actor="user:lena").as_json
    assert list(discrepancies(run)) == []
    relabel(run, None, note="", actor="user:lena")
    assert stored(run) == before

"""What is old enough is let go, what somebody needs is not, and what is left can still be verified."""

import signal
from collections import Counter
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from django_q.models import OrmQ

from audit.models import AuditEvent
from classifiers.errors import ConflictError, InputError
from classifiers.types import Stage, digest
from integrations.models import Delivery, Webhook
from review.models import Queue, QueueItem, Review
from runs import retention, services, tasks
from runs.models import Chunk, Payload, Result, Run, RunLog, Verdict
from runs.storing import NOT_KEPT
from runs.verification import discrepancies
from tests.leaks import LETTER, SECRETS, leaks, rules_alone  # noqa: F401  a fixture
from tests.review.conftest import cast, make_queue  # noqa: F401  fixtures
from tests.runs.processes import manage

pytestmark = pytest.mark.usefixtures("rules_alone")
MONTH = {"texts": 30, "payloads": 30, "run logs": 30, "deliveries": 30}


@pytest.fixture(autouse=True)
def a_month(settings):
    settings.SAFETY_RETENTION = {
        kind: (path, MONTH.get(kind, 0)) for kind, (path, _) in settings.SAFETY_RETENTION.items()
    }


@pytest.fixture
def old_run(done_run):
    """A run that was done two months ago."""

    def make(texts=(LETTER, "Hello", "toxic"), **options):
        run = done_run(list(texts), **{"check": "telltale", **options})
        age(run)
        return run

    return make


def age(run, *, days=60):
    then = timezone.now() - timedelta(days=days)
    Run.objects.filter(pk=run.pk).update(created_at=then, finished_at=then)
    Result.objects.filter(run=run).update(created_at=then)
    RunLog.objects.filter(run=run).update(time=then)
    run.refresh_from_db()


def applied():
    return {kind: dict(counts) for kind, counts in retention.apply(actor="test")[0].items() if counts.total()}


def texts_of(run):
    return list(Result.objects.filter(run=run).order_by("position").values_list("prompt", "answer"))


def test_old_texts_are_let_go_and_what_was_decided_stays(old_run):
    run = old_run(["toxic", LETTER], check="fake")
    before = list(Result.objects.filter(run=run).values_list("input_label", "output_label", "input_score"))
    assert applied()["texts"] == {"let go": 2}
    assert texts_of(run) == [(NOT_KEPT, None), (NOT_KEPT, NOT_KEPT)]
    assert list(Result.objects.filter(run=run).values_list("input_label", "output_label", "input_score")) == before
    assert Result.objects.get(run=run, position=1).digest_of(Stage.INPUT) == digest(LETTER)


def test_no_word_of_them_is_left_anywhere(old_run):
    old_run(metadata={"by": SECRETS[0]})
    assert leaks()
    applied()
    assert not leaks()


def test_new_texts_stay(done_run):
    run = done_run(["Hello"])
    assert applied() == {}
    assert texts_of(run) == [("Hello", "You said: Hello")]


def test_nothing_is_let_go_unless_settings_say_so(old_run, settings):
    settings.SAFETY_RETENTION = {kind: (path, 0) for kind, (path, _) in settings.SAFETY_RETENTION.items()}
    run = old_run()
    assert applied() == {}
    assert texts_of(run)[1][0] == "Hello"
    with pytest.raises(CommandError, match="Settings keep everything for ever"):
        call_command("purge_texts")


def test_what_is_left_can_be_verified(old_run):
    run = old_run()
    applied()
    assert not list(discrepancies(run))
    assert "The texts of 3 were let go by retention, the last at 20" in call_command("verify_run", str(run.pk))


def test_what_is_changed_after_that_is_found(old_run):
    run = old_run()
    applied()
    Verdict.objects.filter(result__run=run, result__position=1, stage="INPUT").update(score=0.4)
    (found,) = discrepancies(run)
    assert str(found).startswith("Result 1 is not as it was when retention let its texts go, at 20")


def test_a_text_that_somebody_took_out_was_not_let_go(old_run):
    run = old_run()
    Result.objects.filter(run=run, position=1).update(prompt=NOT_KEPT, texts="LET_GO", let_go_at=timezone.now())
    assert [str(each) for each in discrepancies(run)] == ["Result 1 is not as it was when the audit trail recorded it."]


def test_what_is_not_as_recorded_is_kept_until_somebody_looked(old_run):
    run = old_run()
    Result.objects.filter(run=run, position=1).update(prompt="Goodbye")
    assert applied()["texts"] == {"let go": 2, "doubtful": 1}
    assert texts_of(run)[1][0] == "Goodbye"
    assert [each.position for each in discrepancies(run)] == [1]


def test_the_old_salt_is_gone_so_that_no_guess_can_be_confirmed(old_run):
    run = old_run()
    before = set(Result.objects.filter(run=run).values_list("salt", flat=True))
    applied()
    assert before.isdisjoint(Result.objects.filter(run=run).values_list("salt", flat=True))


def test_a_run_under_a_hold_is_kept_and_counted(old_run):
    run = old_run()
    retention.hold(run, reason="case 17", actor="test")
    assert applied() == {"texts": {"held": 3}}
    assert (texts_of(run)[1][0], Payload.objects.exists(), RunLog.objects.exists()) == ("Hello", True, True)
    retention.release(run, actor="test")
    assert applied()["texts"] == {"let go": 3}


def test_a_hold_says_why(old_run):
    with pytest.raises(InputError, match="Say why"):
        retention.hold(old_run(), reason=" ", actor="test")


@pytest.mark.parametrize(("state", "let_go"), [("OPEN", 2), ("NEEDS_ADJUDICATION", 2), ("CLOSED", 3)])
def test_what_people_have_yet_to_judge_is_kept(old_run, state, let_go):
    run = old_run()
    queue = Queue.objects.create(name="a queue")
    result = Result.objects.get(run=run, position=1)
    closed = timezone.now() if state == "CLOSED" else None
    QueueItem.objects.create(queue=queue, result=result, needed=1, order=0.5, state=state, closed_at=closed)
    counts = applied()["texts"]
    assert counts == ({"let go": 3} if let_go == 3 else {"let go": 2, "held": 1})


def test_a_closed_queue_keeps_nothing(old_run):
    run = old_run()
    queue = Queue.objects.create(name="a queue", closed_at=timezone.now())
    QueueItem.objects.create(queue=queue, result=Result.objects.get(run=run, position=1), needed=1, order=0.5)
    assert applied()["texts"] == {"let go": 3}


def test_people_s_verdicts_count_though_the_text_is_gone(old_run, cast):  # noqa: F811
    from review import consensus

    run = old_run()
    result = Result.objects.get(run=run, position=1)
    Review.objects.create(
        result=result, stage="INPUT", reviewer=cast.lena, label="TOXIC", digest=digest("Hello"), key="1"
    )
    applied()
    result.refresh_from_db()
    consensus.refresh(result, consensus.reviews_of(result))
    result.refresh_from_db()
    assert (result.prompt, result.human_input_label) == (NOT_KEPT, "TOXIC")


def test_it_is_done_once(old_run):
    run = old_run()
    applied()
    events = AuditEvent.objects.filter(action="run.texts_let_go").count()
    assert applied() == {}
    run.refresh_from_db()
    assert run.let_go_at
    assert AuditEvent.objects.filter(action="run.texts_let_go").count() == events


def test_stopped_in_the_middle_it_goes_on_with_what_is_left(old_run, monkeypatch):
    monkeypatch.setattr(retention, "PAGE", 2)
    run = old_run([f"text {n}" for n in range(7)])
    steps = retention.let_texts_go(before=timezone.now(), actor="test")
    total = Counter()
    while not total["let go"]:
        total.update(next(steps))
    steps.close()
    assert total["let go"] == 2
    assert not list(discrepancies(run))
    assert applied()["texts"] == {"let go": 5}
    assert not list(discrepancies(run))


def test_a_turn_ends_in_time_and_says_that_there_is_more(old_run, monkeypatch):
    monkeypatch.setattr(retention, "PAGE", 1)
    old_run()
    assert not retention.apply(actor="test", seconds=-1)[1]
    assert retention.apply(actor="test")[1]


def test_prompts_that_nobody_will_judge_are_let_go_too(make_run):
    run = make_run([LETTER])
    services.cancel_run(run, actor="test")
    age(run)
    applied()
    assert Chunk.objects.get(run=run).payload == ""
    with pytest.raises(ConflictError, match="were let go by retention before they were judged"):
        services.resume_run(run, actor="test")


def test_prompts_that_wait_for_workers_are_kept(make_run):
    run = make_run([LETTER], queued=True)
    age(run)
    applied()
    assert Chunk.objects.get(run=run).payload


def test_errors_are_not_judged_again_without_their_prompts(old_run):
    run = old_run(["fail"])
    applied()
    with pytest.raises(InputError, match="The prompts of 1 errors are not kept"):
        services.retry_errors(run, actor="test")


def test_payloads_logs_and_messages_have_days_of_their_own(old_run, settings):
    settings.SAFETY_RETENTION["texts"] = (settings.SAFETY_RETENTION["texts"][0], 0)
    run = old_run()
    hook = Webhook.objects.create(name="x", url="https://x.example")
    for n, state in enumerate(["DELIVERED", "WAITING"]):
        due = None if state == "DELIVERED" else timezone.now()
        Delivery.objects.create(
            webhook=hook, message_id=str(n), event="run.finished", body="{}", state=state, due_at=due
        )
    Delivery.objects.update(created_at=timezone.now() - timedelta(days=60))
    payloads, logs = Payload.objects.count(), RunLog.objects.count()
    assert payloads
    assert applied() == {
        "payloads": {"let go": payloads},
        "run logs": {"let go": logs},
        "deliveries": {"let go": 1},
    }
    assert texts_of(run)[1][0] == "Hello"
    assert not list(discrepancies(run))


def test_live_texts_may_have_fewer_days(old_run, settings):
    settings.SAFETY_RETENTION = {
        kind: (path, 7 if kind == "live texts" else 0) for kind, (path, _) in settings.SAFETY_RETENTION.items()
    }
    kept, live = old_run(), old_run(generator=None)
    Run.objects.filter(pk=live.pk).update(live="x" * 32)
    assert applied() == {"live texts": {"let go": 3}}
    assert texts_of(kept)[1][0] == "Hello"


def test_each_look_is_recorded(old_run):
    old_run()
    call_command("purge_texts")
    event = AuditEvent.objects.get(action="retention.applied")
    assert event.details["finished"] is True
    assert event.details["texts"] == {"let go": 3}


def test_workers_look_after_it_once_a_day(old_run):
    from django.core.cache import cache

    cache.clear()
    old_run()
    assert tasks.look_after_retention() == 1
    assert tasks.look_after_retention() == 0
    assert OrmQ.objects.count() == 1
    tasks.apply_retention()
    cache.clear()
    assert tasks.look_after_retention() == 0


def test_the_command_says_what_it_did(old_run):
    run = old_run()
    call_command("hold_run", str(old_run().pk), reason="case 17")
    told = call_command("purge_texts")
    assert "texts, older than 30 days: 3 let go, 3 held." in told
    assert "live texts: kept for ever." in told
    assert texts_of(run)[1][0] == NOT_KEPT


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fuse", [3, 7, 11, 15])
def test_killed_anywhere_it_leaves_whole_results_and_goes_on(old_run, tmp_path, fuse):
    """Before one of the statements of its transactions; then once more, to its end."""
    run = old_run(["Hello", LETTER, "toxic"])
    log, keep = tmp_path / "log", {"AI_SAFETY_MONITOR_KEEP_TEXT_DAYS": "30"}
    deadly = {"DJANGO_SETTINGS_MODULE": "tests.kill_settings", "AI_SAFETY_TEST_FUSE": str(fuse)}
    assert manage(log, "purge_texts", **keep, **deadly).wait() in (-signal.SIGKILL, 0), log.read_text()
    assert not list(discrepancies(run))
    assert manage(log, "purge_texts", **keep).wait() == 0, log.read_text()
    assert not list(discrepancies(run))
    assert {prompt for prompt, _ in texts_of(run)} == {NOT_KEPT}

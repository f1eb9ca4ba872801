"""One label on all results of a filter: as many as were told, once each, and all of it can be taken back."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_q.models import OrmQ
from pytest_django import Settings

from audit.models import AuditEvent
from audit.services import verify
from classifiers.errors import ConflictError, ForbiddenError, InputError
from classifiers.types import Stage
from review import bulk, tasks
from review.models import BulkAction, Queue, Review
from review.services import Judgement, review_result
from runs import watchdog
from runs.models import Result, Run
from tests.review.conftest import TEXTS, Cast, review_next


@pytest.fixture
def run(done_run: Callable[..., Run]) -> Run:
    return done_run(TEXTS)


@pytest.fixture
def begin(cast: Cast, run: Run) -> Callable[..., BulkAction]:
    """Begins to call what a filter finds TOXIC, as lena."""

    def start(
        *, stage: Stage = Stage.INPUT, label: str = "TOXIC", by: str = "lena", key: str = "", **filters: str
    ) -> Any:
        person, filters = cast[by], filters or {"run": str(run.pk)}
        seen = bulk.reach(filters, stage, by=person)
        choice = bulk.Choice(filters, stage, label, "The policy changed.")
        return bulk.start(choice, seen, key=key or uuid.uuid4().hex, by=person)

    return start


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "STEP", 3)
    monkeypatch.setattr(bulk, "AHEAD", 5)


def done(action: BulkAction) -> BulkAction:
    bulk.work(action)
    action.refresh_from_db()
    return action


def labels(stage: str = "input") -> list[str | None]:
    return list(Result.objects.order_by("pk").values_list(f"human_{stage}_label", flat=True))


class TestLabelling:
    @pytest.mark.usefixtures("small_steps")
    def test_every_result_that_was_counted_gets_the_label(self, begin: Callable[..., BulkAction]) -> None:
        action = done(begin())
        assert (action.state, action.done, action.total) == ("DONE", 8, 8)
        assert labels() == ["TOXIC"] * 8
        assert set(Result.objects.values_list("input_provenance", flat=True)) == {"single"}
        assert labels("output") == [None] * 8

    @pytest.mark.usefixtures("small_steps")
    def test_a_filter_that_its_own_labels_empty_is_still_worked_through(self, begin: Callable[..., BulkAction]) -> None:
        assert done(begin(reviewed="false")).done == 8

    def test_results_that_came_later_are_left_alone(
        self, begin: Callable[..., BulkAction], done_run: Callable[..., Run]
    ) -> None:
        action = begin(flagged="false")
        done_run(["Came later."])
        assert done(action).done == action.total
        assert Result.objects.get(prompt="Came later.").human_input_label is None

    def test_results_without_an_answer_have_none_to_be_labelled(self, begin: Callable[..., BulkAction]) -> None:
        answered = Result.objects.filter(answer__isnull=False).count()
        assert 0 < answered < 8
        action = done(begin(stage=Stage.OUTPUT, label="SAFE"))
        assert (action.total, action.done) == (answered, answered)
        assert sorted(map(str, labels("output"))) == sorted(["None"] * (8 - answered) + ["SAFE"] * answered)

    def test_what_its_person_judged_singly_keeps_that_verdict(
        self, begin: Callable[..., BulkAction], cast: Cast, run: Run
    ) -> None:
        first = run.results.earliest("pk")
        review_result(first, Judgement({Stage.INPUT: "SAFE"}, key="mine"), reviewer=cast.lena)
        assert bulk.reach({"run": str(run.pk)}, Stage.INPUT, by=cast.lena) == bulk.Reach(7, bulk_until(), kept=1)
        assert done(begin()).done == 7
        assert labels() == ["SAFE"] + ["TOXIC"] * 7

    def test_what_others_said_counts_beside_it(
        self, begin: Callable[..., BulkAction], make_queue: Callable[..., Queue], cast: Cast, run: Run
    ) -> None:
        review_next(make_queue(run, stages="INPUT"), cast.ruth, input="SAFE")
        done(begin())
        assert sorted(map(str, labels())) == ["TOXIC"] * 7 + ["UNSURE"]
        assert Result.objects.filter(input_provenance="machine").count() == 1

    def test_a_second_action_replaces_what_the_first_one_said(self, begin: Callable[..., BulkAction]) -> None:
        done(begin())
        done(begin(label="SAFE"))
        assert labels() == ["SAFE"] * 8
        assert Review.objects.count() == 16

    @pytest.mark.usefixtures("small_steps")
    def test_each_step_is_one_link_of_the_audit_chain(self, begin: Callable[..., BulkAction]) -> None:
        action = done(begin())
        bulk.work(bulk.undo(action, by=action.reviewer))
        mine = AuditEvent.objects.filter(action__startswith="bulk.").order_by("sequence")
        steps, back = ["bulk.labelled"] * 3, ["bulk.taken_back"] * 3
        assert [event.action for event in mine] == ["bulk.started", *steps, "bulk.undo_started", *back]
        assert verify().fault is None


def bulk_until() -> int:
    return Result.objects.latest("pk").pk


class TestOnce:
    def test_the_same_act_sent_twice_is_one(self, begin: Callable[..., BulkAction]) -> None:
        assert begin(key="k") == begin(key="k")
        assert done(begin(key="k")).done == 8
        assert begin(key="k").state == "DONE"
        assert Review.objects.count() == 8

    def test_another_act_under_its_key_is_refused(self, begin: Callable[..., BulkAction]) -> None:
        begin(key="k")
        with pytest.raises(ConflictError, match="under this key before"):
            begin(key="k", label="SAFE")

    def test_a_task_that_comes_twice_labels_nothing_twice(self, begin: Callable[..., BulkAction]) -> None:
        action = begin()
        tasks.work_on(action.pk)
        tasks.work_on(action.pk)
        assert Review.objects.count() == 8

    @pytest.mark.slow
    @pytest.mark.django_db(transaction=True)
    @pytest.mark.usefixtures("small_steps")
    def test_workers_at_once_label_and_take_back_nothing_twice(
        self, begin: Callable[..., BulkAction], cast: Cast, done_run: Callable[..., Run]
    ) -> None:
        done_run([f"text {n}" for n in range(60)])
        action = begin(reviewed="false")

        def work(_: int) -> None:
            try:
                while BulkAction.objects.filter(pk=action.pk, state__in=bulk.UNDER_WAY).exists():
                    tasks.work_on(action.pk)
            finally:
                connection.close()

        for expected in (68, 0):
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(work, range(4)))
            action.refresh_from_db()
            assert action.done == expected
            assert Result.objects.filter(reviewed_at__isnull=False).count() == expected
            if expected:
                action = bulk.undo(action, by=cast.lena)
        assert Review.objects.count() == 2 * 68

    @pytest.mark.usefixtures("small_steps")
    def test_after_a_kill_it_goes_on_where_it_was(
        self, begin: Callable[..., BulkAction], monkeypatch: pytest.MonkeyPatch, settings: Settings
    ) -> None:
        action = begin()
        note = bulk._note
        calls = []

        def killed_in_the_second_step(*args: Any) -> None:
            calls.append(args)
            if len(calls) == 2:
                raise KeyboardInterrupt
            note(*args)

        monkeypatch.setattr(bulk, "_note", killed_in_the_second_step)
        with pytest.raises(KeyboardInterrupt):
            bulk.work(action)
        assert Review.objects.count() == 3
        enqueued: list[BulkAction] = []
        monkeypatch.setattr(tasks, "enqueue_bulk", enqueued.append)
        assert tasks.requeue_lost() == 0
        BulkAction.objects.update(moved_at=timezone.now() - timedelta(seconds=settings.SAFETY_LEASE_SECONDS + 1))
        assert tasks.requeue_lost() == 1
        assert tasks.requeue_lost() == 0
        assert enqueued == [action]
        assert done(action).done == 8
        assert Review.objects.count() == 8

    def test_those_who_watch_the_workers_take_up_what_is_lost(self, begin: Callable[..., BulkAction]) -> None:
        begin()
        BulkAction.objects.update(moved_at=timezone.now() - timedelta(hours=2))
        watchdog._requeue_lost()
        assert [task.task["func"] for task in OrmQ.objects.all()] == ["review.tasks.work_on"]

    @pytest.mark.usefixtures("small_steps")
    def test_a_long_one_takes_turns_with_other_tasks(
        self, begin: Callable[..., BulkAction], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        action, enqueued = begin(), []
        monkeypatch.setattr(tasks, "TURN", -1)
        monkeypatch.setattr(tasks, "async_task", lambda *args: enqueued.append(args))
        for _ in range(3):
            tasks.work_on(action.pk)
        assert enqueued == [("review.tasks.work_on", action.pk)] * 2
        assert BulkAction.objects.get().state == "DONE"


class TestStopping:
    @pytest.mark.usefixtures("small_steps")
    def test_what_was_labelled_before_it_was_stopped_stays(self, begin: Callable[..., BulkAction], cast: Cast) -> None:
        action = begin()
        assert bulk.work(action, seconds=-1)
        assert bulk.cancel(action, by=cast.anna).state == "CANCELLED"
        assert bulk.cancel(action, by=cast.lena).state == "CANCELLED"
        assert done(action).done == 3
        assert labels() == ["TOXIC"] * 3 + [None] * 5

    def test_what_is_finished_cannot_be_stopped(self, begin: Callable[..., BulkAction], cast: Cast) -> None:
        with pytest.raises(ConflictError, match="Undo it instead"):
            bulk.cancel(done(begin()), by=cast.lena)

    def test_who_does_not_lead_stops_nothing(self, begin: Callable[..., BulkAction], cast: Cast) -> None:
        for name in ("ruth", "sara", "axel", "nora"):
            with pytest.raises(ForbiddenError):
                bulk.cancel(begin(), by=cast[name])


class TestUndo:
    @pytest.mark.usefixtures("small_steps")
    def test_all_of_it_is_taken_back_and_both_are_kept(self, begin: Callable[..., BulkAction], cast: Cast) -> None:
        action = bulk.undo(done(begin()), by=cast.lena)
        assert action.state == "UNDOING"
        assert (done(action).state, action.done) == ("UNDONE", 0)
        assert labels() == [None] * 8
        assert set(Result.objects.values_list("input_provenance", "reviewed_at")) == {("machine", None)}
        assert Review.objects.count() == 16
        assert bulk.undo(action, by=cast.lena).state == "UNDONE"

    def test_what_was_corrected_since_stays(self, begin: Callable[..., BulkAction], cast: Cast, run: Run) -> None:
        action = done(begin())
        review_result(run.results.earliest("pk"), Judgement({Stage.INPUT: "SAFE"}, key="better"), reviewer=cast.lena)
        done(bulk.undo(action, by=cast.lena))
        assert labels() == ["SAFE"] + [None] * 7

    def test_what_an_earlier_action_said_holds_again(self, begin: Callable[..., BulkAction], cast: Cast) -> None:
        first = done(begin())
        second = done(begin(label="SAFE"))
        done(bulk.undo(second, by=cast.lena))
        assert labels() == ["TOXIC"] * 8
        done(bulk.undo(first, by=cast.lena))
        assert labels() == [None] * 8

    def test_what_was_taken_back_meanwhile_does_not_hold_again(
        self, begin: Callable[..., BulkAction], cast: Cast
    ) -> None:
        first = done(begin())
        second = done(begin(label="SAFE"))
        done(bulk.undo(first, by=cast.lena))
        assert labels() == ["SAFE"] * 8
        done(bulk.undo(second, by=cast.lena))
        assert labels() == [None] * 8

    def test_what_others_said_is_in_effect_again(
        self, begin: Callable[..., BulkAction], make_queue: Callable[..., Queue], cast: Cast, run: Run
    ) -> None:
        review_next(make_queue(run, stages="INPUT"), cast.ruth, input="SAFE")
        before = list(Result.objects.order_by("pk").values())
        done(bulk.undo(done(begin()), by=cast.lena))
        assert list(Result.objects.order_by("pk").values()) == before

    def test_only_who_did_it_takes_it_back(self, begin: Callable[..., BulkAction], cast: Cast) -> None:
        action = done(begin())
        with pytest.raises(ForbiddenError, match="Only who labelled"):
            bulk.undo(action, by=cast.anna)
        assert labels() == ["TOXIC"] * 8

    def test_only_for_some_time(self, begin: Callable[..., BulkAction], cast: Cast, settings: Settings) -> None:
        action = done(begin())
        settings.SAFETY_UNDO_SECONDS = 0
        assert bulk.undo_until(action) is None
        with pytest.raises(ConflictError, match="can be taken back for 0 minutes"):
            bulk.undo(action, by=cast.lena)

    def test_not_while_it_is_at_work(self, begin: Callable[..., BulkAction], cast: Cast) -> None:
        with pytest.raises(ConflictError, match="Stop it first"):
            bulk.undo(begin(), by=cast.lena)


class TestRefusals:
    @pytest.mark.parametrize("name", ["ruth", "sara", "axel", "nora"])
    def test_who_does_not_lead_labels_nothing(self, cast: Cast, run: Run, name: str) -> None:
        choice = bulk.Choice({}, Stage.INPUT, "SAFE", "why")
        with pytest.raises(ForbiddenError):
            bulk.reach({}, Stage.INPUT, by=cast[name])
        with pytest.raises(ForbiddenError):
            bulk.start(choice, bulk.Reach(8, bulk_until(), 0), key="k", by=cast[name])
        assert not BulkAction.objects.exists()

    @pytest.mark.parametrize(
        ("label", "reason", "sentence"),
        [
            ("ERROR", "why", "is no label"),
            ("SAFE", "  ", "Say why"),
            ("SAFE", "x" * 1001, "Say why"),
            ("SAFE", "a\0b", "Say why"),
        ],
    )
    def test_a_label_and_a_reason_are_needed(self, label: str, reason: str, sentence: str) -> None:
        with pytest.raises(InputError, match=sentence):
            bulk.Choice({}, Stage.INPUT, label, reason)

    def test_a_filter_that_is_none_labels_nothing(self, cast: Cast, run: Run) -> None:
        with pytest.raises(InputError, match="There is no filter"):
            bulk.reach({"colour": "red"}, Stage.INPUT, by=cast.lena)

    def test_when_the_number_has_changed_nothing_is_labelled(
        self, cast: Cast, run: Run, make_queue: Callable[..., Queue]
    ) -> None:
        seen = bulk.reach({"reviewed": "false"}, Stage.INPUT, by=cast.lena)
        review_next(make_queue(run), cast.ruth)
        choice = bulk.Choice({"reviewed": "false"}, Stage.INPUT, "SAFE", "why")
        with pytest.raises(ConflictError, match="You saw 8 results, and by now there are 7"):
            bulk.start(choice, seen, key="k", by=cast.lena)
        assert not BulkAction.objects.exists()

    def test_nothing_to_label_is_said(self, cast: Cast, run: Run) -> None:
        choice = bulk.Choice({"q": "unheardof"}, Stage.INPUT, "SAFE", "why")
        with pytest.raises(InputError, match="No result is left"):
            bulk.start(choice, bulk.reach(choice.filters, Stage.INPUT, by=cast.lena), key="k", by=cast.lena)

    def test_a_filter_that_no_longer_works_ends_the_action_with_a_sentence(
        self, begin: Callable[..., BulkAction]
    ) -> None:
        action = begin()
        BulkAction.objects.update(filters={"colour": "red"})
        action.refresh_from_db()
        assert done(action).state == "FAILED"
        assert action.error.startswith('There is no filter "colour"')


class TestPages:
    @pytest.fixture
    def visit(self, client: Client, cast: Cast) -> Callable[..., Any]:
        def go(who: str, name: str, *args: Any, post: dict[str, Any] | None = None, **query: Any) -> Any:
            client.force_login(cast[who])
            address = reverse(f"admin:review_bulkaction_{name}", args=args)
            return client.get(address, query) if post is None else client.post(address, post, query_params=query)

        return go

    def sent(self, **changes: Any) -> dict[str, Any]:
        common = {"stage": "INPUT", "label": "SAFE", "reason": "All greetings.", "key": uuid.uuid4().hex}
        return {**common, "count": 8, "until": bulk_until(), **changes}

    def test_the_preview_tells_how_many_and_shows_some(self, visit: Callable[..., Any], run: Run) -> None:
        page = visit("lena", "add", run=run.pk, flagged="false").content.decode()
        assert "<b>5</b> results would be labelled" in page
        assert 'name="count" value="5"' in page
        assert f"run {run.pk}, not flagged" in page
        assert "You are kind." in page

    def test_answers_are_counted_where_there_are_any(self, visit: Callable[..., Any], run: Run) -> None:
        assert "<b>5</b> results" in visit("lena", "preview", run=run.pk, on="OUTPUT").content.decode()
        assert "<b>8</b> results" in visit("lena", "preview", run=run.pk, on="INPUT").content.decode()
        assert visit("lena", "preview", run=run.pk, on="MOOD").status_code == 400

    def test_few_are_labelled_at_once(self, visit: Callable[..., Any], run: Run) -> None:
        response = visit("lena", "add", post=self.sent(), run=run.pk)
        action = BulkAction.objects.get()
        assert response.headers["Location"] == reverse("admin:review_bulkaction_change", args=[action.pk])
        assert (action.state, action.done, action.filters) == ("DONE", 8, {"run": str(run.pk)})
        assert "8 of 8 labelled" in visit("axel", "change", action.pk).content.decode()

    def test_many_go_to_the_workers(self, visit: Callable[..., Any], run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bulk, "AT_ONCE", 5)
        visit("lena", "add", post=self.sent(), run=run.pk)
        action = BulkAction.objects.get()
        assert (action.state, OrmQ.objects.count()) == ("RUNNING", 1)
        page = visit("lena", "state", action.pk).content.decode()
        assert 'hx-trigger="every 2s"' in page
        assert "0 of 8 labelled" in page
        assert "Stop it" not in visit("axel", "state", action.pk).content.decode()
        assert visit("lena", "cancel", action.pk, post={}).status_code == 302
        assert BulkAction.objects.get().state == "CANCELLED"

    def test_a_stalled_one_says_so_and_goes_on(
        self, visit: Callable[..., Any], begin: Callable[..., BulkAction]
    ) -> None:
        action = begin()
        assert "Are workers running?" not in visit("lena", "state", action.pk).content.decode()
        BulkAction.objects.update(moved_at=timezone.now() - timedelta(minutes=10))
        assert "Are workers running?" in visit("lena", "state", action.pk).content.decode()
        assert visit("axel", "go_on", action.pk, post={}).status_code == 403
        visit("lena", "go_on", action.pk, post={})
        assert BulkAction.objects.get().state == "DONE"

    def test_all_of_it_is_taken_back(self, visit: Callable[..., Any], begin: Callable[..., BulkAction]) -> None:
        action = done(begin())
        assert "Take all of it back" in visit("lena", "change", action.pk).content.decode()
        assert "Take all of it back" not in visit("anna", "change", action.pk).content.decode()
        assert visit("anna", "undo", action.pk, post={}).status_code == 403
        assert visit("lena", "undo", action.pk, post={}).status_code == 302
        assert BulkAction.objects.get().state == "UNDONE"
        assert labels() == [None] * 8

    @pytest.mark.parametrize(
        ("sent", "status", "sentence"),
        [
            ({"count": 7}, 409, "You saw 7 results, and by now there are 8"),
            ({"label": ""}, 400, "This field is required"),
            ({"label": "ERROR"}, 400, "Select a valid choice"),
            ({"reason": " "}, 400, "This field is required"),
            ({"reason": "x" * 1001}, 400, "at most 1000 characters"),
            ({"stage": "MOOD"}, 400, "There is no stage"),
            ({"key": ""}, 400, "Every act needs a key"),
            ({"count": "many"}, 400, "must be a whole number"),
        ],
    )
    def test_what_cannot_be_labels_nothing(
        self, visit: Callable[..., Any], run: Run, sent: dict[str, Any], status: int, sentence: str
    ) -> None:
        response = visit("lena", "add", post=self.sent(**sent), run=run.pk)
        assert response.status_code == status
        assert sentence in response.content.decode()
        assert not BulkAction.objects.exists()

    def test_a_filter_that_is_none_is_said(self, visit: Callable[..., Any], run: Run) -> None:
        for query in ({"colour": "red"}, {"flagged": "maybe"}):
            assert visit("lena", "add", **query).status_code == 400
            assert visit("lena", "add", post=self.sent(), **query).status_code == 400
        assert not BulkAction.objects.exists()

    def test_an_action_that_is_not_there_is_said(self, visit: Callable[..., Any]) -> None:
        for name, post in (("change", None), ("state", None), ("cancel", {}), ("undo", {}), ("go_on", {})):
            assert visit("lena", name, 77, post=post).status_code == 404

    @pytest.mark.parametrize("name", ["ruth", "sara", "nora", "axel"])
    def test_who_does_not_lead_presses_nothing(
        self, visit: Callable[..., Any], begin: Callable[..., BulkAction], name: str
    ) -> None:
        action = begin()
        assert {visit(name, button, action.pk, post={}).status_code for button in ("cancel", "undo", "go_on")} == {403}
        looks = [visit(name, "changelist"), visit(name, "change", action.pk), visit(name, "state", action.pk)]
        assert {look.status_code for look in looks} == {200 if name == "axel" else 403}
        assert BulkAction.objects.get().state == "RUNNING"

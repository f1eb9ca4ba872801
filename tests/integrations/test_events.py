"""What webhooks are told: each event once, from the audit chain, by numbers and labels and never by texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from audit.models import AuditEvent
from governance.drift import check_drift
from integrations import events, webhooks
from integrations.models import Delivery, Webhook
from review import handout
from review.models import Queue
from runs import services
from runs.models import Result, Run
from tests.governance.drifting import HIGH, days
from tests.review.conftest import Cast, review_next

Make = Callable[..., Webhook]


def told() -> list[dict[str, Any]]:
    return [json.loads(body) for body in Delivery.objects.order_by("pk").values_list("body", flat=True)]


def test_a_run_that_ended(make_webhook: Make, make_run: Any, done_run: Any) -> None:
    make_webhook("run.finished")
    done, cancelled = done_run(["You are kind."]), make_run(["x"])
    services.cancel_run(cancelled, actor="test")
    assert events.collect() == 2
    first, second = told()
    assert first["type"] == "run.finished"
    assert first["data"] == {"run": done.pk, "name": done.name, "status": "DONE", "total": 1}
    assert (second["data"]["run"], second["data"]["status"]) == (cancelled.pk, "CANCELLED")


def test_results_that_were_flagged_one_message_a_chunk(make_webhook: Make, done_run: Any) -> None:
    make_webhook("result.flagged")
    run = done_run(["You are kind.", "toxic one", "toxic two", "Fine.", "Good.", "toxic three"], batch_size=3)
    events.collect()
    found = [message["data"] for message in told()]
    assert [(data["run"], data["count"]) for data in found] == [(run.pk, 2), (run.pk, 1)]
    assert [result["position"] for data in found for result in data["results"]] == [1, 2, 5]
    first = found[0]["results"][0]
    assert first["id"] == run.results.get(position=1).pk
    assert first["input"]["label"] == "TOXIC"
    assert "output" not in first


def test_a_message_names_some_and_counts_all(make_webhook: Make, done_run: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(events, "NAMED", 2)
    make_webhook("result.flagged")
    done_run(["toxic"] * 4, batch_size=10)
    events.collect()
    assert (told()[0]["data"]["count"], len(told()[0]["data"]["results"])) == (4, 2)


def test_no_text_is_ever_told(make_webhook: Make, make_queue: Any, done_run: Any, cast: Cast) -> None:
    make_webhook()
    run = done_run(["toxic Winterbottom", "fine Winterbottom"])
    handout.escalate(handout.claim_next(make_queue(run), reviewer=cast.ruth), reason="Winterbottom again")
    events.collect()
    assert len(told()) == 3
    assert "Winterbottom" not in str(told())


def test_what_a_reviewer_escalates(make_webhook: Make, make_queue: Any, cast: Cast) -> None:
    make_webhook("result.escalated", "review.disagreed")
    queue = make_queue()
    claim = handout.claim_next(queue, reviewer=cast.ruth)
    handout.escalate(claim, reason="hard")
    events.collect()
    (message,) = told()
    assert message["type"] == "result.escalated"
    assert message["data"] == {"queue": queue.pk, "item": claim.item_id, "result": claim.item.result_id}


def test_a_classifier_that_drifts_once(make_webhook: Make) -> None:
    make_webhook("classifier.drifted")
    days(range(7, 14), 100)
    days(range(7), 100, HIGH)
    for _ in range(2):
        check_drift(actor="system")
    events.collect()
    (message,) = told()
    assert message["type"] == "classifier.drifted"
    data = message["data"]
    assert (data["classifier"], data["stage"], data["live"]) == ("guard", "INPUT", True)
    assert data["texts"] == {"reference": 700, "recent": 700}
    scores = data["findings"][0]
    assert (scores["respect"], scores["level"]) == ("scores", "drift")
    assert scores["psi"] > 0.25
    assert scores["p_value"] < 0.001


class TestDisagreements:
    def judge(self, queue: Queue, *said: tuple[Any, str]) -> None:
        for person, label in said:
            review_next(queue, person, input=label)

    @pytest.fixture
    def queue(self, make_queue: Any, done_run: Any, make_webhook: Make) -> Queue:
        make_webhook("review.disagreed")
        queue: Queue = make_queue(done_run(["one"]), needed=3, stages="INPUT")
        return queue

    def test_they_are_told_once_when_the_last_has_spoken(self, queue: Queue, cast: Cast) -> None:
        self.judge(queue, (cast.ruth, "SAFE"), (cast.rob, "TOXIC"))
        assert events.collect() == 0
        self.judge(queue, (cast.rita, "SAFE"))
        assert events.collect() == 1
        item = queue.items.get()
        assert told()[0]["data"] == {"queue": queue.pk, "item": item.pk, "result": item.result_id}

    def test_also_when_they_are_looked_for_later(self, queue: Queue, cast: Cast) -> None:
        self.judge(queue, (cast.ruth, "SAFE"), (cast.rob, "TOXIC"), (cast.rita, "SAFE"))
        assert events.collect() == 1

    def test_agreement_is_not_told(self, queue: Queue, cast: Cast) -> None:
        self.judge(queue, (cast.ruth, "SAFE"), (cast.rob, "SAFE"), (cast.rita, "SAFE"))
        assert events.collect() == 0


class TestOnce:
    def test_each_event_once_for_each_webhook_however_often_one_looks(self, make_webhook: Make, done_run: Any) -> None:
        first, second = make_webhook(name="one"), make_webhook("run.finished", name="two")
        done_run(["toxic"])
        assert events.collect() == 3
        assert [events.collect() for _ in range(3)] == [0, 0, 0]
        assert (first.deliveries.count(), second.deliveries.count()) == (2, 1)
        same = Delivery.objects.filter(event="run.finished").values_list("message_id", flat=True)
        assert len(set(same)) == 1

    def test_what_was_before_is_not_told(self, make_webhook: Make, done_run: Any) -> None:
        done_run(["toxic"])
        make_webhook()
        assert events.collect() == 0

    def test_what_happens_during_a_pause_is_not_told(self, make_webhook: Make, done_run: Any, cast: Cast) -> None:
        hook = make_webhook("run.finished")
        hook = webhooks.update_webhook(hook, {"active": False}, version=1, by=cast.anna)
        done_run(["one"])
        assert events.collect() == 0
        webhooks.update_webhook(hook, {"active": True}, version=2, by=cast.anna)
        done_run(["two"])
        assert events.collect() == 1

    def test_many_entries_are_read_in_turns(self, make_webhook: Make, done_run: Any, monkeypatch: Any) -> None:
        make_webhook("result.flagged")
        monkeypatch.setattr(events, "BATCH", 2)
        done_run(["toxic"] * 5, batch_size=1)
        assert [events.collect() for _ in range(4)] == [2, 2, 1, 0]

    def test_a_look_that_fails_halfway_tells_nothing_twice(
        self, make_webhook: Make, done_run: Any, monkeypatch: Any
    ) -> None:
        hook = make_webhook("run.finished", "result.flagged")
        done_run(["toxic"])
        save = Webhook.save
        monkeypatch.setattr(Webhook, "save", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            events.collect()
        assert hook.deliveries.count() == 0
        monkeypatch.setattr(Webhook, "save", save)
        assert events.collect() == 2

    def test_what_is_gone_meanwhile_is_passed_over(self, make_webhook: Make, done_run: Any) -> None:
        hook = make_webhook()
        run = done_run(["toxic"])
        Result.objects.all().delete()
        Run.objects.filter(pk=run.pk).delete()
        assert events.collect() == 0
        hook.refresh_from_db()
        assert hook.cursor == AuditEvent.objects.count()

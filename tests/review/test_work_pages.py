"""The reviewer's pages: what they show, what they do, and what they refuse."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from classifiers.types import Stage
from review import handout, places, queues, services
from review.models import Claim, Draft, Preferences, Queue, QueueItem, Review, Seat
from tests.review.conftest import Cast, judgement, review_next
from tests.review.pages import HTMX, JSON, MINE, WORK, act_url, at, hold, next_url


@pytest.fixture
def ruth(cast: Cast) -> Client:
    return at(cast.ruth)


class TestQueues:
    def test_a_reviewer_sees_what_is_left_and_where_to_start(
        self, ruth: Client, make_queue: Callable[..., Queue], django_assert_max_num_queries: Any
    ) -> None:
        queue = make_queue(name="First"), make_queue(name="Second", blind=True)
        with django_assert_max_num_queries(12):
            page = ruth.get(WORK).content.decode()
        assert page.count("<b>8</b> left for you") == 2
        assert all(next_url(each) in page for each in queue)

    @pytest.mark.parametrize("name", ["axel", "nora"])
    def test_whoever_does_not_review_is_refused(self, cast: Cast, make_queue: Callable[..., Queue], name: str) -> None:
        queue, client = make_queue(), at(cast[name])
        for url in (WORK, MINE, next_url(queue)):
            refused = client.get(url)
            assert refused.status_code == 403
            assert "You may not review results" in refused.content.decode()
        for part in ("take", "live", "undo"):
            assert client.post(f"/admin/review/queue/{queue.pk}/{part}/").status_code == 403
        assert not Claim.objects.exists()

    def test_a_queue_for_members_is_shown_to_them_alone(self, cast: Cast, make_queue: Callable[..., Queue]) -> None:
        queue = make_queue(restricted=True)
        Seat.objects.create(queue=queue, user=cast.ruth, member=True)
        assert next_url(queue) in at(cast.ruth).get(WORK).content.decode()
        assert next_url(queue) not in at(cast.rob).get(WORK).content.decode()
        assert at(cast.rob).get(next_url(queue)).status_code == 403

    def test_a_lead_is_told_why_a_blind_queue_is_not_for_them(
        self, cast: Cast, make_queue: Callable[..., Queue]
    ) -> None:
        queue, lena = make_queue(blind=True), at(cast.lena)
        page = lena.get(WORK).content.decode()
        assert next_url(queue) not in page
        assert "1 blind queue is not for you" in page
        assert lena.get(next_url(queue)).status_code == 403

    def test_what_is_kept_handed_or_too_late_waits_there(
        self, cast: Cast, ruth: Client, make_queue: Callable[..., Queue]
    ) -> None:
        queue = make_queue()
        handout.park(handout.claim_next(queue, reviewer=cast.ruth))
        handout.hand_to(handout.claim_next(queue, reviewer=cast.rob), to=cast.ruth, by=cast.rob)
        Draft.objects.create(item=queue.items.first(), reviewer=cast.ruth, key="d", labels={"INPUT": "TOXIC"})
        page = ruth.get(WORK).content.decode()
        assert ("kept for later" in page, "handed to you by rob" in page) == (True, True)
        assert "Drafts: verdicts that came too late" in page

    def test_a_deleted_queue_is_one_sentence(self, ruth: Client, db: None) -> None:
        gone = ruth.get("/admin/review/queue/987654321987/next/")
        assert gone.status_code == 404
        assert "There is no such queue" in gone.content.decode()

    def test_a_closed_queue_is_one_sentence(self, cast: Cast, ruth: Client, make_queue: Callable[..., Queue]) -> None:
        queue = make_queue()
        queues.close_queue(queue, by=cast.lena)
        closed = ruth.get(next_url(queue))
        assert closed.status_code == 409
        assert "is closed" in closed.content.decode()


class TestDesk:
    def test_it_shows_the_same_result_until_that_is_judged(
        self, ruth: Client, make_queue: Callable[..., Queue], django_assert_max_num_queries: Any
    ) -> None:
        queue = make_queue()
        first = ruth.get(next_url(queue), follow=True)
        with django_assert_max_num_queries(12):
            again = ruth.get(next_url(queue))
        claim = Claim.objects.get()
        assert all(act_url(claim, "verdict") in page.content.decode() for page in (first, again))
        assert "7 more left for you" in re.sub(r"\s+", " ", again.content.decode())

    def test_without_blindness_the_machine_and_its_reasons_are_shown(
        self, cast: Cast, ruth: Client, make_queue: Callable[..., Queue]
    ) -> None:
        queue = make_queue()
        claim = hold(queue, cast.ruth, answered=False)
        page = ruth.get(f"/admin/review/queue/claim/{claim.pk}/").content.decode()
        assert "The machine says" in page
        assert "fake: TOXIC" in page

    def test_a_form_without_a_script_stores_and_goes_on(
        self, ruth: Client, cast: Cast, make_queue: Callable[..., Queue]
    ) -> None:
        queue = make_queue()
        claim = hold(queue, cast.ruth)
        said = {"key": "k1", "input": "SAFE", "output": "TOXIC", "category": ["hate", "sexual"], "note": "rude"}
        after = ruth.post(act_url(claim, "verdict"), said, follow=True)
        assert "Stored: prompt SAFE, answer TOXIC." in after.content.decode()
        stored = Review.objects.order_by("stage").values_list("stage", "label", "categories", "note")
        assert list(stored) == [
            (stage, label, ["hate", "sexual"], "rude") for stage, label in zip(Stage, ("SAFE", "TOXIC"), strict=True)
        ]
        assert act_url(Claim.objects.get(state="HELD"), "verdict") in after.content.decode()

    def test_a_script_is_answered_with_json_and_a_repetition_counts_once(
        self, ruth: Client, cast: Cast, make_queue: Callable[..., Queue]
    ) -> None:
        claim = hold(make_queue(), cast.ruth)
        said = {"key": "k1", "input": "SAFE", "output": "SAFE"}
        first, again = (ruth.post(act_url(claim, "verdict"), said, headers=JSON).json() for _ in range(2))
        assert (first["status"], again["status"]) == ("stored", "repeated")
        assert first["undo"] == again["undo"] == Review.objects.order_by("pk").first().pk
        assert Review.objects.count() == 2

    def test_a_verdict_that_comes_too_late_is_a_draft_and_is_filled_in_later(
        self, ruth: Client, cast: Cast, make_queue: Callable[..., Queue]
    ) -> None:
        queue = make_queue()
        claim = hold(queue, cast.ruth)
        Claim.objects.filter(pk=claim.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
        handout.sweep(queue)
        QueueItem.objects.exclude(pk=claim.item_id).update(state="CLOSED")
        assert handout.claim_next(queue, reviewer=cast.rob).item_id == claim.item_id
        said = {"key": "k1", "input": "UNSURE", "output": "SAFE", "note": "in two minds"}
        late = ruth.post(act_url(claim, "verdict"), said, headers=JSON).json()
        assert late["status"] == "draft"
        assert not Review.objects.exists()
        page = ruth.get(f"/admin/review/queue/claim/{claim.pk}/").content.decode()
        assert "in two minds" in page
        assert re.search(r'value="UNSURE"[^>]* checked', page)
        assert f"/claim/{claim.pk}/" in ruth.get(WORK).content.decode()

    @pytest.mark.parametrize(
        ("act", "fields", "state"),
        [
            ("skip", {"reason": "I cannot read it"}, "SKIPPED"),
            ("escalate", {"reason": "too hard"}, "ESCALATED"),
            ("park", {}, "PARKED"),
            ("release", {}, "RELEASED"),
            ("hand", {"to": "rob"}, "RELEASED"),
        ],
    )
    def test_each_other_act_is_one_post(
        self, ruth: Client, cast: Cast, make_queue: Callable[..., Queue], act: str, fields: dict[str, str], state: str
    ) -> None:
        claim = hold(make_queue(), cast.ruth)
        assert ruth.get(act_url(claim, act)).status_code == 405
        assert at(cast.rob).post(act_url(claim, act), fields, headers=JSON).status_code == 404
        done = ruth.post(act_url(claim, act), fields, headers=JSON)
        assert done.status_code == 200
        claim.refresh_from_db()
        assert claim.state == state

    def test_what_is_kept_is_taken_up_again(self, ruth: Client, cast: Cast, make_queue: Callable[..., Queue]) -> None:
        claim = hold(make_queue(), cast.ruth)
        handout.park(claim)
        assert ruth.get(f"/admin/review/queue/claim/{claim.pk}/").status_code == 409
        page = ruth.post(act_url(claim, "take-up"), follow=True)
        assert act_url(claim, "verdict") in page.content.decode()

    def test_only_those_who_may_work_there_are_colleagues(self, cast: Cast, make_queue: Callable[..., Queue]) -> None:
        names = {True: ["rita", "rob", "sara"], False: ["anna", "lena", "rita", "rob", "sara"]}
        for blind, expected in names.items():
            found = places.colleagues(make_queue(blind=blind), cast.ruth)
            assert [person.username for person in found] == expected

    def test_the_next_one_is_taken_while_one_is_on_the_desk(
        self, ruth: Client, cast: Cast, make_queue: Callable[..., Queue]
    ) -> None:
        queue = make_queue()
        ruth.get(next_url(queue))
        on_desk = Claim.objects.get()
        taken = ruth.post(f"/admin/review/queue/{queue.pk}/take/", {"besides": on_desk.pk}, headers=HTMX)
        assert Claim.objects.filter(state="HELD").count() == 2
        assert f'data-claim="{on_desk.pk}"' not in taken.content.decode()
        assert "<html" not in taken.content.decode()

    def test_when_nothing_is_left_the_page_says_what_to_do(
        self, ruth: Client, cast: Cast, make_queue: Callable[..., Queue]
    ) -> None:
        queue, other = make_queue(), make_queue(name="The other one")
        while review_next(queue, cast.ruth):
            pass
        page = ruth.get(next_url(queue)).content.decode()
        assert "Nothing is left for you here" in page
        assert f"Go on with {other.name}" in page


class TestLive:
    def live(self, client: Client, claim: Claim, **fields: object) -> str:
        url = f"/admin/review/queue/{claim.item.queue_id}/live/"
        return client.post(url, {"claim": claim.pk, **fields}, headers=HTMX).content.decode()

    def test_work_makes_the_lease_whole_and_idleness_does_not(
        self, ruth: Client, cast: Cast, make_queue: Callable[..., Queue]
    ) -> None:
        claim = hold(make_queue(), cast.ruth)
        soon = timezone.now() + timedelta(seconds=90)
        Claim.objects.filter(pk=claim.pk).update(expires_at=soon)
        assert 'data-seconds="89"' in self.live(ruth, claim)
        claim.refresh_from_db()
        assert claim.expires_at == soon
        self.live(ruth, claim, active=1)
        claim.refresh_from_db()
        assert claim.expires_at > soon + timedelta(minutes=5)

    def test_a_lost_result_is_named(self, ruth: Client, cast: Cast, make_queue: Callable[..., Queue]) -> None:
        claim = hold(make_queue(), cast.ruth)
        Claim.objects.filter(pk=claim.pk).update(state="EXPIRED", expires_at=None)
        said = self.live(ruth, claim)
        assert f'data-lost="{claim.pk}"' in said
        assert "Send your verdict all the same" in said

    def test_nobody_keeps_anothers_lease_alive(self, cast: Cast, make_queue: Callable[..., Queue]) -> None:
        claim = hold(make_queue(), cast.ruth)
        soon = timezone.now() + timedelta(seconds=90)
        Claim.objects.filter(pk=claim.pk).update(expires_at=soon)
        assert "data-seconds" not in self.live(at(cast.rob), claim, active=1)
        claim.refresh_from_db()
        assert claim.expires_at == soon

    def test_a_break_is_offered_after_an_hour_and_not_after_a_pause(
        self, ruth: Client, cast: Cast, make_queue: Callable[..., Queue]
    ) -> None:
        claim, now = hold(make_queue(), cast.ruth), timezone.now()
        worked = {"working_since": now - timedelta(minutes=61), "last_seen": now - timedelta(minutes=1)}
        Preferences.objects.create(user=cast.ruth, **worked)
        assert "at it for 61 minutes" in self.live(ruth, claim, active=1)
        Preferences.objects.update(break_minutes=0)
        assert "at it for" not in self.live(ruth, claim, active=1)
        Preferences.objects.update(break_minutes=60, last_seen=now - timedelta(minutes=11))
        assert "at it for" not in self.live(ruth, claim, active=1)


class TestUndo:
    def undo(self, client: Client, queue: Queue, **fields: str) -> Any:
        return client.post(f"/admin/review/queue/{queue.pk}/undo/", fields, headers=JSON)

    def test_the_newest_verdict_or_the_one_named_is_taken_back(
        self, ruth: Client, cast: Cast, make_queue: Callable[..., Queue]
    ) -> None:
        queue = make_queue()
        first = hold(queue, cast.ruth)
        services.submit(first, judgement(first, key="k1"))
        second = hold(queue, cast.ruth)
        services.submit(second, judgement(second, key="k2"))
        assert self.undo(ruth, queue, key="u1", act="k1").json()["claim"] == first.pk
        assert self.undo(ruth, queue, key="u2").json()["claim"] == second.pk
        assert not Review.objects.current().exists()
        assert Review.objects.count() == 8

    def test_sent_again_it_takes_back_nothing_more(
        self, ruth: Client, cast: Cast, make_queue: Callable[..., Queue]
    ) -> None:
        queue = make_queue()
        for _ in range(2):
            claim = hold(queue, cast.ruth)
            services.submit(claim, judgement(claim))
        answers = [self.undo(ruth, queue, key="u1").json() for _ in range(2)]
        assert answers[0] == answers[1]
        assert Review.objects.current().count() == 2

    def test_there_must_be_something_of_ones_own(
        self, ruth: Client, cast: Cast, make_queue: Callable[..., Queue]
    ) -> None:
        queue = make_queue()
        claim = hold(queue, cast.rob)
        services.submit(claim, judgement(claim, key="k1"))
        assert self.undo(ruth, queue, key="u1").status_code == 404
        assert self.undo(ruth, queue, key="u1", act="k1").status_code == 404
        assert Review.objects.current().count() == 2

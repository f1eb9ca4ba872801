"""Settling what people disagree on: by a third person, who sees everything, once."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from audit.models import AuditEvent
from classifiers.types import Stage
from review import handout, services
from review.models import Claim, Queue, QueueItem, Review
from review.services import Judgement
from runs.models import Result, Run
from tests.review.conftest import Cast, review_next

EVERYBODY = ("ruth", "rob", "rita", "sara", "lena", "axel", "anna", "nora")


@pytest.fixture
def run(done_run: Callable[..., Run]) -> Run:
    return done_run(["A first text.", "A second text."])


@pytest.fixture
def queue(make_queue: Callable[..., Queue], run: Run) -> Queue:
    return make_queue(run, needed=2, blind=True, stages="INPUT")


@pytest.fixture
def item(queue: Queue, cast: Cast) -> QueueItem:
    """What ruth calls SAFE and rob TOXIC."""
    review_next(queue, cast.ruth, input="SAFE", note="Harmless, I think.")
    (first,) = queue.items.filter(done=1)
    handout.claim_next(queue, reviewer=cast.rob)
    Claim.objects.filter(reviewer=cast.rob).update(item=first)
    QueueItem.objects.update(claimed=0)
    QueueItem.objects.filter(pk=first.pk).update(claimed=1)
    claim = handout.find_claim(Claim.objects.get(reviewer=cast.rob).pk, reviewer=cast.rob)
    services.submit(claim, Judgement({Stage.INPUT: "TOXIC"}, key="rob"))
    first.refresh_from_db()
    assert first.state == "NEEDS_ADJUDICATION"
    return first


@pytest.fixture
def visit(client: Client, cast: Cast, item: QueueItem) -> Callable[..., Any]:
    """The page of the disputed item, or another; ``post`` decides."""

    def go(who: str, name: str = "review_case", *args: Any, post: dict[str, Any] | None = None) -> Any:
        client.force_login(cast[who])
        of_item = name == "review_case" and not args
        address = reverse(f"admin:{name}", args=[item.queue_id, item.pk] if of_item else args)
        return client.get(address) if post is None else client.post(address, post)

    return go


def decision(**changes: Any) -> dict[str, Any]:
    return {"input": "TOXIC", "cause": "ambiguous", "note": "Read twice.", "key": uuid.uuid4().hex, **changes}


class TestWhoMaySettle:
    @pytest.mark.parametrize("name", EVERYBODY)
    def test_seniors_and_leads_who_did_not_judge_it(self, visit: Callable[..., Any], name: str) -> None:
        allowed = name in ("sara", "lena", "anna")
        assert visit(name).status_code == (200 if allowed else 403)
        assert visit(name, post=decision()).status_code == (302 if allowed else 403)
        assert Review.objects.adjudications().exists() == allowed

    def test_a_senior_who_judged_it_leaves_it_to_somebody_else(
        self, visit: Callable[..., Any], item: QueueItem, cast: Cast
    ) -> None:
        Claim.objects.filter(reviewer=cast.ruth).update(reviewer=cast.sara)
        Review.objects.filter(reviewer=cast.ruth).update(reviewer=cast.sara)
        for response in (visit("sara"), visit("sara", post=decision())):
            assert response.status_code == 403
            assert "Somebody else settles the disagreement" in response.content.decode()
        listed = visit("sara", "review_disputed", item.queue_id).content.decode()
        assert "Nothing is left here for you to settle" in listed
        assert "1 more waits for somebody else" in listed

    def test_a_senior_sees_nothing_of_what_is_not_disputed(
        self, visit: Callable[..., Any], queue: Queue, item: QueueItem
    ) -> None:
        other = queue.items.exclude(pk=item.pk).get()
        response = visit("sara", "review_case", queue.pk, other.pk)
        assert response.status_code == 409
        assert "nothing to settle here" in response.content.decode()
        assert other.result.prompt not in response.content.decode()

    def test_a_restricted_queue_is_settled_by_its_members(
        self, visit: Callable[..., Any], queue: Queue, cast: Cast
    ) -> None:
        Queue.objects.update(restricted=True)
        assert visit("sara").status_code == 403
        assert "Nothing waits for you" in visit("sara", "review_disputed_queues").content.decode()

    def test_who_has_seen_it_is_not_handed_it_blind(
        self, visit: Callable[..., Any], queue: Queue, item: QueueItem, cast: Cast
    ) -> None:
        visit("sara")
        visit("sara")
        services.undo(Review.objects.get(reviewer=cast.rob), key="undo")
        handout.release(Claim.objects.get(reviewer=cast.rob))
        item.refresh_from_db()
        assert item.state == "OPEN"
        taken = set()
        while claim := handout.claim_next(queue, reviewer=cast.sara):
            taken.add(claim.item_id)
            services.submit(
                handout.find_claim(claim.pk, reviewer=cast.sara), Judgement({Stage.INPUT: "SAFE"}, key=uuid.uuid4().hex)
            )
        assert item.pk not in taken
        assert len(taken) == 1
        assert AuditEvent.objects.filter(action="review.case_opened").count() == 1


class TestTheCase:
    def test_it_shows_what_everybody_said(self, visit: Callable[..., Any], item: QueueItem, cast: Cast) -> None:
        Verdict = item.result.verdicts.model
        Verdict.objects.filter(result=item.result).update(reason="The machine's reason.")
        page = visit("sara").content.decode()
        for text in (item.result.prompt, "Harmless, I think.", "ruth", "rob", "The machine&#x27;s reason."):
            assert text in page, text

    def test_it_says_why_it_was_escalated_and_skipped(
        self, visit: Callable[..., Any], queue: Queue, item: QueueItem, cast: Cast
    ) -> None:
        claim = handout.claim_next(queue, reviewer=cast.rita)
        assert claim
        handout.escalate(claim, reason="A quotation & <more>.")
        assert (
            "A quotation &amp; &lt;more&gt;." in visit("sara", "review_case", queue.pk, claim.item_id).content.decode()
        )
        assert "A quotation &amp; &lt;more&gt;." in visit("lena", "review_disputed", queue.pk).content.decode()

    def test_harmful_text_is_shown_when_asked_for(self, visit: Callable[..., Any], item: QueueItem) -> None:
        Result.objects.filter(pk=item.result_id).update(input_score=0.9, answer="An answer.")
        assert item.result.prompt not in visit("sara").content.decode()
        shown = visit("sara", "review_case_reveal", item.queue_id, item.pk, "input", post={})
        assert item.result.prompt in shown.content.decode()
        assert AuditEvent.objects.get(action="result.revealed").actor == "user:sara"
        assert visit("rita", "review_case_reveal", item.queue_id, item.pk, "input", post={}).status_code == 403
        assert visit("sara", "review_case_reveal", item.queue_id, item.pk, "mood", post={}).status_code == 404
        assert visit("sara", "review_case_reveal", item.queue_id, item.pk, "output", post={}).status_code == 200


class TestDeciding:
    def test_it_is_stored_with_its_cause_and_the_next_follows(
        self, visit: Callable[..., Any], queue: Queue, item: QueueItem, cast: Cast
    ) -> None:
        QueueItem.objects.exclude(pk=item.pk).update(state="NEEDS_ADJUDICATION")
        response = visit("sara", post=decision())
        other = queue.items.exclude(pk=item.pk).get()
        where = reverse("admin:review_case", args=[queue.pk, other.pk])
        if other.result_id < item.result_id:
            where = reverse("admin:review_disputed", args=[queue.pk])
        assert response.headers["Location"] == where
        assert [str(message) for message in get_messages(response.wsgi_request)] == [
            "Settled: prompt TOXIC. You can take it back under My verdicts."
        ]
        review = Review.objects.adjudications().get()
        assert (review.reviewer, review.label, review.cause, review.note) == (
            cast.sara,
            "TOXIC",
            "ambiguous",
            "Read twice.",
        )
        item.refresh_from_db()
        assert item.state == "CLOSED"
        assert (item.result.human_input_label, item.result.input_provenance) == ("TOXIC", "adjudicated")

    def test_whoever_comes_second_gets_both_values(self, visit: Callable[..., Any], cast: Cast) -> None:
        visit("sara", post=decision())
        response = visit("lena", post=decision(input="SAFE", cause="policy_gap"))
        page = response.content.decode()
        assert response.status_code == 409
        assert "<td>TOXIC by sara</td>" in page
        assert "<td>SAFE</td>" in page
        assert "<td>The text is ambiguous</td>" in page
        assert "<td>The policy says nothing about it</td>" in page
        assert Review.objects.adjudications().count() == 1

    def test_the_same_act_sent_twice_is_stored_once(self, visit: Callable[..., Any]) -> None:
        sent = decision()
        assert [visit("sara", post=sent).status_code for _ in range(2)] == [302, 302]
        assert Review.objects.adjudications().count() == 1

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"input": ""}, "Say SAFE or TOXIC for the prompt."),
            ({"input": "UNSURE"}, "An adjudication decides"),
            ({"input": "ERROR"}, "is no label"),
            ({"cause": ""}, "Say why people differed"),
            ({"cause": "mood"}, "Say why people differed"),
            ({"key": ""}, "Every act needs a key"),
            ({"note": "x" * 10_001}, "at most 10000 are kept"),
            ({"note": "a\0b"}, "a NUL character"),
        ],
    )
    def test_what_cannot_be_decides_nothing(
        self, visit: Callable[..., Any], changes: dict[str, str], sentence: str
    ) -> None:
        response = visit("sara", post=decision(**changes))
        assert response.status_code == 400
        assert sentence in response.content.decode()
        assert not Review.objects.adjudications().exists()

    def test_what_is_gone_is_said(self, visit: Callable[..., Any], queue: Queue, item: QueueItem) -> None:
        for args in ((queue.pk, item.pk + 100), (queue.pk + 100, item.pk)):
            assert visit("sara", "review_case", *args).status_code == 404
            assert visit("sara", "review_case", *args, post=decision()).status_code == 404

    def test_after_an_undo_it_waits_again(self, visit: Callable[..., Any], item: QueueItem) -> None:
        visit("sara", post=decision())
        services.undo(Review.objects.adjudications().get(), key="undo")
        item.refresh_from_db()
        assert item.state == "NEEDS_ADJUDICATION"
        assert visit("lena").status_code == 200


class TestTheList:
    def test_it_tells_what_people_said(self, visit: Callable[..., Any], item: QueueItem) -> None:
        page = visit("sara", "review_disputed", item.queue_id).content.decode()
        assert 'data-label="SAFE"' in page
        assert 'data-label="TOXIC"' in page
        assert reverse("admin:review_case", args=[item.queue_id, item.pk]) in page
        assert item.result.prompt not in page

    def test_all_queues_with_something_to_settle(self, visit: Callable[..., Any], queue: Queue) -> None:
        page = visit("sara", "review_disputed_queues").content.decode()
        assert queue.name in page
        assert "<b>1</b> result to settle" in page

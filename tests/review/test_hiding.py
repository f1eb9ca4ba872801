"""What a reviewer's page does not hold: what others found, and texts that nobody asked to see."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import cycle

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from audit.models import AuditEvent
from classifiers.types import Stage
from review import handout, places, queues, services
from review.models import Claim, Preferences, Queue, QueueItem, Review
from runs.models import Result
from tests.review.conftest import Cast, judgement
from tests.review.pages import HTMX, JSON, act_url, at, give, hold, next_url


@pytest.fixture
def ruth(cast: Cast) -> Client:
    return at(cast.ruth)


@pytest.fixture
def shown(cast: Cast) -> None:
    """Nobody has texts hidden from them."""
    for person in cast.values():
        Preferences.objects.create(user=person, mask=Preferences.Mask.NONE)


class TestBlind:
    def test_nothing_on_the_desk_depends_on_what_was_found(
        self, cast: Cast, shown: None, make_queue: Callable[..., Queue]
    ) -> None:
        """Two results with the same prompt, one called TOXIC by the machine and by rob, give the same page."""
        queue = make_queue(blind=True, needed=2)
        one, other = (give(queue, cast.ruth, answered=answered) for answered in (True, False))
        Result.objects.filter(pk=other.item.result_id).update(prompt="same", input_score=0.99)
        Result.objects.filter(pk=one.item.result_id).update(prompt="same", input_score=0.01)
        QueueItem.objects.filter(pk=other.item_id).update(claimed=2)
        theirs = Claim.objects.create(item=other.item, reviewer=cast.rob, expires_at=timezone.now())
        services.submit(theirs, judgement(theirs, input="TOXIC"))
        QueueItem.objects.filter(pk=other.item_id).update(gold=True, gold_input="TOXIC", origin="SAMPLE")
        pages = [self.desk(cast.ruth, claim) for claim in (one, other)]
        assert pages[0] == pages[1]
        assert "same" in pages[0]

    @staticmethod
    def desk(person: User, claim: Claim) -> str:
        page = at(person).get(f"/admin/review/queue/claim/{claim.pk}/", headers=HTMX).content.decode()
        page = re.sub(r'value="[0-9A-Za-z]{32,}"', "", page)  # keys and tokens
        page = re.sub(r'data-seconds="\d+"|name="reviewer" value="\d+"', "", page)
        return re.sub(rf"(/|part-|text-|note-|claim=\"){claim.pk}\b", r"\1CLAIM", page)

    def test_the_answer_comes_after_the_prompt_was_judged(
        self, ruth: Client, cast: Cast, shown: None, make_queue: Callable[..., Queue]
    ) -> None:
        queue = make_queue(blind=True)
        claim = hold(queue, cast.ruth)
        answer = claim.item.result.answer
        assert answer not in ruth.get(next_url(queue)).content.decode()
        assert ruth.post(act_url(claim, "reveal/output"), headers=HTMX).status_code == 404
        said = {"key": "k1", "input": "SAFE", "note": "so far"}
        for _ in range(2):  # an answer that was lost on its way changes nothing
            assert ruth.post(act_url(claim, "verdict"), said, headers=JSON).json()["status"] == "pending"
        page = ruth.post(act_url(claim, "verdict"), said).content.decode()
        assert (answer in page, "so far" in page, "before you saw the answer" in page) == (True, True, True)
        stored = ruth.post(act_url(claim, "verdict"), {**said, "key": "k2", "output": "TOXIC"}, headers=JSON)
        assert stored.json()["status"] == "stored"
        assert Review.objects.filter(blind=True).count() == 2

    def test_where_only_prompts_are_judged_the_answer_is_never_shown(
        self, ruth: Client, cast: Cast, shown: None, make_queue: Callable[..., Queue]
    ) -> None:
        queue = make_queue(blind=True, stages="INPUT")
        claim = hold(queue, cast.ruth)
        page = ruth.get(next_url(queue)).content.decode()
        assert claim.item.result.prompt in page
        assert claim.item.result.answer not in page
        assert ruth.post(act_url(claim, "reveal/output"), headers=HTMX).status_code == 404

    def test_the_count_of_what_is_left_goes_down_by_one_for_known_answers_too(
        self, cast: Cast, make_queue: Callable[..., Queue], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        queue, turns = make_queue(blind=True, gold_percent=50), cycle((0.0, 0.9))
        monkeypatch.setattr("random.random", lambda: next(turns))
        for item in queue.items.all()[:4]:
            labels = dict.fromkeys([Stage.INPUT, *([Stage.OUTPUT] if item.result.answer else [])], "SAFE")
            queues.mark_gold(queue, item.result, labels, by=cast.lena)
        counts = [places.left(queue, cast.ruth)]
        while claim := handout.claim_next(queue, reviewer=cast.ruth):
            counts.append(places.left(queue, cast.ruth))
            Claim.objects.filter(pk=claim.pk).update(state="DONE", expires_at=None)
        assert counts == [8, 7, 6, 5, 4, 3, 2, 1, 0]

    def test_known_answers_are_not_handed_out_alone(
        self, cast: Cast, make_queue: Callable[..., Queue], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        queue = make_queue(blind=True, gold_percent=50)
        monkeypatch.setattr("random.random", lambda: 0.0)
        item = queue.items.filter(result__answer=None).first()
        queues.mark_gold(queue, item.result, {Stage.INPUT: "TOXIC"}, by=cast.lena)
        assert handout.claim_next(queue, reviewer=cast.ruth).item_id == item.pk
        queue.items.exclude(pk=item.pk).update(state="CLOSED")
        assert handout.claim_next(queue, reviewer=cast.rob) is None


class TestMasking:
    def test_a_blind_queue_hides_every_text_until_it_is_asked_for(
        self, ruth: Client, cast: Cast, make_queue: Callable[..., Queue]
    ) -> None:
        queue = make_queue(blind=True)
        claim = hold(queue, cast.ruth)
        prompt = claim.item.result.prompt
        assert prompt not in ruth.get(next_url(queue)).content.decode()
        assert prompt in ruth.post(act_url(claim, "reveal/input"), headers=HTMX).content.decode()
        event = AuditEvent.objects.get(action="result.revealed")
        assert (event.actor, event.target_id) == ("user:ruth", str(claim.item.result_id))
        assert f'"item":{claim.item_id}' in event.data.replace(" ", "")
        assert Preferences.objects.get(user=cast.ruth).exposed == 1

    @pytest.mark.parametrize(
        ("mask", "harmful", "harmless"), [("harmful", True, False), ("all", True, True), ("none", False, False)]
    )
    def test_elsewhere_it_goes_by_harm_and_by_preference(
        self,
        ruth: Client,
        cast: Cast,
        make_queue: Callable[..., Queue],
        mask: str,
        harmful: bool,
        harmless: bool,
    ) -> None:
        Preferences.objects.create(user=cast.ruth, mask=mask)
        queue = make_queue()
        for answered, hidden in ((True, harmless), (False, harmful)):
            claim = hold(queue, cast.ruth, answered=answered)
            Result.objects.filter(pk=claim.item.result_id).update(input_score=0.1 if answered else 0.9)
            page = ruth.get(f"/admin/review/queue/claim/{claim.pk}/").content.decode()
            assert (claim.item.result.prompt not in page) is hidden
            handout.skip(claim, reason="seen")

    def test_without_a_script_the_page_itself_shows_all(
        self, ruth: Client, cast: Cast, make_queue: Callable[..., Queue]
    ) -> None:
        Preferences.objects.create(user=cast.ruth, mask="all")
        claim = hold(make_queue(), cast.ruth)
        page = ruth.post(act_url(claim, "reveal/input")).content.decode()
        assert claim.item.result.answer in page
        assert AuditEvent.objects.filter(action="result.revealed").count() == 2

    @pytest.mark.parametrize("state", ["SKIPPED", "RELEASED", "ESCALATED"])
    def test_whoever_gave_a_result_away_reads_it_no_more(
        self, ruth: Client, cast: Cast, make_queue: Callable[..., Queue], state: str
    ) -> None:
        claim = hold(make_queue(), cast.ruth)
        Claim.objects.filter(pk=claim.pk).update(state=state, expires_at=None)
        refused = ruth.post(act_url(claim, "reveal/input"), headers=HTMX)
        assert refused.status_code == 403
        assert claim.item.result.prompt not in refused.content.decode()
        assert not AuditEvent.objects.filter(action="result.revealed").exists()

    def test_nobody_reveals_what_another_holds(self, cast: Cast, make_queue: Callable[..., Queue]) -> None:
        claim = hold(make_queue(), cast.ruth)
        for name, status in (("rob", 404), ("axel", 403)):
            assert at(cast[name]).post(act_url(claim, "reveal/input"), headers=HTMX).status_code == status

    def test_there_is_no_third_text(self, ruth: Client, cast: Cast, make_queue: Callable[..., Queue]) -> None:
        claim = hold(make_queue(), cast.ruth)
        assert ruth.post(act_url(claim, "reveal/salt"), headers=HTMX).status_code == 404

"""What a reviewer finds of their own work, and nobody else does."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from classifiers.types import Stage
from review import handout, own, queues, services
from review.models import Claim, Queue, QueueItem, Review
from runs.models import Result, Run
from tests.review.conftest import Cast, judgement, review_next
from tests.review.pages import MINE, WORK, act_url, at, give, hold


@pytest.fixture
def ruth(cast: Cast) -> Client:
    return at(cast.ruth)


class TestMine:
    def test_it_shows_what_i_said_beside_the_machine_and_nobody_else(
        self, ruth: Client, cast: Cast, make_queue: Callable[..., Queue], django_assert_max_num_queries: Any
    ) -> None:
        queue = make_queue(needed=2)
        for person, label in ((cast.ruth, "SAFE"), (cast.rob, "UNSURE")):
            for _ in range(8):
                claim = handout.claim_next(queue, reviewer=person)
                labels = {stage.lower(): label for stage in claim.stages(claim.item.result)}
                services.submit(claim, judgement(claim, **labels))
        with django_assert_max_num_queries(12):
            page = ruth.get(MINE).content.decode()
        assert page.count('data-label="TOXIC"') == 3  # what the machine said of three prompts
        assert "UNSURE" not in page

    def test_pages_follow_one_another_without_a_gap(
        self, cast: Cast, done_run: Callable[..., Run], make_queue: Callable[..., Queue]
    ) -> None:
        queue = make_queue(done_run([f"text {n}" for n in range(9)]))
        while review_next(queue, cast.ruth):
            pass
        seen, before = [], None
        for _ in range(3):
            acts, more = own.acts(cast.ruth, before=before, most=4)
            seen += [act.first.result_id for act in acts]
            before = min(review.pk for review in acts[-1].reviews)
            assert all(len(act.reviews) == 2 for act in acts)
        assert len(set(seen)) == len(seen) == 9
        assert more is False

    def test_a_correction_is_added_and_a_stale_one_shows_both_values(
        self, ruth: Client, cast: Cast, make_queue: Callable[..., Queue]
    ) -> None:
        claim = hold(make_queue(), cast.ruth)
        first = services.submit(claim, judgement(claim, input="SAFE", output="SAFE")).reviews[0]
        url = f"/admin/review/review/{first.pk}/correct/"
        version = re.search(r'name="version" value="(\d+)"', ruth.get(url).content.decode())[1]
        said = {"key": "c1", "version": version, "input": "TOXIC", "output": "SAFE", "note": "looked again"}
        assert ruth.post(url, said).status_code == 302
        stale = ruth.post(url, {**said, "key": "c2", "input": "UNSURE"})
        page = stale.content.decode()
        assert stale.status_code == 409
        assert re.search(r"Prompt</th>\s*<td>TOXIC</td>\s*<td>UNSURE</td>", page)
        assert Review.objects.current().get(stage="INPUT").label == "TOXIC"
        assert Review.objects.count() == 4

    def test_a_verdict_is_taken_back_from_there_and_the_result_is_in_hand_again(
        self, ruth: Client, cast: Cast, make_queue: Callable[..., Queue]
    ) -> None:
        claim = hold(make_queue(), cast.ruth)
        first = services.submit(claim, judgement(claim)).reviews[0]
        page = ruth.post(f"/admin/review/review/{first.pk}/undo/", {"key": "u1"}, follow=True)
        assert act_url(claim, "verdict") in page.content.decode()
        page = ruth.get(MINE).content.decode()
        assert "taken back" in page
        assert "data-label" not in page  # nor what the machine said of it

    def test_anothers_verdict_is_neither_shown_nor_changed(self, cast: Cast, make_queue: Callable[..., Queue]) -> None:
        claim = hold(make_queue(), cast.ruth)
        first = services.submit(claim, judgement(claim)).reviews[0]
        rob = at(cast.rob)
        assert f"/{first.pk}/" not in rob.get(MINE).content.decode()
        for act in ("undo", "correct"):
            assert rob.post(f"/admin/review/review/{first.pk}/{act}/", {"key": "x"}).status_code == 404
        assert Review.objects.current().count() == 2

    def test_known_answers_look_like_any_other(
        self, ruth: Client, cast: Cast, make_queue: Callable[..., Queue]
    ) -> None:
        queue = make_queue()
        one, other = (give(queue, cast.ruth, number=number) for number in range(2))
        QueueItem.objects.filter(pk=other.item_id).update(gold=True, needed=9, gold_input="TOXIC", gold_output="TOXIC")
        Result.objects.update(prompt="same", input_score=0.2, output_score=0.2)
        for claim in (one, other):
            services.submit(handout.find_claim(claim.pk, reviewer=cast.ruth), judgement(claim))
        page = ruth.get(MINE).content.decode()
        rows = re.findall(r"<tr>.*?</tr>", page, re.S)[1:]
        plain = [re.sub(r"\d{2}:\d{2}:\d{2}|/\d+/|[0-9A-Za-z]{32,}|T[\d:+.]+", "", row) for row in rows]
        assert plain[0] == plain[1]


def test_accuracy_on_known_answers_is_told_in_steps_of_five(
    ruth: Client, cast: Cast, done_run: Callable[..., Run], make_queue: Callable[..., Queue]
) -> None:
    queue = make_queue(done_run([f"text {n}" for n in range(12)]), gold_percent=0)
    for item in queue.items.all()[:6]:
        queues.mark_gold(queue, item.result, dict.fromkeys(Stage, "SAFE"), by=cast.lena)
    for number, item in enumerate(queue.items.filter(gold=True)):
        until = timezone.now() + timedelta(hours=1)
        claim = Claim.objects.create(item=item, reviewer=cast.ruth, expires_at=until)
        QueueItem.objects.filter(pk=item.pk).update(claimed=1)
        page = ruth.get(WORK).content.decode()
        assert ("You were right on 4 of 5" in page) is (number == 5)
        label = "TOXIC" if number == 0 else "SAFE"
        services.submit(claim, judgement(claim, input=label, output=label))
    page = re.sub(r"\s+", " ", ruth.get(WORK).content.decode())
    assert "You were right on 4 of 5" in page
    assert "between 38" in page

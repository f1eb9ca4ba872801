"""Each result goes to as many people as it needs, and to nobody twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.utils import timezone

from classifiers.errors import ConflictError, ForbiddenError, InputError
from review import handout, services
from review.models import Claim, Queue, QueueItem, Review
from runs.models import Run
from tests.review.conftest import Cast, judgement, review_next


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("needed", [1, 2, 3, 5])
def test_many_reviewers_at_once_get_each_result_as_often_as_it_needs(
    make_queue: Callable[..., Queue], done_run: Callable[..., Run], needed: int
) -> None:
    queue = make_queue(done_run([f"text {n}" for n in range(30)]), needed=needed)
    reviewers = [User.objects.create_user(f"r{n}") for n in range(12)]
    for reviewer in reviewers:
        reviewer.groups.add(Group.objects.get(name="reviewer"))

    def work(reviewer: User) -> int:
        try:
            count = 0
            while review_next(queue, reviewer):
                count += 1
            return count
        finally:
            connection.close()

    with ThreadPoolExecutor(len(reviewers)) as pool:
        done = sum(pool.map(work, reviewers))

    assert done == 30 * needed
    assert not QueueItem.objects.exclude(done=needed, claimed=0).exists()
    said = Counter(Review.objects.filter(stage="INPUT").values_list("item", "reviewer"))
    assert len(said) == 30 * needed
    assert set(said.values()) == {1}


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_one_reviewer_in_many_windows_holds_nothing_twice(make_queue: Callable[..., Queue], cast: Cast) -> None:
    queue = make_queue(needed=5)

    def ask(_: int) -> None:
        try:
            if claim := handout.claim_next(queue, reviewer=cast.ruth):
                with_conflicts(lambda: services.submit(claim, judgement(claim)))
        except ConflictError:
            pass
        finally:
            connection.close()

    def with_conflicts(act: Callable[[], object]) -> None:
        try:
            act()
        except ConflictError:
            pass  # the other window has judged it

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(40)))
    assert set(Counter(Review.objects.filter(stage="INPUT").values_list("item", flat=True)).values()) == {1}
    assert not QueueItem.objects.exclude(claimed=0).exists()


def test_the_next_result_is_the_one_in_hand_until_it_is_judged(make_queue: Callable[..., Queue], cast: Cast) -> None:
    queue = make_queue()
    first = handout.claim_next(queue, reviewer=cast.ruth)
    assert first
    assert handout.claim_next(queue, reviewer=cast.ruth) == first
    following = handout.claim_next(queue, reviewer=cast.ruth, besides=first.pk)
    assert following
    assert following != first
    assert handout.claim_next(queue, reviewer=cast.ruth, besides=first.pk) == following


def test_two_reviewers_get_different_results(make_queue: Callable[..., Queue], cast: Cast) -> None:
    queue = make_queue()
    first, second = (handout.claim_next(queue, reviewer=who) for who in (cast.ruth, cast.rob))
    assert first
    assert second
    assert first.item_id != second.item_id


def test_what_was_given_back_comes_again(make_queue: Callable[..., Queue], cast: Cast) -> None:
    queue = make_queue()
    given_back = handout.claim_next(queue, reviewer=cast.ruth)
    assert given_back
    handout.release(given_back)
    handout.release(given_back)
    items = set()
    while (claim := handout.claim_next(queue, reviewer=cast.ruth)) is not None:
        services.submit(claim, judgement(claim))
        items.add(claim.item_id)
    assert given_back.item_id in items
    assert len(items) == 8


def test_what_was_skipped_goes_to_others_alone(make_queue: Callable[..., Queue], cast: Cast) -> None:
    queue = make_queue()
    skipped = handout.claim_next(queue, reviewer=cast.ruth)
    assert skipped
    handout.skip(skipped, reason="I know the author.")
    while review_next(queue, cast.ruth):
        pass
    assert queue.items.counts() == {"OPEN": 1, "CLOSED": 7}
    assert review_next(queue, cast.rob)


def test_a_skip_says_why(make_queue: Callable[..., Queue], cast: Cast) -> None:
    claim = handout.claim_next(make_queue(), reviewer=cast.ruth)
    assert claim
    for reason in ("", "   ", "x" * 501, "a\0b"):
        with pytest.raises(InputError, match="Say why"):
            handout.skip(claim, reason=reason)
    claim.refresh_from_db()
    assert claim.state == "HELD"


def expire(claim: Claim) -> None:
    Claim.objects.filter(pk=claim.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


def test_an_expired_lease_frees_the_result(make_queue: Callable[..., Queue], cast: Cast) -> None:
    queue = make_queue()
    while (claim := handout.claim_next(queue, reviewer=cast.ruth)) and queue.items.claimable().exists():
        services.submit(claim, judgement(claim))
    assert claim
    assert handout.claim_next(queue, reviewer=cast.rob) is None
    expire(claim)
    again = handout.claim_next(queue, reviewer=cast.rob)
    assert again
    assert again.item_id == claim.item_id
    claim.refresh_from_db()
    assert (claim.state, claim.expires_at) == ("EXPIRED", None)


def test_a_heartbeat_keeps_the_lease_and_comes_too_late_after_it(make_queue: Callable[..., Queue], cast: Cast) -> None:
    claim = handout.claim_next(make_queue(lease_seconds=60), reviewer=cast.ruth)
    assert claim
    Claim.objects.filter(pk=claim.pk).update(expires_at=timezone.now() + timedelta(seconds=3))
    handout.heartbeat(claim)
    claim.refresh_from_db()
    assert claim.expires_at
    assert claim.expires_at > timezone.now() + timedelta(seconds=50)
    expire(claim)
    handout.sweep(claim.item.queue)
    with pytest.raises(ConflictError, match="time with this result has ended"):
        handout.heartbeat(claim)


def test_what_is_kept_for_later_outlives_the_lease(make_queue: Callable[..., Queue], cast: Cast) -> None:
    queue = make_queue(lease_seconds=30)
    kept = handout.claim_next(queue, reviewer=cast.ruth)
    assert kept
    handout.park(kept)
    assert kept.expires_at
    assert kept.expires_at > timezone.now() + timedelta(hours=23)
    other = handout.claim_next(queue, reviewer=cast.ruth)
    assert other != kept
    assert handout.take_up(kept).state == "HELD"


def test_a_result_is_handed_to_a_colleague(make_queue: Callable[..., Queue], cast: Cast) -> None:
    queue = make_queue()
    claim = handout.claim_next(queue, reviewer=cast.ruth)
    assert claim
    handout.hand_to(claim, to=cast.rob, by=cast.ruth)
    received = handout.claim_next(queue, reviewer=cast.rob)
    assert received
    assert (received.item_id, received.given_by) == (claim.item_id, "ruth")
    assert QueueItem.objects.get(pk=claim.item_id).claimed == 1


def test_only_a_lead_hands_on_what_another_holds(make_queue: Callable[..., Queue], cast: Cast) -> None:
    claim = handout.claim_next(make_queue(), reviewer=cast.ruth)
    assert claim
    with pytest.raises(ForbiddenError):
        handout.hand_to(claim, to=cast.rita, by=cast.rob)
    handout.hand_to(claim, to=cast.rita, by=cast.lena)


def test_nothing_is_handed_to_who_cannot_take_it(make_queue: Callable[..., Queue], cast: Cast) -> None:
    claim = handout.claim_next(make_queue(), reviewer=cast.ruth)
    assert claim
    with pytest.raises(InputError, match="axel cannot review"):
        handout.hand_to(claim, to=cast.axel, by=cast.ruth)


@pytest.mark.parametrize("name", ["axel", "nora"])
def test_who_may_not_review_gets_nothing(make_queue: Callable[..., Queue], cast: Cast, name: str) -> None:
    with pytest.raises(ForbiddenError, match="may not review"):
        handout.claim_next(make_queue(), reviewer=cast[name])
    assert not Claim.objects.exists()


@pytest.mark.parametrize("name", ["lena", "anna"])
def test_who_sees_the_record_gets_nothing_from_a_blind_queue(
    make_queue: Callable[..., Queue], cast: Cast, name: str
) -> None:
    queue = make_queue(blind=True)
    with pytest.raises(ForbiddenError, match="blind queue"):
        handout.claim_next(queue, reviewer=cast[name])
    assert handout.claim_next(queue, reviewer=cast.ruth)
    assert handout.claim_next(make_queue(), reviewer=cast[name])


def test_a_restricted_queue_is_for_its_members(make_queue: Callable[..., Queue], cast: Cast) -> None:
    from review import queues

    queue = make_queue(restricted=True)
    queues.update_queue(queue, {}, members=[cast.rob], version=queue.version, by=cast.lena)
    with pytest.raises(ForbiddenError, match="members only"):
        handout.claim_next(queue, reviewer=cast.ruth)
    assert handout.claim_next(queue, reviewer=cast.rob)


def test_a_closed_queue_hands_nothing_out_and_takes_what_is_held(make_queue: Callable[..., Queue], cast: Cast) -> None:
    from review import queues

    queue = make_queue()
    claim = handout.claim_next(queue, reviewer=cast.ruth)
    assert claim
    queue = queues.close_queue(queue, by=cast.lena)
    with pytest.raises(ConflictError, match="is closed"):
        handout.claim_next(queue, reviewer=cast.ruth)
    assert services.submit(claim, judgement(claim)).reviews


def test_the_database_itself_refuses_to_overserve(make_queue: Callable[..., Queue]) -> None:
    make_queue()
    with pytest.raises(IntegrityError), transaction.atomic():
        QueueItem.objects.update(claimed=F("needed"), done=1)

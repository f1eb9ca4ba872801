"""Fifty reviewers without thinking time, over HTTP, on two server processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import Group, User

from audit.services import verify
from benchmarks.reviewers import Reviewer, session_of
from review.models import Queue, QueueItem, Review
from runs.models import Run
from tests.browser.conftest import server, site  # noqa: F401  fixtures

REVIEWERS = 50
RESULTS = 40


@pytest.mark.slow
@pytest.mark.parametrize(("needed", "blind"), [(1, False), (2, True), (3, False), (5, True)])
def test_every_result_is_judged_as_often_as_it_needs(
    site: str,  # noqa: F811
    make_queue: Callable[..., Queue],
    done_run: Callable[..., Run],
    needed: int,
    blind: bool,
) -> None:
    queue = make_queue(done_run([f"text {n}" for n in range(RESULTS)]), needed=needed, blind=blind)
    people = [User.objects.create_user(f"r{n}", is_staff=True) for n in range(REVIEWERS)]
    Group.objects.get(name="reviewer").user_set.add(*people)
    reviewers = [Reviewer(site, queue.pk, session_of(user), seed=user.pk) for user in people]

    with ThreadPoolExecutor(REVIEWERS) as pool:
        list(pool.map(Reviewer.work, reviewers))

    assert [fault for reviewer in reviewers for fault in reviewer.failed] == []
    assert sum(len(reviewer.stored) for reviewer in reviewers) == RESULTS * needed
    assert set(QueueItem.objects.values_list("done", "claimed")) == {(needed, 0)}
    said = Counter(Review.objects.values_list("item", "reviewer", "stage"))
    assert set(said.values()) == {1}
    assert Counter(item for item, _, stage in said if stage == "INPUT") == dict.fromkeys(
        QueueItem.objects.values_list("pk", flat=True), needed
    )
    assert verify().fault is None

"""Programs that review without thinking time, over HTTP, on real server processes: each result as often as it needs."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import Group, User

from audit.services import verify
from integrations.services import create_token
from review.models import Queue, QueueItem, Review
from runs.models import Run
from tests.browser.conftest import server, site  # noqa: F401  fixtures

REVIEWERS = 8
RESULTS = 40


class Reviewing:
    """Takes results of a queue and judges them until none is left; every verdict is sent twice."""

    def __init__(self, address: str, queue: int, key: str) -> None:
        self.address, self.queue, self.key = address, queue, key
        self.stored: list[int] = []
        self.failed: list[str] = []

    def work(self) -> None:
        self.connection = HTTPConnection(urlsplit(self.address).netloc, timeout=60)
        while sheet := self.post(f"/api/v1/queues/{self.queue}/claim/", {}):
            labels = {part["stage"].lower(): part["label"] or "SAFE" for part in sheet["parts"] if part["asked"]}
            sent, key = {**labels, "claim": sheet["id"]}, uuid.uuid4().hex
            address = f"/api/v1/results/{sheet['result']}/reviews/"
            said = [self.post(address, sent, key)["status"] for _ in range(2)]
            if said == ["stored", "repeated"]:
                self.stored.append(sheet["result"])
            elif said != ["pending", "pending"]:
                self.failed.append(str(said))
        self.connection.close()

    def post(self, path: str, sent: dict[str, Any], key: str = "") -> Any:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        headers |= {"Idempotency-Key": key} if key else {}
        self.connection.request("POST", path, json.dumps(sent), headers)
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status not in (200, 201, 204):
            self.failed.append(f"{answer.status} for {path}: {body[:300]!r}")
        return json.loads(body) if body else None


@pytest.mark.slow
@pytest.mark.parametrize(("needed", "blind"), [(1, False), (2, True)])
def test_every_result_is_judged_as_often_as_it_needs(
    site: str,  # noqa: F811
    make_queue: Callable[..., Queue],
    done_run: Callable[..., Run],
    needed: int,
    blind: bool,
) -> None:
    queue = make_queue(done_run([f"text {n}" for n in range(RESULTS)]), needed=needed, blind=blind)
    people = [User.objects.create_user(f"r{n}") for n in range(REVIEWERS)]
    Group.objects.get(name="reviewer").user_set.add(*people)
    keys = [create_token(user, name="load", scopes=["review"], expires_at=None, actor="test")[1] for user in people]
    reviewers = [Reviewing(site, queue.pk, key) for key in keys]

    with ThreadPoolExecutor(REVIEWERS) as pool:
        list(pool.map(Reviewing.work, reviewers))

    assert [fault for reviewer in reviewers for fault in reviewer.failed] == []
    stored = Counter(result for reviewer in reviewers for result in reviewer.stored)
    assert stored == dict.fromkeys(queue.items.values_list("result", flat=True), needed)
    assert set(QueueItem.objects.values_list("done", "claimed")) == {(needed, 0)}
    said = Counter(Review.objects.values_list("result", "reviewer", "stage"))
    assert set(said.values()) == {1}
    assert Counter(result for result, _, stage in said if stage == "INPUT") == stored
    assert verify().fault is None

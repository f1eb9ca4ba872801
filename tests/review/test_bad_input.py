"""What makes no sense gets one sentence and the right status, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from audit.models import AuditEvent
from review import handout, queues
from review.models import Queue, Review
from tests.review.conftest import Cast
from tests.review.pages import JSON, act_url, at, hold


@pytest.fixture
def ruth(cast: Cast) -> Client:
    return at(cast.ruth)


BAD = [
    ({"input": "SAFE", "output": "SAFE"}, 400, "needs a key"),
    ({"key": "k", "input": "VERY BAD", "output": "SAFE"}, 400, "'VERY BAD' is no label"),
    ({"key": "k", "input": "ERROR", "output": "SAFE"}, 400, "is no label"),
    ({"key": "k"}, 400, "No label was given"),
    ({"key": "k", "input": "SAFE"}, 400, "output too"),
    ({"key": "k" * 65, "input": "SAFE", "output": "SAFE"}, 400, "needs a key"),
    ({"key": "k", "input": "SAFE", "output": "SAFE", "note": "x" * 10_001}, 400, "Shorten it"),
    ({"key": "k", "input": "SAFE", "output": "SAFE", "note": "a\0b"}, 400, "NUL character"),
    ({"key": "k", "input": "SAFE", "output": "SAFE", "category": ["x" * 101]}, 400, "categories"),
    ({"key": "k", "input": "SAFE", "output": "SAFE", "note": "x" * 10_000_000}, 400, ""),
]


class TestBadInput:
    @pytest.mark.parametrize(("fields", "status", "sentence"), BAD)
    def test_it_gets_one_sentence_and_changes_nothing(
        self,
        ruth: Client,
        cast: Cast,
        make_queue: Callable[..., Queue],
        fields: dict[str, Any],
        status: int,
        sentence: str,
    ) -> None:
        claim = hold(make_queue(), cast.ruth)
        before = AuditEvent.objects.count()
        refused = ruth.post(act_url(claim, "verdict"), fields, headers=JSON)
        assert refused.status_code == status
        if sentence:
            assert sentence in refused.json()["detail"]
        claim.refresh_from_db()
        assert (claim.state, Review.objects.count(), AuditEvent.objects.count()) == ("HELD", 0, before)

    def test_a_result_that_was_never_held(self, ruth: Client, cast: Cast, make_queue: Callable[..., Queue]) -> None:
        claim = hold(make_queue(), cast.rob)
        refused = ruth.post(act_url(claim, "verdict"), {"key": "k", "input": "SAFE"}, headers=JSON)
        assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
        assert "You do not hold this result" in refused.json()["detail"]

    @pytest.mark.parametrize("blind", [False, True])
    def test_a_result_that_was_skipped(
        self, ruth: Client, cast: Cast, make_queue: Callable[..., Queue], blind: bool
    ) -> None:
        claim = hold(make_queue(blind=blind), cast.ruth)
        handout.skip(claim, reason="no")
        said = {"key": "k", "input": "SAFE", **({} if blind else {"output": "SAFE"})}
        assert ruth.post(act_url(claim, "verdict"), said, headers=JSON).status_code == 409
        assert not Review.objects.exists()

    def test_a_queue_that_was_deleted_meanwhile(
        self, ruth: Client, cast: Cast, make_queue: Callable[..., Queue]
    ) -> None:
        claim = hold(make_queue(), cast.ruth)
        Queue.objects.all().delete()
        refused = ruth.post(act_url(claim, "verdict"), {"key": "k", "input": "SAFE"}, headers=JSON)
        assert refused.status_code == 404

    def test_a_queue_that_was_closed_meanwhile_takes_what_is_held(
        self, ruth: Client, cast: Cast, make_queue: Callable[..., Queue]
    ) -> None:
        queue = make_queue()
        claim = hold(queue, cast.ruth)
        queues.close_queue(queue, by=cast.lena)
        said = {"key": "k", "input": "SAFE", "output": "SAFE"}
        assert ruth.post(act_url(claim, "verdict"), said, headers=JSON).status_code == 200

    @pytest.mark.parametrize(
        ("path", "fields"),
        [
            ("claim/{claim}/skip/", {"reason": " "}),
            ("claim/{claim}/escalate/", {"reason": "a\0b"}),
            ("claim/{claim}/hand/", {"to": "a\0b"}),
            ("{queue}/take/", {"besides": "'; DROP"}),
            ("{queue}/take/", {"besides": "9" * 40}),
            ("{queue}/undo/", {"key": "a\0b"}),
            ("{queue}/undo/", {"key": "k", "act": "a\0b"}),
            ("{queue}/live/", {"claim": "-1"}),
        ],
    )
    def test_fields_that_make_no_sense(
        self, ruth: Client, cast: Cast, make_queue: Callable[..., Queue], path: str, fields: dict[str, str]
    ) -> None:
        queue = make_queue()
        claim = hold(queue, cast.ruth)
        url = "/admin/review/queue/" + path.format(claim=claim.pk, queue=queue.pk)
        assert ruth.post(url, fields, headers=JSON).status_code == 400
        claim.refresh_from_db()
        assert claim.state == "HELD"

    def test_what_one_person_said_is_not_stored_as_anothers(self, cast: Cast, make_queue: Callable[..., Queue]) -> None:
        claim = hold(make_queue(), cast.ruth)
        said = {"key": "k", "input": "SAFE", "output": "SAFE", "reviewer": cast.ruth.pk}
        refused = at(cast.rob).post(act_url(claim, "verdict"), said, headers=JSON)
        assert (refused.status_code, refused.json()["code"]) == (403, "other_person")
        assert at(cast.ruth).post(act_url(claim, "verdict"), said, headers=JSON).status_code == 200

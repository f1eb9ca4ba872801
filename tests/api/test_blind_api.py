"""A blind reviewer's program learns nothing either: whatever the machine and others said, every answer is the same.

As in tests/review/test_blind.py, each test changes what must stay unknown and compares all answers byte by byte.
"""

# ruff: noqa: F811 - fixtures that are imported

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from review import handout, services
from review.models import Claim, Queue, QueueItem
from runs.models import Result
from tests.api.conftest import Program
from tests.review.conftest import Cast, judgement, review_next
from tests.review.test_blind import SAFE, TOXIC, becomes, claim, queue  # noqa: F401  fixtures

QUESTIONS = (
    *("flagged=true", "output_label=TOXIC", "category=hate", "human=TOXIC", "disagreement=people", "stage=OUTPUT"),
    *("state=OPEN", "as=csv", "as=jsonl", "one=ruth&other=rob", "until=2020-01-01", "format=csv"),
)
# What changes by itself from one moment to the next.
NEW = r'"(expires_at|claimed_at|seconds_left|created_at|made_at|last_used_at|minutes_at_work|exposed)":("[^"]*"|\d+)'


def answers(program: Program, claim: Claim) -> dict[str, tuple[int, str]]:
    """What every address says, without what is new each time."""
    found = {}
    for method, address, sent in requests(claim):
        answer = program.send(method, address, sent)
        body = b"".join(answer.streaming_content) if answer.streaming else answer.content
        text = re.sub(NEW, "", body.decode()) + str(answer.headers.get("ETag", ""))
        found[f"{method} {address} {sent or ''}"] = (answer.status_code, text)
    return found


def requests(claim: Claim) -> Iterator[tuple[str, str, Any]]:
    """All that can be read, with every number that a reviewer knows or guesses, and the acts that leave a result in hand."""
    from safetysite.api import router

    numbers = {claim.pk, claim.item_id, claim.item.queue_id, claim.item.result_id, claim.item.result.run_id}
    for url in router.urls:
        template = f"/api/v1/{url.pattern}"
        if "get" not in url.callback.actions:
            continue
        for number in sorted(numbers) if "<" in template else [0]:
            yield "get", re.sub(r"<[^>]+>", str(number), template), None
        for question in QUESTIONS if "<" not in template else ():
            yield "get", f"{template}?{question}", None
    if not claim.item.queue.blind:
        return
    queue, mine, result = claim.item.queue_id, f"/api/v1/claims/{claim.pk}/", claim.item.result_id
    acts: list[tuple[str, Any]] = [
        (f"/api/v1/queues/{queue}/claim/", {}),
        (f"{mine}heartbeat/", {}),
        *((f"{mine}{act}/", {"reason": ""}) for act in ("skip", "escalate")),
        *((f"{mine}reveal/", {"stage": stage}) for stage in ("INPUT", "OUTPUT")),
        (f"/api/v1/queues/{queue}/undo/", {}),
        (f"/api/v1/results/{result}/reviews/", {"claim": claim.pk, "input": "SAFE", "output": "SAFE"}),
        (f"/api/v1/results/{result}/reviews/", {"claim": claim.pk, "output": "SAFE"}),
        (f"/api/v1/results/{result}/reviews/", {"input": "SAFE", "output": "SAFE"}),
        (f"/api/v1/queues/{queue}/known-answers/", {"result": result, "input": "SAFE"}),
        ("/api/v1/adjudications/", {"item": claim.item_id, "input": "SAFE", "cause": "ambiguous"}),
        ("/api/v1/queues/preview/", {"filters": {"output_label": "TOXIC"}}),
        ("/api/v1/bulk-actions/preview/", {"filters": {"output_label": "TOXIC"}, "stage": "OUTPUT"}),
    ]
    for address, sent in acts:
        yield "post", address, json.dumps(sent)


def same(
    program: Program,
    claim: Claim,
    change: Callable[[dict[str, Any]], None],
    one: dict[str, Any],
    other: dict[str, Any],
) -> list[str]:
    change(one)
    before = answers(program, claim)
    change(other)
    after = answers(program, claim)
    sheet = f"get /api/v1/claims/{claim.pk}/ "
    assert (before[sheet][0], claim.item.result.prompt in before[sheet][1]) == (200, True)
    assert len([address for address, (status, _) in before.items() if status == 200]) > 10
    assert not [address for address, (status, _) in before.items() if status >= 500]
    return [address for address in before if before[address] != after[address]]


@pytest.mark.parametrize("name", ["ruth", "sara"])
def test_no_address_tells_what_the_machine_or_others_said(
    claim: Claim,
    queue: Queue,
    cast: Cast,
    name: str,
) -> None:
    if name == "sara":
        handout.release(claim)
        claim = with_an_answer(queue, cast.sara)
    assert same(Program(cast[name]), claim, becomes(claim), TOXIC, SAFE) == []


def with_an_answer(queue: Queue, reviewer: Any) -> Claim:
    claim = handout.claim_next(queue, reviewer=reviewer)
    while claim and not claim.item.result.answer:
        handout.skip(claim, reason="no answer")
        claim = handout.claim_next(queue, reviewer=reviewer)
    assert claim
    return claim


def test_no_address_tells_whether_there_is_an_answer(claim: Claim, cast: Cast) -> None:
    def change(said: dict[str, Any]) -> None:
        Result.objects.filter(pk=claim.item.result_id).update(**said)

    none = {"answer": None, "input_label": "TOXIC", "output_label": None}
    some = {"answer": "Dear me.", "input_label": "SAFE", "output_label": "SAFE"}
    assert same(Program(cast.ruth), claim, change, none, some) == []


def test_the_known_ones_look_like_any_other(claim: Claim, cast: Cast) -> None:
    def change(said: dict[str, Any]) -> None:
        QueueItem.objects.filter(pk=claim.item_id).update(**said)

    known = {"gold": True, "gold_input": "SAFE", "gold_output": "SAFE"}
    assert same(Program(cast.ruth), claim, change, known, {"gold": False, "gold_input": "", "gold_output": ""}) == []


def test_what_was_taken_back_is_blind_again(claim: Claim, cast: Cast) -> None:
    """Whoever judged it has seen what the machine said; a program that comes later must not be told once more."""
    services.submit(claim, judgement(claim, input="SAFE"))
    done = services.submit(claim, judgement(claim, input="SAFE", output="SAFE"))
    services.undo(done.reviews[0], key="undone")
    changed = becomes(claim)
    changed(TOXIC)
    program = Program(cast.ruth)
    before = {address: program.get(address).json() for address in ("/api/v1/reviews/", f"/api/v1/claims/{claim.pk}/")}
    changed(SAFE)
    after = {address: program.get(address).json() for address in before}
    assert re.sub(NEW, "", json.dumps(before)) == re.sub(NEW, "", json.dumps(after))


def test_after_the_own_verdict_the_machine_is_told(claim: Claim, cast: Cast) -> None:
    becomes(claim)(TOXIC)
    services.submit(claim, judgement(claim, input="SAFE"))
    services.submit(claim, judgement(claim, input="SAFE", output="SAFE"))
    rows = Program(cast.ruth).get("/api/v1/reviews/").json()["results"]
    assert {"label": "TOXIC", "score": 0.97} in [row["machine"] for row in rows]


def test_the_test_would_notice_an_address_that_tells(claim: Claim, cast: Cast) -> None:
    Queue.objects.update(blind=False)
    claim = handout.find_claim(claim.pk, reviewer=cast.ruth)
    assert same(Program(cast.ruth), claim, becomes(claim), TOXIC, SAFE)


def test_others_verdicts_stay_theirs(claim: Claim, cast: Cast) -> None:
    review_next(claim.item.queue, cast.rob)
    text = json.dumps([answer for _, answer in answers(Program(cast.ruth), claim).values()])
    assert not re.search(r'\\"reviewer\\":\\"(?!ruth)', text)

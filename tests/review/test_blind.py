"""A blind reviewer learns nothing: whatever the machine and others said, every answer of the site is the same.

Rather than looking for words that tell, each test changes what must stay unknown and compares all answers byte by byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from django.test import Client
from django.urls import NoReverseMatch, reverse

from review import handout, services
from review.models import Claim, Queue, QueueItem, Review
from runs.models import Payload, Result, Run, Verdict
from tests.review.conftest import TEXTS, Cast, judgement, review_next
from tests.review.test_roles import routes

POSTED = ("review_take", "review_live")
# Where one must know what was asked for, or which change something with a GET of their own.
LEFT_OUT = ("login", "logout", "jsi18n")
TOXIC = {
    "output_label": "TOXIC",
    "output_score": 0.97,
    "output_categories": ["hate"],
    "human_output_label": "TOXIC",
    "output_provenance": "single",
    "disputed": True,
}
SAFE = {
    "output_label": "SAFE",
    "output_score": 0.02,
    "output_categories": [],
    "human_output_label": "SAFE",
    "output_provenance": "single",
    "disputed": False,
}


@pytest.fixture
def queue(make_queue: Callable[..., Queue], done_run: Callable[..., Run]) -> Queue:
    return make_queue(done_run(TEXTS), blind=True, needed=3, gold_percent=10, filters={}, sample_percent=50)


@pytest.fixture
def claim(queue: Queue, cast: Cast) -> Claim:
    """Ruth holds a result with an answer, which rob has judged before her."""
    claim = handout.claim_next(queue, reviewer=cast.ruth)
    while claim and not claim.item.result.answer:
        handout.skip(claim, reason="no answer")
        claim = handout.claim_next(queue, reviewer=cast.ruth)
    assert claim
    while not Review.objects.filter(item=claim.item, reviewer=cast.rob).exists():
        assert review_next(queue, cast.rob)
    return claim


def answers(client: Client, claim: Claim) -> dict[str, tuple[int, str]]:
    """What every route says, without what is new each time."""
    found = {}
    for address, posted in sorted(addresses(claim)):
        response = client.post(address) if posted else client.get(address)
        body = b"".join(response.streaming_content) if response.streaming else response.content
        text = re.sub(r'csrf[\w-]+" (?:value|content)="\w+"', "", body.decode())
        text = re.sub(r'name="key" value="[\w-]+"', "", text)
        text = re.sub(r'"seconds": \d+|data-seconds="\d+"|data-[\w-]+="\d+"|\d+:\d\d|\d+ min\w*', "", text)
        found[f"{'POST' if posted else 'GET'} {address}"] = (response.status_code, text)
    return found


def addresses(claim: Claim) -> Iterator[tuple[str, bool]]:
    result = claim.item.result
    for name in routes():
        if name in LEFT_OUT:
            continue
        for pk in {claim.pk, claim.item_id, claim.item.queue_id, result.pk, result.run_id}:
            more = (
                {"stage": "output"},
                {"verdict": Verdict.objects.filter(result=result).last().pk},
                {"item": claim.item_id},
            )
            for arguments in ({}, {"pk": pk}, {"object_id": pk}, *({"pk": pk, **extra} for extra in more)):
                try:
                    yield reverse(f"admin:{name}", kwargs=arguments), name in POSTED
                except NoReverseMatch:
                    continue
    for query in ("?flagged=true", "?output_label=TOXIC", "?category=hate", "?o=output_score", "?q=toxic", "?as=csv"):
        for name in ("runs_result_changelist", "runs_run_changelist", "review_mine", "review_work", "review_figures"):
            yield reverse(f"admin:{name}") + query, False


def visitor(user: object) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def same(
    client: Client, claim: Claim, change: Callable[[dict[str, object]], None], one: dict, other: dict
) -> list[str]:
    change(one)
    before = answers(client, claim)
    change(other)
    after = answers(client, claim)
    assert any(status == 200 and "Judge the prompt" in text for status, text in before.values())
    return [address for address in before if before[address] != after[address]]


def becomes(claim: Claim) -> Callable[[dict[str, object]], None]:
    """What machine and people said of the held result is now this."""

    def change(said: dict[str, object]) -> None:
        label = said["output_label"]
        Result.objects.filter(pk=claim.item.result_id).update(**said)
        verdicts = Verdict.objects.filter(result=claim.item.result_id, stage="OUTPUT")
        verdicts.update(label=label, score=said["output_score"], flagged=said["output_categories"], reason=f"{label}!")
        Payload.objects.filter(verdict__in=verdicts).update(body=f'"{label}"')
        Review.objects.filter(item=claim.item_id).exclude(reviewer=claim.reviewer).update(
            label=label, note=f"surely {label}"
        )
        QueueItem.objects.filter(pk=claim.item_id).update(origin="SAMPLE" if label == "SAFE" else "FILTER")

    return change


@pytest.mark.parametrize("name", ["ruth", "sara"])
def test_no_route_tells_what_the_machine_or_others_said(claim: Claim, queue: Queue, cast: Cast, name: str) -> None:
    if name == "sara":
        handout.release(claim)
        claim = handout.claim_next(queue, reviewer=cast.sara)
        while claim and not claim.item.result.answer:
            handout.skip(claim, reason="no answer")
            claim = handout.claim_next(queue, reviewer=cast.sara)
        assert claim
    assert same(visitor(cast[name]), claim, becomes(claim), TOXIC, SAFE) == []


def test_no_route_tells_whether_there_is_an_answer(claim: Claim, cast: Cast) -> None:
    def change(said: dict[str, object]) -> None:
        Result.objects.filter(pk=claim.item.result_id).update(**said)

    none = {"answer": None, "input_label": "TOXIC", "output_label": None}
    some = {"answer": "Dear me.", "input_label": "SAFE", "output_label": "SAFE"}
    assert same(visitor(cast.ruth), claim, change, none, some) == []


def test_the_known_ones_look_like_any_other(claim: Claim, cast: Cast) -> None:
    def change(said: dict[str, object]) -> None:
        QueueItem.objects.filter(pk=claim.item_id).update(**said)

    known = {"gold": True, "gold_input": "SAFE", "gold_output": "SAFE"}
    assert same(visitor(cast.ruth), claim, change, known, {"gold": False, "gold_input": "", "gold_output": ""}) == []


def test_after_the_own_verdict_the_machine_is_shown(claim: Claim, cast: Cast) -> None:
    becomes(claim)(TOXIC)
    services.submit(claim, judgement(claim, input="SAFE"))
    services.submit(claim, judgement(claim, input="SAFE", output="SAFE"))
    assert "0.97" in visitor(cast.ruth).get(reverse("admin:review_mine")).content.decode()


def test_the_test_would_notice_a_page_that_tells(claim: Claim, cast: Cast) -> None:
    Queue.objects.update(blind=False)
    change = becomes(claim)
    change(TOXIC)
    before = answers(visitor(cast.ruth), claim)
    change(SAFE)
    assert [address for address, said in answers(visitor(cast.ruth), claim).items() if said != before[address]]

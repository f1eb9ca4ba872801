"""A verdict is stored once, and nothing that was said is lost."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from audit.models import AuditEvent
from classifiers.errors import ConflictError, ForbiddenError, InputError, NotFoundError
from classifiers.types import Stage
from review import handout, services
from review.models import Claim, Draft, Queue, QueueItem, Review
from review.services import Judgement
from runs.models import Result
from tests.review.conftest import Cast, judgement, review_next
from tests.review.test_handout import expire


@pytest.fixture
def claim(make_queue: Callable[..., Queue], cast: Cast) -> Claim:
    """Ruth holds a result that has an answer."""
    return hold(make_queue(), cast.ruth)


def hold(queue: Queue, reviewer: object) -> Claim:
    """The first result with an answer."""
    while True:
        claim = handout.claim_next(queue, reviewer=reviewer)
        assert claim
        if claim.item.result.answer:
            return claim
        handout.skip(claim, reason="no answer")


def test_a_verdict_of_both_stages_is_one_act(claim: Claim) -> None:
    services.submit(claim, judgement(claim, input="SAFE", output="TOXIC", note="rude"))
    stored = Review.objects.order_by("stage").values_list("stage", "label", "note", "item")
    assert list(stored) == [("INPUT", "SAFE", "rude", claim.item_id), ("OUTPUT", "TOXIC", "rude", claim.item_id)]
    item = QueueItem.objects.get(pk=claim.item_id)
    assert (item.claimed, item.done, item.state) == (0, 1, "CLOSED")
    result = Result.objects.get(pk=item.result_id)
    assert (result.human_output_label, result.output_provenance) == ("TOXIC", "single")
    assert result.effective(Stage.OUTPUT) == "TOXIC"
    assert result.reviewed_at


def test_the_same_act_sent_again_is_stored_once(claim: Claim) -> None:
    verdict = judgement(claim, key="k1")
    first, again = services.submit(claim, verdict), services.submit(claim, verdict)
    assert (first.repeated, again.repeated) == (False, True)
    assert [review.pk for review in again.reviews] == [review.pk for review in first.reviews]
    assert Review.objects.count() == 2
    assert AuditEvent.objects.filter(action="review.submitted").count() == 1


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_same_act_sent_many_times_at_once_is_stored_once(claim: Claim) -> None:
    verdict = judgement(claim, key="k1")

    def send(_: int) -> int:
        try:
            return len(services.submit(claim, verdict).reviews)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(send, range(16))) == [2] * 16
    assert Review.objects.count() == 2


def test_another_act_under_the_same_key_is_refused(claim: Claim) -> None:
    services.submit(claim, judgement(claim, key="k1", input="SAFE", output="SAFE"))
    with pytest.raises(ConflictError, match="under this key"):
        services.submit(claim, judgement(claim, key="k1", input="TOXIC", output="SAFE"))
    assert set(Review.objects.values_list("label", flat=True)) == {"SAFE"}


def test_a_late_verdict_is_stored_while_the_slot_is_free(claim: Claim) -> None:
    expire(claim)
    handout.sweep(claim.item.queue)
    assert services.submit(claim, judgement(claim)).reviews
    item = QueueItem.objects.get(pk=claim.item_id)
    assert (item.claimed, item.done) == (0, 1)


def test_a_late_verdict_is_kept_as_a_draft_when_another_was_faster(claim: Claim, cast: Cast) -> None:
    queue = claim.item.queue
    expire(claim)
    while review_next(queue, cast.rob):
        pass
    late = services.submit(claim, judgement(claim, key="late", note="my words"))
    assert not late.reviews
    assert (late.draft.note, late.draft.reviewer) == ("my words", cast.ruth)
    assert services.submit(claim, judgement(claim, key="late", note="my words")).repeated
    assert Draft.objects.count() == 1
    assert Review.objects.filter(item=claim.item_id, reviewer=cast.ruth).count() == 0


def test_a_verdict_just_after_the_lease_counts_when_nobody_has_noticed(claim: Claim) -> None:
    expire(claim)
    assert services.submit(claim, judgement(claim)).reviews


def test_a_second_verdict_by_another_key_is_refused(claim: Claim) -> None:
    services.submit(claim, judgement(claim))
    with pytest.raises(ConflictError, match="through with this result"):
        services.submit(claim, judgement(claim))
    assert Review.objects.count() == 2


def test_nobody_judges_what_another_holds(claim: Claim, cast: Cast) -> None:
    with pytest.raises(NotFoundError, match="do not hold"):
        handout.find_claim(claim.pk, reviewer=cast.rob)


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ({"input": "MAYBE", "output": "SAFE"}, "'MAYBE' is no label"),
        ({"input": "ERROR", "output": "SAFE"}, "'ERROR' is no label"),
        ({"input": "SAFE"}, "a label of the output too"),
    ],
)
def test_bad_labels_change_nothing(claim: Claim, labels: dict[str, str], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        services.submit(claim, judgement(claim, **labels))
    assert not Review.objects.exists()
    assert Claim.objects.get(pk=claim.pk).state == "HELD"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"note": "x" * 10_000_000}, "10000000 characters"),
        ({"note": "a\0b"}, "NUL"),
        ({"note": "\ud800"}, "lone surrogate"),
        ({"key": ""}, "key of its own"),
        ({"key": "k" * 65}, "key of its own"),
        ({"categories": [""]}, "categories"),
        ({"categories": ["x"] * 51}, "categories"),
        ({"labels": {}}, "No label"),
    ],
)
def test_what_cannot_be_stored_is_refused_with_a_sentence(fields: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Judgement(**{"labels": {Stage.INPUT: "SAFE"}, "key": "k", **fields})


def test_a_prompt_without_an_answer_is_judged_alone(make_queue: Callable[..., Queue], cast: Cast) -> None:
    queue = make_queue()
    claim = handout.claim_next(queue, reviewer=cast.ruth)
    while claim and claim.item.result.answer:
        handout.skip(claim, reason="has one")
        claim = handout.claim_next(queue, reviewer=cast.ruth)
    assert claim
    with pytest.raises(InputError, match="no output to be judged"):
        services.submit(claim, judgement(claim, input="SAFE", output="SAFE"))
    assert len(services.submit(claim, judgement(claim, input="SAFE")).reviews) == 1


# In a blind queue the prompt comes first


@pytest.fixture
def blind(make_queue: Callable[..., Queue], cast: Cast) -> Claim:
    return hold(make_queue(blind=True), cast.ruth)


def test_the_answer_is_hidden_until_the_prompt_is_judged(blind: Claim) -> None:
    assert blind.stages(blind.item.result) == [Stage.INPUT]
    with pytest.raises(InputError, match="judged first"):
        services.submit(blind, judgement(blind, input="SAFE", output="SAFE"))
    assert services.submit(blind, judgement(blind, input="SAFE", key="k")).pending
    assert services.submit(blind, judgement(blind, input="SAFE", output="TOXIC", key="k")).reviews
    assert set(Review.objects.values_list("blind", flat=True)) == {True}


def test_what_was_said_of_the_prompt_stands_when_the_answer_is_seen(blind: Claim) -> None:
    services.submit(blind, judgement(blind, input="SAFE"))
    with pytest.raises(ConflictError, match="You said SAFE of the prompt"):
        services.submit(blind, judgement(blind, input="TOXIC", output="TOXIC"))
    assert not Review.objects.exists()


def test_a_blind_prompt_without_an_answer_is_done_with_one_label(make_queue: Callable[..., Queue], cast: Cast) -> None:
    queue = make_queue(blind=True)
    while (claim := handout.claim_next(queue, reviewer=cast.ruth)) and claim.item.result.answer:
        handout.skip(claim, reason="has one")
    assert claim
    assert not services.submit(claim, judgement(claim, input="SAFE")).pending
    assert Review.objects.get().blind


def test_a_correction_after_the_machine_spoke_is_not_blind(blind: Claim) -> None:
    services.submit(blind, judgement(blind, input="SAFE"))
    first = services.submit(blind, judgement(blind, input="SAFE", output="SAFE")).reviews
    changed = judgement(blind, input="TOXIC", output="TOXIC")
    services.correct(blind, changed, version=max(review.pk for review in first))
    assert [review.blind for review in Review.objects.order_by("pk")] == [True, True, False, False]


# Correcting and taking back


def test_a_correction_is_appended_and_counts(claim: Claim) -> None:
    first = services.submit(claim, judgement(claim, input="SAFE", output="SAFE")).reviews
    services.correct(claim, judgement(claim, input="TOXIC", output="SAFE"), version=max(r.pk for r in first))
    assert Review.objects.count() == 4
    assert Result.objects.get(pk=claim.item.result_id).human_input_label == "TOXIC"
    actions = AuditEvent.objects.filter(action__startswith="review.").values_list("action", flat=True)
    assert {"review.submitted", "review.corrected"} <= set(actions)


def test_a_stale_correction_tells_both_values_and_changes_nothing(claim: Claim) -> None:
    first = services.submit(claim, judgement(claim, input="SAFE", output="SAFE")).reviews
    seen = max(review.pk for review in first)
    services.correct(claim, judgement(claim, input="TOXIC", output="TOXIC"), version=seen)
    with pytest.raises(
        ConflictError, match=r"Stored is: input TOXIC, output TOXIC. You sent: input SAFE, output UNSURE"
    ):
        services.correct(claim, judgement(claim, input="SAFE", output="UNSURE"), version=seen)
    assert Review.objects.count() == 4


def test_undo_takes_back_and_gives_the_result_again(claim: Claim) -> None:
    (first, *_) = services.submit(claim, judgement(claim)).reviews
    services.undo(first, key="u1")
    services.undo(first, key="u1")
    result = Result.objects.get(pk=claim.item.result_id)
    assert (result.human_input_label, result.input_provenance, result.reviewed_at) == (None, "machine", None)
    item = QueueItem.objects.get(pk=claim.item_id)
    assert (item.claimed, item.done, item.state) == (1, 0, "OPEN")
    assert Review.objects.count() == 4
    assert services.submit(claim, judgement(claim, input="TOXIC", output="TOXIC")).reviews
    result.refresh_from_db()
    assert result.human_input_label == "TOXIC"


def test_undo_ends_with_its_time(claim: Claim, settings: object) -> None:
    settings.SAFETY_UNDO_SECONDS = 0
    (first, *_) = services.submit(claim, judgement(claim)).reviews
    with pytest.raises(ConflictError, match="Correct it instead"):
        services.undo(first, key="u1")


def test_a_verdict_is_taken_back_once(claim: Claim) -> None:
    (first, *_) = services.submit(claim, judgement(claim)).reviews
    services.undo(first, key="u1")
    with pytest.raises(ConflictError, match="already"):
        services.undo(first, key="u2")


def test_nobody_takes_back_what_another_said(claim: Claim, cast: Cast) -> None:
    (first, *_) = services.submit(claim, judgement(claim)).reviews
    with pytest.raises(NotFoundError):
        services.find_review(first.pk, reviewer=cast.rob)


# Disagreement


def both(queue: Queue, cast: Cast, first: str, second: str) -> QueueItem:
    one = handout.claim_next(queue, reviewer=cast.ruth)
    assert one
    two = handout.claim_next(queue, reviewer=cast.rob)
    while two and two.item_id != one.item_id:
        handout.skip(two, reason="another")
        two = handout.claim_next(queue, reviewer=cast.rob)
    assert two
    services.submit(one, judgement(one, input=first))
    services.submit(two, judgement(two, input=second))
    return QueueItem.objects.get(pk=one.item_id)


@pytest.fixture
def prompts_queue(make_queue: Callable[..., Queue]) -> Queue:
    return make_queue(stages="INPUT", needed=2)


def test_two_who_agree_close_it(prompts_queue: Queue, cast: Cast) -> None:
    item = both(prompts_queue, cast, "TOXIC", "TOXIC")
    assert item.state == "CLOSED"
    assert (item.result.human_input_label, item.result.input_provenance) == ("TOXIC", "unanimous")


@pytest.mark.parametrize("second", ["TOXIC", "UNSURE"])
def test_two_who_differ_call_a_third(prompts_queue: Queue, cast: Cast, second: str) -> None:
    item = both(prompts_queue, cast, "SAFE", second)
    assert item.state == "NEEDS_ADJUDICATION"
    assert item.result.disputed
    assert item.result.effective(Stage.INPUT) == item.result.input_label
    services.adjudicate(item, judgement(input="TOXIC"), adjudicator=cast.sara, cause="ambiguous")
    item.refresh_from_db()
    result = Result.objects.get(pk=item.result_id)
    assert (item.state, result.disputed) == ("CLOSED", False)
    assert (result.human_input_label, result.input_provenance) == ("TOXIC", "adjudicated")


def test_an_unsure_single_reviewer_calls_another(make_queue: Callable[..., Queue], cast: Cast) -> None:
    review_next(make_queue(stages="INPUT"), cast.ruth, input="UNSURE")
    assert QueueItem.objects.filter(state="NEEDS_ADJUDICATION").count() == 1


def test_what_is_said_in_another_queue_takes_nothing_back_in_this_one(
    prompts_queue: Queue, make_queue: Callable[..., Queue], cast: Cast
) -> None:
    one = handout.claim_next(prompts_queue, reviewer=cast.ruth)
    assert one
    services.submit(one, judgement(one, input="SAFE"))
    other = make_queue(one.item.result.run, stages="INPUT")
    while review_next(other, cast.ruth, input="TOXIC"):
        pass
    while review_next(prompts_queue, cast.rob, input="TOXIC"):
        pass
    assert QueueItem.objects.get(pk=one.item_id).state == "NEEDS_ADJUDICATION"


def test_an_escalation_goes_to_an_adjudicator(prompts_queue: Queue, cast: Cast) -> None:
    claim = handout.claim_next(prompts_queue, reviewer=cast.ruth)
    assert claim
    handout.escalate(claim, reason="A threat?")
    item = QueueItem.objects.get(pk=claim.item_id)
    assert (item.state, item.claimed, item.result.disputed) == ("NEEDS_ADJUDICATION", 0, True)
    services.adjudicate(item, judgement(input="SAFE"), adjudicator=cast.sara, cause="policy_gap")
    item.refresh_from_db()
    assert item.state == "CLOSED"


def test_the_adjudicator_is_none_of_the_first(prompts_queue: Queue, cast: Cast) -> None:
    one = handout.claim_next(prompts_queue, reviewer=cast.sara)
    assert one
    handout.escalate(one, reason="hm")
    with pytest.raises(ForbiddenError, match="You have judged this result"):
        services.adjudicate(one.item, judgement(input="SAFE"), adjudicator=cast.sara, cause="ambiguous")


@pytest.mark.parametrize("name", ["rita", "axel", "nora"])
def test_who_may_not_settle_is_refused(prompts_queue: Queue, cast: Cast, name: str) -> None:
    item = both(prompts_queue, cast, "SAFE", "TOXIC")
    with pytest.raises(ForbiddenError, match="may not settle"):
        services.adjudicate(item, judgement(input="SAFE"), adjudicator=cast[name], cause="ambiguous")


def test_the_second_adjudicator_learns_what_the_first_decided(prompts_queue: Queue, cast: Cast) -> None:
    item = both(prompts_queue, cast, "SAFE", "TOXIC")
    services.adjudicate(item, judgement(input="SAFE"), adjudicator=cast.sara, cause="ambiguous")
    with pytest.raises(ConflictError, match="input SAFE by sara"):
        services.adjudicate(item, judgement(input="TOXIC"), adjudicator=cast.lena, cause="ambiguous")


@pytest.mark.parametrize(("label", "cause"), [("UNSURE", "ambiguous"), ("SAFE", "whim"), ("SAFE", "")])
def test_an_adjudication_decides_and_says_why(prompts_queue: Queue, cast: Cast, label: str, cause: str) -> None:
    item = both(prompts_queue, cast, "SAFE", "TOXIC")
    with pytest.raises(InputError):
        services.adjudicate(item, judgement(input=label), adjudicator=cast.sara, cause=cause)
    item.refresh_from_db()
    assert item.state == "NEEDS_ADJUDICATION"


def test_an_adjudication_taken_back_opens_the_disagreement_again(prompts_queue: Queue, cast: Cast) -> None:
    item = both(prompts_queue, cast, "SAFE", "TOXIC")
    (decided,) = services.adjudicate(item, judgement(input="SAFE"), adjudicator=cast.sara, cause="ambiguous").reviews
    services.undo(decided, key="u")
    item.refresh_from_db()
    assert (item.state, item.done, item.claimed) == ("NEEDS_ADJUDICATION", 2, 0)


def test_what_was_said_of_another_answer_does_not_count(claim: Claim, cast: Cast) -> None:
    services.submit(claim, judgement(claim, input="SAFE", output="TOXIC"))
    Result.objects.filter(pk=claim.item.result_id).update(answer="Another answer.")
    services.review_result(claim.item.result, judgement(input="SAFE"), reviewer=cast.lena)
    result = Result.objects.get(pk=claim.item.result_id)
    assert (result.human_output_label, result.input_provenance) == (None, "unanimous")


@pytest.mark.parametrize("name", ["ruth", "sara", "nora"])
def test_who_does_not_see_the_record_judges_nothing_outside_a_queue(claim: Claim, cast: Cast, name: str) -> None:
    with pytest.raises(ForbiddenError):
        services.review_result(claim.item.result, judgement(input="SAFE"), reviewer=cast[name])


def test_a_known_answer_counts_for_nobody(make_queue: Callable[..., Queue], cast: Cast) -> None:
    from review import queues

    queue = make_queue(stages="INPUT", needed=2, gold_percent=50)
    result = queue.items.first().result
    queues.mark_gold(queue, result, {Stage.INPUT: "SAFE"}, by=cast.lena)
    for reviewer in (cast.ruth, cast.rob, cast.rita):
        while review_next(queue, reviewer, input="TOXIC"):
            pass
    result = Result.objects.get(pk=result.pk)
    assert (result.human_input_label, result.reviewed_at) == (None, None)
    assert QueueItem.objects.get(result=result).state == "OPEN"


def test_an_undo_under_the_key_of_another_act_changes_nothing(make_queue: Callable[..., Queue], cast: Cast) -> None:
    said = review_next(make_queue(), cast.ruth)
    with pytest.raises(ConflictError, match="key of its own"):
        services.undo(said.reviews[0], key=said.reviews[0].key)
    assert Review.objects.current().count() == len(said.reviews)

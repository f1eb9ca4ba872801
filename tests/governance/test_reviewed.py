"""What is learnt from reviewers: what they decided, weighted by how far they agree, of texts that are still there."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.management import CommandError, call_command

from classifiers.errors import InputError
from governance.reviewed import reviewed_rows
from review import services
from review.models import Queue, QueueItem
from runs.models import Result
from tests.review.conftest import Cast, judgement, make_queue, review_next  # noqa: F401  a fixture
from training.data import LEARN, MEASURE, Row, split

pytestmark = pytest.mark.django_db


def found() -> dict[str, tuple[bool, float]]:
    return {row.text: (row.toxic, round(row.weight, 3)) for row in reviewed_rows()}


def test_the_label_of_most_weighs_as_much_as_they_agree(cast: Cast, make_queue: Callable[..., Queue]) -> None:  # noqa: F811
    queue = make_queue(needed=3, stages="INPUT")
    for reviewer, label in ((cast.ruth, "TOXIC"), (cast.rob, "SAFE"), (cast.rita, "TOXIC")):
        while review_next(queue, reviewer, input=label):
            pass
    rows = reviewed_rows()
    assert len(rows) == queue.items.count()
    assert {(row.toxic, round(row.weight, 3)) for row in rows} == {(True, 0.667)}


def test_one_alone_decides_too_and_who_is_unsure_does_not(cast: Cast, make_queue: Callable[..., Queue]) -> None:  # noqa: F811
    queue = make_queue(stages="INPUT")
    review_next(queue, cast.ruth, input="UNSURE")
    review_next(queue, cast.ruth, input="SAFE")
    assert list(found().values()) == [(False, 1.0)]


def test_an_adjudication_weighs_one_whatever_was_said_before(cast: Cast, make_queue: Callable[..., Queue]) -> None:  # noqa: F811
    queue = make_queue(needed=2, stages="INPUT")
    for reviewer, label in ((cast.ruth, "TOXIC"), (cast.rob, "SAFE")):
        while review_next(queue, reviewer, input=label):
            pass
    with pytest.raises(InputError, match="no text yet"):
        reviewed_rows()
    item = QueueItem.objects.filter(queue=queue).first()
    assert item
    services.adjudicate(item, judgement(input="TOXIC"), adjudicator=cast.sara, cause="reviewer_error")
    assert found() == {item.result.prompt: (True, 1.0)}


def test_a_prompt_and_its_answer_stay_together(cast: Cast, make_queue: Callable[..., Queue]) -> None:  # noqa: F811
    queue = make_queue()
    while review_next(queue, cast.ruth):
        pass
    rows = reviewed_rows()
    answered = Result.objects.exclude(answer=None).count()
    assert answered
    assert len(rows) == Result.objects.count() + answered
    for part in split(rows, {"train": 0.5, "held": 0.5}).values():
        prompts = {row.group for row in part if row.key == row.group}
        assert {row.group for row in part} <= prompts


def test_a_text_that_was_let_go_is_not_learnt_from(cast: Cast, make_queue: Callable[..., Queue]) -> None:  # noqa: F811
    queue = make_queue(stages="INPUT")
    while review_next(queue, cast.ruth, input="TOXIC"):
        pass
    one = Result.objects.first()
    assert one
    Result.objects.filter(pk=one.pk).update(texts=Result.Texts.LET_GO)
    assert one.prompt not in found()
    assert Row(one.prompt, True).key not in {row.key for row in reviewed_rows()}


def test_what_is_left_of_a_text_by_redaction_is_learnt_from(cast: Cast, make_queue: Callable[..., Queue]) -> None:  # noqa: F811
    queue = make_queue(stages="INPUT")
    while review_next(queue, cast.ruth, input="TOXIC"):
        pass
    one = Result.objects.first()
    assert one
    Result.objects.filter(pk=one.pk).update(texts=Result.Texts.REDACTED, prompt="Call [PHONE], you idiot.")
    assert found()["Call [PHONE], you idiot."] == (True, 1.0)


def test_the_command_says_when_nobody_has_decided_yet(tmp_path: object) -> None:
    with pytest.raises(CommandError, match="no text yet"):
        call_command("train_adapter", str(tmp_path), "--reviews")


def test_what_was_chosen_to_be_learnt_from_never_measures(cast: Cast, make_queue: Callable[..., Queue]) -> None:  # noqa: F811
    queue = make_queue(stages="INPUT")
    chosen, drawn, *_ = queue.items.order_by("pk")
    QueueItem.objects.filter(pk=chosen.pk).update(origin=QueueItem.Origin.CHOSEN)
    QueueItem.objects.filter(pk=drawn.pk).update(origin=QueueItem.Origin.RANDOM)
    while review_next(queue, cast.ruth):
        pass
    uses = {row.text: row.use for row in reviewed_rows()}
    assert (uses.pop(chosen.result.prompt), uses.pop(drawn.result.prompt)) == (LEARN, MEASURE)
    assert set(uses.values()) == {""}
    for origin in (QueueItem.Origin.CHOSEN, QueueItem.Origin.RANDOM):  # both, in other queues
        other = Queue.objects.create(name=origin, created_by="lena")
        QueueItem.objects.create(queue=other, result=chosen.result, needed=1, order=0.5, origin=origin)
    assert {row.text: row.use for row in reviewed_rows()}[chosen.result.prompt] == MEASURE

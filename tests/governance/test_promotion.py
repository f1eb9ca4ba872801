"""An adapter takes another's place when every gate lets it, by somebody's act; and gives it back."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest
from django.db import connection

from audit.models import AuditEvent
from classifiers.errors import ConflictError, InputError, NotFoundError
from classifiers.labelled import Labelled
from classifiers.types import Stage, Subject
from fairness.probes import CATEGORY, probes
from governance import jobs, promotion
from governance.models import Evaluation, TrainingRun
from governance.services import Data, Wish
from moderation import adapters, services
from moderation.models import Promotion
from moderation.services import Choice
from review.models import Queue, QueueItem
from tests.governance.promoting import ALIAS, Make, compared, labelled, promoted
from tests.review.conftest import Cast, review_next

pytestmark = pytest.mark.django_db


def flags(text: str, alias: str = ALIAS) -> bool:
    return services.classifier(Choice(alias)).classify([Subject(text, Stage.INPUT)])[0].label == "TOXIC"


def test_the_better_one_is_promoted_and_loaded_from_then_on(make_adapter: Make) -> None:
    mine = make_adapter("mine", "toxic rude")
    assert not flags("rude")
    made = promoted(mine)
    assert flags("rude")
    assert (made.alias, made.adapter, made.note, made.created_by) == (ALIAS, mine, "It finds more.", "user:lena")
    assert all(gate["met"] for gate in made.evidence["gates"])
    assert made.evidence["rivals"]["figures"]["recall"]["change"]["value"] == 0.5
    event = AuditEvent.objects.get(action="adapter.promoted")
    assert event.actor == "user:lena"
    assert mine.digest in event.data
    assert str(made.evidence["new"]) in event.data


def test_the_case_stands_on_both_evaluations(make_adapter: Make) -> None:
    case = promotion.case(*compared(make_adapter("mine", "toxic rude")))
    assert case.may
    assert (case.rivals.n, case.rivals.toxic, case.rivals.probes) == (120, 80, len(probes()))
    assert {each.name for each in case.rivals.categories} == {"", "a", "b", CATEGORY}
    assert (case.old.alias, case.new.alias) == (ALIAS, f"{ALIAS}@mine")


def test_it_is_told_when_what_was_learnt_before_is_not_on_record(make_adapter: Make) -> None:
    first, second, third = (make_adapter(name, f"toxic rude {name}") for name in ("one", "two", "three"))
    for older, newer in ((first, second), (second, third)):
        TrainingRun.objects.filter(adapter=newer).update(recipe={"start_digest": older.digest})
    pair = compared(third)

    def says() -> str:
        return next(gate.says for gate in promotion.case(*pair).gates if gate.name == "unseen")

    assert "not on record" not in says()
    TrainingRun.objects.filter(adapter=first).update(recipe={"start_digest": "of the embedded one"})
    assert "went on from learnt is not on record here" in says()


@pytest.mark.parametrize(
    ("toxic", "fail", "says"),
    [
        ("nothing", "fail", "recall is"),
        ("toxic rude", "kind", "cannot be judged by the new one"),
        ("toxic rude Muslim", "fail", "between groups|Between groups"),
        ("t k r", "fail", "labels as they stand"),
    ],
)
def test_a_gate_that_is_not_met_is_not_passed(make_adapter: Make, toxic: str, fail: str, says: str) -> None:
    pair = compared(make_adapter("mine", toxic, fail))
    with pytest.raises(InputError, match=f"may not be promoted.*({says})"):
        promotion.promote(*pair, note="Let it through.", actor="user:lena")
    assert not Promotion.objects.exists()
    assert not AuditEvent.objects.filter(action="adapter.promoted").exists()


def test_texts_that_were_learnt_from_are_left_out(make_adapter: Make) -> None:
    learnt = [f"  {row.subject.text.upper()}" for row in labelled().rows[:30]]  # other case and spaces hide nothing
    old, new = compared(make_adapter("mine", "toxic rude", texts=learnt))
    assert (old.n, new.learnt) == (90 + len(probes()), 0)
    assert "without 30 that were learnt from" in old.dataset
    of_all = make_adapter("all", "toxic rude", texts=[row.subject.text for row in labelled().rows])
    with pytest.raises(InputError, match="neither adapter learnt from"):
        promotion.ask(of_all, alias=ALIAS, data=labelled(), actor="test")


def test_evaluations_on_texts_that_were_learnt_from_are_no_evidence(make_adapter: Make) -> None:
    make_adapter("mine", "toxic rude", texts=[labelled().rows[0].subject.text])
    rows = [*labelled().rows, *(Labelled(Subject(text, Stage.INPUT), False, CATEGORY) for text in probes())]
    job = jobs.ask(Data("x", {}, rows), Wish(), aliases=[ALIAS, f"{ALIAS}@mine"], actor="test")
    jobs.work(job)
    with pytest.raises(InputError, match="learnt from 1 of these texts"):
        promotion.promote(*job.evaluations.order_by("pk"), note="x", actor="test")


def test_what_people_decided_is_what_it_is_compared_on(
    make_adapter: Make,
    cast: Cast,
    make_queue: Callable[..., Queue],
) -> None:
    mine = make_adapter("mine", "toxic rude")
    with pytest.raises(InputError, match="decided on no text"):
        promotion.ask(mine, alias=ALIAS, actor="user:lena")
    queue = make_queue(stages="INPUT")
    while review_next(queue, cast.ruth, input="SAFE"):
        pass
    job = promotion.ask(mine, alias=ALIAS, actor="user:lena")
    assert job.aliases == [ALIAS, f"{ALIAS}@mine"]
    assert job.dataset == "what people decided on this site"
    assert len(job.labelled) == len(probes()) + queue.items.count()
    chosen = queue.items.order_by("pk").first()
    assert chosen
    queue.items.filter(pk=chosen.pk).update(origin=QueueItem.Origin.CHOSEN)
    without = [row.subject.text for row in promotion.texts(mine, ALIAS, None).rows]
    assert chosen.result.prompt not in without
    assert len(without) == len(job.labelled) - 1


def test_rolling_back_goes_step_by_step_to_what_held_before(make_adapter: Make) -> None:
    first = promoted(make_adapter("first", "toxic rude"))
    second = promoted(make_adapter("second", "toxic rude kinder"))
    back = promotion.roll_back(second, note="Too many complaints.", actor="user:anna")
    assert adapters.promoted(ALIAS) == back.adapter == first.adapter
    with pytest.raises(ConflictError, match="does not hold any more"):
        promotion.roll_back(second, actor="user:anna")
    assert promotion.roll_back(first, actor="user:anna").adapter is None
    assert not flags("rude")
    assert promotion.standing(ALIAS) == []
    assert Promotion.objects.count() == 4
    event = AuditEvent.objects.filter(action="adapter.rolled_back").order_by("sequence").first()
    assert event
    assert '"from":"second"' in event.data
    assert '"to":"first"' in event.data
    again = promoted(second.adapter)  # type: ignore[arg-type]
    assert [each.pk for each in promotion.standing(ALIAS)] == [again.pk]


def test_two_who_promote_are_told_apart(make_adapter: Make) -> None:
    first, second = (compared(make_adapter(name, f"toxic rude {name}")) for name in ("first", "second"))
    promotion.promote(*first, note="x", actor="user:lena")
    with pytest.raises(ConflictError, match="user:lena changed what adapted loads"):
        promotion.promote(*second, note="x", actor="user:anna")
    with pytest.raises(ConflictError, match="loads the adapter first already"):
        promotion.promote(*first, note="x", actor="user:anna")


def test_old_evidence_does_not_count_after_a_rollback(make_adapter: Make) -> None:
    pair = compared(make_adapter("mine", "toxic rude"))
    promotion.roll_back(promotion.promote(*pair, note="x", actor="user:lena"), actor="user:lena")
    with pytest.raises(ConflictError, match="Compare with that anew"):
        promotion.promote(*pair, note="x", actor="user:lena")


def test_what_the_one_that_is_loaded_learnt_from_is_left_out_too(make_adapter: Make) -> None:
    learnt = [row.subject.text for row in labelled().rows[:15]]
    promoted(make_adapter("first", "toxic rude", texts=learnt))
    data = promotion.texts(make_adapter("second", "toxic rude"), ALIAS, labelled())
    assert "without 15 that were learnt from" in data.name
    assert not {row.subject.text for row in data.rows} & {*learnt}


def test_evidence_asked_for_before_a_promotion_does_not_count_after_it(make_adapter: Make) -> None:
    """Nobody left out of it what the promoted one learnt from."""
    first, second = (make_adapter(name, f"toxic rude {name}") for name in ("first", "second"))
    job = promotion.ask(second, alias=ALIAS, data=labelled(), actor="user:lena")
    promoted(first)
    jobs.work(job)
    with pytest.raises(ConflictError, match="Compare with that anew"):
        promotion.promote(*job.evaluations.order_by("pk"), note="x", actor="user:lena")


def test_evidence_against_another_than_what_is_loaded_does_not_count(make_adapter: Make) -> None:
    promoted(make_adapter("first", "toxic rude"))
    case = promotion.case(*compared(make_adapter("second", "toxic rude kinder")))
    assert case.out_of_date == ""
    case.old.version = case.new.version  # such as of a model server that had another one behind the alias
    assert "Compare with that anew" in case.out_of_date


def test_what_another_alias_loads_is_no_matter(make_adapter: Make) -> None:
    mine = make_adapter("mine", "toxic rude")
    pair = compared(mine)
    Promotion.objects.create(alias="gemma", adapter=mine, created_by="user:anna")
    assert promotion.promote(*pair, note="x", actor="user:lena").adapter == mine


@pytest.mark.parametrize(("note", "says"), [("", "why"), ("  ", "why"), ("x" * 1001, "at most 1000"), ("\0", "note")])
def test_a_note_is_needed(make_adapter: Make, note: str, says: str) -> None:
    pair = compared(make_adapter("mine", "toxic rude"))
    with pytest.raises(InputError, match=says):
        promotion.promote(*pair, note=note, actor="user:lena")


def test_what_is_no_pair_is_refused(make_adapter: Make) -> None:
    mine = make_adapter("mine", "toxic rude")
    old, new = compared(mine)
    elsewhere, _ = compared(mine, labelled(90))
    for pair, says in (
        ((old, old), "not of adapted with"),
        ((new, old), "not of"),
        ((elsewhere, new), "different data"),
    ):
        with pytest.raises(InputError, match=says):
            promotion.case(*pair)
    with pytest.raises(InputError, match="takes adapters"):
        promotion.ask(mine, alias="fake", data=labelled(), actor="test")
    with pytest.raises(NotFoundError):
        promotion.find_promotion(7)


@pytest.mark.django_db(transaction=True)
def test_two_rollbacks_at_once_are_one(make_adapter: Make) -> None:
    made = promoted(make_adapter("mine", "toxic rude"))
    told: list[str] = []

    def roll_back(**options: Any) -> None:
        try:
            promotion.roll_back(made, actor="user:anna")
            told.append("done")
        except ConflictError:
            told.append("late")
        finally:
            connection.close()

    threads = [Thread(target=roll_back) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == ["done", "late"]
    assert Promotion.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_of_two_who_promote_first_at_once_one_is_late(make_adapter: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [compared(make_adapter(name, f"toxic rude {name}")) for name in ("first", "second")]
    put, told = promotion._put, list[str]()

    def slowly(*arguments: Any, **options: Any) -> Promotion:
        time.sleep(0.5)
        return put(*arguments, **options)

    def promote(pair: tuple[Evaluation, Evaluation]) -> None:
        try:
            promotion.promote(*pair, note="x", actor="user:anna")
            told.append("done")
        except ConflictError:
            told.append("late")
        finally:
            connection.close()

    monkeypatch.setattr(promotion, "_put", slowly)
    threads = [Thread(target=promote, args=[pair]) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == ["done", "late"]
    assert Promotion.objects.count() == 1

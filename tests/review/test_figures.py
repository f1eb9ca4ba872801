from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from classifiers.errors import InputError
from classifiers.types import Stage
from review.figures import MOST_IN_PAIRS, Agreement, accuracies, agreement_of, own_accuracy
from review.models import BulkAction, Queue, QueueItem, Review
from review.scopes import Scope, ScopeForm
from runs.models import Run
from tests.review.conftest import Cast
from tests.review.hand_made import NOW, flagged, make_items, make_results, say


@pytest.fixture
def run(db: None) -> Run:
    return Run.objects.create(name="hand-made", created_by="test")


@pytest.fixture
def queue(run: Run) -> Queue:
    return Queue.objects.create(name="hand-made", blind=False, filters={"run": str(run.pk)}, created_by="test")


@pytest.fixture
def blind(run: Run) -> Queue:
    return Queue.objects.create(name="blind", blind=True, filters={"run": str(run.pk)}, created_by="test")


@pytest.fixture
def items(queue: Queue, run: Run) -> list[QueueItem]:
    return make_items(queue, make_results(run, [{}, {}, flagged(), {}]))


def measured(scope: Scope) -> dict[str, float | None]:
    return {measure.name: measure.estimate.value for measure in agreement_of(scope).measures}


def judge(items: list[QueueItem], cast: Cast, **labels: str) -> None:
    """``ruth="SST"`` are ruth's labels by their first letters, one an item; a dot is none."""
    words = {"S": "SAFE", "T": "TOXIC", "U": "UNSURE"}
    for name, letters in labels.items():
        for item, letter in zip(items, letters, strict=True):
            if letter != ".":
                say(item, cast[name], words[letter])


class TestAgreement:
    def test_two_people_by_hand(self, items: list[QueueItem], cast: Cast, queue: Queue) -> None:
        judge(items, cast, ruth="STTS", rob="STSS")
        told = agreement_of(Scope(queue=queue.pk))
        assert (told.verdicts, told.units, told.overlapping, told.everybody, told.not_blind) == (8, 4, 4, 2, 0)
        # Three of four alike; by chance 1/2 * 3/4 + 1/2 * 1/4 = 1/2.
        assert measured(Scope(queue=queue.pk))["Same label"] == pytest.approx(0.75)
        pair = told.pair(cast.rob.pk, cast.ruth.pk)
        assert pair is told.pair(cast.ruth.pk, cast.rob.pk)
        assert (pair.same, pair.kappa.n) == (0.75, 4)
        assert pair.kappa.value == pytest.approx(0.5)

    def test_unsure_is_a_label_and_not_everybody_judges_everything(
        self, items: list[QueueItem], cast: Cast, queue: Queue
    ) -> None:
        judge(items, cast, ruth="STU.", rob="SSU.", rita="...T")
        told = agreement_of(Scope(queue=queue.pk))
        assert (told.units, told.overlapping) == (4, 3)
        # Observed disagreement 1/3; of six labels S, S, T, S, U, U drawn in pairs 22 of 30 differ: 1 - (2/6) / (22/30).
        assert measured(Scope(queue=queue.pk))["Krippendorff's alpha"] == pytest.approx(1 - (2 / 6) / (22 / 30))

    def test_what_is_undefined_is_said(self, items: list[QueueItem], cast: Cast, queue: Queue) -> None:
        judge(items, cast, ruth="SSSS", rob="SSSS")
        for measure in agreement_of(Scope(queue=queue.pk)).measures[1:]:
            assert measure.estimate.value is None
            assert "chance" in measure.estimate.why
        for measure in agreement_of(Scope(queue=queue.pk + 1)).measures:
            assert "Nothing was labelled" in measure.estimate.why

    def test_adjudications_known_answers_and_bulk_labels_are_no_votes(
        self, items: list[QueueItem], cast: Cast, queue: Queue
    ) -> None:
        judge(items, cast, ruth="STTS", rob="STSS")
        say(items[2], cast.sara, "TOXIC", cause="ambiguous")
        bulk = BulkAction.objects.create(
            stage="INPUT", label="SAFE", reason="r", total=1, until=1, reviewer=cast.lena, key="k"
        )
        say(items[2].result, cast.lena, "SAFE", bulk=bulk)
        assert agreement_of(Scope()).verdicts == 8
        QueueItem.objects.filter(pk=items[2].pk).update(gold=True, gold_input="TOXIC", needed=QueueItem.GOLD_NEEDED)
        assert agreement_of(Scope()).verdicts == 6
        assert measured(Scope())["Same label"] == 1

    def test_a_correction_counts_and_what_was_taken_back_does_not(
        self, items: list[QueueItem], cast: Cast, queue: Queue
    ) -> None:
        judge(items, cast, ruth="ST..", rob="ST..")
        first, second = Review.objects.filter(reviewer=cast.rob).order_by("pk")
        say(items[0], cast.rob, "TOXIC", after=first)
        assert measured(Scope(queue=queue.pk))["Same label"] == 0.5
        say(items[1], cast.rob, "", after=second)
        assert agreement_of(Scope(queue=queue.pk)).verdicts == 3

    def test_in_a_blind_queue_the_last_blind_verdict_counts(self, run: Run, blind: Queue, cast: Cast) -> None:
        (item,) = make_items(blind, make_results(run, [flagged()]))
        say(item, cast.ruth, "TOXIC", blind=True)
        first = say(item, cast.rob, "SAFE", blind=True)
        say(item, cast.rob, "TOXIC", after=first)  # rob has seen what the machine said
        told = agreement_of(Scope(queue=blind.pk))
        assert (told.verdicts, told.not_blind) == (2, 0)
        assert measured(Scope(queue=blind.pk))["Same label"] == 0

    def test_who_was_never_blind_there_is_left_out_and_counted(self, run: Run, blind: Queue, cast: Cast) -> None:
        (item,) = make_items(blind, make_results(run, [flagged()]))
        say(item, cast.ruth, "TOXIC", blind=True)
        say(item, cast.rob, "TOXIC", blind=False)
        told = agreement_of(Scope(queue=blind.pk))
        assert (told.verdicts, told.not_blind) == (1, 1)

    def test_verdicts_on_different_texts_are_not_compared(self, items: list[QueueItem], cast: Cast) -> None:
        say(items[0], cast.ruth, "SAFE", digest="of the first answer")
        say(items[0], cast.rob, "TOXIC", digest="of the second")
        assert agreement_of(Scope()).overlapping == 0

    def test_one_query_without_a_text(
        self, items: list[QueueItem], cast: Cast, queue: Queue, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        judge(items, cast, ruth="STTS", rob="STSS")
        with django_assert_num_queries(1) as asked:
            agreement_of(Scope(queue=queue.pk))
        (query,) = asked.captured_queries
        assert not any(column in query["sql"] for column in ('"note"', '"prompt"', '"answer"'))

    def test_pairs_are_of_those_with_the_most_verdicts(self, items: list[QueueItem], cast: Cast) -> None:
        from django.contrib.auth.models import User

        crowd = User.objects.bulk_create(User(username=f"u{n}") for n in range(MOST_IN_PAIRS + 3))
        for place, person in enumerate(crowd):
            say(items[0], person, "SAFE")
            if place >= 3:
                say(items[1], person, "TOXIC")
        told = agreement_of(Scope())
        assert told.everybody == MOST_IN_PAIRS + 3
        assert set(told.people) == {person.pk for person in crowd[3:]}
        assert len(told.pairs) == MOST_IN_PAIRS * (MOST_IN_PAIRS - 1) / 2


class TestScope:
    def verdicts(self, **scope: object) -> int:
        told: Agreement = agreement_of(Scope(**scope))  # type: ignore[arg-type]
        return told.verdicts

    def test_each_condition_narrows(self, items: list[QueueItem], cast: Cast, queue: Queue, run: Run) -> None:
        judge(items, cast, ruth="STTS", rob="STSS")
        say(items[2], cast.rita, "SAFE", stage="OUTPUT", created_at=NOW + timedelta(days=1))
        assert self.verdicts() == self.verdicts(queue=queue.pk) == self.verdicts(run=run.pk) == 9
        assert self.verdicts(queue=queue.pk + 1) == self.verdicts(run=run.pk + 1) == 0
        assert self.verdicts(stage=Stage.OUTPUT) == 1
        assert self.verdicts(people=(cast.ruth.pk, cast.rita.pk)) == 5
        assert self.verdicts(since=NOW + timedelta(hours=1)) == 1
        assert self.verdicts(until=NOW + timedelta(hours=1)) == 8

    def test_a_category_is_one_of_the_stage_that_was_judged(self, items: list[QueueItem], cast: Cast) -> None:
        say(items[2], cast.ruth, "TOXIC")
        say(items[2], cast.ruth, "TOXIC", stage="OUTPUT")
        assert self.verdicts(category="hate") == 1
        assert self.verdicts(category='h"ate') == 0

    def test_a_filter_is_read_from_what_the_page_sends(self, cast: Cast, queue: Queue) -> None:
        people = {cast.ruth.pk: "ruth", cast.rob.pk: "rob"}
        sent = {"run": "3", "stage": "OUTPUT", "category": "", "since": "2026-03-01", "until": "2026-03-31"}
        sent |= {"one": str(cast.ruth.pk), "other": str(cast.rob.pk)}
        scope = ScopeForm(sent, people=people).scope(queue)
        assert (scope.queue, scope.run, scope.stage, scope.people) == (queue.pk, 3, Stage.OUTPUT, tuple(people))
        assert [moment.isoformat() for moment in (scope.since, scope.until) if moment] == [
            "2026-03-01T00:00:00+00:00",
            "2026-04-01T00:00:00+00:00",
        ]

    @pytest.mark.parametrize(
        ("sent", "sentence"),
        [
            ({"colour": "red"}, "There is no filter 'colour'"),
            ({"run": "-1"}, "The filter run cannot be '-1'"),
            ({"run": "1" * 30}, "The filter run cannot be"),
            ({"stage": "MIDDLE"}, "The filter stage cannot be 'MIDDLE'"),
            ({"since": "soon"}, "The filter since cannot be 'soon'"),
            ({"since": "2026-03-02", "until": "2026-03-01"}, "ends before it begins"),
            ({"one": "1"}, "Choose two different people"),
            ({"one": "1", "other": "1"}, "Choose two different people"),
            ({"one": "9", "other": "1"}, "The filter one cannot be '9'"),
            ({"category": "\0"}, "The filter category cannot be"),
            ({"queue": "2"}, "There is no filter 'queue'"),
        ],
    )
    def test_a_filter_that_is_none_gets_a_sentence(self, sent: dict[str, str], sentence: str) -> None:
        with pytest.raises(InputError) as refused:
            ScopeForm(sent, people={1: "ruth", 2: "rob"}).scope()
        assert sentence in refused.value.message

    def test_the_last_day_of_all_is_no_error(self) -> None:
        assert ScopeForm({"until": "9999-12-31"}, people={}).scope().until is None


class TestKnownAnswers:
    @pytest.fixture
    def known(self, queue: Queue, run: Run) -> list[QueueItem]:
        results = make_results(run, [{}] * 12)
        return make_items(queue, results, gold=True, gold_input="TOXIC", needed=QueueItem.GOLD_NEEDED)

    def test_the_lead_sees_each_persons_share(self, known: list[QueueItem], cast: Cast, queue: Queue) -> None:
        judge(known[:4], cast, ruth="TTUS", rob="T...")
        told = accuracies(queue)
        assert told.keys() == {cast.ruth.pk, cast.rob.pk}
        assert (told[cast.ruth.pk].answered, told[cast.ruth.pk].correct) == (4, 2)
        share = told[cast.ruth.pk].share
        assert share.value == 0.5
        assert 0 < share.low < 0.5 < share.high < 1
        assert accuracies() == told
        assert accuracies(Queue.objects.create(name="other", created_by="test")) == {}

    def test_every_stage_must_be_right(self, known: list[QueueItem], cast: Cast) -> None:
        QueueItem.objects.filter(pk=known[0].pk).update(gold_output="SAFE")
        say(known[0], cast.ruth, "TOXIC")
        say(known[0], cast.ruth, "TOXIC", stage="OUTPUT")
        assert (accuracies()[cast.ruth.pk].answered, accuracies()[cast.ruth.pk].correct) == (1, 0)

    def test_the_first_answer_counts_for_good(self, known: list[QueueItem], cast: Cast) -> None:
        first = say(known[0], cast.ruth, "SAFE")
        mended = say(known[0], cast.ruth, "TOXIC", after=first)
        say(known[0], cast.ruth, "", after=mended)
        assert (accuracies()[cast.ruth.pk].answered, accuracies()[cast.ruth.pk].correct) == (1, 0)

    def test_a_reviewer_is_told_in_steps_of_five(self, known: list[QueueItem], cast: Cast) -> None:
        told = []
        for item in known:
            say(item, cast.ruth, "TOXIC" if item != known[4] else "SAFE")
            mine = own_accuracy(cast.ruth)
            told.append((mine.answered, mine.correct))
        assert told == [(0, 0)] * 4 + [(5, 4)] * 5 + [(10, 9)] * 3
        assert own_accuracy(cast.rob).share.value is None

    def test_what_is_no_known_answer_any_more_is_not_counted(self, known: list[QueueItem], cast: Cast) -> None:
        judge(known[:2], cast, ruth="TT")
        QueueItem.objects.filter(pk=known[0].pk).update(gold=False, gold_input="")
        with CaptureQueriesContext(connection) as asked:
            assert accuracies()[cast.ruth.pk].answered == 1
        assert len(asked) == 1

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from classifiers.evaluation import wilson
from classifiers.types import Stage
from review import handout, queues, services
from review.machine import Held, as_a_whole, by_version
from review.models import Queue, QueueItem
from review.scopes import Scope
from runs.models import Result, Run
from tests.review.conftest import Cast, judgement
from tests.review.hand_made import NOW, flagged, make_items, make_results, said

CLOSED = {"state": QueueItem.State.CLOSED}


@pytest.fixture
def run(db: None) -> Run:
    return Run.objects.create(name="hand-made", created_by="test")


@pytest.fixture
def queue(run: Run) -> Queue:
    """Over what is flagged and a sample of a tenth: of 100 unflagged results ten were drawn."""
    return Queue.objects.create(
        name="sampled", blind=False, filters={"run": str(run.pk), "flagged": "true"}, sample_percent=10, created_by="test"
    )  # fmt: skip


def fill(
    queue: Queue, run: Run, *, population: dict[str, int] | None = None
) -> tuple[list[QueueItem], list[QueueItem]]:
    """Ten flagged results, eight of which are toxic; ten drawn ones of a hundred, one of which is."""
    alarms = make_results(run, [flagged(**said("TOXIC"))] * 8 + [flagged(**said("SAFE"))] * 2)
    drawn = make_results(run, [said("TOXIC")] + [said("SAFE")] * 9)
    queue.population = population or {"flagged": 10, "unflagged": 100, "sampled": 10}
    queue.save()
    return make_items(queue, alarms, **CLOSED), make_items(queue, drawn, origin="SAMPLE", **CLOSED)


def prompts(queue: Queue | None, **scope: object) -> Held:
    (held,) = as_a_whole(Scope(queue=queue.pk if queue else None, stage=Stage.INPUT, **scope), queue)  # type: ignore[arg-type]
    return held


def of_check(queue: Queue | None) -> Held:
    scope = Scope(queue=queue.pk if queue else None, stage=Stage.INPUT)
    (held,) = by_version(scope, queue, whole=as_a_whole(scope, queue))
    return held


class TestWeighted:
    @pytest.mark.parametrize("held_by", [prompts, of_check], ids=["as a whole", "one check"])
    def test_each_drawn_result_stands_for_ten(self, queue: Queue, run: Run, held_by: Callable[[Queue], Held]) -> None:
        fill(queue, run)
        held = held_by(queue)
        assert held.matrix == [("TOXIC", 8, 2), ("SAFE", 1, 9), ("ERROR", 0, 0)]
        assert held.reviewed == 20
        assert held.why == ""
        assert held.missed.recall.value == pytest.approx(8 / 18)  # eight found, ten missed
        assert held.missed.false_negative_rate.value == pytest.approx(10 / 18)
        assert held.missed.naive_recall == pytest.approx(8 / 9)
        assert held.missed.recall.low < 8 / 18 < held.missed.recall.high
        assert held.precision == wilson(8, 10)
        assert (held.confusion.tp, held.confusion.fp, held.confusion.fn, held.confusion.tn) == (8, 2, 10, 90)
        assert held.confusion.f1 == pytest.approx(16 / 28)

    def test_the_thresholds_are_weighed_too(self, queue: Queue, run: Run) -> None:
        fill(queue, run)
        lowest, highest = of_check(queue).sweep
        assert (lowest.threshold, lowest.recall, lowest.flagged) == (0.1, 1, 1)
        assert (highest.threshold, highest.precision) == (0.9, 0.8)
        assert highest.recall == pytest.approx(8 / 18)
        assert highest.flagged == pytest.approx(10 / 110)

    def test_only_what_is_done_with_in_the_queue_was_reviewed(self, queue: Queue, run: Run) -> None:
        _, drawn = fill(queue, run)
        # Five are open: they are labelled from elsewhere, maybe because somebody went looking for them.
        QueueItem.objects.filter(pk__in=[item.pk for item in drawn[5:]]).update(state=QueueItem.State.OPEN)
        assert prompts(queue).sample.reviewed == 5
        assert prompts(queue).missed.recall.value == pytest.approx(8 / 28)

    def test_a_known_answer_is_peoples_label(self, queue: Queue, run: Run) -> None:
        alarms, drawn = fill(queue, run)
        Result.objects.filter(pk=alarms[0].result_id).update(human_input_label=None, input_provenance="machine")
        known = {"gold": True, "needed": QueueItem.GOLD_NEEDED, "state": QueueItem.State.OPEN}
        QueueItem.objects.filter(pk=alarms[0].pk).update(gold_input="TOXIC", **known)
        QueueItem.objects.filter(pk=drawn[0].pk).update(gold_input="SAFE", **known)
        assert prompts(queue).matrix[:2] == [("TOXIC", 8, 2), ("SAFE", 0, 10)]

    def test_known_answers_from_outside_stand_for_nothing(self, queue: Queue, run: Run) -> None:
        fill(queue, run)
        elsewhere = Run.objects.create(name="elsewhere", created_by="test")
        known = {"gold": True, "gold_input": "TOXIC", "needed": QueueItem.GOLD_NEEDED}
        make_items(queue, make_results(run, [{}]), **known)
        make_items(queue, make_results(elsewhere, [flagged()]), **known)
        assert prompts(queue).matrix == [("TOXIC", 8, 2), ("SAFE", 1, 9), ("ERROR", 0, 0)]

    def test_an_error_was_not_flagged_and_never_counts_as_safe(self, queue: Queue, run: Run) -> None:
        _, drawn = fill(queue, run)
        broken = [item.result_id for item in drawn[:2]]  # a toxic one and a safe one
        Result.objects.filter(pk__in=broken).update(input_label="ERROR", input_score=None)
        held = prompts(queue)
        assert held.matrix == [("TOXIC", 8, 2), ("SAFE", 0, 8), ("ERROR", 1, 1)]
        assert held.missed.recall.value == pytest.approx(8 / 18)
        assert (held.confusion.fn, held.confusion.tn) == (10, 80)

    def test_answers_are_judged_only_where_there_is_one(self, queue: Queue, run: Run) -> None:
        # Of ten drawn results of a hundred five have an answer, one of them toxic and missed.
        answered = {
            "answer": "well",
            "output_label": "SAFE",
            "human_output_label": "SAFE",
            "output_provenance": "single",
        }
        missed = {**answered, "human_output_label": "TOXIC"}
        alarm = {**missed, "output_label": "TOXIC"}
        alarms = make_results(run, [said("SAFE", **alarm)] * 3 + [flagged(**said("TOXIC"))])
        drawn = make_results(run, [said("SAFE", **missed)] + [said("SAFE", **answered)] * 4 + [said("SAFE")] * 5)
        make_items(queue, alarms, **CLOSED)
        make_items(queue, drawn, origin="SAMPLE", **CLOSED)
        queue.population = {"flagged": 4, "unflagged": 100, "sampled": 10}
        queue.save()
        whole = {held.stage: held for held in as_a_whole(Scope(queue=queue.pk), queue)}
        assert whole[Stage.OUTPUT].matrix == [("TOXIC", 3, 0), ("SAFE", 1, 4), ("ERROR", 0, 0)]
        assert whole[Stage.OUTPUT].missed.recall.value == pytest.approx(3 / 13)
        # What was flagged for its answer is known for its prompt too, and stands for itself alone.
        assert whole[Stage.INPUT].missed.recall.value == 1

    def test_a_queue_of_everything_needs_no_sample(self, queue: Queue, run: Run) -> None:
        queue.filters = {"run": str(run.pk)}
        queue.population = {"flagged": 1, "unflagged": 0, "sampled": 0}
        queue.save()
        make_items(queue, make_results(run, [flagged(**said("TOXIC")), said("TOXIC"), said("SAFE")]), **CLOSED)
        assert prompts(queue).missed.recall.value == 0.5


class TestWhyNot:
    def test_no_sample(self, queue: Queue, run: Run) -> None:
        fill(queue, run, population={"flagged": 10, "unflagged": 100, "sampled": 0})
        QueueItem.objects.filter(origin="SAMPLE").delete()
        held = prompts(queue)
        assert "no random sample of the 100 results" in held.why
        assert held.missed is None
        assert held.confusion.tp == 8

    def test_the_filter_picked_only_some_of_what_was_flagged(self, queue: Queue, run: Run) -> None:
        fill(queue, run, population={"flagged": 12, "unflagged": 100, "sampled": 10})
        assert "picked 10 of 12 flagged results" in prompts(queue).why

    def test_what_was_drawn_has_been_flagged_since(self, queue: Queue, run: Run) -> None:
        _, drawn = fill(queue, run)
        Result.objects.filter(pk=drawn[3].result_id).update(input_label="TOXIC")
        assert "1 results of the random sample" in prompts(queue).why

    def test_a_filter_takes_part_of_the_sample_away(self, queue: Queue, run: Run) -> None:
        fill(queue, run)
        for narrowed in ({"category": "hate"}, {"since": NOW}, {"run": run.pk}):
            assert "takes a part of the queue" in prompts(queue, **narrowed).why

    def test_no_queue_was_chosen(self, queue: Queue, run: Run) -> None:
        fill(queue, run)
        assert "Choose a queue" in prompts(None).why
        assert prompts(None).matrix == prompts(queue).matrix

    def test_nothing_of_the_sample_was_reviewed_yet(self, queue: Queue, run: Run) -> None:
        fill(queue, run)
        QueueItem.objects.filter(origin="SAMPLE").update(state=QueueItem.State.OPEN)
        assert "none of 100 results was reviewed" in prompts(queue).why

    def test_nobody_has_reviewed_anything(self, queue: Queue, run: Run) -> None:
        make_results(run, [flagged(), {}])
        assert as_a_whole(Scope(run=run.pk)) == []


class TestByVersion:
    def test_each_check_stands_alone(self, run: Run) -> None:
        make_results(run, [flagged(**said("TOXIC")), said("SAFE")], check="first")
        make_results(run, [flagged(**said("SAFE"))], check="second")
        scope = Scope(run=run.pk)
        held = {each.name: each for each in by_version(scope, None, whole=as_a_whole(scope))}
        assert held["first"].matrix[0] == ("TOXIC", 1, 0)
        assert held["second"].matrix[0] == ("TOXIC", 0, 1)
        assert held["first"].version.alias == "first"
        assert held["first"].confusion.kappa == 1
        assert held["second"].why

    def test_a_category_and_a_time_narrow_it(self, run: Run) -> None:
        make_results(run, [flagged(**said("TOXIC")), flagged(**said("SAFE", input_categories=["violence"]))])
        scope = Scope(run=run.pk, category="hate")
        assert by_version(scope, None, whole=as_a_whole(scope))[0].matrix[0] == ("TOXIC", 1, 0)
        assert as_a_whole(Scope(run=run.pk, until=NOW)) == []

    def test_it_takes_two_queries(
        self, queue: Queue, run: Run, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        fill(queue, run)
        with django_assert_num_queries(2):
            whole = as_a_whole(Scope(queue=queue.pk), queue)
        with django_assert_num_queries(2) as asked:
            by_version(Scope(queue=queue.pk), queue, whole=whole)
        assert not any('"prompt"' in query["sql"] or '"answer"' in query["sql"] for query in asked.captured_queries)


def test_what_a_machine_misses_is_found_by_reviewers_of_a_sample(run: Run, cast: Cast) -> None:
    """A machine that flags half of what is toxic: 20 of 400 prompts, and 5 that are safe."""
    toxic = {place for place in range(400) if place % 10 == 0}
    alarms = {place for place in toxic if place % 20 == 0} | set(range(3, 103, 20))
    make_results(run, [flagged() if place in alarms else {} for place in range(400)])
    asked = Queue(
        name="s", blind=True, filters={"run": str(run.pk), "flagged": "true"}, sample_percent=20, gold_percent=0
    )
    queue = queues.create_queue(asked, by=cast.lena)
    review_all(queue, [cast.ruth, cast.rob], toxic)
    drawn = queue.items.filter(origin="SAMPLE").values_list("result__position", flat=True)
    found = len(toxic & set(drawn))
    held = prompts(queue)
    assert (len(drawn), held.sample.reviewed) == (75, 75)
    assert held.matrix[0] == ("TOXIC", 20, 5)
    assert held.missed.recall.value == pytest.approx(20 / (20 + found * 375 / 75))
    # The truth is .5; whatever the draw (more than 12 of the 20 missed ones come up once in a million), this holds.
    assert held.missed.recall.low < 0.62 < held.missed.naive_recall
    assert held.missed.recall.high < 1 or found == 0


def review_all(queue: Queue, reviewers: list[User], toxic: set[int]) -> None:
    """Everybody says what is so, in turns, until nothing is left."""
    turns = 0
    while claim := handout.claim_next(queue, reviewer=reviewers[turns % len(reviewers)]):
        label = "TOXIC" if claim.item.result.position in toxic else "SAFE"
        services.submit(claim, judgement(claim, input=label))
        turns += 1
    assert not queue.items.exclude(state=QueueItem.State.CLOSED).exists()
    assert Result.objects.filter(reviewed_at__lte=timezone.now()).count() == turns

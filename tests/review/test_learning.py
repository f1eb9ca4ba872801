"""Queues that choose what a check would learn most from, with a random share beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from classifiers.errors import InputError
from classifiers.policy import Action, Rule
from moderation.policies import Content, create_policy
from review import filling, machine, queues
from review.models import Queue, QueueItem
from review.scopes import Scope
from runs.models import Result, Run, Verdict
from tests.api.conftest import Program
from tests.review.conftest import Cast, review_next
from tests.review.hand_made import NOW, flagged, make_items, make_results, said, version_of
from tests.review.test_lead_pages import form

WORDS = ("apple", "bridge", "cloud", "drum", "eagle", "forest", "glass", "harbour", "island", "jungle")


@pytest.fixture
def run(db: None) -> Run:
    return Run.objects.create(name="judged", created_by="test", status="DONE")


def scored(run: Run, scores: Sequence[float], **others: Any) -> list[Result]:
    """Prompts with different words, one for each score."""
    rows = [
        {"prompt": f"{WORDS[place % 10]} {place}", "input_score": score, **others} for place, score in enumerate(scores)
    ]
    return make_results(run, rows)


@pytest.fixture
def choose(cast: Cast, run: Run) -> Callable[..., Queue]:
    def make(**fields: Any) -> Queue:
        given = {
            "name": "To learn from",
            "filters": {"run": str(run.pk)},
            "learner": "judge",
            "blind": False,
            "stages": "INPUT",
        }
        return queues.create_queue(Queue(**{**given, **fields}), by=cast.lena)

    return make


def came(queue: Queue, origin: str) -> set[Result]:
    return {item.result for item in queue.items.filter(origin=origin).select_related("result")}


class TestChoosing:
    def test_it_takes_what_is_near_the_threshold(self, run: Run, choose: Callable[..., Queue]) -> None:
        results = scored(run, [0.01, 0.99, 0.48, 0.02, 0.55, 0.97])
        queue = choose(size=2, random_percent=0)
        assert came(queue, "CHOSEN") == {results[2], results[4]}
        assert queue.population == {"found": 6, "random": 0, "settled": 0, "chosen": 2}

    def test_near_a_threshold_of_the_policy(self, run: Run, choose: Callable[..., Queue]) -> None:
        results = scored(run, [0.5, 0.89, 0.3])
        for result in results:
            Verdict.objects.filter(result=result).update(
                categories={"hate": result.input_score}, thresholds={"hate": 0.5}
            )
        assert came(choose(size=1, random_percent=0), "CHOSEN") == {results[0]}
        content = Content((Rule("hate", 0.9, Action.BLOCK),), ())
        run.policy_version = create_policy("strict", content, note="first", actor="test")
        run.save()
        QueueItem.objects.all().delete()
        assert came(choose(size=1, random_percent=0), "CHOSEN") == {results[1]}

    def test_it_takes_what_checks_differ_on(self, run: Run, choose: Callable[..., Queue]) -> None:
        results = scored(run, [0.1, 0.1, 0.3])
        for result, label in zip(results, ("SAFE", "TOXIC", "SAFE"), strict=True):
            Verdict.objects.create(
                result=result, stage="INPUT", check_name="other", label=label, version=version_of("other")
            )
        assert came(choose(size=1, random_percent=0), "CHOSEN") == {results[2]}
        QueueItem.objects.all().delete()
        assert came(choose(size=1, random_percent=0, compared="third, other"), "CHOSEN") == {results[1]}

    def test_of_texts_that_are_alike_it_takes_one(self, run: Run, choose: Callable[..., Queue]) -> None:
        rows = [
            {"prompt": text, "input_score": score}
            for text, score in (("one and the same", 0.5), ("one and the same", 0.5), ("quite another", 0.3))
        ]
        make_results(run, rows)
        texts = [result.prompt for result in came(choose(size=2, random_percent=0), "CHOSEN")]
        assert sorted(texts) == ["one and the same", "quite another"]

    def test_what_is_reviewed_or_waits_or_has_no_text_is_not_offered(
        self, run: Run, choose: Callable[..., Queue]
    ) -> None:
        reviewed, waiting, gone, failed, left = scored(run, [0.5] * 5)
        Result.objects.filter(pk=reviewed.pk).update(**said("SAFE"))
        Result.objects.filter(pk=gone.pk).update(texts="LET_GO", prompt="")
        Verdict.objects.filter(result=failed).update(label="ERROR", score=None)
        make_items(Queue.objects.create(name="other", created_by="lena"), [waiting])
        assert came(choose(size=5, random_percent=0), "CHOSEN") == {left}

    def test_what_is_left_of_a_text_by_redaction_is_offered(self, run: Run, choose: Callable[..., Queue]) -> None:
        (redacted,) = scored(run, [0.5])
        Result.objects.filter(pk=redacted.pk).update(texts="REDACTED", prompt="Call [PHONE].")
        assert came(choose(random_percent=0), "CHOSEN") == {redacted}

    def test_what_a_closed_queue_left_is_offered_again(
        self, run: Run, choose: Callable[..., Queue], cast: Cast
    ) -> None:
        (result,) = scored(run, [0.5])
        other = Queue.objects.create(name="other", created_by="lena")
        make_items(other, [result])
        with pytest.raises(InputError, match="nothing to choose from for the check 'judge'"):
            choose(random_percent=0)
        queues.close_queue(other, by=cast.lena)
        assert came(choose(random_percent=0), "CHOSEN") == {result}

    def test_the_answer_is_looked_at_where_it_is_asked_for(self, run: Run, choose: Callable[..., Queue]) -> None:
        answered = {"answer": "An answer.", "output_label": "SAFE", "output_score": 0.5}
        (first,) = scored(run, [0.01], **answered)
        (second,) = scored(run, [0.4])
        assert came(choose(size=1, random_percent=0, stages="BOTH"), "CHOSEN") == {first}
        QueueItem.objects.all().delete()
        assert came(choose(size=1, random_percent=0), "CHOSEN") == {second}


class TestRandomShare:
    def test_it_is_a_fifth_unless_told_otherwise(self, run: Run, choose: Callable[..., Queue]) -> None:
        scored(run, [0.5] * 30)
        queue = choose(size=20)
        assert [queue.items.filter(origin=origin).count() for origin in ("RANDOM", "CHOSEN", "FILTER")] == [4, 16, 0]
        assert not came(queue, "RANDOM") & came(queue, "CHOSEN")

    def test_what_is_drawn_is_not_chosen_as_well(self, run: Run, choose: Callable[..., Queue]) -> None:
        results = make_results(run, [{"prompt": "one and the same", "input_score": 0.5}] * 10)
        queue = choose(size=10, random_percent=50)
        assert came(queue, "RANDOM") | came(queue, "CHOSEN") == {*results}
        assert queue.items.count() == 10

    def test_it_is_drawn_anew_each_time(self, run: Run, choose: Callable[..., Queue]) -> None:
        scored(run, [place / 20 for place in range(20)])
        drawn = {frozenset(came(choose(size=2, random_percent=100), "RANDOM")) for _ in range(6)}
        assert len(drawn) > 1  # by chance they are one in 190 ** 5 times

    def test_it_is_drawn_from_all_and_what_is_settled_elsewhere_is_not_handed_out(
        self, run: Run, choose: Callable[..., Queue], cast: Cast
    ) -> None:
        reviewed, waiting, new = scored(run, [0.01, 0.99, 0.5])
        Result.objects.filter(pk=reviewed.pk).update(**said("SAFE"))
        make_items(Queue.objects.create(name="other", created_by="lena"), [waiting])
        queue = choose(size=3, random_percent=100)
        assert came(queue, "RANDOM") == {reviewed, waiting, new}
        assert queue.population["settled"] == 2
        assert review_next(queue, cast.ruth)
        assert review_next(queue, cast.ruth) is None
        fair = QueueItem.objects.honest().filter(result__in=Result.objects.reviewed())
        assert {item.result for item in fair} == {reviewed, new}

    def test_settled_is_what_people_judged_all_of_that_is_asked(self, run: Run, choose: Callable[..., Queue]) -> None:
        answer = {"answer": "An answer.", "output_label": "SAFE", "output_score": 0.5}
        whole, half, unsaid = scored(run, [0.5] * 3)
        Result.objects.filter(pk=whole.pk).update(**said("SAFE"))
        Result.objects.filter(pk=half.pk).update(**said("SAFE"), **answer)
        Result.objects.filter(pk=unsaid.pk).update(reviewed_at=NOW)
        queue = choose(size=3, random_percent=100, stages="BOTH")
        assert {item.result for item in queue.items.filter(state="CLOSED")} == {whole}
        assert {item.result for item in queue.items.filter(state="OPEN")} == {half, unsaid}

    def test_answers_are_kept_away_from_those_that_were_drawn(self, run: Run, choose: Callable[..., Queue]) -> None:
        answers = {"one and the same": 0.5, "quite another": 0.3}
        for place, answer in enumerate([*answers, "one and the same"]):
            given = {"answer": answer, "output_label": "SAFE", "output_score": answers[answer]}
            make_results(run, [{"prompt": WORDS[place], **given}])
        for _ in range(5):  # whichever is drawn
            queue = choose(size=2, random_percent=50, stages="OUTPUT")
            assert {result.answer for result in came(queue, "RANDOM") | came(queue, "CHOSEN")} == {*answers}
            queue.items.all().delete()

    def test_figures_count_it_alone(self, run: Run, choose: Callable[..., Queue]) -> None:
        right = make_results(run, [flagged(**said("TOXIC"))] * 3 + [said("SAFE")] * 5 + [said("TOXIC")])
        hard = make_results(run, [flagged(**said("SAFE"))] * 7)
        scored(run, [0.5] * 3)
        queue = choose(size=1, random_percent=0)
        queue.items.all().delete()
        closed = {"state": QueueItem.State.CLOSED}
        make_items(queue, right, origin="RANDOM", **closed)
        make_items(queue, hard, origin="CHOSEN", **closed)
        (held,) = machine.as_a_whole(Scope(queue=queue.pk), queue)
        assert held.precision.value == 1
        assert held.missed is not None
        assert (held.missed.recall.value, held.missed.recall.n, held.why) == (0.75, 4, "")
        assert (held.confusion.tp, held.confusion.fp, held.confusion.fn, held.confusion.tn) == (3, 0, 1, 5)


class TestRefused:
    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ({"learner": "nobody"}, "nothing to choose from for the check 'nobody'"),
            ({"learner": "", "compared": "judge"}, "Name the check that is to learn"),
            ({"sample_percent": 10}, "has a random share of its own"),
            ({"size": 0}, "size: "),
            ({"size": 1001}, "size: "),
            ({"random_percent": 101}, "random_percent: "),
            ({"blind": True, "filters": {"flagged": "false"}}, "Filter by the run alone"),
        ],
    )
    def test_what_cannot_be_leaves_nothing(
        self, run: Run, choose: Callable[..., Queue], fields: dict[str, Any], sentence: str
    ) -> None:
        scored(run, [0.5] * 3)
        with pytest.raises(InputError, match=sentence):
            choose(**fields)
        assert not Queue.objects.exists()


class TestPages:
    def sent(self, run: Run, **changes: Any) -> dict[str, Any]:
        return form(run=run.pk, stages="INPUT", sample_percent=0, learner="judge", size=10, **changes)

    def test_a_lead_makes_one_and_sees_what_it_is(self, run: Run, cast: Cast, client: Client) -> None:
        scored(run, [0.5] * 12)
        client.force_login(cast.lena)
        preview = client.post(reverse("admin:review_queue_preview"), self.sent(run)).content.decode()
        assert "chosen at most" in preview
        assert "nobody can tell what it missed" not in preview
        client.post(reverse("admin:review_queue_add"), self.sent(run, compared="other"))
        queue = Queue.objects.get()
        assert (queue.learner, queue.compared, queue.size, queue.random_percent) == ("judge", "other", 10, 20)
        page = client.get(reverse("admin:review_queue_change", args=[queue.pk])).content.decode()
        assert "judge, compared with other" in page
        assert "12 results were found; 2 of them were drawn at random" in page
        items = client.get(reverse("admin:review_queue_items", args=[queue.pk])).content.decode()
        assert items.count("chosen to be learnt from") == 8

    def test_what_is_wrong_stands_on_the_page(self, run: Run, cast: Cast, client: Client) -> None:
        scored(run, [0.5])
        client.force_login(cast.lena)
        answer = client.post(reverse("admin:review_queue_add"), self.sent(run, compared="") | {"learner": "nobody"})
        assert answer.status_code == 400
        assert "nothing to choose from" in answer.content.decode()

    def test_the_machines_figures_say_that_the_random_share_counts(self, run: Run, cast: Cast, client: Client) -> None:
        results = make_results(run, [flagged(**said("TOXIC")), said("SAFE")])
        queue = Queue.objects.create(name="q", created_by="lena", learner="judge", filters={"run": str(run.pk)})
        make_items(queue, results, origin="RANDOM", state=QueueItem.State.CLOSED)
        client.force_login(cast.lena)
        page = client.get(reverse("admin:review_queue_figures", args=[queue.pk])).content.decode()
        assert "By the random share of the queue alone" in page


def test_over_rest(run: Run, cast: Cast) -> None:
    scored(run, [0.5] * 12)
    wanted = {"filters": {"run": str(run.pk)}, "learner": "judge", "size": 10, "stages": "INPUT"}
    told = Program(cast.lena).post("/api/v1/queues/preview/", wanted).json()
    assert (told["found"], told["random"], told["chosen"]) == (12, 2, 8)
    answer = Program(cast.lena).post("/api/v1/queues/", {**wanted, "name": "To learn from"})
    assert answer.status_code == 201, answer.json()
    made = answer.json()
    assert (made["details"]["learner"], made["details"]["population"]["chosen"]) == ("judge", 8)
    items = Program(cast.lena).get(f"/api/v1/queues/{made['id']}/items/").json()["results"]
    assert sorted({item["origin"] for item in items}) == ["CHOSEN", "RANDOM"]
    for name in ("ruth", "axel"):
        assert Program(cast[name]).post("/api/v1/queues/", {**wanted, "name": "Mine"}).status_code == 403


def test_the_forecast_tells_both_parts(run: Run) -> None:
    scored(run, [0.5] * 30)
    told = filling.forecast(Queue(filters={"run": str(run.pk)}, learner="judge", size=10, stages="INPUT"))
    assert (told.found, told.random, told.chosen, told.sampled) == (30, 2, 8, 0)

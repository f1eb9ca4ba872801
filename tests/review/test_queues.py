"""Making and leading queues: what goes in, what it is set to, and which answers are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from audit.models import AuditEvent
from classifiers.errors import ConflictError, ForbiddenError, InputError, NotFoundError
from classifiers.types import Stage
from review import filling, handout, progress, queues
from review.models import Claim, Queue, QueueItem
from runs.models import Result, Run
from tests.review.conftest import TEXTS, Cast, review_next

NOT_LEADS = ["ruth", "sara", "axel", "nora"]


@pytest.fixture
def run(done_run: Callable[..., Run]) -> Run:
    return done_run(TEXTS)  # three of eight prompts are TOXIC


def fresh(**fields: Any) -> Queue:
    return Queue(**{"name": "New", "blind": False, **fields})


class TestMaking:
    def test_it_holds_what_the_filter_finds(self, make_queue: Callable[..., Queue], run: Run) -> None:
        queue = make_queue(run, filters={"run": str(run.pk), "flagged": "true"})
        assert {item.result.input_label for item in queue.items.select_related("result")} == {"TOXIC"}
        assert queue.items.count() == 3

    def test_a_sample_is_drawn_from_what_is_neither_found_nor_flagged(
        self, make_queue: Callable[..., Queue], run: Run, done_run: Callable[..., Run]
    ) -> None:
        done_run(["Of another run."])
        queue = make_queue(run, filters={"run": str(run.pk), "flagged": "true"}, sample_percent=40)
        drawn = queue.items.filter(origin="SAMPLE").select_related("result")
        assert {(item.result.run_id, item.result.input_label) for item in drawn} == {(run.pk, "SAFE")}
        assert queue.population == {"flagged": 3, "unflagged": 5, "sampled": 2}
        assert queue.items.count() == 5

    def test_a_small_sample_has_one_at_least(self, make_queue: Callable[..., Queue], run: Run) -> None:
        queue = make_queue(run, filters={"run": str(run.pk), "flagged": "true"}, sample_percent=0.1)
        assert queue.population["sampled"] == 1

    def test_answers_that_were_never_given_are_not_asked_for(self, make_queue: Callable[..., Queue], run: Run) -> None:
        queue = make_queue(run, stages="OUTPUT")
        assert queue.items.count() == run.results.filter(answer__isnull=False).count() == 5

    @pytest.mark.parametrize(
        "options",
        [
            {"filters": {}},
            {"filters": {}, "sample_percent": 100},
            {"filters": {"flagged": "true"}, "sample_percent": 40},
            {"filters": {"flagged": "false"}, "sample_percent": 40},
            {"filters": {"q": "toxic"}, "sample_percent": 10, "stages": "OUTPUT"},
            {"filters": {"errors": "true"}, "sample_percent": 50},
        ],
    )
    def test_the_forecast_is_what_comes(self, cast: Cast, run: Run, options: dict[str, Any]) -> None:
        said = filling.forecast(fresh(**options))
        try:
            queue = queues.create_queue(fresh(**options), by=cast.lena)
        except InputError:
            assert (said.found, said.sampled) == (0, 0)
            return
        drawn = queue.items.filter(origin="SAMPLE").count()
        assert (said.found, said.sampled) == (queue.items.count() - drawn, drawn)
        population = {"flagged": said.flagged, "unflagged": said.unflagged, "sampled": said.sampled}
        assert queue.population == population

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ({"filters": {"colour": "red"}}, "There is no filter"),
            ({"filters": {"flagged": "maybe"}}, "The filter flagged cannot be"),
            ({"filters": {"run": "77"}}, "No result fits this filter"),
            ({"name": ""}, "name: "),
            ({"needed": 0}, "needed: "),
            ({"needed": 10}, "needed: "),
            ({"lease_seconds": 5}, "lease_seconds: "),
            ({"sample_percent": 101}, "sample_percent: "),
            ({"gold_percent": 51}, "gold_percent: "),
            ({"stages": "NEITHER"}, "stages: "),
            ({"filters": {"flagged": "true"}, "blind": True}, "Mix in a random sample"),
        ],
    )
    def test_what_cannot_be_is_refused_and_leaves_nothing(
        self, cast: Cast, run: Run, fields: dict[str, Any], sentence: str
    ) -> None:
        with pytest.raises(InputError, match=sentence):
            queues.create_queue(fresh(**fields), by=cast.lena)
        assert not Queue.objects.exists()

    @pytest.mark.parametrize("name", NOT_LEADS)
    def test_only_leads_make_queues(self, cast: Cast, run: Run, name: str) -> None:
        with pytest.raises(ForbiddenError):
            queues.create_queue(fresh(), by=cast[name])
        assert not Queue.objects.exists()


class TestSettings:
    def change(self, queue: Queue, cast: Cast, **changes: Any) -> Queue:
        return queues.update_queue(queue, changes, version=queue.version, by=cast.lena)

    def test_more_reviewers_are_asked_for_what_is_open(self, make_queue: Callable[..., Queue], cast: Cast) -> None:
        queue = make_queue()
        review_next(queue, cast.ruth)
        handout.claim_next(queue, reviewer=cast.rob)
        self.change(queue, cast, needed=2)
        assert sorted(queue.items.values_list("needed", "done", "claimed")) == [(1, 1, 0), *[(2, 0, 0)] * 6, (2, 0, 1)]

    def test_with_fewer_what_is_judged_enough_is_done(self, make_queue: Callable[..., Queue], cast: Cast) -> None:
        queue = make_queue(needed=3)
        review_next(queue, cast.ruth)
        self.change(queue, cast, needed=1)
        assert queue.items.counts() == {"OPEN": 7, "CLOSED": 1}

    def test_who_holds_a_result_keeps_it(self, make_queue: Callable[..., Queue], cast: Cast) -> None:
        queue = make_queue(needed=2)
        held = [handout.claim_next(queue, reviewer=who) for who in (cast.ruth, cast.rob)]
        Claim.objects.filter(pk=held[1].pk).update(item=held[0].item)  # type: ignore[union-attr]
        QueueItem.objects.filter(pk=held[0].item_id).update(claimed=2)  # type: ignore[union-attr]
        self.change(queue, cast, needed=1)
        assert QueueItem.objects.get(pk=held[0].item_id).needed == 2  # type: ignore[union-attr]

    def test_a_stale_version_changes_nothing_and_names_both_values(
        self, make_queue: Callable[..., Queue], cast: Cast
    ) -> None:
        queue = make_queue()
        self.change(queue, cast, name="Hers")
        with pytest.raises(ConflictError, match="name is 'Hers', you sent 'His'") as raised:
            self.change(queue, cast, name="His")
        assert raised.value.code == "stale"
        queue.refresh_from_db()
        assert (queue.name, queue.version) == ("Hers", 2)

    def test_members_have_the_same_version(self, make_queue: Callable[..., Queue], cast: Cast) -> None:
        queue = make_queue(restricted=True)
        queues.update_queue(queue, {}, members=[cast.rob], version=1, by=cast.lena)
        with pytest.raises(ConflictError, match=r"members is \['rob'\], you sent \['rita', 'ruth'\]"):
            queues.update_queue(queue, {}, members=[cast.ruth, cast.rita], version=1, by=cast.lena)
        assert queues.settings_of(queue)["members"] == ["rob"]

    def test_what_was_fixed_when_it_was_filled_stays(self, make_queue: Callable[..., Queue], cast: Cast) -> None:
        queue = self.change(make_queue(), cast, blind=True, filters={}, stages="INPUT", name="Renamed")
        queue.refresh_from_db()
        assert (queue.name, queue.blind, queue.stages) == ("Renamed", False, "BOTH")
        assert queue.filters

    def test_a_deleted_queue_is_said(self, make_queue: Callable[..., Queue], cast: Cast) -> None:
        queue = make_queue()
        Queue.objects.filter(pk=queue.pk).delete()
        with pytest.raises(NotFoundError, match="was deleted meanwhile"):
            self.change(queue, cast, name="x")
        with pytest.raises(NotFoundError, match="was deleted meanwhile"):
            queues.close_queue(queue, by=cast.lena)

    @pytest.mark.parametrize("name", NOT_LEADS)
    def test_only_leads_change_close_and_mark(self, make_queue: Callable[..., Queue], cast: Cast, name: str) -> None:
        queue, who = make_queue(), cast[name]
        item = queue.items.select_related("result").earliest("pk")
        for forbidden in (
            lambda: queues.update_queue(queue, {"name": "Mine"}, version=1, by=who),
            lambda: queues.close_queue(queue, by=who),
            lambda: queues.mark_gold(queue, item.result, {Stage.INPUT: "SAFE"}, by=who),
        ):
            with pytest.raises(ForbiddenError):
                forbidden()
        queue.refresh_from_db()
        assert (queue.name, queue.closed_at) == ("Toxic or not", None)
        assert not queue.items.filter(gold=True).exists()

    def test_each_change_is_in_the_audit_trail(self, make_queue: Callable[..., Queue], cast: Cast) -> None:
        queue = self.change(make_queue(), cast, name="Other")
        queues.close_queue(queue, by=cast.lena)
        queues.close_queue(queue, by=cast.lena)
        queues.close_queue(queue, by=cast.lena, closed=False)
        done = AuditEvent.objects.filter(action__startswith="queue.").order_by("sequence")
        assert [event.action for event in done] == ["queue.created", "queue.changed", "queue.closed", "queue.opened"]


class TestKnownAnswers:
    def mark(self, queue: Queue, result: Result, by: Any, **labels: str) -> QueueItem:
        return queues.mark_gold(queue, result, {Stage(stage.upper()): label for stage, label in labels.items()}, by=by)

    def test_a_known_answer_counts_for_nobody(self, make_queue: Callable[..., Queue], cast: Cast, run: Run) -> None:
        queue = make_queue(run, stages="INPUT", gold_percent=50)
        for result in run.results.all():
            self.mark(queue, result, cast.lena, input="SAFE")
        assert progress.standing(queue).known == 8
        assert progress.standing(queue).total == 0

    def test_a_result_from_elsewhere_joins_the_queue(
        self, make_queue: Callable[..., Queue], cast: Cast, done_run: Callable[..., Run]
    ) -> None:
        queue, other = make_queue(stages="INPUT"), done_run(["Known."]).results.get()
        self.mark(queue, other, cast.lena, input="SAFE")
        assert queue.items.get(gold=True).result == other

    def test_it_becomes_an_ordinary_result_again(self, make_queue: Callable[..., Queue], cast: Cast, run: Run) -> None:
        queue = make_queue(run, stages="INPUT", needed=2)
        result = run.results.earliest("pk")
        self.mark(queue, result, cast.lena, input="SAFE")
        queues.mark_gold(queue, result, None, by=cast.lena)
        item = queue.items.get(result=result)
        assert (item.gold, item.gold_input, item.needed, item.state) == (False, "", 2, "OPEN")

    def test_another_answer_does_not_replace_it_unseen(
        self, make_queue: Callable[..., Queue], cast: Cast, run: Run
    ) -> None:
        queue, result = make_queue(run, stages="INPUT"), run.results.earliest("pk")
        self.mark(queue, result, cast.lena, input="SAFE")
        assert self.mark(queue, result, cast.anna, input="SAFE").gold_input == "SAFE"
        with pytest.raises(ConflictError, match="known as SAFE already; you sent TOXIC"):
            self.mark(queue, result, cast.anna, input="TOXIC")
        assert queue.items.get(result=result).gold_input == "SAFE"

    @pytest.mark.parametrize(
        "labels", [{}, {"output": "SAFE"}, {"input": "UNSURE"}, {"input": "SAFE", "output": "SAFE"}]
    )
    def test_each_text_that_is_asked_for_needs_one(
        self, make_queue: Callable[..., Queue], cast: Cast, run: Run, labels: dict[str, str]
    ) -> None:
        queue = make_queue(run, stages="INPUT")
        with pytest.raises(InputError, match="Say SAFE or TOXIC for each of: input"):
            self.mark(queue, run.results.earliest("pk"), cast.lena, **labels)
        assert not queue.items.filter(gold=True).exists()

    def test_what_is_not_in_the_queue_cannot_be_unmarked(
        self, make_queue: Callable[..., Queue], cast: Cast, done_run: Callable[..., Run]
    ) -> None:
        queue, other = make_queue(), done_run(["Elsewhere."]).results.get()
        with pytest.raises(NotFoundError, match="not in the queue"):
            queues.mark_gold(queue, other, None, by=cast.lena)


class TestStanding:
    def test_it_counts_results_and_verdicts(self, make_queue: Callable[..., Queue], cast: Cast, run: Run) -> None:
        queue = make_queue(run, needed=2, stages="INPUT")
        for who, label in ((cast.ruth, "SAFE"), (cast.rob, "TOXIC")):
            review_next(queue, who, input=label)
        first = queue.items.filter(done__gt=0)
        escalated = handout.claim_next(queue, reviewer=cast.rita)
        assert escalated
        handout.escalate(escalated, reason="Hard.")
        handout.claim_next(queue, reviewer=cast.ruth)
        standing = progress.standing(queue)
        assert standing.given == 2
        assert standing.wanted == 16
        assert standing.held == 1
        assert standing.people == 3
        assert standing.disputed == (2 if first.count() == 1 else 1)
        assert standing.total == 8

    def test_the_pace_is_from_taking_a_result_or_from_the_one_before(
        self, make_queue: Callable[..., Queue], cast: Cast
    ) -> None:
        from datetime import timedelta

        from django.utils import timezone

        from review.models import Review

        queue = make_queue(stages="INPUT")
        start = timezone.now() - timedelta(hours=1)
        for n in range(3):
            review_next(queue, cast.ruth)
            claim = Claim.objects.latest("pk")
            # Taken in advance at once, judged ten seconds after one another.
            Claim.objects.filter(pk=claim.pk).update(claimed_at=start)
            Review.objects.filter(item=claim.item).update(created_at=start + timedelta(seconds=10 * (n + 1)))
        review_next(queue, cast.rob)
        assert [(pace.name, pace.judged) for pace in progress.paces(queue)] == [("ruth", 3), ("rob", 1)]
        assert progress.paces(queue)[0].seconds == pytest.approx(10)


class TestGivingBack:
    def test_a_lead_gives_back_what_another_holds(self, make_queue: Callable[..., Queue], cast: Cast) -> None:
        queue = make_queue()
        claim = handout.claim_next(queue, reviewer=cast.ruth)
        assert claim
        handout.release(claim, by=cast.lena)
        assert progress.standing(queue).held == 0
        assert AuditEvent.objects.get(action="review.released").actor == "user:lena"

    @pytest.mark.parametrize("name", ["rob", "sara", "axel", "nora"])
    def test_nobody_else_does(self, make_queue: Callable[..., Queue], cast: Cast, name: str) -> None:
        claim = handout.claim_next(make_queue(), reviewer=cast.ruth)
        assert claim
        with pytest.raises(ForbiddenError, match="give back what another person holds"):
            handout.release(claim, by=cast[name])
        claim.refresh_from_db()
        assert claim.state == "HELD"

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.models import AuditEvent
from classifiers.errors import ForbiddenError, InputError
from classifiers.types import Stage
from review import handout, services
from review.exports import PAGE, export_reviews
from review.models import Queue, QueueItem
from runs.exports import Reading, export_run
from runs.models import ModerationResult, Run
from tests.review.conftest import Cast, judgement, review_next
from tests.review.hand_made import flagged, make_items, make_results, said, say


@pytest.fixture
def queue(cast: Cast) -> Queue:
    """ruth and rob differ on the first, sara settles it; ruth changes her mind on the second and takes it back."""
    run = Run.objects.create(name="run", created_by="test")
    rows = [flagged(prompt="=1+1", **said("SAFE")), {"answer": "well", "output_label": "SAFE", "output_score": 0.2}]
    rows[0]["input_provenance"] = "adjudicated"
    queue = Queue.objects.create(name="queue", created_by="lena", filters={"run": str(run.pk)})
    results = make_results(run, rows)
    (first,) = make_items(queue, results[:1], state=QueueItem.State.CLOSED)
    (second,) = make_items(queue, results[1:], origin="SAMPLE")
    say(first, cast.ruth, "TOXIC", note="@SUM(A1)", categories=["hate"], blind=True)
    say(first, cast.rob, "SAFE", note="fine, I\nthink")
    say(first, cast.sara, "SAFE", cause="policy_gap")
    mind = say(second, cast.ruth, "UNSURE", stage="OUTPUT")
    changed = say(second, cast.ruth, "TOXIC", stage="OUTPUT", after=mind)
    say(second, cast.ruth, "", stage="OUTPUT", after=changed)
    known = make_items(queue, make_results(run, [{}]), gold=True, gold_input="SAFE", needed=QueueItem.GOLD_NEEDED)
    assert len(known) == 1
    return queue


def lines(queue: Queue, cast: Cast, **options: Any) -> list[dict[str, Any]]:
    pieces = export_reviews(queue, form="jsonl", by=cast.lena, **{"pseudonyms": False, **options})
    return [json.loads(piece) for piece in pieces]


def rows(queue: Queue, cast: Cast, **options: Any) -> list[dict[str, str]]:
    pieces = export_reviews(queue, form="csv", by=cast.lena, **{"pseudonyms": False, **options})
    return list(csv.DictReader(io.StringIO("".join(pieces), newline="")))


class TestJsonl:
    def test_a_line_is_a_result_with_everything_people_said(self, queue: Queue, cast: Cast) -> None:
        first, second, known = lines(queue, cast)
        assert (first["prompt"], first["answer"], first["origin"], first["known"], first["state"]) == (
            "=1+1", None, "FILTER", {}, "CLOSED",
        )  # fmt: skip
        assert (first["queue"], first["position"]) == (queue.pk, 0)
        prompt = first["input"]
        assert (prompt["machine"], prompt["score"], prompt["human"]) == ("TOXIC", 0.9, "SAFE")
        assert (prompt["provenance"], prompt["effective"]) == ("adjudicated", "SAFE")
        assert prompt["verdicts"] == [{"check": "judge", "label": "TOXIC", "score": 0.9, "version": "tests made-up"}]
        said_by = [
            (review["reviewer"], review["label"], review["cause"], review["blind"]) for review in prompt["reviews"]
        ]
        assert said_by == [
            ("ruth", "TOXIC", "", True),
            ("rob", "SAFE", "", False),
            ("sara", "SAFE", "policy_gap", False),
        ]
        assert (prompt["reviews"][0]["note"], prompt["reviews"][0]["categories"]) == ("@SUM(A1)", ["hate"])
        assert prompt["reviews"][0]["given_at"] == "2026-03-10T12:00:00+00:00"
        assert "output" not in first
        assert known["known"] == {"input": "SAFE"}
        assert second["origin"] == "SAMPLE"
        assert [review["standing"] for review in second["output"]["reviews"]] == [
            "superseded",
            "superseded",
            "taken back",
        ]

    def test_what_is_said_while_it_is_read_is_not_in_it(self, queue: Queue, cast: Cast) -> None:
        pieces = export_reviews(queue, form="jsonl", pseudonyms=True, by=cast.lena)
        say(QueueItem.objects.filter(gold=True).get(), cast.rita, "SAFE")
        assert [json.loads(piece)["input"]["reviews"] for piece in pieces][-1] == []


class TestCsv:
    def test_a_line_is_a_review(self, queue: Queue, cast: Cast) -> None:
        told = rows(queue, cast)
        assert [(row["position"], row["stage"], row["reviewer"], row["label"], row["standing"]) for row in told] == [
            ("0", "INPUT", "ruth", "TOXIC", "stands"),
            ("0", "INPUT", "rob", "SAFE", "stands"),
            ("0", "INPUT", "sara", "SAFE", "stands"),
            ("1", "OUTPUT", "ruth", "UNSURE", "superseded"),
            ("1", "OUTPUT", "ruth", "TOXIC", "superseded"),
            ("1", "OUTPUT", "ruth", "", "taken back"),
        ]
        assert told[0]["versions"] == "judge: tests made-up"
        assert told[1]["note"] == "fine, I\nthink"

    def test_no_cell_is_a_formula(self, queue: Queue, cast: Cast) -> None:
        told = rows(queue, cast)
        assert (told[0]["prompt"], told[0]["note"]) == ("'=1+1", "'@SUM(A1)")
        assert not any((cell or "").startswith(("=", "+", "@")) for row in told for cell in row.values())


class TestPseudonyms:
    def test_a_person_is_the_same_throughout_and_nobody_is_named(self, queue: Queue, cast: Cast) -> None:
        told = rows(queue, cast, pseudonyms=True)
        people = [row["reviewer"] for row in told]
        assert set(people) == {"r1", "r2", "r3"}
        assert people[0] == people[3] == people[4]
        assert not any(name in row.values() for row in told for name in ("ruth", "rob", "sara"))

    def test_another_export_has_others(self, queue: Queue, cast: Cast) -> None:
        orders = {tuple(row["reviewer"] for row in rows(queue, cast, pseudonyms=True)) for _ in range(40)}
        assert len(orders) > 1


class TestTakingOut:
    def test_it_is_recorded_before_the_first_piece(self, queue: Queue, cast: Cast) -> None:
        pieces = export_reviews(queue, form="jsonl", pseudonyms=True, by=cast.lena)
        event = AuditEvent.objects.get(action="review.exported")
        assert (event.actor, event.target_id) == ("user:lena", str(queue.pk))
        assert event.details == {"form": "jsonl", "pseudonyms": True}
        assert isinstance(pieces, Iterator)

    @pytest.mark.parametrize("name", ["ruth", "sara", "axel", "nora"])
    def test_who_may_not(self, queue: Queue, cast: Cast, name: str) -> None:
        with pytest.raises(ForbiddenError):
            export_reviews(queue, form="csv", pseudonyms=True, by=cast[name])
        assert not AuditEvent.objects.filter(action="review.exported").exists()

    def test_another_form_is_refused(self, queue: Queue, cast: Cast) -> None:
        with pytest.raises(InputError, match="one of: jsonl, csv"):
            export_reviews(queue, form="xlsx", pseudonyms=False, by=cast.lena)

    def test_it_reads_a_page_at_a_time(self, cast: Cast) -> None:
        """Four pages of long texts: no more than about one of them is in memory, and each takes the same four queries."""
        run = Run.objects.create(name="long", created_by="test")
        queue = Queue.objects.create(name="long", created_by="lena")
        make_items(queue, make_results(run, [{"prompt": "x" * 20_000} for _ in range(4 * PAGE)]))
        pieces = export_reviews(queue, form="jsonl", pseudonyms=False, by=cast.lena)
        tracemalloc.start()
        with CaptureQueriesContext(connection) as asked:
            size = sum(len(piece) for piece in pieces)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert size > 4 * PAGE * 20_000
        assert peak < 2.5 * PAGE * 20_000
        assert len(asked) <= 4 * 4 + 1


class TestForAnalysts:
    """The view moderation_results, and a run's export, with what people said through the services."""

    @pytest.fixture
    def reviewed(self, cast: Cast, make_queue: Callable[..., Queue]) -> Run:
        """All but the first of eight results: ruth says SAFE and rob agrees on the second alone; sara settles the third."""
        queue = make_queue(needed=2)
        run = Run.objects.get(pk=int(queue.filters["run"]))
        for _ in range(8):
            claim = handout.claim_next(queue, reviewer=cast.ruth)
            position = claim.item.result.position
            if position == 0:
                handout.release(claim)
            else:
                services.submit(claim, judgement(claim, note="" if position != 1 else "a note"))
        second = queue.items.get(result__position=1)
        while claim := handout.claim_next(queue, reviewer=cast.rob):
            if claim.item_id == second.pk:
                services.submit(claim, judgement(claim, note="another"))
            elif claim.item.result.position == 2:
                services.submit(claim, judgement(claim, input="TOXIC", output="SAFE"))
            else:
                handout.skip(claim, reason="not mine")
        third = queue.items.get(result__position=2)
        settled = judgement(input="TOXIC", output="SAFE")
        services.adjudicate(third, settled, adjudicator=cast.sara, cause="ambiguous")
        return run

    def test_the_view_has_labels_provenance_notes_and_reviewers(self, reviewed: Run) -> None:
        none, both, third, single = ModerationResult.objects.filter(run_id=reviewed.pk).order_by("position")[:4]
        assert (none.human_input_label, none.human_provenance, none.human_notes, none.reviewers) == (None,) * 4
        assert none.reviewed_at is None
        assert none.effective_input_label == none.input_label
        # The machine calls it toxic, and so never answered it; two people overrule that.
        assert (both.input_label, both.effective_input_label, both.human_provenance) == ("TOXIC", "SAFE", "unanimous")
        assert both.human_notes.split("; ") in (["a note", "another"], ["another", "a note"])
        assert sorted(both.reviewers.split(", ")) == ["rob", "ruth"]
        assert (third.effective_input_label, third.effective_output_label) == ("TOXIC", "SAFE")
        assert third.human_provenance == "adjudicated"
        assert sorted(third.reviewers.split(", ")) == ["rob", "ruth", "sara"]
        assert (single.human_provenance, single.reviewers, single.human_notes) == ("single", "ruth", None)

    def test_what_was_taken_back_is_gone_from_it(self, reviewed: Run, cast: Cast) -> None:
        result = reviewed.results.get(position=3)
        review = result.reviews.get(reviewer=cast.ruth, stage=Stage.INPUT)
        services.undo(services.find_review(review.pk, reviewer=cast.ruth), key="undo")
        row = ModerationResult.objects.get(run_id=reviewed.pk, position=3)
        assert (row.reviewers, row.human_provenance, row.reviewed_at) == (None, None, None)
        assert row.effective_input_label == row.input_label

    def test_a_runs_csv_and_parquet_have_them(self, reviewed: Run, tmp_path: Path) -> None:
        import pyarrow.parquet as pq

        for form in ("csv", "parquet"):
            export_run(Reading(reviewed), form=form, path=tmp_path / f"results.{form}", actor="test")
        with (tmp_path / "results.csv").open(encoding="utf-8", newline="") as stream:
            text = list(csv.DictReader(stream))
        table = pq.read_table(tmp_path / "results.parquet").to_pylist()
        for row in (text[2], table[2]):
            assert (row["human_input_label"], row["human_provenance"]) == ("TOXIC", "adjudicated")
            assert (row["effective_input_label"], row["effective_output_label"]) == ("TOXIC", "SAFE")
            assert sorted(row["reviewers"].split(", ")) == ["rob", "ruth", "sara"]
        assert table[2]["reviewed_at"].tzinfo is not None
        assert (text[0]["reviewers"], table[0]["reviewers"]) == ("", None)


def test_a_queue_reviewed_through_the_services_is_exported_whole(cast: Cast, make_queue: Callable[..., Queue]) -> None:
    queue = make_queue(needed=1)
    while review_next(queue, cast.ruth):
        pass
    told = lines(queue, cast)
    assert len(told) == 8
    assert all(line["state"] == "CLOSED" for line in told)
    assert {line["input"]["provenance"] for line in told} == {"single"}

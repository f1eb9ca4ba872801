"""What passed unjudged, since the site was told to fail open: told wherever results are, and counted as the error it is."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.test import Client
from django.utils import timezone

from audit.models import AuditEvent
from classifiers.errors import InputError
from runs import services
from runs.exports import Reading, pieces
from runs.filters import in_words, results
from runs.models import Result, Run
from tests.runs.commands import said

TEXTS = ["hello", "fail here", "toxic", "good day"]
MakeRun = Callable[..., Run]


@pytest.fixture
def run(done_run: MakeRun, settings: Any) -> Run:
    """Made and worked on while the site fails open; position 1 passed unjudged, prompt and answer."""
    settings.SAFETY_FAIL_OPEN = True
    return done_run(TEXTS)


def worked_on(run: Run) -> list[tuple[str | None, bool]]:
    for _ in services.execute_run(run, actor="test"):
        pass
    return list(Result.objects.filter(run=run).order_by("position").values_list("answer", "degraded"))


class TestWhatPasses:
    def test_the_label_stays_an_error_that_is_counted_once(self, run: Run) -> None:
        labels = Result.objects.filter(run=run).order_by("position").values_list("input_label", "output_label")
        assert list(labels) == [("SAFE", "SAFE"), ("ERROR", "ERROR"), ("TOXIC", None), ("SAFE", "SAFE")]
        assert run.counts == {"input": {"SAFE": 2, "ERROR": 1, "TOXIC": 1}, "output": {"SAFE": 2, "ERROR": 1}}
        counted = Run.objects.with_progress().get(pk=run.pk)
        assert (counted.errors, counted.flagged) == (1, 1)

    def test_a_run_that_was_labelled_anew_counts_each_result_once(self, done_run: MakeRun) -> None:
        run = done_run(TEXTS)
        toxic = {"TOXIC": 1}
        Result.objects.filter(run=run, position=0).update(input_label="TOXIC", output_label="TOXIC", relabelled=True)
        Result.objects.filter(run=run, position=2).update(input_label="SAFE", relabelled=True)
        Run.objects.filter(pk=run.pk).update(relabelled_at=timezone.now(), counts={"input": toxic, "output": toxic})
        assert Run.objects.with_progress().get(pk=run.pk).flagged == 1

    def test_switched_off_it_holds_for_no_run(self, make_run: MakeRun, settings: Any) -> None:
        settings.SAFETY_FAIL_OPEN = True
        run = make_run(TEXTS)
        settings.SAFETY_FAIL_OPEN = False
        assert worked_on(run)[1] == (None, False)

    def test_switched_on_it_holds_for_no_run_that_was_made_before(self, make_run: MakeRun, settings: Any) -> None:
        run = make_run(TEXTS)
        settings.SAFETY_FAIL_OPEN = True
        assert worked_on(run)[1] == (None, False)

    def test_errors_can_be_judged_again_and_are_then_degraded_no_more(self, run: Run, settings: Any) -> None:
        settings.SAFETY_FAIL_OPEN = False
        assert services.retry_errors(run, actor="test") == 1
        assert worked_on(run)[1] == (None, False)


class TestWhereItIsTold:
    def test_in_the_audit_trail(self, run: Run, make_run: MakeRun, settings: Any) -> None:
        settings.SAFETY_FAIL_OPEN = False
        make_run(TEXTS)
        made = AuditEvent.objects.filter(action="run.created").order_by("sequence").values_list("data", flat=True)
        assert [json.loads(data)["fail_open"] for data in made] == [True, False]

    def test_on_the_terminal(self, run: Run) -> None:
        shown = said("show_run", str(run.pk), "--results", "4")
        assert "open: what could not be judged passed" in shown
        assert shown.count("degraded: it passed though a check could not judge it") == 1

    def test_in_every_export(self, run: Run) -> None:
        wanted = [False, True, False, False]
        written = {form: b"".join(pieces(Reading(run), form)) for form in ("json", "jsonl", "csv", "parquet")}
        whole = json.loads(written["json"])
        assert whole["run"]["configuration"]["fail_open"] is True
        assert [each["degraded"] for each in whole["results"]] == wanted
        assert [json.loads(line)["degraded"] for line in written["jsonl"].splitlines()] == wanted
        rows = csv.DictReader(io.StringIO(written["csv"].decode(), newline=""))
        assert [row["degraded"] for row in rows] == [str(each) for each in wanted]
        assert pq.read_table(io.BytesIO(written["parquet"]))["degraded"].to_pylist() == wanted

    def test_over_rest(self, run: Run, admin_client: Client) -> None:
        found = admin_client.get(f"/api/v1/results/?run={run.pk}&degraded=true").json()["results"]
        assert [(row["position"], row["input_label"], row["degraded"]) for row in found] == [(1, "ERROR", True)]
        assert admin_client.get(f"/api/v1/runs/{run.pk}/").json()["configuration"]["fail_open"] is True

    def test_on_the_pages(self, run: Run, admin_client: Client) -> None:
        for path, badges in [
            (f"/admin/runs/result/?run={run.pk}", 1),
            (f"/admin/runs/result/{run.results.get(position=1).pk}/", 1),
            (f"/admin/runs/result/{run.results.get(position=0).pk}/", 0),
        ]:
            assert admin_client.get(path).content.decode().count(">degraded</span>") == badges
        assert "made while the site failed open" in admin_client.get(f"/admin/runs/run/{run.pk}/").content.decode()


class TestFilter:
    @pytest.mark.parametrize(("value", "positions"), [("true", [1]), ("false", [0, 2, 3])])
    def test_chooses_them(self, run: Run, value: str, positions: list[int]) -> None:
        found = results({"run": str(run.pk), "degraded": value}).order_by("position")
        assert list(found.values_list("position", flat=True)) == positions

    def test_says_so(self) -> None:
        assert in_words({"run": "3", "degraded": "true"}) == "run 3, passed unjudged"

    def test_knows_nothing_else(self) -> None:
        with pytest.raises(InputError, match="The filter degraded cannot be"):
            results({"degraded": "maybe"})

    def test_goes_by_its_index(self, run: Run) -> None:
        steps = results({"run": str(run.pk), "degraded": "true"}).order_by("run_id", "position").explain()
        assert "result_degraded" in steps or "Seq Scan" in steps  # PostgreSQL reads a short table as a whole

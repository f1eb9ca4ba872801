from __future__ import annotations

import csv
import io
import json
import math
from datetime import datetime, timedelta

import pytest
from django.db import transaction

from audit.models import AuditEvent, ChainCheck
from audit.services import check_chain, record
from classifiers.errors import ForbiddenError, InputError
from classifiers.evaluation import wilson
from review.models import BulkAction, Queue, QueueItem
from review.reports import OfPerson, OfVersion, Report, report_of, take_out
from runs.models import Result, Run
from tests.review.conftest import Cast
from tests.review.hand_made import NOW, flagged, make_items, make_results, said, say, version_of

DAY = timedelta(days=1)


@pytest.fixture
def run(db: None) -> Run:
    return Run.objects.create(name="hand-made", created_by="test", started_at=NOW - DAY, finished_at=NOW + DAY)


def report(cast: Cast, since: datetime = NOW - DAY, until: datetime = NOW + DAY) -> Report:
    return report_of(since, until, by=cast.axel)


def test_what_the_machine_judged_in_the_period(run: Run, cast: Cast) -> None:
    make_results(
        run, [flagged(), {}, {"input_label": "ERROR", "input_score": None}, {"answer": "a", "output_label": "TOXIC"}]
    )
    make_results(run, [flagged(created_at=NOW + DAY), flagged(created_at=NOW - 2 * DAY)])
    made = report(cast)
    assert (made.results, made.flagged, made.errors, made.verdicts) == (4, 2, 1, 5)
    assert made.versions == (OfVersion(f"judge made-up (#{version_of().pk})", judged=5, flagged=2, errors=1),)
    assert report(cast, NOW + 3 * DAY, NOW + 4 * DAY).versions == ()


def test_results_of_runs_that_were_not_at_work_then_are_not_looked_at(run: Run, cast: Cast) -> None:
    make_results(run, [{}])
    Run.objects.update(finished_at=None)
    assert report(cast).results == 1
    Run.objects.update(finished_at=NOW - 2 * DAY)
    assert report(cast).results == 0


def test_what_each_person_did(run: Run, cast: Cast) -> None:
    one, two, three = make_results(run, [flagged(), {}, {"input_label": "ERROR", "input_score": None}])
    first = say(one, cast.ruth, "TOXIC")
    say(one, cast.ruth, "SAFE", after=first)
    mistaken = say(two, cast.ruth, "TOXIC")
    say(two, cast.ruth, "", after=mistaken)
    say(three, cast.ruth, "TOXIC")
    say(one, cast.sara, "SAFE", cause="ambiguous")
    bulk = BulkAction.objects.create(
        stage="INPUT", label="SAFE", reason="r", total=1, until=1, reviewer=cast.lena, key="k"
    )
    say(two, cast.lena, "SAFE", bulk=bulk)
    say(three, cast.lena, "UNSURE", created_at=NOW + DAY)
    assert report(cast).people == (
        OfPerson("lena", verdicts=0, corrections=0, taken_back=0, adjudications=0, in_bulk=1, overrides=0),
        OfPerson("ruth", verdicts=4, corrections=1, taken_back=1, adjudications=0, in_bulk=0, overrides=2),
        OfPerson("sara", verdicts=0, corrections=0, taken_back=0, adjudications=1, in_bulk=0, overrides=1),
    )
    assert report(cast).decisions == 6


def test_how_often_the_machine_was_wrong(run: Run, cast: Cast) -> None:
    alarms = make_results(run, [flagged(**said("TOXIC"))] * 3 + [flagged(**said("SAFE"))])
    drawn = make_results(run, [said("TOXIC")] + [said("SAFE")] * 4)
    chosen = make_results(run, [said("TOXIC")] * 5)  # somebody went looking for them
    make_results(run, [{}] * 26 + [{"reviewed_at": NOW}])
    queue = Queue.objects.create(name="q", created_by="lena")
    make_items(queue, [*alarms, *chosen])
    make_items(queue, drawn, origin="SAMPLE")
    make_items(Queue.objects.create(name="again", created_by="lena"), drawn, origin="SAMPLE")
    made = report(cast)
    assert (made.reviewed, made.overridden) == (15, 7)
    rates = {(rate.stage, rate.kind): rate.share for rate in made.rates}
    assert rates["input", "flagged"] == wilson(1, 4)
    assert rates["input", "not flagged, drawn at random"] == wilson(1, 5)
    together = rates["input", "all"]  # 4 of 41 were flagged
    assert together.value == pytest.approx((4 * 1 / 4 + 37 * 1 / 5) / 41)
    part = 37 / 41
    below = math.hypot((1 - part) * (1 / 4 - wilson(1, 4).low), part * (1 / 5 - wilson(1, 5).low))
    above = math.hypot((1 - part) * (wilson(1, 4).high - 1 / 4), part * (wilson(1, 5).high - 1 / 5))
    assert (together.low, together.high) == pytest.approx((together.value - below, together.value + above))
    assert rates["output", "all"].value is None


def test_without_a_random_sample_the_rate_of_all_is_not_known(run: Run, cast: Cast) -> None:
    make_results(run, [flagged(**said("TOXIC")), {}])
    rates = {(rate.stage, rate.kind): rate.share for rate in report(cast).rates}
    assert rates["input", "flagged"].value == 0
    assert rates["input", "all"].value is None
    assert "random sample" in rates["input", "all"].why


def test_what_was_chosen_for_being_hard_tells_no_rate(run: Run, cast: Cast) -> None:
    plain = make_results(run, [flagged(**said("TOXIC"))] * 3 + [flagged(**said("SAFE"))])
    hard = make_results(run, [flagged(**said("SAFE"))] * 5 + [said("TOXIC")] * 5)
    drawn = make_results(run, [said("TOXIC")] + [said("SAFE")] * 4)
    queue = Queue.objects.create(name="q", created_by="lena", learner="judge", filters={"run": str(run.pk)})
    make_items(queue, hard, origin="CHOSEN")
    make_items(queue, drawn, origin="RANDOM")
    make_items(Queue.objects.create(name="all flagged", created_by="lena"), plain)
    rates = {(rate.stage, rate.kind): rate.share for rate in report(cast).rates}
    assert rates["input", "flagged"] == wilson(1, 4)
    assert rates["input", "not flagged, drawn at random"] == wilson(1, 5)


def test_a_random_share_of_what_a_filter_finds_speaks_for_nothing_else(run: Run, cast: Cast) -> None:
    drawn = make_results(run, [said("TOXIC")] + [said("SAFE")] * 4)
    found = make_results(run, [said("TOXIC", prompt="kill")] * 9)
    for filters, results in (({}, drawn), ({"run": str(run.pk), "q": "kill"}, found)):
        queue = Queue.objects.create(name=f"of {filters}", created_by="lena", learner="judge", filters=filters)
        make_items(queue, results, origin="RANDOM")
    rates = {(rate.stage, rate.kind): rate.share for rate in report(cast).rates}
    assert rates["input", "not flagged, drawn at random"] == wilson(1, 5)


def test_what_people_have_not_decided_is_no_override(run: Run, cast: Cast) -> None:
    make_results(run, [flagged(human_input_label="UNSURE", reviewed_at=NOW), flagged(**said("TOXIC"))])
    make_results(run, [{"input_label": "ERROR", "input_score": None, **said("SAFE")}])
    made = report(cast)
    assert (made.reviewed, made.overridden) == (3, 0)


def test_logins_refused_and_exports_are_counted(cast: Cast) -> None:
    before = report_now(cast)
    with transaction.atomic():
        for action in (
            "auth.login_refused",
            "auth.login_refused",
            "auth.locked_out",
            "run.exported",
            "review.exported",
        ):
            record(action, actor="test")
    after = report_now(cast)
    assert after.logins_refused - before.logins_refused == 3
    assert after.exports - before.exports == 2
    assert after.events["auth.login_refused"] == 2


def test_the_audit_trail_is_told_as_it_was_found(cast: Cast) -> None:
    assert report_now(cast).chain.checked_at is None
    check = check_chain(actor="test")
    chain = report_now(cast).chain
    assert (chain.entries, chain.unchecked, chain.fault) == (check.size + 1, 1, "")
    assert chain.checked_at == chain.whole_since == check.finished_at
    ChainCheck.objects.filter(pk=check.pk).update(fault="Entry 1: it is missing.", whole_since=None)
    assert (report_now(cast).chain.fault, report_now(cast).chain.whole_since) == ("Entry 1: it is missing.", None)


def report_now(cast: Cast) -> Report:
    return report_of(datetime.min.replace(tzinfo=NOW.tzinfo), datetime.max.replace(tzinfo=NOW.tzinfo), by=cast.axel)


class TestFile:
    def test_json_holds_everything(self, run: Run, cast: Cast) -> None:
        make_results(run, [flagged(**said("SAFE"))])
        told = json.loads(take_out(report(cast), form="json", by=cast.axel))
        assert told.keys() >= {
            "since",
            "until",
            "results",
            "decisions",
            "versions",
            "people",
            "rates",
            "chain",
            "events",
        }
        assert told["since"] == (NOW - DAY).isoformat()
        assert told["rates"][0] == {
            "kind": "flagged", "stage": "input", "share": {"value": 1.0, "low": pytest.approx(0.2065, abs=1e-4), "high": 1.0, "n": 1, "why": ""},
        }  # fmt: skip

    def test_csv_has_a_row_a_figure_and_no_formula(self, run: Run, cast: Cast) -> None:
        cast.ruth.username = "=1+1"
        cast.ruth.save()
        (result,) = make_results(run, [flagged(**said("SAFE"))])
        say(result, cast.ruth, "SAFE")
        rows = list(csv.reader(io.StringIO(take_out(report(cast), form="csv", by=cast.axel))))
        assert rows[0] == ["section", "item", "value"]
        told = {(section, item): value for section, item, value in rows[1:]}
        assert told["totals", "flagged"] == "1"
        assert told["person", "'=1+1: overrides"] == "1"
        assert told["wrong", "input, flagged: value"] == "1.0"
        assert not any(cell.startswith(("=", "+", "@")) for row in rows for cell in row)

    def test_taking_it_out_is_recorded(self, run: Run, cast: Cast) -> None:
        take_out(report(cast), form="csv", by=cast.axel)
        event = AuditEvent.objects.get(action="report.made")
        assert event.actor == "user:axel"
        assert event.details == {"form": "csv", "since": (NOW - DAY).isoformat(), "until": (NOW + DAY).isoformat()}

    def test_another_form_is_refused(self, run: Run, cast: Cast) -> None:
        with pytest.raises(InputError, match="one of: csv, json"):
            take_out(report(cast), form="pdf", by=cast.axel)

    @pytest.mark.parametrize("name", ["ruth", "sara", "nora"])
    def test_who_may_not(self, cast: Cast, name: str) -> None:
        made = report(cast)
        with pytest.raises(ForbiddenError):
            report_of(NOW, NOW + DAY, by=cast[name])
        with pytest.raises(ForbiddenError):
            take_out(made, form="csv", by=cast[name])
        assert not AuditEvent.objects.filter(action="report.made").exists()

    @pytest.mark.parametrize("name", ["lena", "axel", "anna"])
    def test_who_may(self, cast: Cast, name: str) -> None:
        assert take_out(report_of(NOW, NOW + DAY, by=cast[name]), form="json", by=cast[name])


def test_items_of_other_queues_say_nothing(run: Run, cast: Cast) -> None:
    """A result is drawn at random when any queue drew it; one that a queue merely picked is not."""
    (result,) = make_results(run, [said("TOXIC")])
    make_items(Queue.objects.create(name="picked", created_by="lena"), [result])
    drawn = next(rate for rate in report(cast).rates if rate.kind.startswith("not flagged"))
    assert drawn.share.n == 0
    make_items(Queue.objects.create(name="drawn", created_by="lena"), [result], origin="SAMPLE")
    assert QueueItem.objects.count() == 2
    assert next(rate for rate in report(cast).rates if rate.kind.startswith("not flagged")).share.n == 1
    assert Result.objects.count() == 1

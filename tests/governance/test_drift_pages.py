"""Drift on the console: the list, a classifier with its days and scores, and the start page."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from governance import drift_plots
from governance.drift import Spans, check_drift
from governance.models import DriftAssessment
from runs.plots import WIDTH
from tests.governance.drifting import HIGH, days, version_of
from tests.review.conftest import Cast, cast  # noqa: F401  a fixture

PAGE = "/admin/governance/driftassessment/"


@pytest.fixture
def visit(cast: Cast) -> Any:  # noqa: F811
    def visit(address: str, name: str = "axel", status: int = 200) -> str:
        client = Client()
        client.force_login(cast[name], backend="django.contrib.auth.backends.ModelBackend")
        answer = client.get(address)
        assert answer.status_code == status
        return answer.content.decode()

    return visit


@pytest.fixture
def drifted(db: None) -> None:
    days(range(7, 14), 60)
    days(range(7), 60, HIGH)
    days(range(14), 60, version=version_of("steady"))
    days(range(2), 5, version=version_of("seldom"), stage="OUTPUT", live=False)
    check_drift(actor="test")


@pytest.mark.usefixtures("drifted")
def test_the_list_has_the_worst_first(visit: Any) -> None:
    page = visit(PAGE)
    assert page.index(">guard<") < page.index(">seldom<") < page.index(">steady<")
    assert page.count('data-state="BAD">Drift') >= 1
    assert "answers of runs over files" in page


@pytest.mark.usefixtures("drifted")
def test_a_classifier_has_its_findings_its_plots_and_their_tables(visit: Any) -> None:
    page = visit(f"{PAGE}guard/")
    assert page.count('<svg class="plot" viewBox="0 0 360') == 2
    assert page.count("As a table") == 2
    assert "TOXIC by its own word" in page
    assert "Drift was found" in page


@pytest.mark.usefixtures("drifted")
def test_why_nothing_can_be_said(visit: Any) -> None:
    assert "Each window needs 200 texts; the reference has 0 judged texts, the recent one 10 judged texts." in visit(
        f"{PAGE}seldom/"
    )


@pytest.mark.usefixtures("drifted")
def test_the_start_page_names_those_that_drifted_and_counts_the_others(visit: Any) -> None:
    page = " ".join(visit("/admin/").split())
    assert "Drifted: 1. To be watched: 0. As before: 1. Too few texts to tell: 1." in page
    assert f"{PAGE}guard/#drift-" in page
    assert f"{PAGE}steady/#drift-" not in page


@pytest.mark.usefixtures("drifted")
@pytest.mark.parametrize("name", ["ruth", "sara", "prog", "nora"])
def test_it_is_not_for_those_who_may_not_see_the_record(visit: Any, name: str) -> None:
    assert "Drift of classifiers" not in visit("/admin/", name)
    visit(PAGE, name, 403)
    visit(f"{PAGE}guard/", name, 403)


def test_before_anybody_looked_it_says_so(visit: Any) -> None:
    assert "nobody has looked" in visit(PAGE)
    assert "Drift of classifiers" not in visit("/admin/")
    visit(f"{PAGE}guard/", status=404)


@pytest.mark.usefixtures("drifted")
def test_an_alias_with_what_cannot_be_seen_is_made_visible(visit: Any) -> None:
    hostile = version_of("gu\u202eard<b>")
    DriftAssessment.objects.filter(version=version_of()).update(version=hostile)
    for address in ("/admin/", PAGE, f"{PAGE}gu\u202eard<b>/"):
        page = visit(address)
        assert "⟨U+202E⟩" in page
        assert "<b>/" not in page


@pytest.mark.usefixtures("drifted")
def test_the_start_page_takes_two_queries_more(visit: Any, django_assert_num_queries: Any, cast: Cast) -> None:  # noqa: F811
    from governance.views.drift import panel

    axel = type(cast.axel).objects.get(pk=cast.axel.pk)
    axel.has_perm("runs.view_run")
    with django_assert_num_queries(2):
        assert panel(axel)


NUMBERS = st.integers(0, 1000)


@given(st.dictionaries(st.integers(0, 34), st.tuples(NUMBERS, NUMBERS, NUMBERS), max_size=35), st.integers(1, 34))
def test_bars_lie_within_the_plot_and_each_day_has_its_row(found: dict[int, tuple[int, ...]], recent: int) -> None:
    spans = Spans(date(2026, 1, 31), recent, 35 - recent)
    numbers = [
        {"day": f"{spans.start.fromordinal(spans.start.toordinal() + day)}", "judged": judged, "errors": errors}
        | {"toxic": min(toxic, judged), "policy_toxic": 0}
        for day, (judged, toxic, errors) in sorted(found.items())
    ]
    plot = drift_plots.by_day(numbers, spans)
    assert len(plot.rows) == len(found)
    for bar in plot.bars:
        assert drift_plots.LEFT <= bar.x <= bar.x + bar.width <= WIDTH
        assert drift_plots.TOP - 1e-6 <= bar.y <= bar.y + bar.height <= drift_plots.BASE + 1e-6


def test_what_has_no_scores_has_no_plot_of_them() -> None:
    assert drift_plots.scores({"scores": [0] * 20}, {"scores": [0] * 20}) is None
    plot = drift_plots.scores({"scores": [2, 2]}, {"scores": [0, 1]})
    assert plot
    assert [row.cells for row in plot.rows] == [("0.00 to 0.50", "50.0%", "0.0%"), ("0.50 to 1.00", "50.0%", "100.0%")]

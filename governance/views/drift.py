"""The pages of drift: all versions that are at work, one classifier with its days and scores, and the start page's part."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from classifiers.drift import Level
from classifiers.errors import NotFoundError
from governance import drift_plots
from governance.drift import Spans
from governance.models import DriftAssessment, DriftCheck
from governance.views.pages import show
from review.rights import need
from runs.plots import Plot

SEE, DOING = "governance.view_driftassessment", "see drift"
NAMED = 3


@dataclass(frozen=True)
class Case:
    """An assessment as pages show it, with what is drawn of it."""

    assessment: DriftAssessment
    plots: Sequence[Plot] = ()

    @property
    def findings(self) -> dict[str, dict[str, Any]]:
        """By respect, in a form that templates can name."""
        return {finding["respect"].replace(" ", "_"): finding for finding in self.assessment.findings}

    @property
    def texts(self) -> dict[str, int]:
        return {window: self.assessment.texts_of(window) for window in ("reference", "recent")}

    @property
    def drawn(self) -> list[dict[str, Any]]:
        return [{"plot": plot, "rows": [(row.cells, "") for row in plot.rows]} for plot in self.plots]


@require_GET
def of_all(request: HttpRequest) -> HttpResponse:
    need(request.user, SEE, DOING)
    return _show(
        request, "drift.html", {"title": "Drift", "cases": [Case(each) for each in DriftAssessment.objects.ranked()]}
    )


@require_GET
def of_one(request: HttpRequest, alias: str) -> HttpResponse:
    """Every version of a classifier that is at work, at each stage."""
    need(request.user, SEE, DOING)
    found = list(DriftAssessment.objects.ranked().filter(version__alias=alias))
    if not found:
        raise NotFoundError(f"Nothing was judged by a classifier {alias[:60]!r} in these days. Look at the list.")
    return _show(request, "drift_of.html", {"title": f"Drift of {alias}", "alias": alias, "cases": _drawn(found)})


def panel(person: Any) -> dict[str, Any] | None:
    """What the start page says of drift: how many there are of each level, and the worst; None where there is nothing."""
    if not person.has_perm(SEE):
        return None
    counts = DriftAssessment.objects.levels()
    worst = DriftAssessment.objects.ranked().filter(level__in=(Level.DRIFT, Level.WATCH))[:NAMED]
    return {"counts": counts, "cases": _drawn(worst), "spans": _spans()} if counts else None


def _drawn(found: Iterable[DriftAssessment]) -> list[Case]:
    return [Case(each, tuple(filter(None, _plots(each)))) for each in found]


def _plots(each: DriftAssessment) -> tuple[Plot | None, ...]:
    days = drift_plots.by_day(each.days, Spans.until(each.assessed_at.date()))
    return days, drift_plots.scores(each.reference, each.recent)


def _spans() -> Spans:
    return Spans.until(timezone.now().date())


def _show(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    more = {"check": DriftCheck.objects.first(), "spans": _spans(), "limits": settings.SAFETY_DRIFT_LIMITS}
    return show(request, template, {**more, **context})

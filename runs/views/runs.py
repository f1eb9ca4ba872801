"""The list of runs, and what each holds in numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_POST

from classifiers.errors import InputError
from classifiers.text import segments
from moderation.policies import chosen
from runs import comparison, plots, services, tasks
from runs.figures import Figures
from runs.models import Result, Run
from runs.views import pages

RUNS = 25
LOGGED = 12
DIFFERING = 50


@require_GET
@pages.may_view_runs
def run_list(request: HttpRequest) -> HttpResponse:
    asked = pages.asked_for(request.GET, "name", "status", "policy", "before")
    runs = Run.objects.with_progress().defer("configuration", "versions", "counts")
    if status := asked.get("status"):
        if status not in Run.Status.values:
            raise InputError(f"A run is never {status[:60]!r}. It is one of: {', '.join(Run.Status.values)}.")
        runs = runs.filter(status=status)
    if name := asked.get("name"):
        runs = runs.filter(name__icontains=name)
    if policy := asked.get("policy"):
        runs = runs.filter(policy_version=chosen(policy))
    found, beside = pages.newest_first(request, runs, before=pages.number(asked, "before"), size=RUNS)
    context = {
        "title": "Runs",
        "runs": found,
        "active": any(run.status in services.ACTIVE for run in found),
        "asked": asked,
        "statuses": Run.Status,
        **beside,
    }
    return pages.shown(request, "runs", context)


@require_GET
@pages.may_view_runs
def run_page(request: HttpRequest, pk: int) -> HttpResponse:
    run = pages.find_run(pk, Run.objects.select_related("policy_version__policy"))
    results = Result.objects.filter(run=run)
    figures = Figures.of(run)
    drawn = [
        plots.labels(figures.labels),
        *(plots.scores(stage, bins["SAFE"], bins["TOXIC"]) for stage, bins in figures.scores.items()),
        plots.categories(figures.categories),
        plots.agreement(results.by_people()),
    ]
    context = {
        "title": f"Run {run.pk}",
        "run": run,
        "state": figures.state(reviewed=results.reviewed().count(), disputed=results.disputed().count()),
        "active": run.status in services.ACTIVE,
        "plots": [_with_links(plot, run) for plot in drawn if plot],
        "logs": list(run.logs.order_by("-pk")[:LOGGED])[::-1],
        "comparable": Run.objects.comparable(run)[:RUNS],
        "configuration": pages.indented(run.configuration),
        "versions": pages.indented(run.versions),
    }
    return pages.shown(request, "run", context)


@require_GET
@pages.may_view_runs
def run_state(request: HttpRequest, pk: int) -> HttpResponse:
    """The counters of a run that is at work, polled; when the work ends, the page is loaded anew."""
    run = pages.find_run(pk, Run.objects.with_progress())
    active = run.status in services.ACTIVE
    response = render(request, "admin/runs/_state.html", {"run": run, "state": run, "active": active})
    if not active:
        response.headers["HX-Refresh"] = "true"
    return response


@require_POST
@pages.may_change_runs
def run_cancel(request: HttpRequest, pk: int) -> HttpResponse:
    services.cancel_run(pages.find_run(pk), actor=pages.actor(request))
    messages.success(request, f"Run {pk} is cancelled; it can be resumed.")
    return HttpResponseRedirect(reverse("admin:runs_run_change", args=[pk]))


@require_POST
@pages.may_change_runs
def run_resume(request: HttpRequest, pk: int) -> HttpResponse:
    run = services.resume_run(pages.find_run(pk), actor=pages.actor(request))
    tasks.enqueue_run(run)
    messages.success(request, f"Run {pk} waits for the workers.")
    return HttpResponseRedirect(reverse("admin:runs_run_change", args=[pk]))


@require_GET
@pages.may_view_results
@pages.may_view_runs
def run_compare(request: HttpRequest, pk: int) -> HttpResponse:
    """Where two runs over the same prompts judged differently."""
    asked = pages.asked_for(request.GET, "with")
    run, other = pages.find_run(pk), pages.find_run(pages.number(asked, "with") or 0)
    differing = comparison.differing(run, other).listed().order_by("position")
    context = {
        "title": f"Runs {run.pk} and {other.pk} compared",
        "run": run,
        "other": other,
        "compared": comparison.compare(run, other),
        "rows": pages.rows(request, differing[:DIFFERING]),
    }
    return pages.shown(request, "compare", context)


def _with_links(plot: plots.Plot, run: Run) -> dict[str, Any]:
    """A plot whose rows lead to the results behind them; in its drawing no element can mark what is not seen."""
    results = reverse("admin:runs_result_changelist")
    rows = [
        (row.cells, f"{results}?{urlencode({'run': run.pk, **row.filters})}" if row.filters else "")
        for row in plot.rows
    ]
    drawn = replace(
        plot,
        says=_plain(plot.says),
        bars=[replace(bar, says=_plain(bar.says)) for bar in plot.bars],
        texts=[replace(text, text=_plain(text.text)) for text in plot.texts],
    )
    return {"plot": drawn, "rows": rows}


def _plain(text: str) -> str:
    return "".join(f"⟨{part.code}⟩" if part.hidden else part.text for part in segments(text))

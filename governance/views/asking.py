"""The page on which evaluations are asked for, and how far they have come."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance import jobs, tasks, turns
from governance.forms import EvaluationForm
from governance.models import EvaluationJob
from governance.views.pages import SEE, asked, show
from moderation.adapters import AT
from review.export_files import find_run
from review.rights import actor, need

ASK = "have classifiers evaluated"


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    need(request.user, "governance.add_evaluation", ASK)
    if request.method != "POST":
        return show(request, "new.html", {"title": "New evaluation", "form": EvaluationForm()})
    form = EvaluationForm(request.POST, request.FILES)
    if job := asked(form, lambda: _ask(form, by=actor(request.user)), enqueue=tasks.enqueue_job):
        messages.success(request, f"{job.total} texts wait to be judged by the workers.")
        return redirect("admin:governance_evaluationjob_change", job.pk)
    return show(request, "new.html", {"title": "New evaluation", "form": form}, status=400)


def _ask(form: EvaluationForm, *, by: str) -> EvaluationJob:
    given = form.cleaned_data
    run, wish = find_run(given["run"]) if given["run"] else None, form.wish
    return jobs.ask(form.read(), wish, aliases=given["classifiers"], run=run, policy=given["policy"], actor=by)


@require_GET
def job_page(request: HttpRequest, pk: int) -> HttpResponse:
    need(request.user, "governance.view_evaluation", SEE)
    return show(request, "job.html", {"title": f"Evaluation job {pk}", **_about(pk)})


@require_GET
def job_state(request: HttpRequest, pk: int) -> HttpResponse:
    """What changes by itself, polled while it is under way."""
    need(request.user, "governance.view_evaluation", SEE)
    return render(request, "admin/governance/_job_state.html", _about(pk))


@require_POST
def job_cancel(request: HttpRequest, pk: int) -> HttpResponse:
    need(request.user, "governance.add_evaluation", ASK)
    turns.cancel(jobs.find_job(pk), actor=actor(request.user))
    messages.success(request, "Stopped; what was made until then stays.")
    return redirect("admin:governance_evaluationjob_change", pk)


def _about(pk: int) -> dict[str, Any]:
    job = jobs.find_job(pk)
    made = list(job.evaluations.defer("bins", "categories", "columns").order_by("pk"))
    compare = "&".join(f"with={each.pk}" for each in made[1:6])
    return {
        "job": job,
        "made": made,
        "compare": compare,
        "rivals": f"old={made[0].pk}&new={made[1].pk}" if _of_an_adapter(job) and len(made) == 2 else "",
        "under_way": job.state in turns.UNDER_WAY,
        "stalled": turns.is_stalled(job),
    }


def _of_an_adapter(job: EvaluationJob) -> bool:
    """Whether it compares what an alias loads with an adapter for it."""
    return len(job.aliases) == 2 and job.aliases[1].startswith(f"{job.aliases[0]}{AT}")

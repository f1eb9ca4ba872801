"""The page on which an adapter is asked for, and how far its training has come."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.timesince import timesince
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance import plots, tasks, training_jobs, turns
from governance.forms import TrainingForm
from governance.models import TrainingJob
from governance.views.adapters import SEE
from governance.views.pages import asked, show
from moderation.adapters import usual_start
from review.rights import actor, need

TRAIN = "train adapters"


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    need(request.user, "moderation.train_adapter", TRAIN)
    if request.method != "POST":
        usual = next(map(usual_start, training_jobs.trainable()), "")
        initial = {"start": request.GET.get("start", usual), "learn_from": "reviews"}
        return show(request, "train.html", {"title": "Train an adapter", "form": TrainingForm(initial=initial)})
    form = TrainingForm(request.POST, request.FILES)
    if job := asked(form, lambda: _ask(form, by=actor(request.user)), enqueue=tasks.enqueue_training):
        messages.success(request, f"{job.name} waits to be trained by the workers.")
        return redirect("admin:governance_trainingjob_change", job.pk)
    return show(request, "train.html", {"title": "Train an adapter", "form": form}, status=400)


def _ask(form: TrainingForm, *, by: str) -> TrainingJob:
    data = form.read() if form.cleaned_data["learn_from"] == "file" else None
    return training_jobs.ask(data, **form.wanted, actor=by)


@require_GET
def job_page(request: HttpRequest, pk: int) -> HttpResponse:
    need(request.user, "moderation.view_adapter", SEE)
    context = _about(pk)
    return show(request, "training.html", {"title": f"Training of {context['job'].name}", **context})


@require_GET
def job_state(request: HttpRequest, pk: int) -> HttpResponse:
    """What changes by itself, polled while it is under way."""
    need(request.user, "moderation.view_adapter", SEE)
    return render(request, "admin/governance/_training_state.html", _about(pk))


@require_POST
def job_cancel(request: HttpRequest, pk: int) -> HttpResponse:
    need(request.user, "moderation.train_adapter", TRAIN)
    training_jobs.cancel(training_jobs.find_job(pk), actor=actor(request.user))
    messages.success(request, "Stopped; nothing stays of it.")
    return redirect("admin:governance_trainingjob_change", pk)


def _about(pk: int) -> dict[str, Any]:
    job = training_jobs.find_job(pk)
    under_way = job.state in turns.UNDER_WAY
    return {
        "job": job,
        "under_way": under_way,
        "stalled": turns.is_stalled(job),
        "left": _words(training_jobs.seconds_left(job)),
        "last": job.losses[-1] if job.losses else None,
        "drawn": plots.losses(job.losses, max(job.total, 1)),
        # All steps are made, and the held texts are judged.
        "measured": under_way and job.done >= job.total,
    }


def _words(seconds: float | None) -> str:
    if seconds is None:
        return ""
    now = timezone.now()
    return (
        "less than a minute" if seconds < 60 else f"about {timesince(now - timedelta(seconds=seconds), now, depth=1)}"
    )

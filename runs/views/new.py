"""The page on which a run is made."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from classifiers.errors import InputError
from runs import requests, tasks
from runs.forms import RunForm
from runs.models import Run
from runs.views import pages


@require_http_methods(["GET", "POST"])
@permission_required(["runs.view_run", "runs.add_run"], raise_exception=True)
def new_run(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return pages.shown(request, "new", {"title": "New run", "form": RunForm()})
    form = RunForm(request.POST)
    if run := _made(form, actor=pages.actor(request)):
        messages.success(request, f"Run {run.pk} with {run.total} prompts waits for the workers.")
        return redirect("admin:runs_run_change", run.pk)
    return pages.shown(request, "new", {"title": "New run", "form": form}, status=400)


def _made(form: RunForm, *, actor: str) -> Run | None:
    """None when something is wrong, which the form then says."""
    if not form.is_valid():
        return None
    try:
        run = requests.create_run(**form.wanted, actor=actor)
    except InputError as error:
        form.add_error(None, error.message)
        return None
    tasks.enqueue_run(run)
    return run

"""The page on which a run is labelled anew: a version is chosen, what would change is shown, and then it is done."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from classifiers.errors import InputError
from moderation.models import PolicyVersion
from moderation.policies import NO_POLICY, chosen
from runs.models import Result, Run
from runs.relabelling import ENDED, MAX_NOTE, Preview, preview, relabel
from runs.views import pages

VERSIONS = 200


class WhyForm(forms.Form):
    policy = forms.CharField(widget=forms.HiddenInput)
    note = forms.CharField(max_length=MAX_NOTE, widget=forms.Textarea({"rows": 2}), label="Why")


@require_http_methods(["GET", "POST"])
@permission_required(["runs.view_run", "moderation.view_policy", "moderation.set_policy"], raise_exception=True)
def relabel_page(request: HttpRequest, pk: int) -> HttpResponse:
    run = pages.find_run(pk)
    if request.method == "POST":
        return _relabel(request, run)
    wanted = pages.asked_for(request.GET, "policy").get("policy")
    if wanted is None:
        return _show(request, run)
    return _show(request, run, told=preview(run, chosen(wanted)), form=WhyForm(initial={"policy": wanted}))


def _relabel(request: HttpRequest, run: Run) -> HttpResponse:
    form = WhyForm(request.POST)
    version = chosen(form.data.get("policy", ""))
    if not form.is_valid():
        return _show(request, run, status=400, told=preview(run, version), form=form)
    try:
        told = relabel(run, version, note=form.cleaned_data["note"], actor=pages.actor(request))
    except InputError as error:
        form.add_error("note", error.message)
        return _show(request, run, status=400, told=preview(run, version), form=form)
    under = version or "no policy"
    messages.success(
        request, f"Labelled anew under {under}: {told.changed} of {told.total} results have another label."
    )
    return redirect("admin:runs_run_change", run.pk)


def _show(request: HttpRequest, run: Run, *, status: int = 200, **more: Any) -> HttpResponse:
    told: Preview | None = more.get("told")
    context = {
        "title": f"Label run {run.pk} anew",
        "run": run,
        "ended": run.status in ENDED,
        "versions": _choices(run),
        "no_policy": NO_POLICY if run.policy_version_id else "",
        "labels": told.as_json["labels"] if told else [],
        "examples": Result.objects.filter(run=run, position__in=told.examples).order_by("position") if told else [],
        **more,
    }
    return pages.shown(request, "relabel", context, status=status)


def _choices(run: Run) -> Any:
    """All but the one that it stands under; of each policy the newest first."""
    others = PolicyVersion.objects.select_related("policy").exclude(pk=run.policy_version_id or 0)
    return others.order_by("policy__name", "-number")[:VERSIONS]

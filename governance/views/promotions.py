"""What each classifier loads and who put it there; an adapter beside what it would take the place of; both acts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from classifiers.errors import InputError
from governance import promotion, tasks
from governance.forms import ComparisonForm
from governance.models import Evaluation, EvaluationJob
from governance.services import find_evaluation
from governance.views.adapters import SEE
from governance.views.pages import asked, show
from governance.words import BESIDE, GATES
from moderation.models import Promotion
from review.rights import actor, need
from review.views.pages import number, text
from runs.views.pages import newest_first

PROMOTE = "promote adapters"
SIZE = 50


@require_GET
def promotions(request: HttpRequest) -> HttpResponse:
    """What each classifier loads now, and all that was promoted and rolled back, the newest first."""
    need(request.user, "moderation.view_adapter", SEE)
    found = Promotion.objects.select_related("adapter").defer("adapter__card")
    rows, beside = newest_first(request, found, before=number(request, "before"), size=SIZE)
    context = {
        "title": "Promotions",
        "standing": [(alias, promotion.standing(alias)) for alias in promotion.promotable()],
        "rows": rows,
        **beside,
    }
    return show(request, "promotions.html", context)


@require_GET
def promotion_page(request: HttpRequest, pk: int) -> HttpResponse:
    """One with the evidence that it was made on."""
    need(request.user, "moderation.view_adapter", SEE)
    found = promotion.find_promotion(pk)
    holding = promotion.standing(found.alias)
    context = {
        "title": f"Promotion {pk}",
        "promotion": found,
        "undone": found.evidence.get(promotion.UNDOES),
        "holds": bool(holding) and holding[-1] == found,
        **_told(found.evidence),
    }
    return show(request, "promotion.html", context)


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Has an adapter and what an alias loads judge the same texts."""
    need(request.user, "moderation.promote_adapter", PROMOTE)
    given = request.POST if request.method == "POST" else None
    form = ComparisonForm(given, request.FILES or None, initial={"adapter": request.GET.get("adapter", "")})
    if job := asked(form, lambda: _ask(form, by=actor(request.user)), enqueue=tasks.enqueue_job):
        messages.success(request, f"{job.total} texts wait to be judged by the workers.")
        return redirect("admin:governance_evaluationjob_change", job.pk)
    context = {"title": "Compare an adapter", "form": form}
    return show(request, "promotion_new.html", context, status=400 if form.errors else 200)


def _ask(form: ComparisonForm, *, by: str) -> EvaluationJob:
    given = form.cleaned_data
    data = form.read() if given["file"] else None
    return promotion.ask(given["adapter"], alias=given["alias"], data=data, actor=by)


@require_GET
def comparison(request: HttpRequest) -> HttpResponse:
    """Both side by side, and what the gates say of it."""
    need(request.user, "moderation.view_adapter", SEE)
    case = promotion.case(*_pair(request))
    held = promotion.standing(case.alias)
    context = {
        "title": f"{case.adapter.name} for {case.alias}",
        "case": case,
        "held": held[-1] if held else None,
        **_told(case.evidence),
    }
    return show(request, "comparison.html", context)


@require_POST
def promote(request: HttpRequest) -> HttpResponse:
    need(request.user, "moderation.promote_adapter", PROMOTE)
    made = promotion.promote(*_pair(request), note=text(request, "note"), actor=actor(request.user))
    messages.success(
        request, f"{made.alias} loads {made.adapter} from now on; runs that are under way keep what they began with."
    )
    return redirect("admin:moderation_promotion_changelist")


@require_POST
def roll_back(request: HttpRequest, pk: int) -> HttpResponse:
    need(request.user, "moderation.promote_adapter", PROMOTE)
    found = promotion.find_promotion(pk)
    made = promotion.roll_back(found, note=text(request, "note"), actor=actor(request.user))
    messages.success(request, f"{made.alias} loads {made.adapter or 'no promoted adapter'} again.")
    return redirect("admin:moderation_promotion_changelist")


def _pair(request: HttpRequest) -> tuple[Evaluation, Evaluation]:
    """The evaluations that are named as old and new. InputError when they are not."""
    numbers = [number(request, name) for name in ("old", "new")]
    if None in numbers:
        raise InputError(
            "Name two evaluations: old, of what the classifier loads now, and new, of it with the adapter."
        )
    old, new = (find_evaluation(each) for each in numbers if each is not None)
    return old, new


def _told(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """What ``_gates.html`` and ``_rivals.html`` show; a rollback has no evidence but what it undid."""
    rivals = evidence.get("rivals")
    return {
        "gates": [(GATES[gate["name"]], gate) for gate in evidence.get("gates", ())],
        "rivals": rivals,
        "figures": [(title, rivals["figures"][name]) for name, title in BESIDE.items()] if rivals else [],
    }

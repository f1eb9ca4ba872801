"""One label on all results of a filter: looked at first, followed while it is at work, stopped, taken back."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import urlencode
from django.views.decorators.http import require_POST

from classifiers.errors import ConflictError, InputError
from classifiers.types import Stage
from review import bulk, queues, saved, tasks
from review.forms import BulkForm, filters_only
from review.models import BulkAction
from review.rights import need
from review.views.pages import Page, number, page, show, text
from runs import filters
from runs.views.pages import newest_first, rows

LABEL = "label in bulk"
SIZE = 50
SAMPLE = 8


def actions(request: HttpRequest) -> HttpResponse:
    """What was labelled in bulk, by whom and why."""
    need(request.user, "review.oversee", "see bulk actions")
    made = BulkAction.objects.select_related("reviewer")
    found, beside = newest_first(request, made, before=number(request, "before"), size=SIZE)
    context = {
        "title": "Labelled in bulk",
        "actions": [(action, saved.in_words(action.filters)) for action in found],
        **beside,
    }
    return show(request, "lead/bulk_actions.html", context)


def add(request: HttpRequest) -> HttpResponse:
    """How many results it would be, some of them, and the form."""
    need(request.user, "review.lead", LABEL)
    if request.method == "POST":
        return _start(request)
    form = BulkForm(initial={"stage": _stage(request)})
    return _show_add(request, form, key=uuid.uuid4().hex)


def preview(request: HttpRequest) -> HttpResponse:
    """The count and the sample anew, when another stage was chosen."""
    need(request.user, "review.lead", LABEL)
    return render(request, "admin/review/lead/_bulk_preview.html", _preview(request))


def _show_add(request: HttpRequest, form: BulkForm, *, key: str, status: int = 200, error: str = "") -> HttpResponse:
    given = _filters(request)
    context = {"title": "Label all of these", "form": form, "key": key, "query": urlencode(given), "error": error}
    return show(request, "lead/bulk_add.html", {**context, **_preview(request)}, status=status)


def _preview(request: HttpRequest) -> dict[str, Any]:
    given, stage = _filters(request), _stage(request)
    found = bulk.targets(given, stage, by=request.user)
    return {
        "words": filters.in_words(given),
        "stage": stage,
        "reach": bulk.reach(given, stage, by=request.user),
        "at_once": bulk.AT_ONCE,
        "rows": rows(request, queues.some(found, SAMPLE)),
    }


def _filters(request: HttpRequest) -> dict[str, str]:
    return filters_only(request.GET, "on")


def _stage(request: HttpRequest) -> Stage:
    """Which of the two texts is labelled; the filters have a stage of their own, hence the other name."""
    given = request.POST.get("stage") or request.GET.get("on") or Stage.INPUT
    if given not in list(Stage):
        raise InputError(f"There is no stage {given[:60]!r}. There are: {', '.join(Stage)}.")
    return Stage(given)


def _start(request: HttpRequest) -> HttpResponse:
    form, key = BulkForm(request.POST), text(request, "key")
    if not form.is_valid():
        return _show_add(request, form, key=key, status=400)
    seen = bulk.Reach(number(request, "count") or 0, number(request, "until") or 0, kept=0)
    choice = bulk.Choice(_filters(request), _stage(request), form.cleaned_data["label"], form.cleaned_data["reason"])
    try:
        action = bulk.start(choice, seen, key=key, by=request.user)
    except ConflictError as error:
        return _show_add(request, form, key=uuid.uuid4().hex, status=error.status, error=error.message)
    tasks.go_on(action)
    return redirect("admin:review_bulkaction_change", action.pk)


def action_page(request: HttpRequest, pk: int) -> HttpResponse:
    """How far it has come, and what can be done about it."""
    need(request.user, "review.oversee", "see bulk actions")
    return show(request, "lead/bulk_action.html", _about(request, bulk.find_action(pk)))


def state(request: HttpRequest, pk: int) -> HttpResponse:
    """What changes by itself, polled while it is under way."""
    need(request.user, "review.oversee", "see bulk actions")
    return render(request, "admin/review/lead/_bulk_state.html", _about(request, bulk.find_action(pk)))


def _about(request: HttpRequest, action: BulkAction) -> dict[str, Any]:
    return {
        "title": f"{action.label} on {action.total} results",
        "action": action,
        "words": saved.in_words(action.filters),
        "under_way": action.state in bulk.UNDER_WAY,
        "stalled": bulk.is_stalled(action),
        "undo_until": bulk.undo_until(action) if action.reviewer_id == request.user.pk else None,
    }


@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    bulk.cancel(bulk.find_action(pk), by=request.user)
    messages.success(request, "Stopped. What was labelled until then stays; it can be taken back.")
    return redirect("admin:review_bulkaction_change", pk)


@require_POST
def undo(request: HttpRequest, pk: int) -> HttpResponse:
    tasks.go_on(bulk.undo(bulk.find_action(pk), by=request.user))
    return redirect("admin:review_bulkaction_change", pk)


@require_POST
def go_on(request: HttpRequest, pk: int) -> HttpResponse:
    """Takes up what a killed process left."""
    need(request.user, "review.lead", LABEL)
    tasks.go_on(bulk.find_action(pk))
    return redirect("admin:review_bulkaction_change", pk)


bulk_pages: tuple[Page, ...] = (
    page("", actions, "review_bulkaction_changelist"),
    page("add/", add, "review_bulkaction_add"),
    page("add/preview/", preview, "review_bulkaction_preview"),
    page("<int:pk>/", action_page, "review_bulkaction_change"),
    page("<int:pk>/state/", state, "review_bulkaction_state"),
    page("<int:pk>/cancel/", cancel, "review_bulkaction_cancel"),
    page("<int:pk>/undo/", undo, "review_bulkaction_undo"),
    page("<int:pk>/go-on/", go_on, "review_bulkaction_go_on"),
)

"""Filters under a name, beside the list of results."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_POST

from classifiers.errors import ConflictError, InputError
from review import saved
from review.forms import ViewForm, filters_in
from review.models import SavedView
from review.rights import need
from review.views.pages import Page, number, page, show, show_conflict

SEE = "see views of results"


def beside(request: HttpRequest, given: dict[str, str]) -> dict[str, Any]:
    """The views as links, and whether this filter is one of them."""
    views = [(view, _address(view.filters), view.filters == given) for view in saved.views_of(request.user)]
    return {"views": views, "is_saved": any(current for _, _, current in views)}


def _address(given: dict[str, str]) -> str:
    return f"{reverse('admin:runs_result_changelist')}?{urlencode(given)}"


def views(request: HttpRequest) -> HttpResponse:
    """Own views and shared ones."""
    need(request.user, "runs.view_result", SEE)
    found = [(view, _address(view.filters), saved.in_words(view.filters)) for view in saved.views_of(request.user)]
    return show(request, "lead/views.html", {"title": "Saved views", "views": found})


@require_POST
def add(request: HttpRequest) -> HttpResponse:
    """Saves the filter of the results' list."""
    need(request.user, "runs.view_result", SEE)
    given, form = filters_in(request.POST), ViewForm(request.POST, prefix="view")
    if not form.is_valid():
        raise InputError("A view needs a name of 1 to 100 characters of plain text.")
    view = saved.save_view(owner=request.user, chosen=given, **form.cleaned_data)
    messages.success(request, f"Saved as {view.name}.")
    return redirect(_address(given))


def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Another name for an own view, or other readers."""
    need(request.user, "runs.view_result", SEE)
    view = saved.find_view(pk, person=request.user)
    if request.method != "POST":
        form = ViewForm(initial={"name": view.name, "shared": view.shared})
        return _show_edit(request, view, form)
    form = ViewForm(request.POST)
    if not form.is_valid():
        return _show_edit(request, view, form, status=400)
    try:
        saved.update_view(view, version=number(request, "version") or 0, by=request.user, **form.cleaned_data)
    except ConflictError as error:
        if error.code != "stale":
            form.add_error("name", error.message)
            return _show_edit(request, view, form, status=error.status)
        return _conflict(request, view, error, form.cleaned_data)
    messages.success(request, "Stored.")
    return redirect("admin:review_savedview_changelist")


def _show_edit(request: HttpRequest, view: SavedView, form: ViewForm, *, status: int = 200) -> HttpResponse:
    context = {"title": view.name, "view": view, "words": saved.in_words(view.filters), "form": form}
    return show(request, "lead/view.html", context, status=status)


@require_POST
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    need(request.user, "runs.view_result", SEE)
    view = saved.find_view(pk, person=request.user)
    try:
        saved.delete_view(view, version=number(request, "version") or 0, by=request.user)
    except ConflictError as error:
        return _conflict(request, view, error, {"name": "to be deleted", "shared": view.shared})
    messages.success(request, f"{view.name} is deleted; its results are as they were.")
    return redirect("admin:review_savedview_changelist")


def _conflict(request: HttpRequest, view: SavedView, error: ConflictError, sent: dict[str, Any]) -> HttpResponse:
    stored = saved.find_view(view.pk, person=request.user)
    beside = [(name.capitalize(), getattr(stored, name), sent[name]) for name in ("name", "shared")]
    return show_conflict(request, error, rows=beside, again=reverse("admin:review_savedview_change", args=[view.pk]))


view_pages: tuple[Page, ...] = (
    page("", views, "review_savedview_changelist"),
    page("add/", add, "review_savedview_add"),
    page("<int:pk>/", edit, "review_savedview_change"),
    page("<int:pk>/delete/", delete, "review_savedview_delete"),
)

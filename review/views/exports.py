"""Results of a run taken out: at once, or as a file that is written in the background."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from classifiers.errors import InputError
from review import export_files, saved, tasks
from review.downloads import send_export
from review.exports import export_results
from review.rights import need
from review.views.pages import Page, number, page, show, text
from runs.exports import FORMS, TYPES
from runs.models import Export
from runs.views.pages import newest_first

SIZE = 50


@require_GET
def export_run(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Results of a run as a file, a piece at a time."""
    need(request.user, "review.export", export_files.TAKE_OUT)
    chosen = request.GET.dict()
    form, pseudonyms = chosen.pop("as", ""), _pseudonyms(chosen.pop("pseudonyms", "0"))
    run = export_files.find_run(pk)
    pieces = export_results(run, form=form, by=request.user, filters=chosen, pseudonyms=pseudonyms)
    headers = {"Content-Disposition": f'attachment; filename="results-of-run-{pk}.{form}"'}
    return StreamingHttpResponse(pieces, content_type=TYPES[form], headers=headers)


def _pseudonyms(given: str) -> bool:
    if given not in ("0", "1"):
        raise InputError("Say pseudonyms=1 to leave the names out, or leave it away.")
    return given == "1"


@require_GET
def exports(request: HttpRequest) -> HttpResponse:
    """The newest, and the form for another one when a run is named."""
    need(request.user, "review.export", export_files.TAKE_OUT)
    named = number(request, "run")
    run = export_files.find_run(named) if named else None
    found, beside = newest_first(request, export_files.newest(run), before=number(request, "before"), size=SIZE)
    context = {
        "title": f"Exports of run {run.pk}" if run else "Exports",
        "run": run,
        "forms": list(FORMS),
        "exports": [_about(export) for export in found],
        **beside,
    }
    return show(request, "figures/exports.html", context)


@require_POST
def add(request: HttpRequest) -> HttpResponse:
    """Begins one of all results of a run."""
    need(request.user, "review.export", export_files.TAKE_OUT)
    run = export_files.find_run(number(request, "run") or 0)
    pseudonyms = _pseudonyms(text(request, "pseudonyms") or "0")
    export = export_files.start(run, form=text(request, "as"), filters={}, pseudonyms=pseudonyms, by=request.user)
    tasks.enqueue_export(export)
    return redirect("admin:review_export_change", export.pk)


@require_GET
def export_page(request: HttpRequest, pk: int) -> HttpResponse:
    need(request.user, "review.export", export_files.TAKE_OUT)
    about = _about(export_files.find_export(pk))
    return show(request, "figures/export.html", {"title": f"Export {pk}", **about})


@require_GET
def state(request: HttpRequest, pk: int) -> HttpResponse:
    """What changes by itself, polled while it is under way."""
    need(request.user, "review.export", export_files.TAKE_OUT)
    return render(request, "admin/review/figures/_export_state.html", _about(export_files.find_export(pk)))


def _about(export: Export) -> dict[str, Any]:
    return {
        "export": export,
        "words": saved.in_words(export.filters),
        "under_way": export.state in export_files.UNDER_WAY,
        "stalled": export_files.is_stalled(export),
    }


@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    export_files.cancel(export_files.find_export(pk), by=request.user)
    messages.success(request, "Stopped; there is no file.")
    return redirect(reverse("admin:review_export_change", args=[pk]))


@require_GET
def download(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The file or, with Range, a part of it."""
    return send_export(request, export_files.find_export(pk), by=request.user)


export_pages: tuple[Page, ...] = (
    page("export-run/<int:pk>/", export_run, "review_export_run"),
    page("exports/", exports, "review_export_changelist"),
    page("exports/add/", add, "review_export_add"),
    page("exports/<int:pk>/", export_page, "review_export_change"),
    page("exports/<int:pk>/state/", state, "review_export_state"),
    page("exports/<int:pk>/cancel/", cancel, "review_export_cancel"),
    page("exports/<int:pk>/download/", download, "review_export_download"),
)

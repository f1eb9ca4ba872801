"""The audit trail, for reading: nothing is changed through these pages, and a check of the chain is asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST
from django.views.generic import RedirectView

from audit import services, tasks
from audit.forms import PAGING, EntryForm
from audit.models import AuditEvent
from audit.querysets import BEGINNING, Page
from classifiers.errors import NotFoundError

SHOWN = 50


class ReadOnly:
    """For a page or an inline that shows a record: nothing is added, changed or deleted through it, by nobody."""

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class OwnPages(ReadOnly, admin.ModelAdmin):
    """A model whose list and page are our own; of the admin's, those that add and delete are left, which refuse."""

    routes: tuple[tuple[str, Any, str], ...] = ()

    def get_urls(self) -> list[URLPattern]:
        return [
            *self._own(),
            *(url for url in super().get_urls() if url.name and url.name.endswith(("_add", "_delete"))),
        ]

    def _own(self) -> Iterator[URLPattern]:
        model = f"{self.opts.app_label}_{self.opts.model_name}"
        for route, view, name in self.routes:
            yield path(route, self.admin_site.admin_view(view), name=f"{model}_{name}")
        yield path("<int:pk>/change/", RedirectView.as_view(pattern_name=f"admin:{model}_change"))


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnly, admin.ModelAdmin):
    def get_urls(self) -> list[URLPattern]:
        check = require_POST(self.admin_site.admin_view(self.check_view))
        return [path("check/", check, name="audit_check"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        self._need(request)
        form = EntryForm(request.GET)
        page = _page(form) if form.is_valid() else Page([])
        context = {
            **self.admin_site.each_context(request),
            "title": "Audit trail",
            "form": form,
            "page": page,
            "limit": BEGINNING,
            "chain": services.chain_state(),
            **{f"{way}_url": _turned(request, name, getattr(page, way)) for way, name in TURNS.items()},
        }
        return render(request, "admin/audit/entries.html", context, status=200 if form.is_valid() else 400)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        self._need(request)
        event = _event(object_id)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Audit entry {event.sequence}",
            "event": event,
            "details": _facts(event),
            "fault": services.fault_of(event),
            "before": event.sequence - 1,
            "after": AuditEvent.objects.filter(sequence=event.sequence + 1).values_list("sequence", flat=True).first(),
        }
        return render(request, "admin/audit/entry.html", context)

    def check_view(self, request: HttpRequest) -> HttpResponse:
        self._need(request)
        if not tasks.ask_check(actor=f"user:{request.user.get_username()}").finished_at:
            messages.info(request, "A worker checks the whole chain; what it finds is shown here.")
        return HttpResponseRedirect(reverse("admin:audit_auditevent_changelist"))

    def _need(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied


# Where a page goes on, and the parameter that says so.
TURNS = {"older": "before", "newer": "after"}


def _turned(request: HttpRequest, name: str, number: int | None) -> str:
    """The address of the same entries from another number on."""
    if number is None:
        return ""
    query = request.GET.copy()
    for way in PAGING:
        query.pop(way, None)
    query[name] = str(number)
    return f"?{query.urlencode()}"


def _page(form: EntryForm) -> Page:
    before, after = (form.cleaned_data[name] for name in PAGING)
    return services.entries(form.wanted, size=SHOWN, before=before, after=after)


def _event(number: str) -> AuditEvent:
    if not (number.isdecimal() and len(number) < 19):
        raise NotFoundError(f"There is no audit entry {number[:30]}. Numbers count from 1; look at the list.")
    return services.find_entry(int(number))


def _facts(event: AuditEvent) -> list[tuple[str, str, bool]]:
    """Names and values of the details; what is nested is indented JSON, and said to be."""
    try:
        details = event.details
    except ValueError:  # changed past this site; the page says so
        details = {"details": event.data}
    if not isinstance(details, dict):
        details = {} if details is None else {"details": details}
    return [(str(name), *_shown(value)) for name, value in details.items()]


def _shown(value: Any) -> tuple[str, bool]:
    if isinstance(value, str | int | float):
        return str(value), False
    return json.dumps(value, indent=2, ensure_ascii=False), True

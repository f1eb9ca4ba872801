"""What the review pages share: how a view becomes a page of the admin site, and how an error becomes one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

from django.contrib import admin
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import URLPattern, path

from classifiers.errors import ConflictError, InputError, SafetyError
from classifiers.text import unstorable

View = Callable[..., HttpResponse]
Page = Callable[[AdminSite], URLPattern]


def page(route: str, view: View, name: str) -> Page:
    """A page for people who are logged in, named ``admin:name``; the view itself checks what they may."""

    def hung(site: AdminSite) -> URLPattern:
        return path(route, site.admin_view(with_errors(view)), name=name)

    return hung


def show(request: HttpRequest, template: str, context: Mapping[str, Any], *, status: int = 200) -> HttpResponse:
    """A whole page from a template under admin/review/; give it a title. Fragments for htmx are rendered without this."""
    return render(request, f"admin/review/{template}", {**admin.site.each_context(request), **context}, status=status)


def with_errors(view: View) -> View:
    """Renders a SafetyError with its status: as JSON or a fragment where one was asked for, else as a page."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except SafetyError as error:
            return render_error(request, error)

    return wrapped


def render_error(request: HttpRequest, error: SafetyError) -> HttpResponse:
    if wants_json(request):
        return JsonResponse({"code": error.code, "detail": error.message}, status=error.status)
    if request.headers.get("HX-Request"):
        return render(request, "admin/review/_error.html", {"error": error}, status=error.status)
    return show(request, "error.html", {"error": error, "title": "That did not work"}, status=error.status)


def wants_json(request: HttpRequest) -> bool:
    return request.accepts("application/json") and not request.accepts("text/html")


def show_conflict(
    request: HttpRequest, error: ConflictError, *, rows: Sequence[tuple[str, object, object]], again: str
) -> HttpResponse:
    """What is stored now beside what was sent, each row with a name; ``again`` is the address to begin anew from."""
    if wants_json(request):
        return render_error(request, error)
    context = {"title": "It was changed meanwhile", "error": error, "rows": rows, "again": again}
    return show(request, "conflict.html", context, status=error.status)


def number(request: HttpRequest, name: str) -> int | None:
    """A field that holds a whole number, None when it is empty. Raises InputError."""
    given = request.POST.get(name, "") or request.GET.get(name, "")
    if given and not (given.isascii() and given.isdecimal() and len(given) < 19):
        raise InputError(f"{name} must be a whole number. Load the page again and repeat what you did.")
    return int(given) if given else None


def text(request: HttpRequest, name: str) -> str:
    """A field that holds text which a database can compare with. Raises InputError."""
    given = request.POST.get(name, "")
    if why := unstorable(given, name=f"The field {name}"):
        raise InputError(why)
    return given

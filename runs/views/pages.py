"""What the pages of the record share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from django.contrib import admin
from django.contrib.auth.decorators import permission_required
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils.http import urlencode

from classifiers.errors import InputError, NotFoundError
from classifiers.text import unstorable
from classifiers.types import Stage
from runs import masking
from runs.models import Result, Run
from runs.querysets import SHOWN, RunQuerySet
from runs.recording import printable

Row = TypeVar("Row", bound=Model)

may_view_runs = permission_required("runs.view_run", raise_exception=True)
may_change_runs = permission_required(["runs.view_run", "runs.change_run"], raise_exception=True)
may_view_results = permission_required("runs.view_result", raise_exception=True)


def shown(request: HttpRequest, name: str, context: Mapping[str, Any], *, status: int = 200) -> HttpResponse:
    """The page of this name, or, for htmx, the part of it that changes."""
    if is_fragment(request):
        return render(request, f"admin/runs/_{name}.html", dict(context))
    return render(request, f"admin/runs/{name}.html", {**admin.site.each_context(request), **context}, status=status)


def is_fragment(request: HttpRequest) -> bool:
    return request.headers.get("HX-Request") == "true"


def asked_for(query: QueryDict, *known: str) -> dict[str, str]:
    """What a page was asked for. InputError when it was asked for something that it does not know."""
    for name, value in query.items():
        if name not in known:
            raise InputError(f"This page knows no {name[:60]!r}. It can be asked for: {', '.join(known)}.")
        if sentence := unstorable(value, name=f"What is asked for as {name}"):
            raise InputError(sentence)
    return {name: str(value) for name, value in query.items() if value}


def number(asked: Mapping[str, str], name: str) -> int | None:
    """The number of a row; None when it is not asked for. InputError when it is no number."""
    value = asked.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdecimal() and len(value) < 19):
        raise InputError(f"{name} is the number of a row, not {value[:60]!r}. Begin with the first page.")
    return int(value)


def address(request: HttpRequest, **changes: object) -> str:
    """This page with other parameters; those that become None are left out."""
    query: dict[str, object] = {**request.GET.dict(), **changes}
    return "?" + urlencode({name: str(value) for name, value in query.items() if value not in (None, "")})


def newest_first(
    request: HttpRequest, found: QuerySet[Row], *, before: int | None, size: int
) -> tuple[list[Row], dict[str, str]]:
    """A page of a list: rows made before the one that ``before`` names, and the addresses that ``_pager.html`` wants."""
    rows = list((found.filter(pk__lt=before) if before else found).order_by("-pk")[: size + 1])
    return rows[:size], {
        "older": address(request, before=rows[size - 1].pk) if len(rows) > size else "",
        "newer": address(request, before=None) if before else "",
    }


def find_run(pk: int, runs: RunQuerySet | None = None) -> Run:
    run = (Run.objects.all() if runs is None else runs).filter(pk=pk).first()
    if run is None:
        raise NotFoundError(f"There is no run {pk}. Look for it in the list of runs.")
    return run


def actor(request: HttpRequest) -> str:
    return f"user:{request.user.get_username()}"


def indented(value: Any) -> str:
    return printable(json.dumps(value, indent=2, ensure_ascii=False))


def hidden(request: HttpRequest, result: Result, stage: Stage) -> str:
    """Why this reader is not shown the text of a stage unasked; empty when they are."""
    preference = request.session.get("mask", "harmful")
    if not masking.hidden(result, stage, preference):
        return ""
    return "every text, as you asked for" if preference == "everything" else "said to be harmful"


def rows(request: HttpRequest, results: Iterable[Any]) -> list[dict[str, Any]]:
    """Results with the beginning of their prompts, as a list shows them."""
    return [
        {"result": result, "hidden": hidden(request, result, Stage.INPUT), "beginning": beginning(result.beginning)}
        for result in results
    ]


def beginning(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"

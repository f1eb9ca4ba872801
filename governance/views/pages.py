"""What the pages of governance share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib import admin
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from classifiers.errors import ConflictError, InputError, NotFoundError
from governance.turns import Job

SEE = "see evaluations"


def show(request: HttpRequest, template: str, context: Mapping[str, Any], *, status: int = 200) -> HttpResponse:
    """A whole page from a template under admin/governance/; give it a title."""
    context = {**admin.site.each_context(request), **context}
    return render(request, f"admin/governance/{template}", context, status=status)


def asked(form: Form, ask: Callable[[], Job], *, enqueue: Callable[[Job], None]) -> Job | None:
    """The job that a form asks for, handed to the workers; None when something is wrong, which the form then says."""
    if not form.is_valid():
        return None
    try:
        job = ask()
    except (InputError, ConflictError, NotFoundError) as error:
        form.add_error(None, error.message)
        return None
    enqueue(job)
    return job

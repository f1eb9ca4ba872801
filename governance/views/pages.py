"""What the pages of governance share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

SEE = "see evaluations"


def show(request: HttpRequest, template: str, context: Mapping[str, Any], *, status: int = 200) -> HttpResponse:
    """A whole page from a template under admin/governance/; give it a title."""
    context = {**admin.site.each_context(request), **context}
    return render(request, f"admin/governance/{template}", context, status=status)

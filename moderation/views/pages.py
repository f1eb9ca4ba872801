"""What the pages of policies share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

may_view = permission_required("moderation.view_policy", raise_exception=True)
may_set = permission_required(["moderation.view_policy", "moderation.set_policy"], raise_exception=True)


def show(request: HttpRequest, template: str, context: Mapping[str, Any], *, status: int = 200) -> HttpResponse:
    """A whole page from a template under admin/moderation/; give it a title."""
    context = {**admin.site.each_context(request), **context}
    return render(request, f"admin/moderation/{template}", context, status=status)


def actor(request: HttpRequest) -> str:
    return f"user:{request.user.get_username()}"

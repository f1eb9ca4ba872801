from __future__ import annotations

from django.contrib import admin

from audit.admin import ReadOnly
from moderation.models import ClassifierVersion


@admin.register(ClassifierVersion)
class ClassifierVersionAdmin(ReadOnly, admin.ModelAdmin):
    """Which models have judged; a row is written when a new version first does."""

    list_display = ["alias", "model", "revision", "adapter_digest", "dtype", "created_at"]
    list_filter = ["alias"]
    ordering = ["-pk"]

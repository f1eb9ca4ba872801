from __future__ import annotations

from django.contrib import admin

from audit.admin import OwnPages, ReadOnly
from moderation.models import ClassifierVersion, Policy
from moderation.views import making, policies


@admin.register(ClassifierVersion)
class ClassifierVersionAdmin(ReadOnly, admin.ModelAdmin):
    """Which models have judged; a row is written when a new version first does."""

    list_display = ["alias", "model", "revision", "adapter_digest", "dtype", "created_at"]
    list_filter = ["alias"]
    ordering = ["-pk"]


@admin.register(Policy)
class PolicyAdmin(OwnPages):
    routes = (
        ("", policies.policy_list, "changelist"),
        ("new/", making.new_policy, "new"),
        ("taxonomies/", policies.taxonomies, "taxonomies"),
        ("<int:pk>/", policies.policy_page, "change"),
        ("<int:pk>/new/", making.new_version, "new_version"),
        ("<int:pk>/default/", policies.make_default, "default"),
        ("<int:pk>/difference/", policies.difference, "difference"),
        ("<int:pk>/<int:number>/", policies.version_page, "version"),
    )

from __future__ import annotations

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

from audit.models import AuditEvent


class ChainPaginator(Paginator):
    """Sequence numbers have no gaps, so the newest one is the number of all entries: no need to count a million rows."""

    @cached_property
    def count(self) -> int:
        if self.object_list.query.where:
            return super().count
        return AuditEvent.objects.order_by("-sequence").values_list("sequence", flat=True).first() or 0


@admin.register(AuditEvent)
class AuditEventAdmin(admin.ModelAdmin):
    """For reading only: the chain is written by services and changed by nobody."""

    list_display = ["sequence", "time", "actor", "action", "target"]
    list_filter = ["action"]
    search_fields = ["actor__exact", "target_id__exact"]
    search_help_text = "The whole actor (user:alice) or the id of a target"
    ordering = ["-sequence"]
    sortable_by = ()
    paginator = ChainPaginator
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEvent]:
        return super().get_queryset(request).defer("data")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: AuditEvent | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: AuditEvent | None = None) -> bool:
        return False

from __future__ import annotations

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

from audit.models import AuditEvent


class ReadOnly:
    """For a page or an inline that shows a record: nothing is added, changed or deleted through it, by nobody."""

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class ChainPaginator(Paginator):
    """Sequence numbers have no gaps, so the newest one is the number of all entries: no need to count a million rows."""

    @cached_property
    def count(self) -> int:
        if self.object_list.query.where:
            return super().count
        return AuditEvent.objects.order_by("-sequence").values_list("sequence", flat=True).first() or 0


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnly, admin.ModelAdmin):
    """For reading only: the chain is written by services."""

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

"""Where the pages of the record hang in the admin site. Nothing is added, changed or deleted through it, by nobody."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django_q.models import Schedule

from audit.admin import OwnPages, ReadOnly
from audit.templatetags.display import visible
from runs.models import Result, Run, RunLog
from runs.views import new, relabelling, results, runs, trying

# Its form takes the name of any function there is, to be run by the workers; schedule_run takes runs only.
admin.site.unregister(Schedule)


@admin.register(Run)
class RunAdmin(OwnPages):
    routes = (
        ("", runs.run_list, "changelist"),
        ("try/", trying.try_text, "try"),
        ("new/", new.new_run, "new"),
        ("<int:pk>/", runs.run_page, "change"),
        ("<int:pk>/state/", runs.run_state, "state"),
        ("<int:pk>/cancel/", runs.run_cancel, "cancel"),
        ("<int:pk>/resume/", runs.run_resume, "resume"),
        ("<int:pk>/compare/", runs.run_compare, "compare"),
        ("<int:pk>/relabel/", relabelling.relabel_page, "relabel"),
    )


@admin.register(Result)
class ResultAdmin(OwnPages):
    routes = (
        ("", results.result_list, "changelist"),
        ("<int:pk>/", results.result_page, "change"),
        ("<int:pk>/reveal/<str:stage>/", results.result_reveal, "reveal"),
        ("<int:pk>/payload/<int:verdict>/", results.result_payload, "payload"),
    )


class LevelFilter(admin.SimpleListFilter):
    """The levels there may be: looking which there are would go through the logs of all runs."""

    title = parameter_name = "level"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(level, level.capitalize()) for level in ("INFO", "WARNING", "ERROR")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(level=self.value()) if self.value() else queryset


@admin.register(RunLog)
class RunLogAdmin(ReadOnly, admin.ModelAdmin):
    """The lines of one run in their order, of all runs the newest first."""

    list_display = ["time", "run_id", "level", "said"]
    list_filter = [LevelFilter]
    sortable_by = ()
    show_full_result_count = False

    @admin.display(description="message")
    def said(self, line: RunLog) -> SafeString:
        return visible(line.message)

    def get_ordering(self, request: HttpRequest) -> Any:
        return ["id"] if "run__id__exact" in request.GET else ["-id"]

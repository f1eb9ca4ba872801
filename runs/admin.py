"""The record of the runs, for reading. A run is stopped or taken up again through an action, which calls a service."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.db.models.functions import Left
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django_q.models import Schedule

from audit.admin import ReadOnly
from classifiers.errors import SafetyError
from runs import services, tasks
from runs.models import Result, Run, RunLog, Verdict
from runs.querysets import ResultQuerySet
from runs.recording import printable

# Its form takes the name of any function there is, to be run by the workers; schedule_run takes runs only.
admin.site.unregister(Schedule)

SHOWN = 80  # characters of a prompt in a list


def pretty(value: Any) -> SafeString:
    # A provider may have sent what has no UTF-8.
    return format_html("<pre>{}</pre>", printable(json.dumps(value, indent=2, ensure_ascii=False)))


@admin.register(Run)
class RunAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ["name", "status", "progress", "flagged", "errors", "created_at", "created_by"]
    list_filter = ["status"]
    search_fields = ["name"]
    ordering = ["-pk"]
    show_full_result_count = False
    actions = ["cancel", "resume"]
    fields = [
        *("name", "status", "error", "progress", "flagged", "errors", "skipped", "more"),
        *("created_by", "created_at", "started_at", "finished_at", "queued", "prompts_digest"),
        *("pretty_configuration", "pretty_versions", "pretty_counts"),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        return Run.objects.with_progress()

    @admin.display(description="progress")
    def progress(self, run: Any) -> str:
        return f"{run.done} of {run.total}"

    @admin.display(description="toxic")
    def flagged(self, run: Any) -> int:
        return int(run.flagged)

    @admin.display(description="with errors")
    def errors(self, run: Any) -> int:
        return int(run.errors)

    @admin.display(description="results and log")
    def more(self, run: Run) -> SafeString:
        results, logs = (reverse(f"admin:runs_{name}_changelist") for name in ("result", "runlog"))
        of_run = f"?run__id__exact={run.pk}"
        links = [
            (f"{results}{of_run}", "All results"),
            (f"{results}{of_run}&found=toxic", "Toxic"),
            (f"{results}{of_run}&found=errors", "Errors"),
            (f"{logs}{of_run}", "Log"),
        ]
        return format_html_join(" · ", '<a href="{}">{}</a>', links)

    @admin.display(description="configuration")
    def pretty_configuration(self, run: Run) -> SafeString:
        return pretty(run.configuration)

    @admin.display(description="versions")
    def pretty_versions(self, run: Run) -> SafeString:
        return pretty(run.versions)

    @admin.display(description="counts")
    def pretty_counts(self, run: Run) -> SafeString:
        return pretty(run.counts)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("runs.change_run")

    @admin.action(description="Cancel the selected runs", permissions=["operate"])
    def cancel(self, request: HttpRequest, runs: QuerySet[Run]) -> None:
        self._each(request, runs, services.cancel_run, "is cancelled; it can be resumed")

    @admin.action(description="Resume the selected runs, on the workers", permissions=["operate"])
    def resume(self, request: HttpRequest, runs: QuerySet[Run]) -> None:
        self._each(request, runs, _resume, "waits for the workers")

    def _each(self, request: HttpRequest, runs: QuerySet[Run], act: Callable[..., object], done: str) -> None:
        for run in runs:
            try:
                act(run, actor=f"user:{request.user.get_username()}")
            except SafetyError as error:
                self.message_user(request, error.message, messages.ERROR)
            else:
                self.message_user(request, f"Run {run.pk} {done}.", messages.SUCCESS)


def _resume(run: Run, *, actor: str) -> None:
    services.resume_run(run, actor=actor)
    tasks.enqueue_run(run)


class FoundFilter(admin.SimpleListFilter):
    title = "what was found"
    parameter_name = "found"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("toxic", "Toxic at any stage"), ("errors", "An error at any stage")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "toxic":
            return queryset.flagged()
        return queryset.errors() if self.value() == "errors" else queryset


class OfRunAdmin(ReadOnly, admin.ModelAdmin):
    """A list whose rows belong to runs: those of one run in their order, of all runs the newest first."""

    order = ""
    sortable_by = ()
    show_full_result_count = False

    def get_ordering(self, request: HttpRequest) -> Any:
        of_one = "run__id__exact" in request.GET
        return ["run_id", self.order] if of_one else ["-run_id", f"-{self.order}"]


class VerdictInline(ReadOnly, admin.StackedInline):
    model = Verdict
    fields = [
        *("check_name", "stage", "label", "score", "flagged", "reason", "version", "recalled", "latency"),
        *("categories", "thresholds", "spans", "pretty_payload"),
    ]
    readonly_fields = ["pretty_payload"]
    ordering = ["pk"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Verdict]:
        return super().get_queryset(request).select_related("version", "payload")

    @admin.display(description="the provider's answer")
    def pretty_payload(self, verdict: Verdict) -> SafeString:
        return pretty(verdict.payload.value)  # one that has none is shown as empty by the admin


@admin.register(Result)
class ResultAdmin(OfRunAdmin):
    list_display = ["place", "beginning", "input", "output"]
    list_filter = [FoundFilter, "input_label", "output_label"]
    order = "position"
    inlines = [VerdictInline]
    fields = [
        *("run", "position", "prompt", "input_label", "input_score", "input_categories"),
        *("answer", "output_label", "output_score", "output_categories", "pretty_metadata", "created_at"),
    ]

    def get_queryset(self, request: HttpRequest) -> ResultQuerySet:
        return Result.objects.narrow().annotate(start=Left("prompt", SHOWN + 1))

    @admin.display(description="run: position")
    def place(self, result: Result) -> str:
        return f"{result.run_id}: {result.position}"

    @admin.display(description="prompt")
    def beginning(self, result: Any) -> str:
        return result.start if len(result.start) <= SHOWN else f"{result.start[:SHOWN]}…"

    @admin.display
    def input(self, result: Result) -> str:
        return _said(result.input_label, result.input_score)

    @admin.display
    def output(self, result: Result) -> str | None:
        return _said(result.output_label, result.output_score) if result.output_label else None

    @admin.display(description="metadata")
    def pretty_metadata(self, result: Result) -> SafeString:
        return pretty(result.metadata)


def _said(label: str, score: float | None) -> str:
    return label if score is None else f"{label} {score:.2f}"


@admin.register(RunLog)
class RunLogAdmin(OfRunAdmin):
    list_display = ["time", "run_id", "level", "message"]
    list_filter = ["level"]
    order = "id"

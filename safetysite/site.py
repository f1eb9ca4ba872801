"""The admin site: its pages for everybody, and what each visitor finds on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache

from audit.models import ChainCheck
from governance.views import drift
from safetysite.login import Login, PasswordChange, logout_recorded


@dataclass(frozen=True, slots=True)
class Entry:
    """A place that the header and the start page lead to, for those who have the permission; without one, for everybody."""

    title: str
    route: str
    permission: str
    says: str


ENTRIES = (
    Entry("Review", "admin:review_work", "review.work", "Judge results, one after the other."),
    Entry("Settle", "admin:review_disputed_queues", "review.adjudicate", "Decide where reviewers disagree."),
    Entry("Queues", "admin:review_queue_changelist", "review.oversee", "What is to be reviewed, and how far it is."),
    Entry("Figures", "admin:review_figures", "review.oversee", "How people agree, and what the machine missed."),
    Entry("Runs", "admin:runs_run_changelist", "runs.view_run", "What was judged, when, and how each run went."),
    Entry(
        "Results", "admin:runs_result_changelist", "runs.view_result", "Prompts, answers, and what was said of both."
    ),
    Entry(
        "Policies",
        "admin:moderation_policy_changelist",
        "moderation.view_policy",
        "What counts as harm, and from which score on.",
    ),
    Entry(
        "Evaluations",
        "admin:governance_evaluation_changelist",
        "governance.view_evaluation",
        "How good each classifier is against labelled texts.",
    ),
    Entry(
        "Adapters",
        "admin:moderation_adapter_changelist",
        "moderation.view_adapter",
        "What classifiers learnt from your reviewers, and how well.",
    ),
    Entry(
        "Drift",
        "admin:governance_driftassessment_changelist",
        "governance.view_driftassessment",
        "Whether classifiers say something else than they used to.",
    ),
    Entry("Try a text", "admin:runs_run_try", "runs.moderate", "See what the checks say of a text of yours."),
    Entry(
        "Audit",
        "admin:audit_auditevent_changelist",
        "audit.view_auditevent",
        "Who did what and when, and whether that record is whole.",
    ),
    Entry("Accounts", "admin:auth_user_changelist", "auth.view_user", "Who may log in, and what each may do."),
    Entry(
        "Webhooks",
        "admin:integrations_webhook_changelist",
        "integrations.view_webhook",
        "Who is told of what happens here.",
    ),
    Entry("Tokens", "admin:integrations_apitoken_changelist", "", "Keys with which programs act for you."),
    Entry("API", "/api/docs/", "", "What programs can ask for, and how."),
)


class SafetyAdminSite(AdminSite):
    site_title = site_header = "AI Safety Monitor"
    index_title = "What would you like to do?"
    site_url = None
    enable_nav_sidebar = False

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        return super().each_context(request) | {"entries": _entries(request)}

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        known = {
            "chain_fault": _chain_fault(request),
            "drift": drift.panel(request.user),
            "has_role": any(_may(request, entry) for entry in ENTRIES if entry.permission),
        }
        return super().index(request, {**known, **(extra_context or {})})

    @method_decorator(never_cache)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        if request.method == "GET" and self.has_permission(request):
            return HttpResponseRedirect(reverse("admin:index"))
        context = {"title": "Log in", "app_path": request.get_full_path(), "username": request.user.get_username()}
        return Login.as_view(extra_context={**self.each_context(request), **context, **(extra_context or {})})(request)

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        with logout_recorded(request):
            return super().logout(request, extra_context)

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        context = {**self.each_context(request), **(extra_context or {})}
        done = reverse("admin:password_change_done")
        return PasswordChange.as_view(success_url=done, extra_context=context)(request)


def _chain_fault(request: HttpRequest) -> ChainCheck | None:
    """The last check of the audit trail, if it failed, for those who must hear of it."""
    if not any(map(request.user.has_perm, ("audit.view_auditevent", "review.lead"))):
        return None
    check = ChainCheck.objects.last()
    return check if check and check.fault else None


def _may(request: HttpRequest, entry: Entry) -> bool:
    return request.user.has_perm(entry.permission) if entry.permission else request.user.is_authenticated


def _entries(request: HttpRequest) -> list[dict[str, Any]]:
    """The entries that the visitor has; current is the one under whose address the page stands most closely."""
    allowed = [(entry, resolve_url(entry.route)) for entry in ENTRIES if _may(request, entry)]
    current = max((url for _, url in allowed if request.path.startswith(url)), key=len, default=None)
    return [{"title": entry.title, "says": entry.says, "url": url, "current": url == current} for entry, url in allowed]

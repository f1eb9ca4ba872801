"""Figures: agreement, the machine held against people, the report of a period."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from audit.rest import Resource
from review import figures, machine, reports
from review.api.shared import LOOK, MINE, file
from review.models import Queue
from review.scopes import PeriodForm, Scope, check, reviewers
from review.serializers.figures import (
    AgainstPeopleSerializer,
    RaterAgreementSerializer,
    ReportQuestion,
    ReportSerializer,
    ScopeQuestion,
    scope_of,
)

DAYS = timedelta(days=30)


def measured(scope: Scope, queue: Queue | None) -> dict[str, Any]:
    return {"agreement": agreement_in(scope, queue), "machine": machine_in(scope, queue)}


def agreement_in(scope: Scope, queue: Queue | None) -> Any:
    context = {"names": reviewers(), "accuracies": figures.accuracies(queue)}
    return RaterAgreementSerializer(figures.agreement_of(scope), context=context).data


def machine_in(scope: Scope, queue: Queue | None) -> Any:
    whole = machine.as_a_whole(scope, queue)
    versions = machine.by_version(scope, queue, whole=whole)
    return AgainstPeopleSerializer({"whole": whole, "versions": [held for held in versions if held.version]}).data


class FiguresResource(Resource):
    """One thing at its address, of whatever the filters say."""

    queryset = Queue.objects.all()
    needs = {"list": LOOK}
    asks = {"list": ScopeQuestion}
    pagination_class = None

    def _scope(self) -> tuple[Scope, Queue | None]:
        scope = scope_of(self.asked)
        return scope, Queue.objects.filter(pk=scope.queue).first() if scope.queue else None


class AgreementResource(FiguresResource):
    @extend_schema(responses=RaterAgreementSerializer(many=False))
    def list(self, request: Request) -> Response:
        """How far people agree with one another, with 95 % intervals."""
        return Response(agreement_in(*self._scope()))


class MachineResource(FiguresResource):
    @extend_schema(responses=AgainstPeopleSerializer(many=False))
    def list(self, request: Request) -> Response:
        """The machine held against people: what it flagged rightly, and what it missed."""
        return Response(machine_in(*self._scope()))


class ReportResource(Resource):
    queryset = Queue.objects.all()
    needs = {"list": MINE}
    asks = {"list": ReportQuestion}
    pagination_class = None

    @extend_schema(responses={(200, "application/json"): ReportSerializer(many=False), (200, "text/csv"): str})
    def list(self, request: Request) -> HttpResponse | Response:
        """What happened in a period, the last thirty days unless one is named."""
        reports.may_see(request.user)
        since, until = self._period()
        made = reports.report_of(since or datetime.min.replace(tzinfo=UTC), until or timezone.now(), by=request.user)
        if form := self.asked.get("as"):
            return file(reports.take_out(made, form=form, by=request.user), f"report-{made.made_at:%Y-%m-%d}", form)
        return Response(reports.as_json(made))

    def _period(self) -> tuple[datetime | None, datetime | None]:
        """Raises InputError."""
        given = {name: str(self.asked[name]) for name in ("since", "until") if name in self.asked}
        today = timezone.now().date()
        form = PeriodForm(given or {"since": f"{today - DAYS}", "until": f"{today}"})
        check(form)
        return form.period()

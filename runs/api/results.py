"""The REST door of results and verdicts: for those who may see the record, whom blind queues exclude."""

from __future__ import annotations

from typing import Any, cast

from django.db.models import Prefetch
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from audit.rest import Cursor, Need, Resource
from classifiers.errors import NotFoundError
from classifiers.types import Stage
from runs import filters, masking, paging, services
from runs.models import Payload, Result, Verdict
from runs.querysets import ResultQuerySet
from runs.serializers.results import (
    FilterQuestion,
    NeighboursSerializer,
    PayloadSerializer,
    ResultQuestion,
    ResultRowSerializer,
    ResultSerializer,
    VerdictQuestion,
    VerdictSerializer,
)

READ = Need("read", ["runs.view_result"])
SEE = Need("read", ["runs.view_result", "runs.view_verdict"])


class Places(Cursor):
    """The pages of the console's list. A cursor is the result that a page adjoins: ``a7`` comes after it, ``b7`` before."""

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        asked = view.asked
        order = asked.get("order") or ("place" if "run" in asked else "newest")
        way, at = asked.get("cursor", "")[:1], int(asked.get("cursor", "")[1:] or 0)
        turn = {"b": "before", "a": "after"}.get(way)
        self.base_url = request.build_absolute_uri()
        beside = {turn: at} if turn else {}
        self.page = paging.page(queryset, order=order, run=asked.get("run"), size=asked["limit"], **beside)
        return self.page.rows

    def get_next_link(self) -> str | None:
        return replace_query_param(self.base_url, "cursor", f"a{self.page.after}") if self.page.after else None

    def get_previous_link(self) -> str | None:
        return replace_query_param(self.base_url, "cursor", f"b{self.page.before}") if self.page.before else None


class ResultResource(Resource):
    queryset = Result.objects.all()
    serializer_class = ResultSerializer
    pagination_class = Places
    needs = dict.fromkeys(("list", "retrieve", "neighbours"), READ)
    asks = {"list": ResultQuestion, "neighbours": FilterQuestion}

    @extend_schema(responses=ResultRowSerializer(many=True))
    def list(self, request: Request) -> Response:
        """Results in short. All filters hold at once; with stage, those that could hold at either hold at that one."""
        rows = self.paginate_queryset(self._chosen())
        return self.get_paginated_response(ResultRowSerializer(rows, many=True).data)

    @extend_schema(responses=ResultSerializer)
    def retrieve(self, request: Request, pk: int) -> Response:
        """A result with its texts and what every check said of them."""
        return Response(ResultSerializer(_find(Result.objects.prefetch_related(_VERDICTS), pk)).data)

    @extend_schema(responses=NeighboursSerializer)
    @action(detail=True, pagination_class=None)
    def neighbours(self, request: Request, pk: int) -> Response:
        """The results of its run before and after it, among those of the filter."""
        before, after = paging.neighbours(self._chosen(), _find(Result.objects.all(), pk))
        return Response(NeighboursSerializer({"before": before, "after": after}).data)

    def _chosen(self) -> ResultQuerySet:
        query = self.request.query_params
        return filters.results({name: query[name] for name in query if name in filters.ResultFilter.base_filters})


class Judged(Cursor):
    """The newest verdicts first; of one run in the order of its results."""

    def get_ordering(self, request: Request, queryset: Any, view: Any) -> tuple[str, ...]:
        return ("position", "pk") if "run" in view.asked else ("-pk",)


class VerdictResource(ListModelMixin, Resource):
    queryset = Verdict.objects.all()
    serializer_class = VerdictSerializer
    pagination_class = Judged
    needs = dict.fromkeys(("list", "retrieve", "payload"), SEE)
    asks = {"list": VerdictQuestion}

    def get_queryset(self) -> Any:
        verdicts = Verdict.objects.shown()
        return VerdictQuestion().narrow(verdicts, self.asked) if self.action == "list" else verdicts

    @extend_schema(responses=VerdictSerializer)
    def retrieve(self, request: Request, pk: int) -> Response:
        """What one check said."""
        return Response(self.get_serializer(_find_verdict(pk)).data)

    @extend_schema(responses=PayloadSerializer)
    @action(detail=True, pagination_class=None)
    def payload(self, request: Request, pk: int) -> Response:
        """What the provider sent. It may repeat a harmful text: that somebody was shown it is recorded."""
        verdict = _find_verdict(pk)
        payload = Payload.objects.filter(pk=verdict.pk).first()
        if payload is None:
            raise NotFoundError(f"The provider sent nothing for verdict {pk}.")
        if masking.hidden(verdict.result, Stage(verdict.stage)):
            stage = Stage(verdict.stage)
            services.reveal_text(verdict.result, stage=stage, what="payload", actor=self.actor)
        return Response(PayloadSerializer(payload).data)


_VERDICTS = Prefetch("verdicts", Verdict.objects.shown().order_by("pk"))


def _find(results: Any, pk: int) -> Result:
    result = results.filter(pk=pk).first()
    if result is None:
        raise NotFoundError(f"There is no result {pk}. List the results at /api/v1/results/.")
    return cast(Result, result)


def _find_verdict(pk: int) -> Verdict:
    verdict = Verdict.objects.shown().filter(pk=pk).first()
    if verdict is None:
        raise NotFoundError(f"There is no verdict {pk}. List the verdicts at /api/v1/verdicts/.")
    return verdict

"""The REST door of runs."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from audit.rest import Cursor, Need, Paged, Question, Resource, body, fresh
from classifiers.errors import NotFoundError
from runs import comparison, requests, services, tasks
from runs.figures import Figures
from runs.models import Result, Run
from runs.serializers.runs import (
    ComparisonQuestion,
    ComparisonSerializer,
    MetricsSerializer,
    RunBody,
    RunDetailSerializer,
    RunLogSerializer,
    RunQuestion,
    RunSerializer,
)

READ = Need("read", ["runs.view_run"])
CHANGE = Need("run", ["runs.view_run", "runs.change_run"])
DIFFERING = 50


class Forward(Cursor):
    ordering = "pk"


class RunResource(ListModelMixin, Resource):
    queryset = Run.objects.all()
    serializer_class = RunSerializer
    needs = {
        **dict.fromkeys(("list", "retrieve", "metrics"), READ),
        "create": Need("run", ["runs.view_run", "runs.add_run"]),
        **dict.fromkeys(("cancel", "resume", "retry_errors"), CHANGE),
        "events": Need("read", ["runs.view_run", "runs.view_runlog"]),
        "comparison": Need("read", ["runs.view_run", "runs.view_result"]),
    }
    asks = {"list": RunQuestion, "events": Paged, "comparison": ComparisonQuestion, "metrics": Question}

    def get_queryset(self) -> Any:
        runs = Run.objects.with_progress()
        if self.action != "list":
            return runs
        return RunQuestion().narrow(runs.defer("configuration", "versions", "counts"), self.asked)

    def get_object(self) -> Run:
        return self._run(self.kwargs["pk"])

    def _run(self, pk: int) -> Run:
        run = self.get_queryset().filter(pk=pk).first()
        if run is None:
            raise NotFoundError(f"There is no run {pk}. List the runs at /api/v1/runs/.")
        return run

    @extend_schema(
        parameters=[
            OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER, description="An ETag seen before.")
        ],
        responses={200: RunDetailSerializer, 304: None},
    )
    def retrieve(self, request: Request, pk: int) -> Response:
        """A run with its configuration; 304 when it is as it was under the ETag that was sent."""
        return fresh(request, RunDetailSerializer(self.get_object()).data)

    @extend_schema(request=RunBody, responses={202: RunDetailSerializer})
    def create(self, request: Request) -> Response:
        """Reads the prompts, stores them with the run, and leaves it to the workers."""
        run = requests.create_run(**body(RunBody, request), actor=self.actor)
        tasks.enqueue_run(run)
        location = {"Location": f"{request.path}{run.pk}/"}
        return Response(RunDetailSerializer(self._run(run.pk)).data, status=202, headers=location)

    @extend_schema(request=None, responses=RunSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: int) -> Response:
        """No further prompt is begun; what is at work is still saved."""
        services.cancel_run(self.get_object(), actor=self.actor)
        return self._now()

    @extend_schema(request=None, responses=RunSerializer)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: int) -> Response:
        """Leaves what is left of a run to the workers; what is saved stays."""
        tasks.enqueue_run(services.resume_run(self.get_object(), actor=self.actor))
        return self._now()

    @extend_schema(request=None, responses=RunSerializer)
    @action(detail=True, methods=["post"], url_path="retry-errors")
    def retry_errors(self, request: Request, pk: int) -> Response:
        """Has the workers judge again what could not be judged; the results stay the same ones."""
        run = self.get_object()
        services.retry_errors(run, actor=self.actor)
        tasks.enqueue_run(run)
        return self._now()

    @extend_schema(responses=RunLogSerializer(many=True))
    @action(detail=True, pagination_class=Forward)
    def events(self, request: Request, pk: int) -> Response:
        """The lines of the run's log, in their order."""
        lines = self.paginate_queryset(self.get_object().logs.all())
        return self.get_paginated_response(RunLogSerializer(lines, many=True).data)

    @extend_schema(responses=ComparisonSerializer)
    @action(detail=True, pagination_class=None)
    def comparison(self, request: Request, pk: int) -> Response:
        """Where another run over the same prompts judged differently, and whether by more than chance."""
        run, other = self.get_object(), self._run(self.asked["with"])
        differing = comparison.differing(run, other).listed().order_by("position")[:DIFFERING]
        compared = {**comparison.compare(run, other).as_json(), "differing": differing}
        return Response(ComparisonSerializer(compared).data)

    @extend_schema(responses=MetricsSerializer)
    @action(detail=True, pagination_class=None)
    def metrics(self, request: Request, pk: int) -> Response:
        """What the machine said, and what people agreed on, in numbers."""
        run = self.get_object()
        figures, results = Figures.of(run), Result.objects.filter(run=run)
        kinds = ("stage", "machine", "people", "results")
        people = [dict(zip(kinds, row, strict=True)) for row in results.by_people()]
        shown = {"labels": figures.labels, "scores": figures.scores, "categories": figures.categories, "people": people}
        state = figures.state(reviewed=run.reviewed, disputed=run.disputed)
        return Response(MetricsSerializer({**state, **shown}).data)

    def _now(self) -> Response:
        return Response(RunSerializer(self.get_object()).data)

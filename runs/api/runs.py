"""The REST door of the record."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from audit.rest import Need, Resource
from classifiers.errors import NotFoundError
from runs import services
from runs.models import Run
from runs.serializers.runs import RunQuestion, RunSerializer

READ = Need("read", ["runs.view_run"])
CHANGE = Need("run", ["runs.view_run", "runs.change_run"])


class RunResource(ListModelMixin, RetrieveModelMixin, Resource):
    queryset = Run.objects.all()
    serializer_class = RunSerializer
    needs = {"list": READ, "retrieve": READ, "cancel": CHANGE}
    asks = {"list": RunQuestion}

    def get_queryset(self) -> Any:
        runs = Run.objects.with_progress().defer("configuration", "versions", "counts")
        return RunQuestion().narrow(runs, self.asked) if self.action == "list" else runs

    def get_object(self) -> Run:
        run = self.get_queryset().filter(pk=self.kwargs["pk"]).first()
        if run is None:
            raise NotFoundError(f"There is no run {self.kwargs['pk']}. List the runs at /api/v1/runs/.")
        return run

    @extend_schema(request=None, responses=RunSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: int) -> Response:
        """No further prompt is begun; what is at work is still saved."""
        services.cancel_run(self.get_object(), actor=self.actor)
        return Response(self.get_serializer(self.get_object()).data)

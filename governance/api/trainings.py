"""The REST door of trainings and adapters."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils.functional import SimpleLazyObject
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from audit.rest import Need, Resource, body
from classifiers.errors import InputError
from governance import tasks, training_jobs, turns, uploads
from governance.models import TrainingJob
from governance.serializers.evaluations import ColumnsBody
from governance.serializers.trainings import (
    AdapterDetailSerializer,
    AdapterQuestion,
    AdapterSerializer,
    NewTraining,
    TrainingDetailSerializer,
    TrainingSerializer,
)
from governance.services import Data
from moderation.adapters import holding
from moderation.models import Adapter

READ = Need("read", ["moderation.view_adapter"])
TRAIN = Need("run", ["moderation.view_adapter", "moderation.train_adapter"])


class TrainingResource(ListModelMixin, Resource):
    queryset = TrainingJob.objects.all()
    serializer_class = TrainingSerializer
    needs = {**dict.fromkeys(("list", "retrieve"), READ), **dict.fromkeys(("create", "cancel"), TRAIN)}

    def get_queryset(self) -> Any:
        return turns.light(TrainingJob).defer("rows", "losses").select_related("adapter")

    @extend_schema(responses=TrainingDetailSerializer)
    def retrieve(self, request: Request, pk: int) -> Response:
        """How far it has come, with the loss of every step."""
        return Response(TrainingDetailSerializer(training_jobs.find_job(pk)).data)

    @extend_schema(request=NewTraining, responses={202: TrainingSerializer})
    def create(self, request: Request) -> Response:
        """Has the workers train an adapter; look at it until it is DONE."""
        given = body(NewTraining, request)
        named = {name: given[name] for name in ("name", "alias", "start", "base_model")}
        job = training_jobs.ask(_data(given), **named, **given.get("recipe", {}), actor=self.actor)
        tasks.enqueue_training(job)
        where = {"Location": reverse("api:training-detail", args=[job.pk])}
        return Response(TrainingSerializer(job).data, status=202, headers=where)

    @extend_schema(request=None, responses=TrainingSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: int) -> Response:
        """No further step is made, and nothing stays of it."""
        return Response(TrainingSerializer(training_jobs.cancel(training_jobs.find_job(pk), actor=self.actor)).data)


def _data(given: dict[str, Any]) -> Data | None:
    if given["reviews"] == (given["rows"] is not None):
        raise InputError(
            "An adapter learns from rows that are sent along, or with reviews from what people decided here."
        )
    if given["reviews"]:
        return None
    columns = given.get("columns", {})
    source = ColumnsBody.source(columns)
    return uploads.read_rows(given["dataset"], given["rows"], ColumnsBody.columns(columns), **source)


class AdapterResource(ListModelMixin, RetrieveModelMixin, Resource):
    queryset = Adapter.objects.all()
    serializer_class = AdapterSerializer
    needs = {"list": READ, "retrieve": READ}
    asks = {"list": AdapterQuestion}

    def get_queryset(self) -> Any:
        asked = {"name": self.asked["name"]} if "name" in self.asked else {}
        return Adapter.objects.select_related("training__evaluation").filter(**asked)

    def get_serializer_class(self) -> Any:
        return AdapterDetailSerializer if self.action == "retrieve" else AdapterSerializer

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "holding": SimpleLazyObject(holding)}

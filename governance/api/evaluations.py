"""The REST door of evaluations."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from audit.rest import Need, Resource, body
from classifiers.curves import Aim
from governance import jobs, services, tasks, turns, uploads
from governance.models import Evaluation, EvaluationJob
from governance.serializers.evaluations import (
    ColumnsBody,
    ComparisonQuestion,
    EvaluationDetailSerializer,
    EvaluationQuestion,
    EvaluationSerializer,
    JobSerializer,
    NewEvaluation,
    PairedSerializer,
    PickedSerializer,
    ThresholdQuestion,
)
from review.export_files import find_run

READ = Need("read", ["governance.view_evaluation"])
ASK = Need("run", ["governance.view_evaluation", "governance.add_evaluation"])


class EvaluationResource(ListModelMixin, Resource):
    queryset = Evaluation.objects.listed()
    serializer_class = EvaluationSerializer
    needs = {**dict.fromkeys(("list", "retrieve", "comparison", "threshold"), READ), "create": ASK}
    asks = {"list": EvaluationQuestion, "comparison": ComparisonQuestion, "threshold": ThresholdQuestion}

    def get_queryset(self) -> Any:
        asked = {name: self.asked[name] for name in ("alias", "data_digest") if name in self.asked}
        return Evaluation.objects.listed().select_related("policy_version__policy").filter(**asked)

    @extend_schema(responses=EvaluationDetailSerializer)
    def retrieve(self, request: Request, pk: int) -> Response:
        """All figures of one."""
        return Response(EvaluationDetailSerializer(services.find_evaluation(pk)).data)

    @extend_schema(request=NewEvaluation, responses={202: JobSerializer})
    def create(self, request: Request) -> Response:
        """Has classifiers, or a run, held against labelled rows by the workers; look at the job until it is DONE."""
        given = body(NewEvaluation, request)
        columns = given.get("columns", {})
        source = ColumnsBody.source(columns)
        data = uploads.read_rows(given["dataset"], given["rows"], ColumnsBody.columns(columns), **source)
        job = jobs.ask(
            data, NewEvaluation.wish(given), aliases=given["classifiers"],
            run=find_run(given["run"]) if given["run"] else None, policy=given["policy"], actor=self.actor,
        )  # fmt: skip
        tasks.enqueue_job(job)
        where = {"Location": reverse("api:evaluation-job-detail", args=[job.pk])}
        return Response(JobSerializer(job).data, status=202, headers=where)

    @extend_schema(responses=PairedSerializer)
    @action(detail=True, pagination_class=None)
    def comparison(self, request: Request, pk: int) -> Response:
        """Against another on the same data: how much better, and whether by more than chance."""
        pair = services.find_evaluation(pk), services.find_evaluation(self.asked["with"])
        return Response(PairedSerializer(services.compare_evaluations(*pair)).data)

    @extend_schema(responses=PickedSerializer)
    @action(detail=True, pagination_class=None)
    def threshold(self, request: Request, pk: int) -> Response:
        """A threshold for an aim, chosen on one part of the texts, and what it does on the others."""
        asked = self.asked
        found = services.pick(
            services.find_evaluation(pk), Aim(asked["kind"], asked["value"]), share=asked["share"], seed=asked["seed"]
        )
        return Response(PickedSerializer(found).data)


class EvaluationJobResource(ListModelMixin, Resource):
    queryset = EvaluationJob.objects.all()
    serializer_class = JobSerializer
    needs = {**dict.fromkeys(("list", "retrieve"), READ), "cancel": ASK}

    def get_queryset(self) -> Any:
        return EvaluationJob.objects.defer("rows", "said").prefetch_related("evaluations")

    @extend_schema(responses=JobSerializer)
    def retrieve(self, request: Request, pk: int) -> Response:
        """How far it has come, and what was made."""
        return Response(JobSerializer(jobs.find_job(pk)).data)

    @extend_schema(request=None, responses=JobSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: int) -> Response:
        """No further text is judged; evaluations that are made stay."""
        return Response(JobSerializer(turns.cancel(jobs.find_job(pk), actor=self.actor)).data)

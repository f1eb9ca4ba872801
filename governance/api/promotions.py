"""The REST door of promotions."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from audit.rest import Need, Resource, body
from governance import promotion, tasks, uploads
from governance.serializers.evaluations import ColumnsBody, JobSerializer
from governance.serializers.promotions import (
    AdapterComparisonSerializer,
    CaseQuestion,
    NewComparison,
    NewPromotion,
    PromotionDetailSerializer,
    PromotionQuestion,
    PromotionSerializer,
    Rollback,
)
from governance.services import find_evaluation
from moderation.adapters import find_adapter
from moderation.models import Promotion

READ = Need("read", ["moderation.view_adapter"])
PROMOTE = Need("run", ["moderation.view_adapter", "moderation.promote_adapter"])


class PromotionResource(ListModelMixin, Resource):
    queryset = Promotion.objects.all()
    serializer_class = PromotionSerializer
    needs = {
        **dict.fromkeys(("list", "retrieve", "comparison"), READ),
        **dict.fromkeys(("create", "compare", "rollback"), PROMOTE),
    }
    asks = {"list": PromotionQuestion, "comparison": CaseQuestion}

    def get_queryset(self) -> Any:
        asked = {"alias": self.asked["alias"]} if "alias" in self.asked else {}
        return Promotion.objects.select_related("adapter").filter(**asked)

    @extend_schema(responses=PromotionDetailSerializer)
    def retrieve(self, request: Request, pk: int) -> Response:
        """One, with the evidence that it was made on."""
        return Response(PromotionDetailSerializer(promotion.find_promotion(pk)).data)

    @extend_schema(request=NewPromotion, responses={201: PromotionSerializer})
    def create(self, request: Request) -> Response:
        """Has the alias load the adapter from now on, if the comparison of both evaluations meets every gate."""
        given = body(NewPromotion, request)
        old, new = find_evaluation(given["old"]), find_evaluation(given["new"])
        made = promotion.promote(old, new, note=given["note"], actor=self.actor)
        where = {"Location": reverse("api:promotion-detail", args=[made.pk])}
        return Response(PromotionSerializer(made).data, status=201, headers=where)

    @extend_schema(request=Rollback, responses=PromotionSerializer)
    @action(detail=True, methods=["post"])
    def rollback(self, request: Request, pk: int) -> Response:
        """Has the alias load what it loaded before the promotion, which must be the one that holds."""
        given = body(Rollback, request)
        made = promotion.roll_back(promotion.find_promotion(pk), note=given["note"], actor=self.actor)
        return Response(PromotionSerializer(made).data)

    @extend_schema(responses=AdapterComparisonSerializer)
    @action(detail=False, pagination_class=None)
    def comparison(self, request: Request) -> Response:
        """Whether the adapter may be promoted, by two evaluations on the same texts, and what was measured."""
        found = promotion.case(find_evaluation(self.asked["old"]), find_evaluation(self.asked["new"]))
        return Response(AdapterComparisonSerializer(found).data)

    @extend_schema(request=NewComparison, responses={202: JobSerializer})
    @comparison.mapping.post
    def compare(self, request: Request) -> Response:
        """Has the workers judge the same texts by what the alias loads now, and with the adapter; look at the job until it is
        DONE. Texts that either learnt from are left out, and probes for groups of people added."""
        given = body(NewComparison, request)
        data = None
        if given["rows"] is not None:
            columns = given.get("columns", {})
            source = ColumnsBody.source(columns)
            data = uploads.read_rows(given["dataset"], given["rows"], ColumnsBody.columns(columns), **source)
        job = promotion.ask(find_adapter(given["adapter"]), alias=given["alias"], data=data, actor=self.actor)
        tasks.enqueue_job(job)
        where = {"Location": reverse("api:evaluation-job-detail", args=[job.pk])}
        return Response(JobSerializer(job).data, status=202, headers=where)

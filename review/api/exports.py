"""The REST door of exports: results of a run as a stream, or as a file that is written in the background."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response

from audit.rest import Need, Resource, body
from review import export_files, tasks
from review.downloads import send_export
from review.exports import export_results
from review.serializers.exports import (
    ExportSerializer,
    ManifestSerializer,
    NewExportSerializer,
    RunExportQuestion,
)
from runs.exports import FORMS, TYPES
from runs.models import Export

TAKE_OUT = Need("read", ["review.export"])


def _files(status: int) -> dict[Any, Any]:
    kinds = {form: OpenApiTypes.OBJECT if form == "json" else OpenApiTypes.BINARY for form in FORMS}
    return {(status, TYPES[form].partition(";")[0]): kind for form, kind in kinds.items()}


class AnyType(DefaultContentNegotiation):
    """What a file is, ``as`` says; refusals are JSON whatever is accepted."""

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class RunExportResource(Resource):
    needs = {"list": TAKE_OUT}
    asks = {"list": RunExportQuestion}
    pagination_class = None
    content_negotiation_class = AnyType

    @extend_schema(operation_id="runs_export", responses=_files(200))
    def list(self, request: Request, run: int) -> HttpResponseBase:
        """Results of a run as a stream, with verdicts, reviews and versions; for many, make an export instead."""
        found = export_files.find_run(run)
        form, pseudonyms = self.asked["as"], self.asked["pseudonyms"]
        headers = {"Content-Disposition": f'attachment; filename="results-of-run-{run}.{form}"'}
        if request.method == "HEAD":
            return HttpResponse(content_type=TYPES[form], headers=headers)
        chosen = {name: value for name, value in request.query_params.items() if name not in ("as", "pseudonyms")}
        pieces = export_results(found, form=form, by=request.user, filters=chosen, pseudonyms=pseudonyms)
        return StreamingHttpResponse(pieces, content_type=TYPES[form], headers=headers)


class ExportResource(ListModelMixin, RetrieveModelMixin, Resource):
    queryset = Export.objects.all()
    serializer_class = ExportSerializer
    needs = dict.fromkeys(("list", "create", "retrieve", "cancel", "download", "manifest"), TAKE_OUT)
    content_negotiation_class = AnyType

    def get_object(self) -> Export:
        return export_files.find_export(self.kwargs["pk"])

    @extend_schema(request=NewExportSerializer, responses={202: ExportSerializer})
    def create(self, request: Request) -> Response:
        """A file is written in the background; look at the export until it is DONE, then download it."""
        given = body(NewExportSerializer, request)
        export = export_files.start(
            export_files.find_run(given["run"]), form=given["as"], filters=given.get("filters", {}),
            pseudonyms=given["pseudonyms"], by=request.user,
        )  # fmt: skip
        tasks.enqueue_export(export)
        where = reverse("api:export-detail", args=[export.pk])
        return Response(self.get_serializer(export).data, status=202, headers={"Location": where})

    @extend_schema(request=None, responses=ExportSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: int) -> Response:
        """Nothing more is written, and there is no file."""
        return Response(self.get_serializer(export_files.cancel(self.get_object(), by=request.user)).data)

    @extend_schema(responses=_files(200) | _files(206))
    @action(detail=True)
    def download(self, request: Request, pk: int) -> HttpResponseBase:
        """The file; a part of it with Range, which If-Range with the ETag ties to this very file."""
        return send_export(request, self.get_object(), by=request.user)

    @extend_schema(responses=ManifestSerializer)
    @action(detail=True)
    def manifest(self, request: Request, pk: int) -> Response:
        """What the file holds, with its SHA-256."""
        export = self.get_object()
        export_files.file_of(export, by=request.user)
        return Response(ManifestSerializer(export.manifest).data)

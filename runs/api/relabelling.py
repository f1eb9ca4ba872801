"""The REST door of labelling a run anew under another policy."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from audit.rest import Need, Resource, body
from classifiers.errors import NotFoundError
from moderation.policies import chosen
from runs import relabelling
from runs.models import Run
from runs.serializers.relabelling import RelabellingBody, RelabellingQuestion, RelabellingSerializer


class RelabellingResource(Resource):
    """From what the classifiers said: none is asked again. What people said, and the answers, stay as they are."""

    queryset = Run.objects.none()
    needs = {
        "list": Need("read", ["runs.view_run", "moderation.view_policy"]),
        "create": Need("run", ["runs.view_run", "moderation.set_policy"]),
    }
    asks = {"list": RelabellingQuestion}
    pagination_class = None

    @extend_schema(operation_id="runs_relabelling_preview", responses=RelabellingSerializer(many=False))
    def list(self, request: Request, run: int) -> Response:
        """What labelling the run anew would change; nothing is."""
        return self._told(relabelling.preview(_run(run), chosen(self.asked["policy"])))

    @extend_schema(operation_id="runs_relabelling", request=RelabellingBody, responses={200: RelabellingSerializer})
    def create(self, request: Request, run: int) -> Response:
        """Labels an ended run anew, and tells what changed."""
        given = body(RelabellingBody, request)
        version = chosen(given["policy"])
        return self._told(relabelling.relabel(_run(run), version, note=given["note"], actor=self.actor))

    def _told(self, told: relabelling.Preview) -> Response:
        return Response(RelabellingSerializer(told.as_json).data)


def _run(pk: int) -> Any:
    run = Run.objects.filter(pk=pk).first()
    if run is None:
        raise NotFoundError(f"There is no run {pk}. List the runs at /api/v1/runs/.")
    return run

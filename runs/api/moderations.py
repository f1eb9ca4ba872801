"""The REST door of a judgement on texts."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from audit.rest import Need, Resource, body
from runs.gateway.askers import Asker
from runs.gateway.moderating import as_json, moderate
from runs.gateway.routes import find_classifiers
from runs.serializers.moderations import ModerationBody, ModerationSerializer


class ModerationResource(Resource):
    serializer_class = ModerationSerializer
    needs = {"create": Need("moderate", ["runs.moderate"])}
    quoting = ("create",)

    @extend_schema(request=ModerationBody, responses={200: ModerationSerializer})
    def create(self, request: Request) -> Response:
        """Judges texts by one classifier or several, in order; a text that cannot be judged is an ERROR among the others."""
        given = body(ModerationBody, request)
        aliases = find_classifiers(given.get("model"))
        asker = Asker.of(self.actor, request.auth)
        return Response(as_json(aliases, moderate(given["texts"], aliases=aliases, asker=asker)))

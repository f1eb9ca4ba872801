"""The REST door of the audit trail: nothing in it is changed, and a check of the chain is asked for."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from audit import services, tasks
from audit.models import AuditEvent, ChainCheck
from audit.querysets import EntryFilter
from audit.rest import Cursor, Need, Resource
from audit.serializers import CheckSerializer, EntryQuestion, EntryRowSerializer, EntrySerializer

READ = Need("read", ["audit.view_auditevent"])
TURNS = {"b": "before", "a": "after"}


class Numbers(Cursor):
    """By the number of an entry, newest first: ``b7`` are those before entry 7, ``a7`` those after it."""

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        asked = {**view.asked}
        cursor, size = asked.pop("cursor", ""), asked.pop("limit")
        turn = {TURNS[cursor[0]]: int(cursor[1:])} if cursor else {}
        self.base_url = request.build_absolute_uri()
        self.page = services.entries(EntryFilter.of(**asked), size=size, **turn)
        return self.page.entries

    def get_next_link(self) -> str | None:
        return self._link("b", self.page.older)

    def get_previous_link(self) -> str | None:
        return self._link("a", self.page.newer)

    def _link(self, way: str, number: int | None) -> str | None:
        return None if number is None else replace_query_param(self.base_url, "cursor", f"{way}{number}")


class AuditEventResource(Resource):
    queryset = AuditEvent.objects.all()
    serializer_class = EntrySerializer
    pagination_class = Numbers
    needs = {"list": READ, "retrieve": READ}
    asks = {"list": EntryQuestion}

    @extend_schema(responses=EntryRowSerializer(many=True))
    def list(self, request: Request) -> Response:
        """The entries, newest first. All filters hold at once."""
        rows = self.paginate_queryset(self.queryset)
        return self.get_paginated_response(EntryRowSerializer(rows, many=True).data)

    @extend_schema(responses=EntrySerializer)
    def retrieve(self, request: Request, pk: int) -> Response:
        """An entry by its number, with its details."""
        return Response(self.get_serializer(services.find_entry(pk)).data)


class AuditCheckResource(ListModelMixin, RetrieveModelMixin, Resource):
    queryset = ChainCheck.objects.all()
    serializer_class = CheckSerializer
    needs = {"list": READ, "retrieve": READ, "create": Need("admin", ["audit.view_auditevent"])}

    @extend_schema(request=None, responses={202: CheckSerializer})
    def create(self, request: Request) -> Response:
        """Has the whole chain checked: at once if it is short, else by a worker. Ask again until finished_at is set."""
        check = tasks.ask_check(actor=self.actor)
        location = {"Location": f"{request.path}{check.pk}/"}
        return Response(self.get_serializer(check).data, status=202, headers=location)

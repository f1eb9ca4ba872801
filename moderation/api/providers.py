"""The REST door of what is configured: who can judge and answer here, and by what they go."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from audit.rest import Need, Question, Resource, Whole
from classifiers.errors import NotFoundError
from classifiers.loading import without_secrets
from classifiers.taxonomy import HARMS, names_of
from moderation import services
from moderation.categories import CATEGORIES
from moderation.models import ClassifierVersion
from moderation.readiness import checker
from moderation.serializers import (
    CategorySerializer,
    ClassifierVersionSerializer,
    HarmSerializer,
    ProviderQuestion,
    ProviderSerializer,
    VersionQuestion,
)
from moderation.services import Choice

READ = Need("read", ["moderation.view_classifierversion"])
ASKED_AT_ONCE = 8


class _Providers(Resource):
    kind: ClassVar[services.Kind]
    serializer_class = ProviderSerializer
    pagination_class = Whole
    needs = {"list": READ, "retrieve": READ}
    asks = {"list": ProviderQuestion, "retrieve": ProviderQuestion}
    lookup_field = "alias"
    lookup_value_converter = "str"

    @extend_schema(responses=ProviderSerializer(many=True))
    def list(self, request: Request) -> Response:
        """Those that settings name."""
        shown = self._shown(sorted(services.aliases(self.kind)))
        return self.get_paginated_response(self.get_serializer(shown, many=True).data)

    @extend_schema(responses=ProviderSerializer)
    def retrieve(self, request: Request, alias: str) -> Response:
        """One of those that settings name, or a classifier with an adapter, as gemma@mine."""
        if not services.is_known(self.kind, alias):
            raise NotFoundError(f"There is no {self.kind} {alias[:100]!r}. List them at /api/v1/{self.kind}s/.")
        return Response(self.get_serializer(self._shown([alias])[0]).data)

    def _shown(self, aliases: Sequence[str]) -> Sequence[dict[str, Any]]:
        problems: dict[str, Sequence[str]] = {}
        if self.asked["check"]:
            with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
                found = pool.map(lambda ask: ask(), [checker(self.kind, alias) for alias in aliases])
                problems = dict(zip(aliases, found, strict=True))
        entries = {alias: services.entry_of(self.kind, Choice(alias)) for alias in aliases}
        return [
            {
                "alias": alias,
                "provider": backend,
                "options": without_secrets(options),
                "ready": not problems[alias] if alias in problems else None,
                "problems": problems.get(alias, []),
            }
            for alias, (backend, options) in entries.items()
        ]


class ClassifierResource(_Providers):
    kind = "classifier"


class GeneratorResource(_Providers):
    kind = "generator"


class CategoryResource(Resource):
    """The harms by which results are named. Whoever has an account may know them."""

    serializer_class = CategorySerializer
    pagination_class = Whole
    needs = {"list": Need("read")}
    asks = {"list": Question}

    @extend_schema(responses=CategorySerializer(many=True))
    def list(self, request: Request) -> Response:
        """The categories that a reviewer can name, in their order."""
        return self.get_paginated_response([{"name": name} for name in CATEGORIES])


class TaxonomyResource(Resource):
    """How the categories of several taxonomies map onto one list of harms. Whoever has an account may know it."""

    serializer_class = HarmSerializer
    pagination_class = Whole
    needs = {"list": Need("read")}
    asks = {"list": Question}

    @extend_schema(responses=HarmSerializer(many=True))
    def list(self, request: Request) -> Response:
        """Each harm with the categories that speak of it."""
        rows = [{"harm": harm, "definition": HARMS[harm], "categories": names_of(harm)} for harm in HARMS]
        return self.get_paginated_response(rows)


class ClassifierVersionResource(ListModelMixin, RetrieveModelMixin, Resource):
    queryset = ClassifierVersion.objects.all()
    serializer_class = ClassifierVersionSerializer
    needs = {"list": READ, "retrieve": READ}
    asks = {"list": VersionQuestion}

    def get_queryset(self) -> Any:
        alias = self.asked.get("alias")
        return ClassifierVersion.objects.filter(alias=alias) if alias else ClassifierVersion.objects.all()

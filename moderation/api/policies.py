"""The REST door of policies: what counts as harm, in versions that never change."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from audit.rest import Need, Paged, Resource, body, tagged
from moderation import policies
from moderation.documents import document_of, parsed
from moderation.models import Policy, PolicyVersion
from moderation.serializers import (
    ContentBody,
    DifferenceQuestion,
    DifferenceSerializer,
    PolicyBody,
    PolicyContentSerializer,
    PolicySerializer,
    PolicyVersionSerializer,
)

READ = Need("read", ["moderation.view_policy"])
SET = Need("admin", ["moderation.view_policy", "moderation.set_policy"])
PARTS = ("thresholds", "categories")


class PolicyResource(ListModelMixin, Resource):
    queryset = Policy.objects.none()
    serializer_class = PolicySerializer
    needs = {
        **dict.fromkeys(("list", "retrieve", "versions", "content", "difference"), READ),
        **dict.fromkeys(("create", "add_version", "make_default"), SET),
    }
    asks = {"versions": Paged, "difference": DifferenceQuestion}
    versioned = ("add_version",)

    def get_queryset(self) -> Any:
        return policies.listed()

    def get_object(self) -> Policy:
        return policies.find_policy(self.kwargs["pk"])

    @extend_schema(responses=PolicySerializer)
    def retrieve(self, request: Request, pk: int) -> Response:
        """A policy, with the number of its newest version as ETag."""
        return self._now()

    @extend_schema(request=PolicyBody, responses={201: PolicyContentSerializer})
    def create(self, request: Request) -> Response:
        """A policy with its first version. The first policy there is becomes the default one."""
        given = body(PolicyBody, request)
        named = {name: given[name] for name in ("name", "description", "note")}
        return _made(policies.create_policy(content=_content(given), actor=self.actor, **named))

    @extend_schema(responses=PolicyVersionSerializer(many=True))
    @action(detail=True)
    def versions(self, request: Request, pk: int) -> Response:
        """The newest first."""
        rows = self.paginate_queryset(policies.versions_of(self.get_object()))
        return self.get_paginated_response(PolicyVersionSerializer(rows, many=True).data)

    @extend_schema(request=ContentBody, responses={201: PolicyContentSerializer})
    @versions.mapping.post
    def add_version(self, request: Request, pk: int) -> Response:
        """All that the policy says from now on. What is stored keeps its labels until a run is labelled anew."""
        given, policy = body(ContentBody, request), self.get_object()
        said = _content(given)
        return _made(policies.add_version(policy, said, note=given["note"], seen=self.version, actor=self.actor))

    @extend_schema(operation_id="policies_version", responses=PolicyContentSerializer)
    @action(detail=True, url_path="versions/<int:number>", pagination_class=None)
    def content(self, request: Request, pk: int, number: int) -> Response:
        """All that one version says."""
        return Response(_shown(policies.version_of(self.get_object(), number)))

    @extend_schema(responses=DifferenceSerializer)
    @action(detail=True, pagination_class=None)
    def difference(self, request: Request, pk: int) -> Response:
        """What was added, changed and taken away between two versions."""
        policy = self.get_object()
        before, after = (policies.version_of(policy, self.asked[name]) for name in ("before", "after"))
        changes = policies.difference(policies.content_of(before), policies.content_of(after))
        told = {"before": before.reference, "after": after.reference, "changes": changes}
        return Response(DifferenceSerializer(told).data)

    @extend_schema(request=None, responses=PolicySerializer)
    @action(detail=True, methods=["post"], url_path="default")
    def make_default(self, request: Request, pk: int) -> Response:
        """New runs and programs that name no policy are judged under this one."""
        policies.make_default(self.get_object(), actor=self.actor)
        return self._now()

    def _now(self) -> Response:
        policy: Any = self.get_object()
        return tagged(PolicySerializer(policy).data, policy.newest)


def _content(given: dict[str, Any]) -> policies.Content:
    return parsed({name: given[name] for name in PARTS})


def _made(version: PolicyVersion) -> Response:
    shown = policies.version_of(version.policy, version.number)
    answer = tagged(_shown(shown), version.number, status=201)
    answer["Location"] = f"/api/v1/policies/{version.policy_id}/versions/{version.number}/"
    return answer


def _shown(version: PolicyVersion) -> Any:
    said = document_of(policies.content_of(version))
    return {**PolicyVersionSerializer(version).data, **said}

"""One label on many results, filters under a name, and how a person wants to work."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from audit.rest import Need, Resource, body, tagged
from classifiers.types import Stage
from review import bulk, preferences, saved, tasks
from review.api.shared import LEAD, LOOK, MINE, OWN
from review.models import BulkAction, Preferences, SavedView
from review.preferences import CHOICES, Wish
from review.serializers.actions import (
    BulkSerializer,
    ChosenSerializer,
    NameSerializer,
    NewBulkSerializer,
    NewViewSerializer,
    PreferencesSerializer,
    ReachSerializer,
    ViewSerializer,
)
from runs import filters


class BulkResource(ListModelMixin, RetrieveModelMixin, Resource):
    queryset = BulkAction.objects.select_related("reviewer")
    serializer_class = BulkSerializer
    needs = {
        **dict.fromkeys(("list", "retrieve"), LOOK),
        "preview": Need("read", ["review.lead"]),
        **dict.fromkeys(("create", "cancel", "undo", "go_on"), LEAD),
    }
    repeatable = ("create",)

    def get_object(self) -> BulkAction:
        return bulk.find_action(self.kwargs["pk"])

    @extend_schema(request=ChosenSerializer, responses=ReachSerializer)
    @action(detail=False, methods=["post"])
    def preview(self, request: Request) -> Response:
        """How many results it would label; send the numbers along when you start it."""
        given = body(ChosenSerializer, request)
        chosen = given.get("filters", {})
        reach = bulk.reach(chosen, Stage(given["stage"]), by=request.user)
        numbers = {"count": reach.count, "until": reach.until, "kept": reach.kept}
        return Response({"words": filters.in_words(chosen), **numbers})

    @extend_schema(request=NewBulkSerializer, responses={201: BulkSerializer})
    def create(self, request: Request) -> Response:
        """Few results are labelled at once, many in the background."""
        given = body(NewBulkSerializer, request)
        choice = bulk.Choice(given.get("filters", {}), Stage(given["stage"]), given["label"], given["reason"])
        seen = bulk.Reach(given["count"], given["until"], kept=0)
        started = bulk.start(choice, seen, key=self.key, by=request.user)
        tasks.go_on(started)
        return Response(BulkSerializer(bulk.find_action(started.pk)).data, status=201)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: int) -> Response:
        """Stops it where it is; what was labelled stays, and can be taken back."""
        bulk.cancel(self.get_object(), by=request.user)
        return self._again()

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def undo(self, request: Request, pk: int) -> Response:
        """Takes all of it back."""
        tasks.go_on(bulk.undo(self.get_object(), by=request.user))
        return self._again()

    @extend_schema(request=None)
    @action(detail=True, methods=["post"], url_path="go-on")
    def go_on(self, request: Request, pk: int) -> Response:
        """Takes up what a killed process left."""
        tasks.go_on(self.get_object())
        return self._again()

    def _again(self) -> Response:
        return Response(BulkSerializer(self.get_object()).data)


class ViewResource(ListModelMixin, Resource):
    """Filters under a name: your own, and those that leads share."""

    queryset = SavedView.objects.all()
    serializer_class = ViewSerializer
    needs = {
        **dict.fromkeys(("list", "retrieve"), Need("read", ["runs.view_result"])),
        **dict.fromkeys(("create", "partial_update", "destroy"), Need("review", ["runs.view_result"])),
    }
    versioned = ("partial_update", "destroy")

    def get_queryset(self) -> Any:
        return saved.views_of(self.request.user)

    def get_object(self) -> SavedView:
        return saved.find_view(self.kwargs["pk"], person=self.request.user)

    def retrieve(self, request: Request, pk: int) -> Response:
        return self._tagged(self.get_object())

    @extend_schema(request=NewViewSerializer, responses={201: ViewSerializer})
    def create(self, request: Request) -> Response:
        given = body(NewViewSerializer, request)
        view = saved.save_view(
            given["name"], given["filters"], owner=request.user, shared=given.get("shared", False)
        )  # fmt: skip
        return self._tagged(view, status=201)

    @extend_schema(request=NameSerializer)
    def partial_update(self, request: Request, pk: int) -> Response:
        version, view = self.version, self.get_object()
        wanted = {"name": view.name, "shared": view.shared, **body(NameSerializer, request)}
        return self._tagged(saved.update_view(view, version=version, by=request.user, **wanted))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: int) -> Response:
        """The results are as they were."""
        saved.delete_view(self.get_object(), version=self.version, by=request.user)
        return Response(status=204)

    def _tagged(self, view: SavedView, **options: Any) -> Response:
        return tagged(ViewSerializer(view).data, view.version, **options)


class PreferencesResource(Resource):
    """How you want to work. There is one of it, without a number."""

    queryset = Preferences.objects.all()
    serializer_class = PreferencesSerializer
    needs = {"list": MINE, "change": OWN}
    versioned = ("change",)
    pagination_class = None

    @extend_schema(responses=PreferencesSerializer(many=False))
    def list(self, request: Request) -> Response:
        return self._tagged(preferences.of(request.user))

    def change(self, request: Request) -> Response:
        version, mine = self.version, preferences.of(request.user)
        wanted = {**{name: getattr(mine, name) for name in CHOICES}, **body(PreferencesSerializer, request)}
        return self._tagged(preferences.change(request.user, Wish(**wanted, version=version)))

    def _tagged(self, mine: Preferences) -> Response:
        return tagged(PreferencesSerializer(mine).data, mine.version)

"""Queues: their places for those who work in them, and all about them for those who lead them or look on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from audit.rest import Need, Resource, Whole, body, tagged
from classifiers.errors import NotFoundError
from review import adjudication, exports, filling, handout, own, places, progress, queues, services
from review.api.figures import measured
from review.api.shared import LEAD, LOOK, SEE, SETTLE_SEE, WORK, ByResult, file, sheet_of
from review.models import Queue, QueueItem
from review.rights import check_work, need
from review.serializers.claims import NextSerializer, SheetSerializer
from review.serializers.figures import FiguresSerializer, OfQueueQuestion, scope_of
from review.serializers.queues import (
    ColleagueSerializer,
    ExportQuestion,
    ForecastSerializer,
    ItemQuestion,
    ItemSerializer,
    KnownSerializer,
    NewQueueSerializer,
    PeopleSerializer,
    PreviewSerializer,
    QueueQuestion,
    QueueSerializer,
    SettingsSerializer,
)
from review.serializers.reviews import DisagreementSerializer, UndoneSerializer, UndoSerializer
from review.serializers.shared import labels_of
from runs import filters
from runs.models import Result

# Of those who hold something, and of what was skipped or came too late.
MOST = 200


class QueueResource(Resource):
    queryset = Queue.objects.all()
    serializer_class = QueueSerializer
    needs = {
        **dict.fromkeys(("list", "retrieve"), Need("read")),
        **dict.fromkeys(("create", "partial_update", "close", "open"), LEAD),
        "preview": Need("read", ["review.lead"]),
        **dict.fromkeys(("claim", "undo"), WORK),
        "colleagues": SEE,
        **dict.fromkeys(("items", "people", "figures"), LOOK),
        "export": Need("read", ["review.export"]),
    }
    asks = {"list": QueueQuestion, "items": ItemQuestion, "figures": OfQueueQuestion, "export": ExportQuestion}
    versioned = ("partial_update",)
    repeatable = ("undo",)

    def get_queryset(self) -> Any:
        """All for those who oversee queues; for others those in which they may work now."""
        if self.request.user.has_perm("review.oversee"):
            return Queue.objects.with_members()
        need(self.request.user, "review.work", "see queues")
        return places.workable(self.request.user).with_members()

    def get_object(self) -> Queue:
        found: Queue | None = self.get_queryset().filter(pk=self.kwargs["pk"]).first()
        if found is None:
            raise NotFoundError("There is no such queue, or it is not open to you. List the queues at /api/v1/queues/.")
        return found

    def list(self, request: Request) -> Response:
        found = self.get_queryset().filter(closed_at__isnull=not self.asked["closed"])
        page = self.paginate_queryset(found)
        return self.get_paginated_response(self._shown(page))

    def retrieve(self, request: Request, pk: int) -> Response:
        return self._tagged(self.get_object())

    @extend_schema(request=NewQueueSerializer, responses={201: QueueSerializer})
    def create(self, request: Request) -> Response:
        """Makes a queue and fills it with what its filter finds, and a random sample of what the machine did not flag."""
        given = body(NewQueueSerializer, request)
        members = given.pop("members", ())
        queue = queues.create_queue(Queue(**given), by=request.user, members=members)
        return self._again(queue, status=201)

    @extend_schema(request=SettingsSerializer)
    def partial_update(self, request: Request, pk: int) -> Response:
        """Changes settings; the filter and the sample stay as they were when the queue was filled."""
        version, changes = self.version, body(SettingsSerializer, request)
        members = changes.pop("members", None)
        return self._again(
            queues.update_queue(self.get_object(), changes, version=version, by=request.user, members=members)
        )

    @extend_schema(request=PreviewSerializer, responses=ForecastSerializer)
    @action(detail=False, methods=["post"])
    def preview(self, request: Request) -> Response:
        """What a queue would hold, counted; nothing is made."""
        queue = Queue(**body(PreviewSerializer, request))
        forecast = filling.forecast(queue)
        return Response({"words": filters.in_words(queue.filters), **asdict(forecast)})

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def close(self, request: Request, pk: int) -> Response:
        """Nothing more is handed out; what is held can still be sent."""
        return self._again(queues.close_queue(self.get_object(), by=request.user))

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def open(self, request: Request, pk: int) -> Response:
        return self._again(queues.close_queue(self.get_object(), by=request.user, closed=False))

    @extend_schema(request=NextSerializer, responses={200: SheetSerializer, 204: None})
    @action(detail=True, methods=["post"])
    def claim(self, request: Request, pk: int) -> Response:
        """The result in your hand, else the next one, taken for the time of a lease; 204 when none is left for you."""
        given = body(NextSerializer, request)
        queue = queues.find_queue(pk)
        taken = handout.claim_next(queue, reviewer=request.user, besides=given.get("besides"))
        if taken is None:
            return Response(status=204)
        return Response(SheetSerializer(sheet_of(handout.find_claim(taken.pk, reviewer=request.user))).data)

    @extend_schema(request=UndoSerializer, responses=UndoneSerializer)
    @action(detail=True, methods=["post"])
    def undo(self, request: Request, pk: int) -> Response:
        """Takes your newest act in the queue back, or the one that you name; you hold the result again."""
        act = body(UndoSerializer, request).get("act", "")
        key = self.key
        review = own.last_act(queues.find_queue(pk), request.user, key=act, undone_by=key)
        services.undo(review, key=key)
        return Response({"claim": None if review.cause else own.claim_of(review).pk})

    @extend_schema(responses=ColleagueSerializer(many=True))
    @action(detail=True, methods=["get"], pagination_class=Whole)
    def colleagues(self, request: Request, pk: int) -> Response:
        """To whom you can hand a result."""
        queue = queues.find_queue(pk)
        check_work(request.user, queue)
        page = self.paginate_queryset(places.colleagues(queue, request.user))
        return self.get_paginated_response(ColleagueSerializer(page, many=True).data)

    @extend_schema(responses=ItemSerializer(many=True))
    @action(detail=True, methods=["get"], pagination_class=ByResult)
    def items(self, request: Request, pk: int) -> Response:
        page = self.paginate_queryset(progress.items(self.get_object(), state=self.asked["state"]))
        return self.get_paginated_response(ItemSerializer(page, many=True).data)

    @extend_schema(responses=PeopleSerializer)
    @action(detail=True, methods=["get"])
    def people(self, request: Request, pk: int) -> Response:
        queue = self.get_object()
        waiting = progress.waiting(queue, progress.standing(queue).oldest)
        found = {
            "paces": progress.paces(queue),
            "waiting": [{"longer_than": age, "results": number} for age, number in waiting],
            "held": progress.holders(queue)[:MOST],
            "aside": progress.left_aside(queue)[:MOST],
            "late": progress.late(queue)[:MOST],
        }
        return Response(PeopleSerializer(found).data)

    @extend_schema(responses=FiguresSerializer)
    @action(detail=True, methods=["get"])
    def figures(self, request: Request, pk: int) -> Response:
        """Agreement in the queue, and the machine held against people."""
        queue = self.get_object()
        return Response(measured(scope_of(self.asked, queue), queue))

    @extend_schema(responses={(200, "application/x-ndjson"): str, (200, "text/csv"): str})
    @action(detail=True, methods=["get"])
    def export(self, request: Request, pk: int) -> HttpResponse:
        """The reviews of the queue as a file, a piece at a time; recorded."""
        form, pseudonyms = self.asked["as"], self.asked["pseudonyms"]
        pieces = exports.export_reviews(queues.find_queue(pk), form=form, pseudonyms=pseudonyms, by=request.user)
        return file(pieces, f"reviews-of-queue-{pk}", form)

    def _again(self, queue: Queue, **options: Any) -> Response:
        """The queue as it is shown after it was changed."""
        return self._tagged(Queue.objects.with_members().get(pk=queue.pk), **options)

    def _tagged(self, queue: Queue, **options: Any) -> Response:
        return tagged(self._shown([queue])[0], queue.version, **options)

    def _shown(self, found: Sequence[Queue]) -> Any:
        person = self.request.user
        mine = places.workable(person).filter(pk__in=[queue.pk for queue in found])
        context = {
            "places": places.places_in(mine, person),
            "standings": progress.standings(found) if person.has_perm("review.oversee") else {},
        }
        return QueueSerializer(found, many=True, context=context).data


class KnownResource(ListModelMixin, Resource):
    """Results whose answer is known: they look like any other, and measure those who judge them."""

    queryset = QueueItem.objects.all()
    serializer_class = ItemSerializer
    needs = {"list": LOOK, "create": LEAD, "destroy": LEAD}
    pagination_class = ByResult

    def get_queryset(self) -> Any:
        return progress.known(queues.find_queue(self.kwargs["queue"]))

    @extend_schema(request=KnownSerializer, responses={201: ItemSerializer})
    def create(self, request: Request, queue: int) -> Response:
        """Says what the right answer is; a result that is not in the queue yet joins it."""
        found, given = queues.find_queue(queue), body(KnownSerializer, request)
        result = Result.objects.filter(pk=given["result"]).first()
        if result is None:
            raise NotFoundError("There is no such result: its run may have been deleted.")
        item = queues.mark_gold(found, result, labels_of(given), by=request.user)
        return Response(ItemSerializer(item).data, status=201)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, queue: int, pk: int) -> Response:
        """Makes the item with this number an ordinary one again."""
        item = queues.find_item(queues.find_queue(queue), pk)
        queues.mark_gold(item.queue, item.result, None, by=request.user)
        return Response(status=204)


class DisagreementResource(Resource):
    """What waits in the queue for you to settle it; settle it at /api/v1/adjudications/."""

    queryset = QueueItem.objects.all()
    serializer_class = DisagreementSerializer
    needs = {"list": SETTLE_SEE}
    pagination_class = ByResult

    def list(self, request: Request, queue: int) -> Response:
        waiting = adjudication.waiting_anywhere(request.user).filter(queue=queues.find_queue(queue))
        page = self.paginate_queryset(waiting)
        return self.get_paginated_response(self.get_serializer(adjudication.summaries(page), many=True).data)

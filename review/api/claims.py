"""Results in hand: seen as the desk shows them, given back, left to others, kept, handed on; and verdicts that came too late."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from audit.rest import Resource, body
from classifiers.errors import ConflictError
from classifiers.types import Stage
from review import desk, handout, places, preferences, progress
from review.api.shared import LEAD, SEE, WORK, sheet_of
from review.models import Claim, Draft
from review.serializers.claims import (
    DraftSerializer,
    PulseSerializer,
    ReasonSerializer,
    ReceiverSerializer,
    SheetSerializer,
    StageSerializer,
    TextSerializer,
)
from review.serializers.queues import ClaimSerializer

ACTS = ("release", "skip", "escalate", "park", "take_up", "hand", "heartbeat", "reveal")


class ClaimResource(ListModelMixin, Resource):
    """Your own: those that you hold or keep for later."""

    queryset = Claim.objects.all()
    serializer_class = ClaimSerializer
    needs = {"list": SEE, "retrieve": SEE, **dict.fromkeys(ACTS, WORK), "give_back": LEAD}

    def get_queryset(self) -> Any:
        mine = Claim.objects.filter(reviewer=self.request.user).active()
        return mine.select_related("item", "reviewer")

    def get_object(self) -> Claim:
        return handout.find_claim(self.kwargs["pk"], reviewer=self.request.user)

    @extend_schema(responses=SheetSerializer)
    def retrieve(self, request: Request, pk: int) -> Response:
        """The result on the desk. In a blind queue its answer comes when the prompt was judged."""
        held = self.get_object()
        if held.state not in desk.ON_DESK:
            raise ConflictError(f"This result is not in your hand: {held.get_state_display().lower()}.")
        return Response(SheetSerializer(sheet_of(held)).data)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def release(self, request: Request, pk: int) -> Response:
        """Gives the result back, for others and later for you."""
        handout.release(self.get_object())
        return self._again()

    @extend_schema(request=ReasonSerializer)
    @action(detail=True, methods=["post"])
    def skip(self, request: Request, pk: int) -> Response:
        """Leaves the result to others for good."""
        handout.skip(self.get_object(), **body(ReasonSerializer, request))
        return self._again()

    @extend_schema(request=ReasonSerializer)
    @action(detail=True, methods=["post"])
    def escalate(self, request: Request, pk: int) -> Response:
        """Leaves the result to somebody who settles it; nobody else is asked."""
        handout.escalate(self.get_object(), **body(ReasonSerializer, request))
        return self._again()

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def park(self, request: Request, pk: int) -> Response:
        """Keeps the result for you beyond the lease, while you go on with others."""
        handout.park(self.get_object())
        return self._again()

    @extend_schema(request=None, responses=SheetSerializer)
    @action(detail=True, methods=["post"], url_path="take-up")
    def take_up(self, request: Request, pk: int) -> Response:
        """Takes a kept result into the hand."""
        return Response(SheetSerializer(sheet_of(handout.take_up(self.get_object()))).data)

    @extend_schema(request=ReceiverSerializer)
    @action(detail=True, methods=["post"])
    def hand(self, request: Request, pk: int) -> Response:
        """Hands the result to a colleague, for whom it waits."""
        claim, to = self.get_object(), places.colleague(body(ReceiverSerializer, request)["to"])
        handout.hand_to(claim, to=to, by=request.user)
        return self._again()

    @extend_schema(request=None, responses=PulseSerializer)
    @action(detail=True, methods=["post"])
    def heartbeat(self, request: Request, pk: int) -> Response:
        """Makes the lease whole again."""
        claim = handout.heartbeat(self.get_object())
        mine = preferences.note_work(request.user)
        pulse = {
            "id": claim.pk,
            "expires_at": claim.expires_at,
            "seconds_left": desk.seconds_left(claim),
            "left": places.left(claim.item.queue, request.user),
            "minutes_at_work": preferences.minutes_at_work(mine),
            "needs_break": preferences.needs_break(mine),
        }
        return Response(PulseSerializer(pulse).data)

    @extend_schema(request=StageSerializer, responses=TextSerializer)
    @action(detail=True, methods=["post"])
    def reveal(self, request: Request, pk: int) -> Response:
        """Says that a text which was hidden is shown to you now: it is written down, and counted for you alone."""
        stage = Stage(body(StageSerializer, request)["stage"])
        return Response({"stage": stage, "text": preferences.reveal(self.get_object(), stage)})

    @extend_schema(request=None)
    @action(detail=True, methods=["post"], url_path="give-back")
    def give_back(self, request: Request, pk: int) -> Response:
        """A lead gives back what a reviewer holds, so that others get it."""
        handout.release(progress.find_claim(pk), by=request.user)
        return Response(ClaimSerializer(progress.find_claim(pk)).data)

    def _again(self) -> Response:
        return Response(ClaimSerializer(self.get_object()).data)


class DraftResource(ListModelMixin, Resource):
    """Verdicts of yours that came too late for their slot."""

    queryset = Draft.objects.all()
    serializer_class = DraftSerializer
    needs = {"list": SEE}

    def get_queryset(self) -> Any:
        return desk.drafts(self.request.user)

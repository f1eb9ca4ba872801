"""What people say of results: given, looked at, corrected, taken back, settled. Nothing of it is ever overwritten."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from audit.rest import Need, Resource, body, tagged
from classifiers.errors import ForbiddenError, InputError, NotFoundError
from review import adjudication, figures, handout, own, preferences, services
from review.api.shared import LOOK, MINE, SEE, SETTLE, SETTLE_SEE, WORK, ByResult, sheet_of
from review.models import QueueItem, Review
from review.progress import LONG
from review.rights import need
from review.serializers.claims import SheetSerializer
from review.serializers.figures import SCOPE, scope_of
from review.serializers.reviews import (
    AdjudicationSerializer,
    CaseSerializer,
    DisagreementQuestion,
    DisagreementSerializer,
    NewReviewSerializer,
    ReviewQuestion,
    ReviewSerializer,
    SettledSerializer,
    SubmittedSerializer,
    TodaySerializer,
    UndoneSerializer,
)
from review.serializers.shared import JudgementSerializer, judgement_of
from review.services import Judgement, Submitted
from runs.models import Result


def reviews() -> Any:
    """As they are shown, without the texts that they are about."""
    return Review.objects.select_related("reviewer", "item", "result").defer(*LONG).with_later()


def stored(given: Iterable[Review]) -> Any:
    return ReviewSerializer(reviews().filter(pk__in=[review.pk for review in given]).order_by("pk"), many=True).data


def outcome(said: Submitted, sheet: Any = None) -> Response:
    """201 when something is stored that was not before."""
    names = {"pending": said.pending, "draft": said.draft, "repeated": said.repeated}
    status = next((name for name, so in names.items() if so), "stored")
    answer = {"status": status, "reviews": stored(said.reviews), "sheet": sheet}
    return Response(answer, status=201 if status == "stored" else 200)


class ResultReviewResource(ListModelMixin, Resource):
    """What people said of one result; the newest first."""

    queryset = Review.objects.all()
    serializer_class = ReviewSerializer
    needs = {"list": LOOK, "create": WORK}
    repeatable = ("create",)

    def get_queryset(self) -> Any:
        return reviews().filter(result=self._result())

    @extend_schema(request=NewReviewSerializer, responses={200: SubmittedSerializer, 201: SubmittedSerializer})
    def create(self, request: Request, result: int) -> Response:
        """One act on one or both texts: under a claim, or else by somebody to whom the record is open."""
        given = body(NewReviewSerializer, request)
        judgement = judgement_of(given, key=self.key)
        if "claim" in given:
            return self._submit(given["claim"], judgement)
        need(request.user, "runs.view_result", "review results outside a queue; name the claim under which you hold it")
        return outcome(services.review_result(self._result(), judgement, reviewer=request.user))

    def _submit(self, number: int, judgement: Judgement) -> Response:
        claim = handout.find_claim(number, reviewer=self.request.user)
        if claim.item.result_id != self.kwargs["result"]:
            raise InputError("The claim is on another result. Send its verdict to the result that it names.")
        said = services.submit(claim, judgement)
        shown = SheetSerializer(sheet_of(handout.find_claim(number, reviewer=self.request.user))).data
        return outcome(said, shown if said.pending else None)

    def _result(self) -> Result:
        found = Result.objects.defer("prompt", "answer", "metadata").filter(pk=self.kwargs["result"]).first()
        if found is None:
            raise NotFoundError("There is no such result: its run may have been deleted.")
        return found


class ReviewResource(ListModelMixin, Resource):
    queryset = Review.objects.all()
    serializer_class = ReviewSerializer
    needs = {"list": MINE, "retrieve": MINE, "today": SEE, "corrections": WORK, "undo": WORK}
    asks = {"list": ReviewQuestion}
    versioned = ("corrections",)
    repeatable = ("corrections", "undo")

    def get_queryset(self) -> Any:
        if self.request.user.has_perm("review.oversee"):
            wanted = scope_of(self.asked).reviews() if self.action == "list" else Review.objects.all()
            return reviews().filter(pk__in=wanted.values("pk"))
        need(self.request.user, "review.work", "see reviews")
        # What a filter finds tells what the machine said, also of what was taken back and is to be judged again.
        if self.asked.keys() & set(SCOPE):
            raise ForbiddenError("Filters are for those who oversee reviews. Without them you get your own.")
        return reviews().filter(reviewer=self.request.user)

    def retrieve(self, request: Request, pk: int) -> Response:
        """Its ETag is the number of the person's newest review there: what a correction must know."""
        found = self.get_queryset().filter(pk=pk).first()
        if found is None:
            raise NotFoundError("There is no such verdict, or it is not yours.")
        alike = Review.objects.filter(item=found.item_id, result=found.result_id, reviewer=found.reviewer)
        newest = alike.current().order_by("pk").last() or found
        return tagged(ReviewSerializer(found).data, newest.pk)

    @extend_schema(responses=TodaySerializer)
    @action(detail=False, methods=["get"])
    def today(self, request: Request) -> Response:
        """Your own numbers, which nobody else sees."""
        mine, known = preferences.of(request.user), figures.own_accuracy(request.user)
        numbers = {
            **own.today(request.user),
            "exposed": preferences.exposed_today(mine),
            "minutes_at_work": preferences.minutes_at_work(mine),
            "answered": known.answered,
            "correct": known.correct,
            "share": known.share,
        }
        return Response(TodaySerializer(numbers).data)

    @extend_schema(request=JudgementSerializer, responses={200: SubmittedSerializer, 201: SubmittedSerializer})
    @action(detail=True, methods=["post"])
    def corrections(self, request: Request, pk: int) -> Response:
        """Appends what you say now to your verdict in a queue; what you said before is kept."""
        version = self.version
        claim = own.claim_of(services.find_review(pk, reviewer=request.user))
        judgement = judgement_of(body(JudgementSerializer, request), key=self.key)
        return outcome(services.correct(claim, judgement, version=version))

    @extend_schema(request=None, responses=UndoneSerializer)
    @action(detail=True, methods=["post"])
    def undo(self, request: Request, pk: int) -> Response:
        """Takes back all that you said in the same act; a result of a queue is in your hand again then."""
        review = services.find_review(pk, reviewer=request.user)
        services.undo(review, key=self.key)
        held = review.item and not review.cause
        return Response({"claim": own.claim_of(review).pk if held else None})


class AdjudicationResource(Resource):
    """Disagreements that wait for you, in all queues; settled by somebody who judged none of them."""

    queryset = QueueItem.objects.all()
    serializer_class = DisagreementSerializer
    needs = {"list": SETTLE_SEE, "retrieve": Need("review", ["review.adjudicate"]), "create": SETTLE}
    asks = {"list": DisagreementQuestion}
    repeatable = ("create",)
    pagination_class = ByResult

    def list(self, request: Request) -> Response:
        waiting = adjudication.waiting_anywhere(request.user)
        if "queue" in self.asked:
            waiting = waiting.filter(queue=self.asked["queue"])
        page = self.paginate_queryset(waiting)
        return self.get_paginated_response(self.get_serializer(adjudication.summaries(page), many=True).data)

    @extend_schema(responses=CaseSerializer)
    def retrieve(self, request: Request, pk: int) -> Response:
        """The item with this number, with all that was said of it. Whoever reads it does not judge it blind any more."""
        case = adjudication.open_case(adjudication.find_item(pk), by=request.user)
        return Response(CaseSerializer(case).data)

    @extend_schema(request=AdjudicationSerializer, responses={200: SettledSerializer, 201: SettledSerializer})
    def create(self, request: Request) -> Response:
        given = body(AdjudicationSerializer, request)
        item, said = adjudication.find_item(given["item"]), judgement_of(given, key=self.key)
        adjudication.check_all_asked(item, said.labels)
        done = services.adjudicate(item, said, adjudicator=request.user, cause=given["cause"])
        answer = {"status": "repeated" if done.repeated else "stored", "reviews": stored(done.reviews)}
        return Response(answer, status=200 if done.repeated else 201)

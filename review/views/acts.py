"""What a reviewer does with a result: each act is one POST, answered with JSON to a script and with a page to a form."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from classifiers.errors import ForbiddenError, NotFoundError
from classifiers.types import Stage
from review import handout, own, places, preferences, queues, services
from review.models import Claim
from review.rights import need
from review.services import Judgement, Submitted
from review.views.pages import Page, number, page, text, wants_json
from review.views.sheets import WORK, show_desk

DRAFT = (
    "Your time with this result had ended and somebody else has it now. Your verdict is kept among your drafts; "
    "it is sent as it is, should a place become free."
)


@require_POST
def verdict(request: HttpRequest, pk: int) -> HttpResponse:
    claim, judgement = _own_claim(request, pk), judgement_of(request)
    said = services.submit(claim, judgement)
    if said.pending and not wants_json(request):
        return show_desk(request, claim, said=judgement)
    return _answer(request, claim.item.queue_id, **_outcome(said, judgement))


def judgement_of(request: HttpRequest) -> Judgement:
    """What a form says of one result or both of its texts. Raises InputError."""
    labels = {stage: request.POST[name] for stage in Stage if request.POST.get(name := stage.lower())}
    return Judgement(
        labels,
        key=request.POST.get("key", ""),
        categories=request.POST.getlist("category"),
        note=request.POST.get("note", ""),
    )


def _outcome(said: Submitted, judgement: Judgement) -> dict[str, Any]:
    told = ", ".join(f"{stage_name(stage)} {label}" for stage, label in judgement.labels.items())
    if said.pending:
        return {"status": "pending", "message": f"Noted: {told}. Now judge the answer."}
    if said.draft:
        return {"status": "draft", "message": DRAFT}
    status = "repeated" if said.repeated else "stored"
    return {"status": status, "message": f"Stored: {told}.", "undo": said.reviews[0].pk}


def stage_name(stage: Stage) -> str:
    return "prompt" if stage is Stage.INPUT else "answer"


@require_POST
def skip(request: HttpRequest, pk: int) -> HttpResponse:
    claim = _own_claim(request, pk)
    handout.skip(claim, reason=request.POST.get("reason", ""))
    return _answer(request, claim.item.queue_id, status="skipped", message="Skipped. Others will judge it.")


@require_POST
def escalate(request: HttpRequest, pk: int) -> HttpResponse:
    claim = _own_claim(request, pk)
    handout.escalate(claim, reason=request.POST.get("reason", ""))
    return _answer(request, claim.item.queue_id, status="escalated", message="Escalated. A senior will decide it.")


@require_POST
def park(request: HttpRequest, pk: int) -> HttpResponse:
    claim = _own_claim(request, pk)
    handout.park(claim)
    said = "Kept for later. You find it on the page Review."
    return _answer(request, claim.item.queue_id, status="parked", message=said)


@require_POST
def release(request: HttpRequest, pk: int) -> HttpResponse:
    claim = _own_claim(request, pk)
    handout.release(claim)
    return _answer(request, claim.item.queue_id, status="released", message="Given back.")


@require_POST
def hand(request: HttpRequest, pk: int) -> HttpResponse:
    claim, to = _own_claim(request, pk), places.colleague(text(request, "to"))
    handout.hand_to(claim, to=to, by=request.user)
    return _answer(request, claim.item.queue_id, status="handed", message=f"Handed to {to.get_username()}.")


@require_POST
def take_up(request: HttpRequest, pk: int) -> HttpResponse:
    """Takes a kept result into the hand, and shows it."""
    claim = handout.take_up(_own_claim(request, pk))
    return redirect("admin:review_claim", claim.pk)


@require_POST
def undo(request: HttpRequest, pk: int) -> HttpResponse:
    """Takes back the act of this queue that ``act`` names by its key, or else the newest one."""
    _check_person(request)
    queue, key = queues.find_queue(pk), text(request, "key")
    review = own.last_act(queue, request.user, key=text(request, "act"), undone_by=key)
    services.undo(review, key=key)
    claim = own.claim_of(review)
    said = {"status": "undone", "message": "Taken back. You hold the result again.", "claim": claim.pk}
    return _answer(request, queue.pk, **said)


@require_POST
def reveal(request: HttpRequest, pk: int, stage: str) -> HttpResponse:
    """The hidden text itself for htmx; a form, which cannot exchange a part, gets the page with all texts shown."""
    claim = _own_claim(request, pk)
    if request.headers.get("HX-Request"):
        shown = preferences.reveal(claim, _stage(stage))
        context = {"text": shown, "label": stage_name(_stage(stage)), "result": claim.item.result}
        return render(request, "admin/review/work/_shown.html", context)
    for each in preferences.shown_stages(claim):
        preferences.reveal(claim, each)
    return show_desk(request, claim, revealed=True)


def _stage(name: str) -> Stage:
    try:
        return Stage(name.upper())
    except ValueError:
        raise NotFoundError("There is a prompt and an answer, and nothing else to be shown.") from None


def _own_claim(request: HttpRequest, pk: int) -> Claim:
    _check_person(request)
    return handout.find_claim(pk, reviewer=request.user)


def _check_person(request: HttpRequest) -> None:
    """What one person's page kept while the network was away is not sent as somebody else."""
    need(request.user, "review.work", WORK)
    sender = number(request, "reviewer")
    if sender is not None and sender != request.user.pk:
        raise ForbiddenError(
            f"You are logged in as {request.user.get_username()} now, and this was said by somebody else. "
            "It is kept; log in as that person to send it.",
            code="other_person",
        )


def _answer(request: HttpRequest, queue: int, *, status: str, message: str, **more: Any) -> HttpResponse:
    if wants_json(request):
        return JsonResponse({"status": status, "message": message, **more})
    (messages.warning if status == "draft" else messages.success)(request, message)
    return redirect("admin:review_next", queue)


queue_pages: tuple[Page, ...] = (
    page("claim/<int:pk>/verdict/", verdict, "review_verdict"),
    page("claim/<int:pk>/skip/", skip, "review_skip"),
    page("claim/<int:pk>/escalate/", escalate, "review_escalate"),
    page("claim/<int:pk>/park/", park, "review_park"),
    page("claim/<int:pk>/release/", release, "review_release"),
    page("claim/<int:pk>/hand/", hand, "review_hand"),
    page("claim/<int:pk>/take-up/", take_up, "review_take_up"),
    page("claim/<int:pk>/reveal/<str:stage>/", reveal, "review_reveal"),
    page("<int:pk>/undo/", undo, "review_undo"),
)

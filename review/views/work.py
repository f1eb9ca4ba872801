"""The reviewer's desk: which queues there are, and one result after the other."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from classifiers.errors import ConflictError
from review import desk, figures, handout, own, places, preferences, queues
from review.models import Claim, Queue
from review.rights import need
from review.views import acts
from review.views.pages import Page, number, page, show
from review.views.sheets import WORK, own_preferences, show_desk, show_sheet, state

DRAFTS = 10


def work(request: HttpRequest) -> HttpResponse:
    """The queues that are open to the reviewer, what waits for them, and their numbers."""
    need(request.user, "review.work", WORK)
    mine = own_preferences(request)
    context = {
        "title": "Review",
        "places": places.places(request.user),
        "many": places.MANY,
        "not_mine": places.closed_to(request.user),
        "kept": desk.kept(request.user),
        "drafts": desk.drafts(request.user)[:DRAFTS],
        "today": own.today(request.user),
        "exposed": preferences.exposed_today(mine),
        "minutes": preferences.minutes_at_work(mine),
        "accuracy": figures.own_accuracy(request.user),
    }
    return show(request, "work/queues.html", context)


def next_result(request: HttpRequest, pk: int) -> HttpResponse:
    """The result that the reviewer holds in the queue; if there is none, the next one is taken first."""
    need(request.user, "review.work", WORK)
    queue = queues.find_queue(pk)
    held = desk.in_hand(queue, request.user)
    if not held and (taken := handout.claim_next(queue, reviewer=request.user)):
        held = handout.find_claim(taken.pk, reviewer=request.user)
    if held:
        return show_desk(request, held)
    return show(request, "work/empty.html", {"title": queue.name, **_nothing(request, queue)})


@require_POST
def take(request: HttpRequest, pk: int) -> HttpResponse:
    """The next result as a part of a page; ``besides`` is the number of the claim on the desk already."""
    need(request.user, "review.work", WORK)
    queue = queues.find_queue(pk)
    claim = handout.claim_next(queue, reviewer=request.user, besides=number(request, "besides"))
    if claim is None:
        return render(request, "admin/review/work/_empty.html", _nothing(request, queue))
    return show_sheet(request, handout.find_claim(claim.pk, reviewer=request.user))


def claim(request: HttpRequest, pk: int) -> HttpResponse:
    """One result that the reviewer holds, on the desk; only the sheet itself when htmx asks."""
    need(request.user, "review.work", WORK)
    held = handout.find_claim(pk, reviewer=request.user)
    if held.state not in desk.ON_DESK:
        raise ConflictError(f"This result is not in your hand: {held.get_state_display().lower()}.")
    return show_sheet(request, held) if request.headers.get("HX-Request") else show_desk(request, held)


@require_POST
def live(request: HttpRequest, pk: int) -> HttpResponse:
    """How many are left and how long the results on the desk stay there; ``active`` makes their leases whole."""
    need(request.user, "review.work", WORK)
    queue, active = queues.find_queue(pk), request.POST.get("active") == "1"
    mine = preferences.note_work(request.user) if active else preferences.of(request.user)
    on_desk = desk.on_desk(queue, request.user, number(request, "claim"), number(request, "ahead"))
    for held in on_desk:
        if active and held.state == Claim.State.HELD and desk.is_waning(held):
            handout.heartbeat(held)
    context = {
        **state(queue, request.user, on_desk[0] if on_desk else None),
        "lost": [held.pk for held in on_desk if held.state != Claim.State.HELD],
        "minutes": preferences.minutes_at_work(mine) if preferences.needs_break(mine) else 0,
    }
    return render(request, "admin/review/work/_live.html", context)


def _nothing(request: HttpRequest, queue: Queue) -> dict[str, Any]:
    others = [place for place in places.places(request.user) if place.open and place.queue != queue]
    return {"queue": queue, "others": others, "kept": desk.kept(request.user).filter(item__queue=queue).count()}


queue_pages: tuple[Page, ...] = (
    page("work/", work, "review_work"),
    page("<int:pk>/next/", next_result, "review_next"),
    page("<int:pk>/take/", take, "review_take"),
    page("<int:pk>/live/", live, "review_live"),
    page("claim/<int:pk>/", claim, "review_claim"),
    *acts.queue_pages,
)

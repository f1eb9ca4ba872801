"""How a result is laid before its reviewer: as a page, or as the part of it that is exchanged."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from moderation.categories import CATEGORIES
from review import desk, places, preferences
from review.models import Claim, Preferences, Queue
from review.rights import Person
from review.services import LABELS, Judgement
from review.views.pages import show

WORK = "review results"
# One key for each category, after "c", which is none of them.
CATEGORY_KEYS = "1234567890abd"
LABEL_KEYS = "123"


def show_desk(
    request: HttpRequest, claim: Claim, *, revealed: bool = False, said: Judgement | None = None
) -> HttpResponse:
    """The whole page with one result on it. ``said`` is filled in, and ``revealed`` hides no text."""
    queue, mine = claim.item.queue, own_preferences(request)
    context = {
        **sheet_context(claim, mine, revealed=revealed, said=said),
        "title": queue.name,
        "queue": queue,
        "preferences": mine,
        **state(queue, request.user, claim),
        "colleagues": places.colleagues(queue, request.user),
    }
    return show(request, "work/desk.html", context)


def show_sheet(request: HttpRequest, claim: Claim) -> HttpResponse:
    """The result alone, for a page that is there already."""
    return render(request, "admin/review/work/_sheet.html", sheet_context(claim, preferences.of(request.user)))


def state(queue: Queue, person: Person, claim: Claim | None) -> dict[str, Any]:
    """What changes while the result lies on the desk."""
    seconds = desk.seconds_left(claim) if claim else 0
    return {"held": claim, "seconds": seconds, "left": places.left(queue, person), "many": places.MANY}


def sheet_context(claim: Claim, mine: Preferences, **more: Any) -> dict[str, Any]:
    """What the templates of a sheet need."""
    return {
        "sheet": desk.sheet(claim, mine, **more),
        "categories": list(zip(CATEGORIES, CATEGORY_KEYS, strict=True)),
        "labels": list(zip(LABELS, LABEL_KEYS, strict=True)),
    }


def own_preferences(request: HttpRequest) -> Preferences:
    """The person's preferences, of which the record's pages read one in the session."""
    mine = preferences.of(request.user)
    if request.session.get("mask", preferences.MASKS[Preferences.Mask.HARMFUL]) != preferences.MASKS[mine.mask]:
        request.session["mask"] = preferences.MASKS[mine.mask]
    return mine

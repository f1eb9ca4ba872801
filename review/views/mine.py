"""What a person has said, and how they want to work: pages that nobody else sees."""

from __future__ import annotations

from uuid import uuid4

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from classifiers.errors import ConflictError, InputError
from classifiers.types import Stage
from review import own, preferences, services
from review.models import Claim, Preferences, Review
from review.preferences import Wish
from review.rights import need
from review.services import Judgement
from review.views.acts import judgement_of, stage_name
from review.views.pages import Page, number, page, show, show_conflict, text
from review.views.sheets import WORK, own_preferences, sheet_context

PAGE = 30
NAMES = {"mask": "Hidden until asked for", "submit_at_once": "Sent at once", "break_minutes": "Break after minutes"}


def mine(request: HttpRequest) -> HttpResponse:
    """The person's own verdicts, newest first, each with what the machine said of the texts that they judged."""
    need(request.user, "review.work", WORK)
    acts, more = own.acts(request.user, before=number(request, "before"), most=PAGE)
    wish = own_preferences(request)
    context = {
        "title": "My verdicts",
        "rows": [{"act": act, "hidden": own.hides_beginning(act, wish), "key": uuid4().hex} for act in acts],
        "older": f"?before={min(review.pk for review in acts[-1].reviews)}" if more else "",
        "newer": request.path if "before" in request.GET else "",
    }
    return show(request, "work/mine.html", context)


@require_POST
def undo(request: HttpRequest, pk: int) -> HttpResponse:
    """Takes one of the person's acts back. A result of a queue is in their hand again then, and is shown."""
    need(request.user, "review.work", WORK)
    review = services.find_review(pk, reviewer=request.user)
    services.undo(review, key=text(request, "key"))
    if not review.item or review.cause:
        messages.success(request, "Taken back.")
        return redirect("admin:review_mine")
    messages.success(request, "Taken back. You hold the result again; judge it anew.")
    return redirect("admin:review_claim", own.claim_of(review).pk)


def correct(request: HttpRequest, pk: int) -> HttpResponse:
    """A form with the person's verdict on a result, whose sending appends another one."""
    need(request.user, "review.work", WORK)
    claim = own.claim_of(services.find_review(pk, reviewer=request.user))
    given = own.current_reviews(claim)
    if request.method == "POST":
        return _correct(request, claim, given)
    context = {
        **sheet_context(claim, own_preferences(request), said=own.as_judgement(given)),
        "title": "Correct my verdict",
        "version": max((review.pk for review in given), default=0),
        "review": pk,
    }
    return show(request, "work/correct.html", context)


def _correct(request: HttpRequest, claim: Claim, given: list[Review]) -> HttpResponse:
    said = judgement_of(request)
    try:
        services.correct(claim, said, version=number(request, "version") or 0)
    except ConflictError as error:
        again = reverse("admin:review_mine")
        return show_conflict(request, error, rows=_beside(given, said), again=again)
    messages.success(request, "Corrected. What you said before is kept in the history.")
    return redirect("admin:review_mine")


def _beside(given: list[Review], said: Judgement) -> list[tuple[str, object, object]]:
    stored = {Stage(review.stage): review for review in given}
    rows: list[tuple[str, object, object]] = [
        (stage_name(stage).capitalize(), stored[stage].label if stage in stored else "", said.labels.get(stage, ""))
        for stage in Stage
        if stage in stored or stage in said.labels
    ]
    first = given[0] if given else Review()
    rows.append(("Categories", ", ".join(first.categories), ", ".join(said.categories)))
    return [*rows, ("Note", first.note, said.note)]


def choose(request: HttpRequest) -> HttpResponse:
    """How the person wants to work."""
    wish = own_preferences(request)
    if request.method == "POST":
        return _choose(request)
    fields = {name: Preferences._meta.get_field(name) for name in preferences.CHOICES}
    return show(request, "work/preferences.html", {"title": "Preferences", "preferences": wish, "fields": fields})


def _choose(request: HttpRequest) -> HttpResponse:
    wish = _wish(request)
    try:
        stored = preferences.change(request.user, wish)
    except ConflictError as error:
        theirs = preferences.of(request.user)
        rows = [(NAMES[name], stored, wished) for name, stored, wished in preferences.differing(theirs, wish)]
        return show_conflict(request, error, rows=rows, again=request.path)
    request.session["mask"] = preferences.MASKS[stored.mask]
    messages.success(request, "Stored.")
    return redirect("admin:review_preferences")


def _wish(request: HttpRequest) -> Wish:
    minutes, version = number(request, "break_minutes"), number(request, "version")
    if minutes is None or version is None:
        raise InputError("Say after how many minutes you want to be reminded of a break; 0 never does.")
    return Wish(text(request, "mask"), bool(request.POST.get("submit_at_once")), minutes, version)


review_pages: tuple[Page, ...] = (
    page("mine/", mine, "review_mine"),
    page("<int:pk>/undo/", undo, "review_undo_one"),
    page("<int:pk>/correct/", correct, "review_correct"),
)
preferences_pages: tuple[Page, ...] = (page("", choose, "review_preferences"),)

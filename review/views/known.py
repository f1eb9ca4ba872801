"""Known answers: results that look like any other and measure those who judge them."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from classifiers.errors import InputError, NotFoundError
from classifiers.types import Stage
from review import progress, queues
from review.desk import TITLES
from review.models import Queue, stages_of, text_of
from review.rights import need
from review.views.pages import Page, number, page, show, text
from review.views.seen import about, overseen
from runs.models import Result
from runs.views.pages import hidden

SIZE = 50
MARK = "mark known answers"


def known(request: HttpRequest, pk: int) -> HttpResponse:
    """The results whose answer is known."""
    queue, after = overseen(request, pk), number(request, "after")
    found = list(progress.known(queue).filter(result__gt=after or 0)[: SIZE + 1])
    context = {
        **about(queue),
        "items": found[:SIZE],
        "older": f"?after={found[SIZE - 1].result_id}" if len(found) > SIZE else "",
        "newer": "?" if after else "",
    }
    return show(request, "lead/known.html", context)


def known_add(request: HttpRequest) -> HttpResponse:
    """Looks up a result, and says in which queue its answer is known, and as what."""
    need(request.user, "review.lead", MARK)
    result = _asked_result(request)
    if request.method == "POST":
        return _mark(request, result)
    stages = [stage for stage in Stage if result and text_of(result, stage) is not None]
    context = {
        "title": "Add a known answer",
        "result": result,
        "parts": [_part(request, result, stage) for stage in stages],
        "queues": Queue.objects.running().order_by("-pk")[:SIZE],
        "chosen": number(request, "queue"),
    }
    return show(request, "lead/known_add.html", context)


def _asked_result(request: HttpRequest) -> Result | None:
    """By its own number, or by its run and position; None when none was asked for."""
    pk, run, position = (number(request, name) for name in ("result", "run", "position"))
    if pk is not None:
        found = Result.objects.filter(pk=pk)
    elif run is not None and position is not None:
        found = Result.objects.filter(run=run, position=position)
    else:
        return None
    if result := found.first():
        return result
    raise NotFoundError("There is no such result. Look at its page for the numbers of its run and its place.")


def _part(request: HttpRequest, result: Result, stage: Stage) -> dict[str, Any]:
    why = hidden(request, result, stage)
    return {"stage": stage, "title": TITLES[stage], "hidden": why, "text": "" if why else text_of(result, stage)}


def _mark(request: HttpRequest, result: Result | None) -> HttpResponse:
    if result is None:
        raise InputError("Look up a result first, by its run and its position there.")
    queue = queues.find_queue(number(request, "queue") or 0)
    labels = {stage: text(request, stage.lower()) for stage in stages_of(queue, result)}
    queues.mark_gold(queue, result, labels, by=request.user)
    messages.success(request, "Marked. It looks like any other result, and measures those who judge it.")
    return redirect("admin:review_known", queue.pk)


@require_POST
def known_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Makes a result with a known answer an ordinary one again."""
    need(request.user, "review.lead", MARK)
    item = queues.find_item(queues.find_queue(pk), number(request, "item") or 0)
    queues.mark_gold(item.queue, item.result, None, by=request.user)
    messages.success(request, "It is an ordinary result again.")
    return redirect("admin:review_known", pk)


queue_pages: tuple[Page, ...] = (
    page("known/", known_add, "review_known_add"),
    page("<int:pk>/known/", known, "review_known"),
    page("<int:pk>/known/remove/", known_remove, "review_known_remove"),
)

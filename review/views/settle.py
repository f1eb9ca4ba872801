"""Settling what people disagree on: what waits for this person, and one result with everything that was said of it."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from classifiers.errors import ConflictError, NotFoundError
from classifiers.types import Stage
from review import adjudication, queues, services
from review.adjudication import Case
from review.desk import TITLES
from review.models import QueueItem, Review, text_of
from review.progress import LONG
from review.rights import need
from review.services import Judgement
from review.views.pages import Page, number, page, show, show_conflict, text
from review.views.sheets import own_preferences
from runs.services import reveal_text
from runs.views.pages import hidden

SETTLE = "settle disagreements"
SIZE = 50
DECISIONS = (("SAFE", "1"), ("TOXIC", "2"))


def all_disputed(request: HttpRequest) -> HttpResponse:
    """The queues in which something waits for this person."""
    need(request.user, "review.adjudicate", SETTLE)
    context = {"title": "Disagreements", "queues": adjudication.waiting_by_queue(request.user)}
    return show(request, "lead/disputed_queues.html", context)


def disputed(request: HttpRequest, pk: int) -> HttpResponse:
    """What waits for this person in one queue, the oldest first."""
    need(request.user, "review.adjudicate", SETTLE)
    queue, after = queues.find_queue(pk), number(request, "after")
    mine = adjudication.waiting_for(request.user, queue)
    found = list(mine.filter(result__gt=after or 0).select_related("result").defer(*LONG)[: SIZE + 1])
    context = {
        "title": f"Disagreements: {queue.name}",
        "queue": queue,
        "cases": adjudication.summaries(found[:SIZE]),
        "others": adjudication.disputed(queue).count() - mine.count(),
        "older": f"?after={found[SIZE - 1].result_id}" if len(found) > SIZE else "",
        "newer": "?" if after else "",
    }
    return show(request, "lead/disputed.html", context)


def case(request: HttpRequest, pk: int, item: int) -> HttpResponse:
    """One result: what the machine said, what everybody said, and the form that decides."""
    need(request.user, "review.adjudicate", SETTLE)
    disputed = queues.find_item(queues.find_queue(pk), item)
    if request.method == "POST":
        return _decide(request, disputed)
    return show(request, "lead/case.html", _context(request, adjudication.open_case(disputed, by=request.user)))


def _context(request: HttpRequest, opened: Case, revealed: Stage | None = None) -> dict[str, Any]:
    own_preferences(request)
    result = opened.result
    return {
        "title": f"Run {result.run_id}, prompt {result.position}",
        "queue": opened.item.queue,
        "case": opened,
        "parts": [_part(request, opened, stage, revealed) for stage in Stage if text_of(result, stage) is not None],
        "causes": Review.Cause.choices,
        "decisions": DECISIONS,
        "key": uuid.uuid4().hex,
    }


def _part(request: HttpRequest, opened: Case, stage: Stage, revealed: Stage | None) -> dict[str, Any]:
    result, name = opened.result, stage.lower()
    why = "" if stage == revealed else hidden(request, result, stage)
    return {
        "stage": stage,
        "title": TITLES[stage],
        "why": why,
        "text": None if why else text_of(result, stage),
        "label": getattr(result, f"{name}_label"),
        "score": getattr(result, f"{name}_score"),
        "verdicts": opened.verdicts[stage],
        "opinions": [opinion for opinion in opened.opinions if opinion.review.stage == stage],
        "asked": stage in opened.stages,
    }


@require_POST
def reveal(request: HttpRequest, pk: int, item: int, stage: str) -> HttpResponse:
    """A hidden text, to whoever settles it; written down."""
    need(request.user, "review.adjudicate", SETTLE)
    opened = adjudication.open_case(queues.find_item(queues.find_queue(pk), item), by=request.user)
    revealed = next((known for known in Stage if known.lower() == stage), None)
    if revealed is None or text_of(opened.result, revealed) is None:
        raise NotFoundError("There is no such text here.")
    reveal_text(opened.result, stage=revealed, what="text", actor=f"user:{request.user.get_username()}")
    context = _context(request, opened, revealed)
    if not request.headers.get("HX-Request"):
        return show(request, "lead/case.html", context)
    part = next(part for part in context["parts"] if part["stage"] == revealed)
    return render(request, "admin/review/lead/_case_text.html", {**context, "part": part})


def _decide(request: HttpRequest, item: QueueItem) -> HttpResponse:
    said = _judgement(request, item)
    try:
        services.adjudicate(item, said, adjudicator=request.user, cause=text(request, "cause"))
    except ConflictError as error:
        again = reverse("admin:review_disputed", args=[item.queue_id])
        return show_conflict(request, error, rows=_beside(item, said, text(request, "cause")), again=again)
    decided = ", ".join(f"{TITLES[stage].lower()} {label}" for stage, label in said.labels.items())
    messages.success(request, f"Settled: {decided}. You can take it back under My verdicts.")
    return redirect(_next(request, item))


def _judgement(request: HttpRequest, item: QueueItem) -> Judgement:
    labels = {stage: text(request, stage.lower()) for stage in adjudication.asked(item)}
    adjudication.check_all_asked(item, labels)
    return Judgement(labels, key=text(request, "key"), note=text(request, "note"))


def _beside(item: QueueItem, said: Judgement, cause: str) -> list[tuple[str, object, object]]:
    """What was decided meanwhile, and what this person decided."""
    decided = list(Review.objects.filter(item=item).adjudications().select_related("reviewer"))
    theirs = {review.stage: f"{review.label} by {review.reviewer}" for review in decided}
    rows: list[tuple[str, object, object]] = [
        (TITLES[stage], theirs.get(stage, ""), label) for stage, label in said.labels.items()
    ]
    first = decided[0] if decided else Review()
    rows.append(("Cause", first.get_cause_display(), Review(cause=cause).get_cause_display()))
    return [*rows, ("Note", first.note, said.note)]


def _next(request: HttpRequest, item: QueueItem) -> str:
    """The one that waits next for this person, or their list."""
    mine = adjudication.waiting_for(request.user, item.queue)
    following = mine.filter(result__gt=item.result_id).values_list("pk", flat=True).first()
    if following is None:
        return reverse("admin:review_disputed", args=[item.queue_id])
    return reverse("admin:review_case", args=[item.queue_id, following])


queue_pages: tuple[Page, ...] = (
    page("adjudicate/", all_disputed, "review_disputed_queues"),
    page("<int:pk>/adjudicate/", disputed, "review_disputed"),
    page("<int:pk>/adjudicate/<int:item>/", case, "review_case"),
    page("<int:pk>/adjudicate/<int:item>/reveal/<str:stage>/", reveal, "review_case_reveal"),
)

"""The lead's pages: queues, how far they have come, what they hold, and the answers that are known."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import urlencode
from django.views.decorators.http import require_POST

from classifiers.errors import ConflictError, InputError
from review import filling, handout, progress, queues
from review.forms import FILTERS, QueueForm, SettingsForm, filter_form, filters_in, filters_only
from review.models import Queue, QueueItem
from review.rights import need
from review.views import saved
from review.views.pages import Page, number, page, show, show_conflict, text
from review.views.seen import OVERSEE, about, overseen
from runs import filters
from runs.views.pages import newest_first, rows

SIZE = 50
# Of those who hold something, and of what was skipped or came too late.
MOST = 25
SAMPLE = 6
# Filters that most queues are made of; the others fold away.
FIRST = ("run", "flagged", "category", "min_score", "max_score", "errors")
LEAD = "lead queues"


def queue_list(request: HttpRequest) -> HttpResponse:
    """All queues for those who oversee them; whoever reviews only has a page of their own."""
    if not request.user.has_perm("review.oversee") and request.user.has_perm("review.work"):
        return redirect("admin:review_work")
    need(request.user, "review.oversee", OVERSEE)
    closed = bool(number(request, "closed"))
    chosen = Queue.objects.filter(closed_at__isnull=not closed)
    found, beside = newest_first(request, chosen, before=number(request, "before"), size=SIZE)
    standings = progress.standings(found)
    context = {
        "title": "Queues",
        "queues": [(queue, standings[queue.pk]) for queue in found],
        "closed": closed,
        **beside,
    }
    return show(request, "lead/queues.html", context)


def queue_add(request: HttpRequest) -> HttpResponse:
    """A new queue; the filter comes along from the list of results."""
    need(request.user, "review.lead", LEAD)
    given = filters_in(request.POST) if request.method == "POST" else filters_only(request.GET)
    chosen = filter_form(given)
    if request.method != "POST":
        return _show_add(request, QueueForm(initial=_suggested(given)), chosen)
    form = QueueForm(request.POST)
    if form.is_valid() and chosen.is_valid():
        form.instance.filters = given
        try:
            queue = queues.create_queue(form.instance, by=request.user, members=form.cleaned_data["members"])
        except InputError as error:
            form.add_error(None, error.message)
        else:
            messages.success(request, f"The queue holds {queue.items.count()} results. Reviewers find it under Review.")
            return redirect("admin:review_queue_change", queue.pk)
    return _show_add(request, form, chosen, status=400)


def _suggested(given: dict[str, str]) -> dict[str, Any]:
    """A blind queue with some of what the machine did not flag: only then it can be told what the machine missed."""
    name = filters.in_words(given) if given else ""
    return {"name": f"{name[:1].upper()}{name[1:200]}", "sample_percent": 10}


def _show_add(request: HttpRequest, form: QueueForm, chosen: Any, *, status: int = 200) -> HttpResponse:
    rest = [name for name in FILTERS if name not in FIRST]
    context = {
        "title": "New queue",
        "form": form,
        "first_filters": [chosen[name] for name in FIRST],
        "more_filters": [chosen[name] for name in rest],
        "more_used": any(chosen.data.get(name) for name in rest),
        "refused": status != 200,
        **_preview(request),
    }
    return show(request, "lead/add.html", context, status=status)


@require_POST
def queue_preview(request: HttpRequest) -> HttpResponse:
    """What a queue would hold, while its form is filled in."""
    need(request.user, "review.lead", LEAD)
    return render(request, "admin/review/lead/_preview.html", _preview(request))


def _preview(request: HttpRequest) -> dict[str, Any]:
    data = request.POST or request.GET
    given, form = filters_in(data), QueueForm(data)
    if not (chosen := filter_form(given)).is_valid():
        return {"wrong": [(chosen[name].label, errors[0]) for name, errors in chosen.errors.items()]}
    form.is_valid()
    wanted = form.cleaned_data
    sample = wanted.get("sample_percent", 0 if request.method == "POST" else 10)
    chosen_by = {name: wanted[name] for name in ("learner", "size", "random_percent") if name in wanted}
    queue = Queue(filters=given, stages=wanted.get("stages", Queue.Stages.BOTH), sample_percent=sample, **chosen_by)
    return {
        "words": filters.in_words(given),
        "forecast": filling.forecast(queue),
        "learner": queue.learner,
        "rows": rows(request, queues.some(filters.results(given), SAMPLE)),
    }


def queue_page(request: HttpRequest, pk: int) -> HttpResponse:
    """What the queue is, how far it has come, and who holds what."""
    queue = overseen(request, pk)
    members = queues.settings_of(queue)["members"] if queue.restricted else []
    return show(request, "lead/queue.html", {**about(queue), **_live(queue), "members": members})


def queue_state(request: HttpRequest, pk: int) -> HttpResponse:
    """What changes by itself, polled."""
    queue = overseen(request, pk)
    return render(request, "admin/review/lead/_live.html", {"queue": queue, **_live(queue)})


def _live(queue: Queue) -> dict[str, Any]:
    held, standing = list(progress.holders(queue)[: MOST + 1]), progress.standing(queue)
    return {
        "standing": standing,
        "waiting": progress.waiting(queue, standing.oldest),
        "held": held[:MOST],
        "more_held": len(held) > MOST,
    }


def queue_people(request: HttpRequest, pk: int) -> HttpResponse:
    """Who judged how much, and what they left aside."""
    queue = overseen(request, pk)
    context = {
        **about(queue),
        "paces": progress.paces(queue),
        "aside": progress.left_aside(queue)[:MOST],
        "late": progress.late(queue)[:MOST],
    }
    return show(request, "lead/people.html", context)


def queue_items(request: HttpRequest, pk: int) -> HttpResponse:
    """The results of a queue, by state."""
    queue, state = overseen(request, pk), request.GET.get("state", "")
    if state and state not in QueueItem.State.values:
        raise InputError(
            f"A result of a queue is never {state[:60]!r}. It is one of: {', '.join(QueueItem.State.values)}."
        )
    after = number(request, "after")
    found = list(progress.items(queue, state=state).filter(result__gt=after or 0)[: SIZE + 1])
    context = {
        **about(queue),
        "items": found[:SIZE],
        "state": state,
        "states": QueueItem.State.choices,
        "older": f"?state={state}&after={found[SIZE - 1].result_id}" if len(found) > SIZE else "",
        "newer": f"?state={state}" if after else "",
    }
    return show(request, "lead/items.html", context)


def queue_edit(request: HttpRequest, pk: int) -> HttpResponse:
    need(request.user, "review.lead", LEAD)
    queue = queues.find_queue(pk)
    if request.method == "POST":
        return _edit(request, queue)
    members = queue.seats.filter(member=True).values_list("user", flat=True)
    form = SettingsForm(instance=queue, initial={"members": list(members)})
    return show(request, "lead/edit.html", {**about(queue), "form": form, "version": queue.version})


def _edit(request: HttpRequest, queue: Queue) -> HttpResponse:
    form, version = SettingsForm(request.POST), number(request, "version") or 0
    if not form.is_valid():
        return show(request, "lead/edit.html", {**about(queue), "form": form, "version": version}, status=400)
    wanted, members = form.cleaned_data, list(form.cleaned_data["members"])
    try:
        queues.update_queue(queue, wanted, members=members, version=version, by=request.user)
    except ConflictError as error:
        stored, sent = queues.settings_of(queues.find_queue(queue.pk)), {**wanted, "members": sorted(map(str, members))}
        beside = [(form[name].label, stored[name], sent[name]) for name in stored if stored[name] != sent[name]]
        return show_conflict(request, error, rows=beside, again=request.path)
    messages.success(request, "Stored.")
    return redirect("admin:review_queue_change", queue.pk)


@require_POST
def queue_close(request: HttpRequest, pk: int) -> HttpResponse:
    """Closes the queue, or opens it again."""
    closed = text(request, "closed") == "1"
    queues.close_queue(queues.find_queue(pk), by=request.user, closed=closed)
    said = "Closed: nothing more is handed out; what is held can still be sent." if closed else "Open again."
    messages.success(request, said)
    return redirect("admin:review_queue_change", pk)


@require_POST
def give_back(request: HttpRequest, pk: int) -> HttpResponse:
    """Gives back what a reviewer holds, so that others get it."""
    need(request.user, "review.lead", LEAD)
    claim = progress.find_claim(pk)
    handout.release(claim, by=request.user)
    messages.success(request, f"Given back; {claim.reviewer.get_username()} can still send a verdict while it is free.")
    return redirect("admin:review_queue_change", claim.item.queue_id)


def result_actions(request: HttpRequest) -> HttpResponse:
    """What can be done with the results of a filter: a part of their list."""
    need(request.user, "runs.view_result", "see results")
    given = filters_only(request.GET)
    context = {"query": urlencode(given), "given": given, **saved.beside(request, given)}
    return render(request, "admin/review/lead/_result_actions.html", context)


queue_pages: tuple[Page, ...] = (
    page("", queue_list, "review_queue_changelist"),
    page("add/", queue_add, "review_queue_add"),
    page("add/preview/", queue_preview, "review_queue_preview"),
    page("result-actions/", result_actions, "review_result_actions"),
    page("claim/<int:pk>/give-back/", give_back, "review_give_back"),
    page("<int:pk>/", queue_page, "review_queue_change"),
    page("<int:pk>/state/", queue_state, "review_queue_state"),
    page("<int:pk>/people/", queue_people, "review_queue_people"),
    page("<int:pk>/items/", queue_items, "review_queue_items"),
    page("<int:pk>/edit/", queue_edit, "review_queue_edit"),
    page("<int:pk>/close/", queue_close, "review_queue_close"),
)

"""Pages of figures: agreement, the machine against people, known answers, the report of a period, and what is taken out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from classifiers.errors import InputError, NotFoundError
from review import exports, figures, machine, plots, queues, reports
from review.machine import Held
from review.models import Queue
from review.rights import need
from review.scopes import PeriodForm, Scope, ScopeForm, check, reviewers
from review.views.pages import Page, page, show
from runs.models import Result, Run

OVERSEE = "see figures and everybody's reviews"
TYPES = {"jsonl": "application/x-ndjson", "csv": "text/csv", "json": "application/json"}
DAYS = timedelta(days=30)
# Filters that leave no flagged result of a run out.
COMPLETE = {"run", "flagged"}
# Results of more prompts are better written in the background.
AT_ONCE = 20_000


@require_GET
def of_queue(request: HttpRequest, pk: int) -> HttpResponse:
    """The figures of one queue; a filter narrows them further."""
    need(request.user, "review.oversee", OVERSEE)
    queue, people = queues.find_queue(pk), reviewers()
    form = ScopeForm(request.GET.dict(), people=people)
    context = {
        "title": f"Figures of {queue.name}",
        "queue": queue,
        "accuracies": _accuracies(people, figures.accuracies(queue)),
        **_figures(form.scope(queue), queue, people),
    }
    return show(request, "figures/of_queue.html", {**context, "form": form})


@require_GET
def of_any(request: HttpRequest) -> HttpResponse:
    """The figures of whatever the filter says."""
    need(request.user, "review.oversee", OVERSEE)
    people, queues = reviewers(), list(Queue.objects.order_by("-pk"))
    named = [(str(queue.pk), f"{queue.pk}: {queue.name}") for queue in queues]
    form = ScopeForm(request.GET.dict(), people=people, queues=named)
    scope = form.scope()
    queue = next((queue for queue in queues if queue.pk == scope.queue), None)
    context = {
        "title": "Figures",
        "accuracies": _accuracies(people, figures.accuracies(queue)),
        **_figures(scope, queue, people),
    }
    return show(request, "figures/figures.html", {**context, "form": form})


def _figures(scope: Scope, queue: Queue | None, people: Mapping[int, str]) -> dict[str, Any]:
    agreement = figures.agreement_of(scope)
    whole = machine.as_a_whole(scope, queue)
    versions = machine.by_version(scope, queue, whole=whole)
    apart = [held for held in whole if all(held.counts != each.counts for each in versions if each.stage == held.stage)]
    names = {pk: people[pk] for pk in agreement.people}
    return {
        "scope": scope,
        "agreement": agreement,
        "matrix": [(name, [agreement.pair(one, other) for other in names]) for one, name in names.items()],
        "names": names.values(),
        "pairs": [(people[pair.one], people[pair.other], pair) for pair in agreement.pairs.values()],
        "whole": apart,  # where one version says it all, it says it once
        "versions": [(held, reports.name_of(held.version), _sweep(held)) for held in versions if held.version],
    }


def _sweep(held: Held) -> plots.Curves | None:
    return plots.sweep(held.sweep, recall=not held.why) if len(held.sweep) > 1 else None


def _accuracies(people: Mapping[int, str], known: Mapping[int, figures.Accuracy]) -> list[tuple[str, figures.Accuracy]]:
    return sorted((people[pk], accuracy) for pk, accuracy in known.items())


# Parts of the record's pages


@require_GET
def of_result(request: HttpRequest, pk: int) -> HttpResponse:
    """What people said of a result, and what became of it."""
    need(request.user, "review.oversee", OVERSEE)
    result = Result.objects.defer("prompt", "answer", "metadata").filter(pk=pk).first()
    if result is None:
        raise NotFoundError("There is no such result: its run may have been deleted.")
    context = {"result": result, "reviews": figures.of_result(pk)}
    return render(request, "admin/review/figures/_of_result.html", context)


@require_GET
def of_run(request: HttpRequest, pk: int) -> HttpResponse:
    """What people made of a run, in short."""
    need(request.user, "review.oversee", OVERSEE)
    run = _run(pk)
    scope, queues = Scope(run=run.pk), Queue.objects.filter(filters__run=str(run.pk)).order_by("-pk")
    sampled = next(
        (queue for queue in queues if queue.population.get("sampled") and queue.filters.keys() <= COMPLETE), None
    )
    context = {
        "run": run,
        "at_once": run.total <= AT_ONCE,
        "agreement": figures.agreement_of(scope),
        "sampled": sampled,
        "whole": machine.as_a_whole(Scope(queue=sampled.pk) if sampled else scope, sampled),
    }
    return render(request, "admin/review/figures/_of_run.html", context)


# What is taken out


@require_GET
def report(request: HttpRequest) -> HttpResponse:
    """The report of a period, as a page to be printed or, with ``as``, as a file."""
    reports.may_see(request.user)
    given = request.GET.dict()
    wanted = given.pop("as", "")
    form = PeriodForm(given or _last_days())
    check(form)
    since, until = form.period()
    made = reports.report_of(since or datetime.min.replace(tzinfo=UTC), until or timezone.now(), by=request.user)
    if wanted:
        return _file(reports.take_out(made, form=wanted, by=request.user), f"report-{made.made_at:%Y-%m-%d}", wanted)
    return show(request, "figures/report.html", {"title": "Report", "report": made, "form": form})


def _last_days() -> dict[str, str]:
    today = timezone.now().date()
    return {"since": f"{today - DAYS}", "until": f"{today}"}


@require_GET
def export(request: HttpRequest, pk: int) -> HttpResponse:
    """The reviews of a queue as a file, a piece at a time."""
    need(request.user, "review.export", "take reviews out")
    form, pseudonyms = request.GET.get("as", ""), request.GET.get("pseudonyms", "0")
    if pseudonyms not in ("0", "1"):
        raise InputError("Say pseudonyms=1 to leave the names out, or leave it away.")
    pieces = exports.export_reviews(queues.find_queue(pk), form=form, pseudonyms=pseudonyms == "1", by=request.user)
    return _file(pieces, f"reviews-of-queue-{pk}", form)


def _run(pk: int) -> Run:
    run = Run.objects.filter(pk=pk).first()
    if run is None:
        raise NotFoundError("There is no such run: it may have been deleted.")
    return run


def _file(content: str | Iterator[str], name: str, form: str) -> HttpResponse:
    kind: type[Any] = HttpResponse if isinstance(content, str) else StreamingHttpResponse
    response: HttpResponse = kind(content, content_type=f"{TYPES[form]}; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.{form}"'
    return response


queue_pages: tuple[Page, ...] = (
    page("figures/", of_any, "review_figures"),
    page("<int:pk>/figures/", of_queue, "review_queue_figures"),
    page("report/", report, "review_report"),
    page("<int:pk>/export/", export, "review_queue_export"),
)
review_pages: tuple[Page, ...] = (
    page("of-result/<int:pk>/", of_result, "review_of_result"),
    page("of-run/<int:pk>/", of_run, "review_of_run"),
)

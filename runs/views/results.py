"""The list of results, and one result with everything that is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from django.db.models.functions import Length
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_POST

from classifiers.errors import NotFoundError
from classifiers.policy import Rules
from classifiers.types import Prompt, Span, Stage
from moderation import policies
from runs import filters, paging, payloads, services
from runs.models import Result, Verdict
from runs.querysets import ResultQuerySet
from runs.views import pages
from runs.views.findings import Findings, findings, sent_for

TURNS = ("order", "before", "after")
# Those that most people look for stand first; the others fold away.
FIRST = ("q", "run", "flagged", "reviewed")
ORDERS = {
    "place": "place, first to last",
    "newest": "place, last to first",
    "input_score": "score of the prompt",
    "output_score": "score of the answer",
}
NAMES = {Stage.INPUT: "Prompt", Stage.OUTPUT: "Answer"}


@require_GET
@pages.may_view_results
def result_list(request: HttpRequest) -> HttpResponse:
    chosen = {name: value for name, value in request.GET.items() if name not in TURNS and value}
    turn = {name: value for name, value in request.GET.items() if name in TURNS and value}
    checked = filters.parsed(chosen)
    results = cast(ResultQuerySet, checked.qs)
    order = turn.get("order") or ("place" if "run" in chosen else "newest")
    before, after = pages.number(turn, "before"), pages.number(turn, "after")
    page = paging.page(results, order=order, run=checked.given.get("run"), before=before, after=after)
    fields = [checked.form[name] for name in checked.base_filters]
    context = {
        "title": "Results",
        "words": checked.words,
        "chosen": chosen,
        "query": urlencode(chosen),
        "rows": pages.rows(request, page.rows),
        "count": paging.counted(results),
        "counted": paging.COUNTED,
        "order": order,
        "orders": ORDERS.items(),
        "fields": [field for field in fields if field.name in FIRST],
        "more_fields": [field for field in fields if field.name not in FIRST],
        "more_used": bool(chosen.keys() - set(FIRST)),
        "newer": pages.address(request, before=page.before, after=None) if page.before else "",
        "older": pages.address(request, after=page.after, before=None) if page.after else "",
    }
    return pages.shown(request, "results", context)


@require_GET
@pages.may_view_results
def result_page(request: HttpRequest, pk: int) -> HttpResponse:
    return _page(request, _find(pk))


@require_POST
@pages.may_view_results
def result_reveal(request: HttpRequest, pk: int, stage: str) -> HttpResponse:
    """A masked text: as a fragment of the list or the page that asked for it, else as a whole page."""
    result, revealed = _find(pk), _stage(stage)
    services.reveal_text(result, stage=revealed, what="text", actor=pages.actor(request))
    if request.GET.get("part") == "beginning":
        return render(request, "admin/runs/_beginning.html", {"beginning": pages.beginning(result.prompt)})
    if pages.is_fragment(request):
        panel = Panel.of(result, revealed, _verdicts(result), hidden="", sources=_sources(request, result, revealed))
        return render(request, "admin/runs/_stage.html", {"panel": panel, "result": result, "revealed": True})
    return _page(request, result, revealed=revealed)


@require_GET
@pages.may_view_results
def result_payload(request: HttpRequest, pk: int, verdict: int) -> HttpResponse:
    """What the provider sent for a verdict; as a file when that is asked for."""
    result = _find(pk)
    sent = result.verdicts.filter(payload__isnull=False).annotate(length=Length("payload__body"))
    judged = sent.filter(pk=verdict).first()
    if judged is None:
        raise NotFoundError("The provider sent nothing for this verdict, or this result has no such verdict.")
    if pages.hidden(request, result, Stage(judged.stage)):
        services.reveal_text(result, stage=Stage(judged.stage), what="payload", actor=pages.actor(request))
    if "file" in request.GET:
        headers = {"Content-Disposition": f'attachment; filename="payload-{judged.pk}.txt"'}
        return HttpResponse(judged.payload.body, content_type="text/plain; charset=utf-8", headers=headers)
    context = {
        "title": f"What was sent for {judged}",
        "verdict": judged,
        "result": result,
        "length": judged.length,
        "limit": payloads.MAX_SHOWN,
        "body": payloads.readable(judged.payload.body) if judged.length <= payloads.MAX_SHOWN else None,
    }
    return pages.shown(request, "payload", context)


@dataclass(frozen=True)
class Said:
    """A verdict with its categories as (name, score, threshold, whether flagged), the highest score first, and what it found."""

    verdict: Verdict
    scores: list[tuple[str, float, float | None, bool]]
    found: Findings

    @classmethod
    def of(cls, verdict: Verdict, rules: Rules, sent: Any, text: str | None, sources: Sequence[str]) -> Said:
        ranked = sorted(verdict.categories.items(), key=lambda item: -item[1])
        flagged, thresholds = verdict.flagged, verdict.thresholds_under(rules)
        scores = [(name, score, thresholds.get(name), name in flagged) for name, score in ranked]
        return cls(verdict, scores, findings([Span(**span) for span in verdict.spans], sent, text, sources))


@dataclass(frozen=True)
class Panel:
    """A stage of a result as its page shows it; ``hidden`` says why its text is not in the page, empty when it is."""

    stage: Stage
    name: str
    text: str | None
    label: str | None
    score: float | None
    human: str | None
    provenance: str
    categories: list[str]
    said: list[Said]
    metadata: str
    hidden: str

    @classmethod
    def of(
        cls, result: Result, stage: Stage, verdicts: list[Verdict], *, hidden: str, sources: Sequence[str] = ()
    ) -> Panel:
        """``sources`` are the documents that may be quoted."""
        of_stage = [verdict for verdict in verdicts if verdict.stage == stage]
        sent = {} if hidden else sent_for(of_stage)
        prompt, name = stage == Stage.INPUT, stage.lower()
        text = result.prompt if prompt else result.answer
        rules = policies.rules_of(result.run.policy_version)
        fields = {kind: getattr(result, f"{name}_{kind}") for kind in ("label", "score", "provenance", "categories")}
        return cls(
            stage=stage,
            name=NAMES[stage],
            text=text,
            human=getattr(result, f"human_{name}_label"),
            said=[Said.of(each, rules, sent.get(each.pk), None if hidden else text, sources) for each in of_stage],
            metadata=pages.indented(result.metadata) if prompt and result.metadata else "",
            hidden=hidden if text is not None else "",
            **fields,
        )


def _page(request: HttpRequest, result: Result, *, revealed: Stage | None = None) -> HttpResponse:
    chosen = {name: value for name, value in request.GET.items() if value}
    checked = filters.parsed(chosen)
    before, after = paging.neighbours(cast(ResultQuerySet, checked.qs), result)
    verdicts = _verdicts(result)
    panels = [
        Panel.of(
            result,
            stage,
            verdicts,
            hidden="" if stage == revealed else pages.hidden(request, result, stage),
            sources=_sources(request, result, revealed),
        )
        for stage in Stage
    ]
    context = {
        "title": f"Run {result.run_id}, prompt {result.position}",
        "result": result,
        "panels": panels,
        "words": checked.words,
        "query": urlencode(chosen),
        "before": before,
        "after": after,
    }
    return pages.shown(request, "result", context)


def _find(pk: int) -> Result:
    result = Result.objects.select_related("run__policy_version__policy").filter(pk=pk).first()
    if result is None:
        raise NotFoundError(f"There is no result {pk}. Look for it in the list of results.")
    return result


def _sources(request: HttpRequest, result: Result, revealed: Stage | None) -> Sequence[str]:
    """The documents that came with the prompt, which are hidden with it."""
    shown = revealed == Stage.INPUT or not pages.hidden(request, result, Stage.INPUT)
    return Prompt(result.prompt, metadata=result.metadata).sources if shown else ()


def _verdicts(result: Result) -> list[Verdict]:
    return list(Verdict.objects.shown().filter(result=result).order_by("pk"))


def _stage(name: str) -> Stage:
    try:
        return Stage(name.upper())
    except ValueError:
        raise NotFoundError(f"A result has no stage {name[:60]!r}: it has input and output.") from None

"""A page to try a text on: what each check says of it."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from classifiers.errors import InputError
from classifiers.types import Classification
from moderation.services import check_alias, names
from runs.gateway.askers import Asker
from runs.gateway.moderating import moderate
from runs.gateway.routes import find_classifier
from runs.views import pages
from runs.views.findings import Findings, findings

LONGEST = 100_000


@require_http_methods(["GET", "POST"])
@permission_required("runs.moderate", raise_exception=True)
def try_text(request: HttpRequest) -> HttpResponse:
    chosen = request.POST.getlist("check") or [find_classifier(None)]
    context: dict[str, Any] = {
        "title": "Try a text",
        "checks": [(alias, alias in chosen) for alias in names("classifier")],
        "longest": LONGEST,
    }
    if request.method == "POST":
        context |= _judged(request, request.POST.get("text", ""), chosen)
    return pages.shown(request, "try", context)


def _judged(request: HttpRequest, text: str, chosen: list[str]) -> dict[str, Any]:
    if not text.strip() or len(text) > LONGEST:
        raise InputError(f"Give a text of at most {LONGEST} characters.")
    for alias in chosen:
        check_alias("classifier", alias)
    asker = Asker.of(pages.actor(request))
    (moderated,) = moderate([text], aliases=list(dict.fromkeys(chosen)), asker=asker)
    said = [(each.check, each.classification) for each in moderated.judged.judgements]
    return {
        "text": text,
        "moderated": moderated,
        "said": [(alias, c, _scores(c), _found(c, text)) for alias, c in said],
    }


def _found(c: Classification, text: str) -> Findings:
    return findings(c.spans, c.raw, text, ())


def _scores(c: Any) -> list[tuple[str, float, float | None, bool]]:
    """Category, score, threshold, and whether it was flagged; the highest score first."""
    rows = [(name, score, c.thresholds.get(name), name in c.flagged) for name, score in c.categories.items()]
    return sorted(rows, key=lambda row: -row[1])

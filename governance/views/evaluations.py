"""The list of evaluations, and the page of one beside others on the same data."""

from __future__ import annotations

from collections.abc import Sequence

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from classifiers.curves import RESAMPLES
from classifiers.errors import InputError
from classifiers.measuring import CategoryConfusion, Paired, Picked, confusions
from governance import plots, services, turns
from governance.forms import PickForm
from governance.models import Evaluation, EvaluationJob
from governance.views.pages import SEE, show
from governance.words import FIGURES
from moderation.policies import in_force
from review.rights import need
from review.views.pages import number
from runs.views.pages import newest_first

SIZE, OTHERS, MOST_BESIDE = 50, 20, 5
# Of more texts fewer resamples are drawn while somebody waits.
MANY, FEW_RESAMPLES = 20_000, 200


@require_GET
def evaluations(request: HttpRequest) -> HttpResponse:
    need(request.user, "governance.view_evaluation", SEE)
    before = number(request, "before")
    rows, beside = newest_first(request, Evaluation.objects.listed(), before=before, size=SIZE)
    context = {
        "title": "Evaluations",
        "rows": rows,
        "jobs": [] if before else turns.shown(EvaluationJob),
        **beside,
    }
    return show(request, "evaluations.html", context)


@require_GET
def evaluation_page(request: HttpRequest, pk: int) -> HttpResponse:
    """One with all its figures, others on the same data beside it, and what thresholds would do."""
    need(request.user, "governance.view_evaluation", SEE)
    evaluation = services.find_evaluation(pk)
    beside = _beside(request, evaluation)
    together = [evaluation, *beside]
    pick = PickForm(request.GET) if request.GET.get("kind") else PickForm()
    picked, why = _picked(evaluation, pick)
    points = plots.points(evaluation.scores.said)
    context = {
        "title": f"Evaluation {pk}",
        "evaluation": evaluation,
        "together": together,
        "beside": beside,
        "others": Evaluation.objects.comparable(evaluation)[:OTHERS],
        "figures": [(title, [each.figures[name] for each in together]) for name, title in FIGURES.items()],
        "times": [(name, [each.seconds.get(name) for each in together]) for name in ("p50", "p95")],
        "confusions": _confusions(together),
        "reliability": [plots.reliability(f"Scores of {each.alias}", each.bins) for each in together if each.bins],
        "points": plots.thresholds(points, picked.threshold if picked else None) if points else None,
        "pick": pick,
        "picked": picked,
        "why": why,
        "policy": evaluation.policy_version or in_force(),
    }
    return show(request, "evaluation.html", context)


@require_GET
def paired(request: HttpRequest, pk: int) -> HttpResponse:
    """The paired tests against those beside it, which take a while."""
    need(request.user, "governance.view_evaluation", SEE)
    evaluation = services.find_evaluation(pk)
    pairs = [(other, _compared(evaluation, other)) for other in _beside(request, evaluation)]
    context = {"evaluation": evaluation, "pairs": pairs, "resamples": _resamples(evaluation)}
    return render(request, "admin/governance/_paired.html", context)


def _beside(request: HttpRequest, evaluation: Evaluation) -> Sequence[Evaluation]:
    """The others that were asked for. InputError for one on other data, or for too many."""
    named = [each for each in request.GET.getlist("with") if each]
    if not all(each.isascii() and each.isdecimal() and len(each) < 19 for each in named) or len(named) > MOST_BESIDE:
        raise InputError(f"with names evaluations by their numbers, {MOST_BESIDE} at most.")
    others = list(Evaluation.objects.comparable(evaluation).filter(pk__in=named))
    if len(others) < len({*named}):
        raise InputError("Evaluations are compared on the same data. Choose among those that the page offers.")
    return others


def _compared(one: Evaluation, other: Evaluation) -> Paired:
    """Looked up where it was worked out before: evaluations never change."""
    name = f"paired-{one.pk}-{other.pk}-{one.created_at.timestamp()}-{other.created_at.timestamp()}"
    found: Paired | None = cache.get(name)
    if found is None:
        found = services.compare_evaluations(one, other, resamples=_resamples(one))
        cache.set(name, found)
    return found


def _resamples(evaluation: Evaluation) -> int:
    return RESAMPLES if evaluation.n <= MANY else FEW_RESAMPLES


def _picked(evaluation: Evaluation, form: PickForm) -> tuple[Picked | None, str]:
    """The threshold that was asked for, or why there is none."""
    if not form.is_bound:
        return None, ""
    if not form.is_valid():
        return None, "Say what the threshold is chosen for, and a target that is a number."
    try:
        return services.pick(evaluation, form.aim), ""
    except InputError as error:
        return None, error.message


def _confusions(together: Sequence[Evaluation]) -> list[tuple[str, list[tuple[str, CategoryConfusion]]]]:
    """Each category with what each of them made of it: the same texts, so mostly the same categories."""
    found = {f"{each.pk}: {each.alias}": {c.name: c for c in confusions(each.scores.said)} for each in together}
    names = sorted({name for known in found.values() for name in known})
    return [(name, [(by, known[name]) for by, known in found.items() if name in known]) for name in names]

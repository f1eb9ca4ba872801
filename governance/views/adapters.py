"""The pages of adapters: those that there are, and one with how it came to be and what it shows."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from classifiers.errors import NotFoundError
from governance import erased, plots, turns
from governance.models import TrainingJob
from governance.views.pages import show
from governance.words import FIGURES
from moderation.adapters import holding, takes_adapters
from moderation.models import Adapter
from moderation.services import aliases
from review.rights import need
from review.views.pages import number
from runs.views.pages import newest_first

SEE = "see adapters"
SIZE = 50


@require_GET
def adapters(request: HttpRequest) -> HttpResponse:
    need(request.user, "moderation.view_adapter", SEE)
    before, held = number(request, "before"), holding()
    found = Adapter.objects.select_related("training__evaluation").defer("card", "training__losses", "training__texts")
    rows, beside = newest_first(request, found, before=before, size=SIZE)
    context = {
        "title": "Adapters",
        "rows": [(each, sorted(alias for alias, pk in held.items() if pk == each.pk)) for each in rows],
        "jobs": [] if before else turns.shown(TrainingJob),
        **beside,
    }
    return show(request, "adapters.html", context)


@require_GET
def adapter_page(request: HttpRequest, pk: int) -> HttpResponse:
    need(request.user, "moderation.view_adapter", SEE)
    adapter = Adapter.objects.select_related("training__evaluation", "job").filter(pk=pk).first()
    if adapter is None:
        raise NotFoundError(f"There is no adapter {pk}.")
    training = getattr(adapter, "training", None)
    evaluation = training.evaluation if training else None
    losses = training.losses if training else []
    context = {
        "title": f"Adapter {adapter.name}",
        "adapter": adapter,
        "training": training,
        "evaluation": evaluation,
        "warning": erased.warning(adapter),
        "promoted": sorted(alias for alias, held in holding().items() if held == pk),
        "named": [f"{alias}@{adapter.name}" for alias in sorted(aliases("classifier")) if takes_adapters(alias)],
        "figures": [(title, evaluation.figures[name]) for name, title in FIGURES.items()] if evaluation else [],
        "plots": [
            *([plots.reliability("Reliability on the held texts", evaluation.bins)] if evaluation else []),
            *([drawn] if (drawn := plots.losses(losses, len(losses))) else []),
        ],
        "recipe": sorted((name, value) for name, value in training.recipe.items() if value is not None)
        if training
        else [],
    }
    return show(request, "adapter.html", context)

"""The band of a cascade, from two evaluations on the same texts; no text is judged again."""

from __future__ import annotations

from classifiers.cascades import ChosenBand, choose_band
from classifiers.errors import InputError
from governance.models import Evaluation


def band_between(cheap: Evaluation, careful: Evaluation, *, loss: float = 0.01, seed: int = 0) -> ChosenBand:
    """Where a cascade of both should ask the careful one. Raises InputError when the data are not the same."""
    if cheap.data_digest != careful.data_digest:
        raise InputError(f"Evaluations {cheap.pk} and {careful.pk} are on different data. Take two on the same.")
    cost = relative_cost(cheap, careful)
    return choose_band(cheap.scores.said, careful.scores.said, cheap_cost=cost, loss=loss, seed=seed)


def relative_cost(cheap: Evaluation, careful: Evaluation) -> float:
    """What a cheap judgement costs in careful ones: in money where both have a price, else in time, as it was measured."""
    prices = cheap.cost_per_thousand, careful.cost_per_thousand
    times = cheap.seconds.get("p50"), careful.seconds.get("p50")
    for one, other in (prices, times):
        if one is not None and other:
            return float(one / other)
    raise InputError(
        f"What evaluations {cheap.pk} and {careful.pk} cost is not known: neither both prices nor both times are. "
        "Evaluate the classifiers with --cost."
    )

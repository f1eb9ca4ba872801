"""From an adapter's logits to scores that mean what they say, fitted on texts that it has not learnt from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from classifiers.calibration import fit_temperature
from classifiers.curves import Aim, Scored, at_threshold, f1, pick_threshold
from classifiers.errors import ProviderError
from classifiers.protocols import ClassifierProvider
from classifiers.providers.gemma import CALIBRATION, GemmaClassifier, Judging
from classifiers.types import Stage, Subject
from training.data import Row
from training.recipes import Recipe

LEAST = 30  # texts of either label; a fit on fewer is worse than none


def calibrate(adapter: Path, recipe: Recipe, rows: Sequence[Row], learnt: Sequence[Row]) -> tuple[Judging, int]:
    """Temperature and shift of least log loss on the rows, and a threshold; written beside the weights. Beside it, on how many
    rows they were fitted.

    With too few rows nothing is fitted: the shift then is what balancing moved, the log odds of toxic among what was
    ``learnt`` (Elkan, IJCAI 2001), and a text is TOXIC when that is more likely than not.

    The threshold is half the best F1 there: with scores that are probabilities, no other has a better F1 (Lipton, Elkan and
    Naryanaswamy, ECML 2014), and of few rows the best F1 is told more surely than the place where they have it. ProviderError when
    the model cannot work.
    """
    (adapter / CALIBRATION).unlink(missing_ok=True)
    judged = _judged(adapter, recipe, rows)
    toxic = sum(is_toxic for _, is_toxic in judged)
    if min(toxic, len(judged) - toxic) < LEAST:
        judging, fitted = Judging(shift=round(_moved(learnt), 4) if recipe.balance else 0.0), 0
    else:
        judging, fitted = _fitted(*zip(*judged, strict=True)), len(judged)
    judging.write(adapter)
    return judging, fitted


def _judged(adapter: Path, recipe: Recipe, rows: Sequence[Row]) -> list[tuple[float, bool]]:
    """The scores and labels of those rows that could be judged: some may be too long."""
    classifier = GemmaClassifier(
        recipe.base_model, adapter_path=adapter, revision=recipe.revision, device=recipe.device, dtype=recipe.dtype,
        quantization=recipe.quantization, threads=recipe.threads,
    )  # fmt: skip
    said = classifier.classify([Subject(row.text, Stage.INPUT) for row in rows])
    return [(each.score, row.toxic) for each, row in zip(said, rows, strict=True) if each.score is not None]


def _moved(learnt: Sequence[Row]) -> float:
    weights = [sum(row.weight for row in learnt if row.toxic is label) for label in (True, False)]
    return math.log(weights[0] / weights[1])


def _fitted(found: Sequence[float], toxic: Sequence[bool]) -> Judging:
    fitted = fit_temperature(found, toxic)
    curve = Scored.of(fitted.apply(found), toxic).curve()
    best = at_threshold(pick_threshold(curve, Aim("f1")), f1)(curve) or 0.0
    return Judging(round(fitted.temperature, 4), round(fitted.shift, 4), round(best / 2, 4))


def scores(classifier: ClassifierProvider, rows: Sequence[Row]) -> list[float]:
    """Raises ProviderError when a text could not be judged, since figures of the others would pass for those of all."""
    said = classifier.classify([Subject(row.text, Stage.INPUT) for row in rows])
    for answer in said:
        if answer.score is None:
            raise ProviderError(f"A text could not be judged: {answer.reason}")
    return [answer.score or 0.0 for answer in said]

"""Whether a score of .8 means that 80 % of such texts are toxic, and how to make it so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from classifiers.errors import InputError

BINS = 15
EDGE = 1e-6  # scores are kept this far from 0 and 1, where a logit is infinite


@dataclass(frozen=True, slots=True)
class Bin:
    """Texts whose scores lie in [low, high), the last bin including 1: how many, their mean score, the toxic share."""

    low: float
    high: float
    n: int
    score: float | None
    toxic: float | None


def reliability(scores: Sequence[float], toxic: Sequence[bool], bins: int = BINS) -> list[Bin]:
    """Equal bins over [0, 1], empty ones included (Guo et al., ICML 2017)."""
    import numpy as np

    values, truth = np.asarray(scores, dtype=float), np.asarray(toxic, dtype=float)
    places = np.clip((values * bins).astype(int), 0, bins - 1)
    counts = np.bincount(places, minlength=bins)
    sums, positives = (np.bincount(places, weights=of, minlength=bins) for of in (values, truth))
    return [
        Bin(i / bins, (i + 1) / bins, int(n), float(sums[i] / n) if n else None, float(positives[i] / n) if n else None)
        for i, n in enumerate(counts)
    ]


def expected_calibration_error(scores: Sequence[float], toxic: Sequence[bool], bins: int = BINS) -> float | None:
    """The mean distance of score and toxic share over equal bins, each weighted by its texts; None without texts.

    Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
    """
    found = [each for each in reliability(scores, toxic, bins) if each.n]
    total = sum(each.n for each in found)
    if not total:
        return None
    return sum(each.n * abs((each.score or 0.0) - (each.toxic or 0.0)) for each in found) / total


def brier(scores: Sequence[float], toxic: Sequence[bool]) -> float | None:
    """The mean squared distance of score and truth; None without texts. Brier, Monthly Weather Review 78, 1950."""
    import numpy as np

    return float(np.mean((np.asarray(scores) - np.asarray(toxic, dtype=float)) ** 2)) if len(scores) else None


@dataclass(frozen=True, slots=True)
class Calibration:
    """A map of scores to probabilities that keeps their order, fitted on texts that nothing is then reported on.

    ``temperature``: sigmoid((logit(score) + shift) / temperature). ``isotonic``: straight lines between ``points``.
    """

    kind: str
    temperature: float = 1.0
    shift: float = 0.0
    points: tuple[tuple[float, float], ...] = field(default=())

    def apply(self, scores: Sequence[float]) -> list[float]:
        import numpy as np

        values = np.asarray(scores, dtype=float)
        if self.kind == "isotonic":
            x, y = zip(*self.points, strict=True)
            return [float(each) for each in np.interp(values, x, y)]
        return [float(each) for each in _sigmoid((_logit(values) + self.shift) / self.temperature)]

    def as_json(self) -> dict[str, Any]:
        if self.kind == "isotonic":
            return {"kind": self.kind, "points": [list(point) for point in self.points]}
        return {"kind": self.kind, "temperature": self.temperature, "shift": self.shift}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Calibration:
        points = tuple((float(x), float(y)) for x, y in value.get("points", ()))
        return cls(value["kind"], value.get("temperature", 1.0), value.get("shift", 0.0), points)


def fit_temperature(scores: Sequence[float], toxic: Sequence[bool], *, shift: bool = True) -> Calibration:
    """The temperature, and with ``shift`` the prior, of least log loss (Guo et al. 2017; with a shift, Platt 1999).

    The truth is Platt's, (n + 1) / (n + 2) for the n toxic texts and 1 / (m + 2) for the m others, so that a few texts that
    scores part by chance do not make every score a certainty. Raises InputError unless there are both toxic and harmless texts.
    """
    import numpy as np
    from scipy.optimize import minimize

    values, truth = _checked(scores, toxic)
    logits = _logit(values)
    toxic_ones, others = int(truth.sum()), int((~truth).sum())
    target = np.where(truth, (toxic_ones + 1) / (toxic_ones + 2), 1 / (others + 2))

    def loss(parameters: Any) -> float:
        chance = np.clip(_sigmoid((logits + (parameters[1] if shift else 0.0)) / np.exp(parameters[0])), EDGE, 1 - EDGE)
        return float(-np.mean(target * np.log(chance) + (1 - target) * np.log(1 - chance)))

    found = minimize(loss, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-10, "maxiter": 2000})
    return Calibration("temperature", float(np.exp(found.x[0])), float(found.x[1]) if shift else 0.0)


def fit_isotonic(scores: Sequence[float], toxic: Sequence[bool]) -> Calibration:
    """The non-decreasing map of least squared error, by pooling adjacent violators (Zadrozny and Elkan, KDD 2002).

    Raises InputError unless there are both toxic and harmless texts.
    """
    import numpy as np
    from scipy.optimize import isotonic_regression

    values, truth = _checked(scores, toxic)
    distinct, places = np.unique(values, return_inverse=True)
    counts = np.bincount(places)
    means = np.bincount(places, weights=truth.astype(float)) / counts
    fitted = isotonic_regression(means, weights=counts).x
    corners = [
        i for i in range(len(fitted)) if i in (0, len(fitted) - 1) or not fitted[i - 1] == fitted[i] == fitted[i + 1]
    ]
    return Calibration("isotonic", points=tuple((float(distinct[i]), float(fitted[i])) for i in corners))


def _checked(scores: Sequence[float], toxic: Sequence[bool]) -> tuple[Any, Any]:
    import numpy as np

    values, truth = np.asarray(scores, dtype=float), np.asarray(toxic, dtype=bool)
    if values.shape != truth.shape:
        raise InputError(f"There are {len(values)} scores and {len(truth)} labels; give one label for each score.")
    if truth.all() or not truth.any():
        raise InputError("A calibration is fitted on toxic and harmless texts; here is only one kind.")
    return values, truth


def _logit(values: Any) -> Any:
    import numpy as np

    kept = np.clip(values, EDGE, 1 - EDGE)
    return np.log(kept) - np.log1p(-kept)


def _sigmoid(values: Any) -> Any:
    from scipy.special import expit

    return expit(values)

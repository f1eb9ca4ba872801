"""Agreement with bootstrap intervals on many verdicts, against the time that others take for the bare values.

    python -m benchmarks.agreement [--verdicts 100000]

Ten raters give each result one to five of three labels. scikit-learn computes Cohen's kappa of each pair of raters, and
krippendorff alpha, once each and without an interval; ours are all measures with 1000 resamples, and kappa of each pair.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

from classifiers.agreement import (
    Ratings,
    cohen_kappa,
    fleiss_kappa,
    gwet_ac1,
    krippendorff_alpha,
    percent_agreement,
)

RATERS, LABELS = range(10), ("SAFE", "TOXIC", "UNSURE")


def verdicts(count: int) -> Iterator[tuple[int, int, str]]:
    """(result, rater, label); raters mostly say what is so."""
    rng, result, given = random.Random(0), 0, 0
    while given < count:
        truth = rng.choices(LABELS, (85, 12, 3))[0]
        for rater in rng.sample(RATERS, min(rng.randint(1, 5), count - given)):
            yield result, rater, truth if rng.random() < 0.9 else rng.choice(LABELS)
            given += 1
        result += 1


def seconds(work: Callable[[], Any], repeat: int = 3) -> float:
    """The fastest of some runs."""
    times = []
    for _ in range(repeat):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def measure_all(triples: list[tuple[int, int, str]]) -> None:
    ratings = Ratings.of(triples)
    for measure in (percent_agreement, fleiss_kappa, gwet_ac1, krippendorff_alpha):
        measure(ratings)
    for a, b in combinations(RATERS, 2):
        cohen_kappa(ratings, a, b)


def bare_kappas(triples: list[tuple[int, int, str]]) -> Callable[[], object]:
    """scikit-learn's kappa of each pair of raters, from labels already put side by side."""
    from sklearn.metrics import cohen_kappa_score

    of: dict[int, dict[int, str]] = {rater: {} for rater in RATERS}
    for result, rater, label in triples:
        of[rater][result] = label
    both = [sorted(of[a].keys() & of[b].keys()) for a, b in combinations(RATERS, 2)]
    pairs = [
        ([of[a][i] for i in shared], [of[b][i] for i in shared])
        for (a, b), shared in zip(combinations(RATERS, 2), both, strict=True)
    ]
    return lambda: [cohen_kappa_score(a, b) for a, b in pairs]


def bare_alpha(triples: list[tuple[int, int, str]]) -> Callable[[], object]:
    """The krippendorff package's alpha, from counts of labels already made."""
    import krippendorff
    import numpy as np

    counts = np.zeros((triples[-1][0] + 1, len(LABELS)))
    for result, _, label in triples:
        counts[result, LABELS.index(label)] += 1
    return lambda: krippendorff.alpha(value_counts=counts, level_of_measurement="nominal")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--verdicts", type=int, default=100_000)
    triples = list(verdicts(parser.parse_args().verdicts))
    ratings = Ratings.of(triples)
    ours, reading = seconds(lambda: measure_all(triples)), seconds(lambda: Ratings.of(triples))
    print(
        f"{len(triples)} verdicts: all measures with intervals in {ours:.2f} s (at most 2), {reading:.2f} s of it reading"
    )
    kappa, their_kappa = seconds(lambda: cohen_kappa(ratings, 0, 1)), seconds(bare_kappas(triples)) / 45
    print(
        f"kappa of a pair with its interval: {kappa * 1000:.1f} ms, {kappa / their_kappa:.2f} of scikit-learn's bare one"
    )
    alpha, their_alpha = seconds(lambda: krippendorff_alpha(ratings)), seconds(bare_alpha(triples))
    print(f"alpha with its interval: {alpha * 1000:.1f} ms, {alpha / their_alpha:.2f} of krippendorff's bare one")


if __name__ == "__main__":
    main()

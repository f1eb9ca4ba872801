"""Which texts a model would learn most from: those that it is unsure of or that classifiers differ on, no two alike.

Uncertainty sampling: Lewis and Gale 1994 (SIGIR); disagreement in a committee, by vote entropy: Dagan and Engelson 1995
(ICML); texts far from one another, the farthest first: Sener and Savarese 2018, arXiv:1708.00489, here weighted by what is
to be learnt from each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from classifiers.loading import need
from guardrails.heads import ngrams

DIMENSIONS = 512
MAX_CHARACTERS = 8192  # of a longer text the beginning counts
CANDIDATES = 3  # of so many times as many as wanted, those that tell most, the ones that differ are taken
EDGE = 1e-6  # scores and thresholds nearer to 0 or 1 count as this


def uncertainty(score: float, threshold: float = 0.5) -> float:
    """In bits, 1 for a score at the threshold and towards 0 away from it.

    The binary entropy of the score, its log-odds counted from those of the threshold: at .5 of the score itself.
    """
    return entropy(1 / (1 + math.exp(_odds(threshold) - _odds(score))))


def disagreement(votes: Sequence[bool]) -> float:
    """The entropy of how several classifiers voted on a text, in bits: 0 where they agree or fewer than two voted, at most 1."""
    return entropy(sum(votes) / len(votes)) if len(votes) > 1 else 0.0


def entropy(share: float) -> float:
    """Of a coin that falls on its head with this probability, in bits."""
    return -sum(p * math.log2(p) for p in (share, 1 - share) if p > 0)


def _odds(share: float) -> float:
    share = min(max(share, EDGE), 1 - EDGE)
    return math.log(share / (1 - share))


def vectors(texts: Sequence[str]) -> Any:
    """Unit vectors, float32, shape (len(texts), 512), by which texts that share words are near one another.

    Hashed words, pairs and parts of words with signs (Weinberger et al. 2009, arXiv:0902.2206): no model is needed, so that
    a web process can make them, and texts so chosen teach no less than by sentence embeddings (docs/quality.md).
    """
    numpy = need("numpy", feature="Active selection")
    found = numpy.zeros((len(texts), DIMENSIONS), dtype=numpy.float32)
    for row, text in zip(found, texts, strict=True):
        for bucket, value in ngrams(text[:MAX_CHARACTERS]).items():
            row[bucket % DIMENSIONS] += value if bucket & DIMENSIONS else -value
    lengths = numpy.linalg.norm(found, axis=1, keepdims=True)
    return found / numpy.where(lengths, lengths, 1)


def shortlist(information: Sequence[float], number: int) -> list[int]:
    """The places of those among which ``chosen`` looks for ``number``: what tells most, the most first."""
    places = sorted(range(len(information)), key=lambda place: -information[place])
    return places[: CANDIDATES * number]


def chosen(information: Sequence[float], vectors: Any, number: int, *, near: Any = None) -> list[int]:
    """The places of ``number`` texts, or of all there are, each the one with most to be learnt from it times its distance
    (1 - cosine) to the nearest one taken before; ``near`` are vectors of texts that are taken in any case.

    ``vectors`` are unit vectors, shape (n, d). Costs n x d x number multiplications.
    """
    numpy = need("numpy", feature="Active selection")
    weights, left = numpy.asarray(information, dtype=numpy.float64), numpy.ones(len(information), dtype=bool)
    distance = numpy.ones(len(weights))
    for taken in () if near is None else near:
        distance = numpy.minimum(distance, 1 - vectors @ taken)
    places: list[int] = []
    for _ in range(min(number, len(weights))):
        worth = numpy.where(left, weights * distance.clip(0), -1)
        place = int(worth.argmax())
        places.append(place)
        left[place] = False
        distance = numpy.minimum(distance, 1 - vectors @ vectors[place])
    return places

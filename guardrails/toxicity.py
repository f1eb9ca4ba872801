"""Toxic language under the six labels of the Jigsaw challenge, by a linear model over words and their parts.

Scores are probabilities, set so that the default threshold of each label is the best by F1 on comments kept apart.
Disguised words are undone first (``normalise``). ``manage.py train_guardrail toxicity`` makes the weights; their card
stands beside them. What it cannot do: see irony, quotation, reclaimed words, or hate that is politely put.
"""

from __future__ import annotations

import re
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

from classifiers.errors import InputError, ProviderError
from classifiers.loading import check_threshold, need
from classifiers.types import Classification, Label, ModelInfo, Span, Subject, digest
from guardrails.normalise import Variant, variants

WEIGHTS = Path(__file__).parent / "weights" / "toxicity.npz"
THRESHOLDS = {
    "toxic": 0.7,
    "severe_toxic": 0.5,
    "obscene": 0.7,
    "threat": 0.5,
    "insult": 0.7,
    "identity_hate": 0.5,
}
LABELS = tuple(THRESHOLDS)
REPLACEMENT = "This answer was withheld because it may be offensive or harmful."
BANDS = ((0.9, "almost certainly"), (0.7, "very likely"), (0.5, "probably"), (0.3, "possibly"))

BUCKETS = 2**17
WORD = re.compile(r"\w+(?:'\w+)?|[!?*@#$%&]+")
LONGEST_WORD = 40
WINDOW, STEP = 50, 35  # words: an insult is not thinned out by the length of the text around it
TELLING = 0.4  # a word is shown that says at least this share of what the most telling one does


class ToxicityCheck:
    """TOXIC where a label's score reaches its threshold; spans show the words that speak most for it.

    ``thresholds`` is one number for all labels, or a number for some of them; the others keep their own.
    """

    def __init__(self, thresholds: Mapping[str, float] | float | None = None) -> None:
        given = thresholds if isinstance(thresholds, Mapping) else {}
        if isinstance(thresholds, int | float):
            given = dict.fromkeys(LABELS, thresholds)
        for label, threshold in given.items():
            check_threshold(threshold, of=label)
            if label not in LABELS:
                raise InputError(f"There is no label {label}; the labels are {', '.join(LABELS)}.")
        self.thresholds = {**THRESHOLDS, **{label: float(threshold) for label, threshold in given.items()}}

    def classify(self, subjects: Sequence[Subject]) -> list[Classification]:
        """One Classification a subject: the scores of all six labels, the highest of any reading of the text."""
        return [self._classify(subject.text) for subject in subjects]

    def describe(self) -> ModelInfo:
        return ModelInfo(
            provider="toxicity",
            model=WEIGHTS.stem,
            revision=digest(_weights().hex()),
            settings={"thresholds": self.thresholds},
        )

    def problems(self) -> list[str]:
        missing = "" if find_spec("numpy") else "The package numpy is not installed: pip install -r requirements.txt"
        return [problem for problem in (missing,) if problem]

    def filter_response(self, text: str, *, replacement: str = REPLACEMENT) -> str:
        """``text`` where it is SAFE, else ``replacement``."""
        return text if self._classify(text).label is Label.SAFE else replacement

    @cached_property
    def _model(self) -> Model:
        return Model()

    def _classify(self, text: str) -> Classification:
        start = time.perf_counter()
        scored = [(self._model.scores(window), window) for reading in variants(text) for window in windows(reading)]
        scores = {label: max((found[at] for found, _ in scored), default=0.0) for at, label in enumerate(LABELS)}
        flagged = tuple(label for label in LABELS if scores[label] >= self.thresholds[label])
        return Classification(
            Label.TOXIC if flagged else Label.SAFE,
            score=max(scores.values()),
            categories=scores,
            flagged=flagged,
            thresholds=self.thresholds,
            spans=tuple(self._spans(scored, flagged)),
            reason=explanation(scores),
            latency=time.perf_counter() - start,
        )

    def _spans(self, scored: Sequence[tuple[list[float], Window]], flagged: Sequence[str]) -> Iterator[Span]:
        """For each flagged label, the words that speak most for it in the window that scored highest."""
        found: dict[tuple[int, int], Span] = {}
        for label in flagged:
            at = LABELS.index(label)
            scores, window = max(scored, key=lambda pair: pair[0][at])
            for start, end in self._model.telling(window, at):
                found.setdefault((start, end), Span(start, end, label, scores[at]))
        yield from (found[place] for place in sorted(found))


def explanation(scores: Mapping[str, float]) -> str:
    """A sentence by score band: "Almost certainly insult (0.97), possibly threat (0.31)."; empty when all are low."""
    named = sorted(((score, label) for label, score in scores.items() if score >= BANDS[-1][0]), reverse=True)
    told = ", ".join(f"{_band(score)} {label.replace('_', ' ')} ({score:.2f})" for score, label in named)
    return f"{told[0].upper()}{told[1:]}." if told else ""


def _band(score: float) -> str:
    return next(word for least, word in BANDS if score >= least)


class Window:
    """Some consecutive words of a reading, with their places in the original."""

    def __init__(self, words: Sequence[str], places: Sequence[tuple[int, int]]) -> None:
        self.words, self.places = words, places


def windows(reading: Variant) -> Iterator[Window]:
    found = list(WORD.finditer(reading.text))
    for low in range(0, max(1, len(found) - WINDOW + STEP), STEP):
        part = found[low : low + WINDOW]
        yield Window([word[0][:LONGEST_WORD] for word in part], [reading.span(*word.span()) for word in part])


def features(words: Sequence[str]) -> Counter[int]:
    """Hashed counts: words, pairs of words, and the parts of words from two to five letters."""
    counts: Counter[int] = Counter()
    for word in words:
        counts.update(_parts(word))
    counts.update(_bucket(f"{a} {b}") for a, b in pairwise(words))
    return counts


@lru_cache(maxsize=32768)
def _parts(word: str) -> tuple[int, ...]:
    edged = f"<{word}>"
    pieces = {edged[at : at + size] for size in (2, 3, 4, 5) for at in range(len(edged) - size + 1)}
    return (_bucket(f"={word}"), *sorted(_bucket(piece) for piece in pieces))


def _bucket(piece: str) -> int:
    return zlib.crc32(piece.encode("utf-8", "surrogatepass")) % BUCKETS


class Model:
    """Six logistic regressions over one hashed, tf-idf weighted, unit-length vector."""

    def __init__(self) -> None:
        numpy = need("numpy", feature="The toxicity check")
        try:
            held = numpy.load(WEIGHTS)
        except OSError as error:
            raise ProviderError(f"The weights of the toxicity check cannot be read: {error}.") from error
        self.weights, self.bias, self.idf = (held[name].astype("float32") for name in ("weights", "bias", "idf"))

    def scores(self, window: Window) -> list[float]:
        """A probability for each label, in the order of LABELS."""
        numpy = need("numpy", feature="The toxicity check")
        buckets, values = self.vector(window.words)
        logits = values @ self.weights[buckets] + self.bias
        scores: list[float] = (1 / (1 + numpy.exp(-logits))).tolist()
        return scores

    def vector(self, words: Sequence[str]) -> tuple[Any, Any]:
        """Buckets and their values: (1 + ln count) x idf, of length one."""
        numpy = need("numpy", feature="The toxicity check")
        counts = features(words)
        buckets = numpy.fromiter(counts, dtype=numpy.int64, count=len(counts))
        values = (1 + numpy.log(numpy.fromiter(counts.values(), dtype=numpy.float32, count=len(counts)))) * self.idf[
            buckets
        ]
        return buckets, values / max(float(numpy.linalg.norm(values)), 1e-9)

    def telling(self, window: Window, label: int) -> Iterator[tuple[int, int]]:
        """The places of the words whose own features speak most for the label."""
        weighed = [
            float((self.idf[list(_parts(w))] * self.weights[list(_parts(w)), label]).sum()) for w in window.words
        ]
        least = TELLING * max(weighed, default=0)
        return (place for place, weight in zip(window.places, weighed, strict=True) if 0 < least <= weight)


def _weights() -> bytes:
    return WEIGHTS.read_bytes()

"""Small trained heads, whose weights lie beside this file with a card each; numpy is all they need.

``manage.py train_guardrail`` makes them.
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from classifiers.embedded import file_digest
from classifiers.embeddings import encoder
from classifiers.errors import ProviderError
from classifiers.loading import need

WEIGHTS = Path(__file__).parent / "weights"
BUCKETS = 1 << 15
TOKEN = re.compile(r"\w+|[^\w\s]")
MOST_TOKENS = 400


@lru_cache
def arrays(name: str) -> dict[str, Any]:
    """The arrays of the head ``name``. Raises ProviderError when its file is missing or damaged."""
    numpy = need("numpy", feature="A trained head")
    try:
        with numpy.load(path(name), allow_pickle=False) as file:
            return dict(file)
    except (OSError, ValueError) as error:
        raise ProviderError(
            f"The weights {path(name).name} cannot be read ({error}). Install the project anew."
        ) from error


def path(name: str) -> Path:
    return WEIGHTS / f"{name}.npz"


@lru_cache
def revision(name: str) -> str:
    """SHA-256 of the head's file."""
    return file_digest(path(name))


def threshold(name: str) -> float:
    """The score from which on the head ``name`` was measured to say yes."""
    return round(float(arrays(name)["threshold"]), 6)


def problems(name: str) -> list[str]:
    return [] if path(name).is_file() else [f"The weights {name}.npz are missing. Install the project anew."]


def sigmoid(logits: Any) -> Any:
    numpy = need("numpy", feature="A trained head")
    return 1 / (1 + numpy.exp(-numpy.clip(logits, -60, 60)))


class TextHead:
    """The probability that a short text is of a kind, from its sentence embedding and its hashed n-grams.

    Log-odds are linear in both; some heads add what one hidden layer of rectified units makes of the embedding.
    """

    def __init__(self, name: str, *, threads: int | None = None) -> None:
        self.name, self.threads = name, threads

    def scores(self, texts: Sequence[str], vectors: Any = None) -> list[float]:
        """One probability for each text, in order; ``vectors`` are their embeddings where these are already known."""
        if not texts:
            return []
        if vectors is None:
            vectors = encoder(threads=self.threads).embed(texts)
        found: list[float] = sigmoid(self._by_words(texts) + self._by_meaning(vectors)).tolist()
        return found

    def _by_words(self, texts: Sequence[str]) -> Any:
        """The log-odds without the embeddings."""
        numpy, table = need("numpy", feature="A trained head"), self._ngrams
        sums = [sum(value * table[bucket] for bucket, value in ngrams(text).items()) for text in texts]
        return numpy.array(sums) + arrays(self.name)["bias"]

    def _by_meaning(self, vectors: Any) -> Any:
        """What embeddings add to the log-odds."""
        numpy, parts = need("numpy", feature="A trained head"), arrays(self.name)
        added = vectors @ parts["embedding"]
        if "hidden" in parts:
            added = added + numpy.maximum(vectors @ parts["hidden"] + parts["hidden_bias"], 0) @ parts["hidden_out"]
        return added

    @property
    def threshold(self) -> float:
        return threshold(self.name)

    @property
    def revision(self) -> str:
        return f"{revision(self.name)[:16]}+{encoder(threads=self.threads).revision[:16]}"

    def problems(self) -> list[str]:
        return problems(self.name) + encoder(threads=self.threads).problems()

    @cached_property
    def _ngrams(self) -> list[float]:
        weights: list[float] = arrays(self.name)["ngrams"].tolist()
        return weights


def ngrams(text: str) -> dict[int, float]:
    """Words, pairs of words, and parts of words of 4 and 5 letters: bucket (below BUCKETS) to weight, of length 1.

    A weight is 1 + log of the count (Manning, Raghavan and Schütze 2008, 6.4.1); buckets are CRC-32, the same everywhere.
    """
    counts = Counter(zlib.crc32(gram.encode("utf-8", "replace")) % BUCKETS for gram in _grams(text.lower()))
    values = {bucket: 1 + math.log(count) for bucket, count in counts.items()}
    length = math.sqrt(sum(value * value for value in values.values())) or 1.0
    return {bucket: value / length for bucket, value in values.items()}


def _grams(text: str) -> Iterator[str]:
    tokens = TOKEN.findall(text)[:MOST_TOKENS]
    for token in tokens:
        yield f"w {token}"
        word = f"<{token}>"
        if len(word) > 4:
            yield from (f"c{word[i : i + n]}" for n in (4, 5) for i in range(len(word) - n + 1))
    for first, second in pairwise(tokens):
        yield f"b {first} {second}"

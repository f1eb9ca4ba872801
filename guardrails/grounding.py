"""Hallucination: is each sentence of an answer borne out by its sources, and do several answers agree?"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from classifiers.embeddings import encoder
from classifiers.errors import InputError
from classifiers.loading import check_threshold, need
from classifiers.types import Classification, Label, ModelInfo, Span, Subject
from guardrails import heads
from guardrails.sentences import Piece, sentences, words

UNGROUNDED, INCONSISTENT = "ungrounded", "inconsistent"
MOST_SENTENCES, MOST_CHARACTERS = 200, 1_000_000  # of an answer; of its sources together
STOP = frozenset(
    [
        "a",
        "an",
        "the",
        "and",
        "or",
        "but",
        "if",
        "of",
        "in",
        "on",
        "at",
        "to",
        "for",
        "with",
        "by",
        "from",
        "as",
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "being",
        "it",
        "its",
        "this",
        "that",
        "these",
        "those",
        "he",
        "she",
        "they",
        "we",
        "you",
        "i",
        "me",
        "my",
        "your",
        "his",
        "her",
        "their",
        "our",
        "them",
        "him",
        "us",
        "do",
        "does",
        "did",
        "has",
        "have",
        "had",
        "not",
        "no",
        "so",
        "than",
        "then",
        "too",
        "very",
        "can",
        "could",
        "would",
        "should",
        "will",
        "just",
        "there",
        "here",
        "what",
        "which",
        "who",
        "when",
        "where",
        "why",
        "how",
        "all",
        "any",
        "some",
        "about",
        "into",
        "over",
        "also",
        "one",
        "more",
        "most",
        "other",
        "s",
        "t",
        "it's",
        "that's",
        "i'm",
        "don't",
        "didn't",
        "isn't",
    ]
)
ENDINGS = ("'s", "ing", "edly", "ed", "es", "s", "ly")
NUMBER = re.compile(r"\d[\d,.]*")
NAME = re.compile(r"(?<=\w )[A-Z][a-z]+")
FIRST_PERSON = frozenset(["i", "me", "my", "mine", "we", "our", "us"])
OPINION = frozenset(
    [
        "think",
        "love",
        "like",
        "enjoy",
        "hope",
        "agree",
        "guess",
        "feel",
        "favorite",
        "interesting",
        "cool",
        "nice",
        "great",
        "wow",
        "yeah",
        "oh",
        "yes",
        "haha",
        "lol",
        "really",
        "sure",
        "never",
        "heard",
        "know",
        "believe",
    ]
)
NEGATION = frozenset(
    [
        "not",
        "no",
        "never",
        "none",
        "nor",
        "cannot",
        "can't",
        "don't",
        "doesn't",
        "didn't",
        "isn't",
        "wasn't",
        "aren't",
        "won't",
        "without",
        "n't",
    ]
)
FEATURES = (
    "content in sources", "content in best sentence", "bigrams", "trigrams", "new content share", "new content",
    "content in question", "words", "content words", "missing numbers", "missing names", "has name", "first person share",
    "first person", "opinion share", "asks", "negation differs", "no content", "second person share",
)  # fmt: skip
# What overlap cannot tell: a number that no source has; a sentence of a source with a name exchanged, or with "not" put
# in or left out.
MISSING_NUMBER, MISSING_NAME, NEGATED = 0.9, 0.7, 0.8
NEAR_SENTENCE, SAME_SENTENCE = 0.6, 0.8  # shares of the content words


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources of an answer, read once: their sentences with places, their words and runs of words."""

    pieces: tuple[tuple[int, Piece], ...]
    content: tuple[frozenset[str], ...]
    words: tuple[frozenset[str], ...]
    numbers: frozenset[str]
    everything: frozenset[str]
    bigrams: frozenset[tuple[str, ...]]
    trigrams: frozenset[tuple[str, ...]]

    @classmethod
    def read(cls, texts: Sequence[str]) -> Sources:
        pieces = tuple((number, piece) for number, text in enumerate(texts) for piece in sentences(text))
        each = [words(piece.text) for _, piece in pieces]
        whole = [words(text) for text in texts]
        content = tuple(frozenset(_content(found)) for found in each)
        return cls(
            pieces,
            content,
            tuple(map(frozenset, each)),
            frozenset(number for text in texts for number in _numbers(text)),
            frozenset().union(*content),
            frozenset(run for found in whole for run in _runs(found, 2)),
            frozenset(run for found in whole for run in _runs(found, 3)),
        )

    def best(self, content: Collection[str]) -> int:
        """The sentence that holds most of these content words, the shortest of several; -1 without any sentence."""
        return max(
            range(len(self.pieces)),
            key=lambda i: (_share(content, self.content[i]), -len(self.content[i])),
            default=-1,
        )


@dataclass(frozen=True, slots=True)
class Grounded:
    """A sentence of an answer: how sure it is that no source bears it out, and the sentence of a source nearest to it."""

    claim: Piece
    score: float
    source: int | None = None
    support: Piece | None = None


class GroundingCheck:
    """Each sentence of the answer against ``Subject.sources``; the answer's score is that of its worst sentence.

    A trained head over the words that they share, which needs no model (embeddings were tried and gained nothing), and
    three plain contradictions. Spans are the ungrounded sentences; ``raw`` has every sentence with its supporting span.
    Without sources there is nothing to hold an answer against: that is an ERROR, as is an answer of over 200 sentences.
    """

    def __init__(self, *, threshold: float | None = None) -> None:
        if threshold is not None:
            check_threshold(threshold)
        self._threshold = threshold

    def classify(self, subjects: Sequence[Subject]) -> list[Classification]:
        return [self._judged(subject) for subject in subjects]

    def describe(self) -> ModelInfo:
        return ModelInfo("guardrails.GroundingCheck", "grounding", heads.revision("grounding")[:16],
                         settings={"threshold": self.threshold}, reads_context=True)  # fmt: skip

    def problems(self) -> list[str]:
        return heads.problems("grounding")

    @property
    def threshold(self) -> float:
        return heads.threshold("grounding") if self._threshold is None else self._threshold

    def _judged(self, subject: Subject) -> Classification:
        start = time.perf_counter()
        if problem := _unjudgeable(subject):
            return Classification.error(problem)
        found = grounded(subject.text, subject.sources, subject.prompt or "")
        return _classification(UNGROUNDED, found, self.threshold, "is not borne out by the sources", start)


def grounded(answer: str, sources: Sequence[str], question: str = "") -> list[Grounded]:
    """Every sentence of ``answer`` with its score in [0, 1], the higher the less it is borne out."""
    numpy, read, asked = need("numpy", feature="Grounding"), Sources.read(sources), frozenset(_content(words(question)))
    claims = sentences(answer)
    if not claims:
        return []
    parts = heads.arrays("grounding")
    rows = numpy.array([features(claim.text, read, asked) for claim in claims])
    scores = heads.sigmoid((rows - parts["centre"]) / parts["scale"] @ parts["weights"] + parts["bias"])
    return [
        _placed(claim, float(score), read, row) for claim, score, row in zip(claims, scores, rows.tolist(), strict=True)
    ]


def features(claim: str, sources: Sources, question: Collection[str]) -> list[float]:
    """The numbers named in FEATURES. ``question`` holds its content words."""
    said = words(claim)
    content = _content(said)
    best = sources.best(content)
    known, negated = (
        (sources.content[best], bool(sources.words[best] & NEGATION)) if best >= 0 else (frozenset(), False)
    )
    new = [word for word in content if word not in sources.everything and word not in question]
    names = [_stem(name.lower()) for name in NAME.findall(claim)]
    first = sum(word in FIRST_PERSON for word in said)
    count = max(1, len(said))
    return [
        _share(content, sources.everything),
        _share(content, known),
        _share(_runs(said, 2), sources.bigrams),
        _share(_runs(said, 3), sources.trigrams),
        len(new) / max(1, len(content)),
        float(min(len(new), 10)),
        _share(content, question),
        math.log1p(len(said)),
        math.log1p(len(content)),
        float(sum(number not in sources.numbers for number in _numbers(claim))),
        float(sum(name not in sources.everything and name not in question and name not in STOP for name in names)),
        float(bool(names)),
        first / count,
        float(bool(first)),
        sum(word in OPINION for word in said) / count,
        float("?" in claim),
        float(bool(NEGATION.intersection(said)) != negated),
        float(not content),
        sum(word in ("you", "your") for word in said) / count,
    ]


class ConsistencyCheck:
    """Each sentence of the answer against ``Subject.alternatives``, other answers to the same prompt (two at least).

    A sentence's score is 1 minus its mean likeness to the nearest sentence of each alternative: a model that knows says
    the same again (after SelfCheckGPT, Manakul et al. 2023). ``method`` is ``embedding``, or ``lexical`` (shared content
    words), which needs no model. The answer's score is the mean over its sentences.
    """

    def __init__(
        self,
        *,
        threshold: float = 0.5,
        method: Literal["embedding", "lexical"] = "embedding",
        threads: int | None = None,
    ) -> None:
        check_threshold(threshold)
        if method not in ("embedding", "lexical"):
            raise InputError(f"There is no method {method!r}: choose embedding or lexical.")
        self.threshold, self.method, self.threads = threshold, method, threads

    def classify(self, subjects: Sequence[Subject]) -> list[Classification]:
        return [self._judged(subject) for subject in subjects]

    def describe(self) -> ModelInfo:
        model = encoder(threads=self.threads).revision[:16] if self.method == "embedding" else ""
        settings = {"threshold": self.threshold, "method": self.method}
        return ModelInfo("guardrails.ConsistencyCheck", self.method, model, settings=settings, reads_context=True)

    def problems(self) -> list[str]:
        return encoder(threads=self.threads).problems() if self.method == "embedding" else []

    def _judged(self, subject: Subject) -> Classification:
        start = time.perf_counter()
        others = [other for other in subject.alternatives if other.strip()]
        claims = sentences(subject.text)
        if len(others) < 2:
            return Classification.error("Consistency needs two alternative answers at least. Generate more of them.")
        if not claims or len(claims) > MOST_SENTENCES:
            return Classification.error(f"The answer has {len(claims)} sentences; 1 to {MOST_SENTENCES} can be judged.")
        likeness = self._likeness(claims, [sentences(other)[:MOST_SENTENCES] for other in others])
        found = [Grounded(claim, 1 - max(0.0, min(1.0, like))) for claim, like in zip(claims, likeness, strict=True)]
        return _classification(
            INCONSISTENT, found, self.threshold, "is not said by the other answers", start, mean=True
        )

    def _likeness(self, claims: Sequence[Piece], others: Sequence[Sequence[Piece]]) -> list[float]:
        """The mean over the alternatives of a claim's likeness to the nearest sentence in each."""
        if self.method == "lexical":
            sets = [[frozenset(_content(words(piece.text))) for piece in other] for other in others]
            said = [frozenset(_content(words(claim.text))) for claim in claims]
            return [sum(max(_dice(one, two) for two in other) for other in sets) / len(sets) for one in said]
        embed = encoder(threads=self.threads).embed
        vectors = embed([claim.text for claim in claims])
        nearest = [(vectors @ embed([piece.text for piece in other]).T).max(1) for other in others]
        means: list[float] = (sum(nearest) / len(nearest)).tolist()
        return means


def _unjudgeable(subject: Subject) -> str:
    """A sentence that says why the answer cannot be held against sources; "" when it can."""
    if not any(source.strip() for source in subject.sources):
        return "There are no sources to hold the answer against. Give the sources with it, or leave this check out."
    length, count = sum(map(len, subject.sources)), len(sentences(subject.text))
    if length > MOST_CHARACTERS:
        return f"The sources have {length} characters; at most {MOST_CHARACTERS} can be searched. Give the parts that matter."
    if not 1 <= count <= MOST_SENTENCES:
        return f"The answer has {count} sentences; 1 to {MOST_SENTENCES} can be judged."
    return ""


def _placed(claim: Piece, score: float, sources: Sources, row: Sequence[float]) -> Grounded:
    value = dict(zip(FEATURES, row, strict=True))
    cues = [
        MISSING_NUMBER * bool(value["missing numbers"]),
        MISSING_NAME * bool(value["missing names"] and value["content in best sentence"] >= NEAR_SENTENCE),
        NEGATED
        * bool(value["negation differs"] and value["content in best sentence"] >= SAME_SENTENCE and _says_much(row)),
    ]
    score = max(score, *cues)
    number, support = sources.pieces[sources.best(_content(words(claim.text)))]
    return Grounded(claim, score, number, support)


def _says_much(row: Sequence[float]) -> bool:
    """Of a few words, any sentence may hold all."""
    return row[FEATURES.index("content words")] >= math.log1p(4)


def _classification(
    name: str, found: Sequence[Grounded], threshold: float, why: str, start: float, *, mean: bool = False
) -> Classification:
    scores = [each.score for each in found]
    score = sum(scores) / len(scores) if mean else max(scores)
    toxic, bad = score >= threshold, [each for each in found if each.score >= threshold]
    return Classification(
        Label.TOXIC if toxic else Label.SAFE,
        score=score,
        categories={name: score},
        flagged=(name,) if toxic else (),
        thresholds={name: threshold},
        spans=tuple(Span(each.claim.start, each.claim.end, name, each.score) for each in bad),
        reason=f"{len(bad)} of {len(found)} sentences: each {why}." if toxic else "",
        raw={"sentences": [_row(each) for each in found]},
        latency=time.perf_counter() - start,
    )


def _row(each: Grounded) -> dict[str, Any]:
    row: dict[str, Any] = {"start": each.claim.start, "end": each.claim.end, "score": each.score}
    if each.support is not None:
        row["support"] = {"source": each.source, "start": each.support.start, "end": each.support.end}
    return row


def _content(said: Sequence[str]) -> list[str]:
    return [_stem(word) for word in said if word not in STOP]


@lru_cache(maxsize=1 << 16)
def _stem(word: str) -> str:
    ending = next((e for e in ENDINGS if word.endswith(e) and len(word) - len(e) >= 3), "")
    return word.removesuffix(ending)


def _numbers(text: str) -> list[str]:
    return [found.replace(",", "").rstrip(".") for found in NUMBER.findall(text)]


def _runs(said: Sequence[str], length: int) -> list[tuple[str, ...]]:
    return [tuple(said[i : i + length]) for i in range(len(said) - length + 1)]


def _share(some: Collection[Any], of: Collection[Any]) -> float:
    return sum(each in of for each in some) / len(some) if some else 0.0


def _dice(one: frozenset[str], two: frozenset[str]) -> float:
    return 2 * len(one & two) / (len(one) + len(two)) if one or two else 1.0

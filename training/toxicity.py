"""Trains the toxicity check: ``manage.py train_guardrail toxicity``.

Learns from Wikipedia comments (Jigsaw, CC0 over CC-BY-SA-3.0 text) and web sentences (RealToxicityPrompts, Apache-2.0,
labelled by Perspective's scores). A fifth of the comments, chosen by their text, is kept apart: half of it sets the
scores to the thresholds, the other half only measures.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from classifiers.types import digest
from guardrails.normalise import variants
from guardrails.toxicity import BUCKETS, LABELS, LONGEST_WORD, THRESHOLDS, WEIGHTS, WORD, features, windows

FILES = ("train_binary.csv", "train_multilabel_lowercased.csv", "train_multilabel.csv")  # the last one's labels count
PERSPECTIVE = dict(
    zip(LABELS, ("toxicity", "severe_toxicity", "profanity", "threat", "insult", "identity_attack"), strict=True)
)
BEGINNING = 400  # words of a comment that are learnt from
STRENGTH = 4.0  # inverse regularisation
Row = tuple[str, list[float | None]]  # a text and its labels; None is not known


def comments(folder: Path) -> dict[str, list[Row]]:
    """The Jigsaw comments in three parts: train, tune, test. Copies of a comment stay together."""
    unique: dict[str, Row] = {}
    for name in FILES:
        with (folder / "jigsaw-toxic" / name).open(newline="") as file:
            for row in csv.DictReader(file):
                labels = [float(row[label]) if label in row else None for label in LABELS]
                unique[" ".join(re.findall("[a-z0-9]+", row["comment_text"].lower()))] = row["comment_text"], labels
    parts: dict[str, list[Row]] = {"train": [], "tune": [], "test": []}
    for key in sorted(unique):
        draw = int(digest(key)[:6], 16) % 10
        parts["tune" if draw == 0 else "test" if draw == 1 else "train"].append(unique[key])
    return parts


def web(folder: Path) -> Iterator[Row]:
    """Prompts and continuations, each a text of its own."""
    with (folder / "real-toxicity-prompts/rtp_sample.jsonl").open() as file:
        for line in file:
            row = json.loads(line)
            for part in (row["prompt"], row["continuation"]):
                scores = [part[name] for name in PERSPECTIVE.values()]
                yield part["text"], [None if score is None else float(score >= 0.5) for score in scores]


def matrix(texts: Iterable[Sequence[str]]) -> Any:
    """Counts of the hashed features of each list of words: sparse, one row a list."""
    from scipy.sparse import csr_matrix

    values: list[int] = []
    columns: list[int] = []
    edges = [0]
    for words in texts:
        counts = features(words)
        columns += counts.keys()
        values += counts.values()
        edges.append(len(columns))
    return csr_matrix((values, columns, edges), shape=(len(edges) - 1, BUCKETS), dtype="float32")


def _beginning(text: str) -> list[str]:
    return [word[:LONGEST_WORD] for word in WORD.findall(variants(text)[0].text)[:BEGINNING]]


def weighted(counts: Any, idf: Any) -> Any:
    """(1 + ln count) x idf, rows of length one."""
    import numpy
    from sklearn.preprocessing import normalize

    scaled = counts.copy()
    scaled.data = 1 + numpy.log(scaled.data)
    return normalize(scaled.multiply(idf).tocsr())


def train(folder: Path) -> dict[str, float]:
    """Writes the weights; returns F1 on the test comments at the default thresholds, by label."""
    import numpy
    from sklearn.linear_model import LogisticRegression

    parts = comments(folder)
    rows = [*parts["train"], *web(folder)]
    counts = matrix(_beginning(text) for text, _ in rows)
    known = numpy.asarray((counts > 0).sum(axis=0)).ravel()
    idf = numpy.log((1 + len(rows)) / (1 + known)) + 1
    x = weighted(counts, idf)
    tune, test = (Windows(parts[part], idf) for part in ("tune", "test"))
    weights, bias, measured = [], [], {}
    for at, label in enumerate(LABELS):
        some, labels = _known(rows, at)
        model = LogisticRegression(C=STRENGTH, solver="liblinear", random_state=0).fit(x[some], labels)
        shift = _shift(tune.logits(model, at), tune.truth(at), label)
        weights.append(model.coef_[0])
        bias.append(model.intercept_[0] + shift)
        measured[label] = _f1(test.truth(at), test.logits(model, at) + shift >= _logit(THRESHOLDS[label]))
    numpy.savez_compressed(
        WEIGHTS, weights=numpy.array(weights).T.astype("float16"), bias=numpy.array(bias), idf=idf.astype("float16")
    )
    return measured


class Windows:
    """Comments as the check reads them: in windows, the highest score of which counts."""

    def __init__(self, rows: Sequence[Row], idf: Any) -> None:
        cut = [[window.words for window in windows(variants(text)[0])] for text, _ in rows]
        self.rows = rows
        self.starts = [sum(map(len, cut[:at])) for at in range(len(cut))]
        self.features = weighted(matrix(words for each in cut for words in each), idf)

    def logits(self, model: Any, label: int) -> Any:
        import numpy

        return numpy.maximum.reduceat(model.decision_function(self.features), self.starts)[_known(self.rows, label)[0]]

    def truth(self, label: int) -> Any:
        return _known(self.rows, label)[1]


def _known(rows: Sequence[Row], label: int) -> tuple[list[int], Any]:
    import numpy

    places = [at for at, (_, labels) in enumerate(rows) if labels[label] is not None]
    return places, numpy.array([rows[at][1][label] for at in places])


def _shift(logits: Any, truth: Any, label: str) -> float:
    """What to add to the logits so that the label's threshold becomes the best by F1."""
    import numpy

    cuts = numpy.quantile(logits, numpy.linspace(0.3, 0.999, 400))
    best = cuts[numpy.argmax([_f1(truth, logits >= cut) for cut in cuts])]
    return _logit(THRESHOLDS[label]) - float(best)


def _logit(score: float) -> float:
    import numpy

    return float(numpy.log(score / (1 - score)))


def _f1(truth: Any, said: Any) -> float:
    hits = float((truth * said).sum())
    return 2 * hits / max(1.0, float(truth.sum() + said.sum()))

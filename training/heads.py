"""Makes the small heads of ``guardrails`` and their cards; ``manage.py train_guardrail`` calls it.

The same data give the same weights: seeds are fixed, nothing is drawn but from them. Needs scikit-learn and the packages
that hold data (training/README.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from classifiers.agreement import Estimate
from classifiers.curves import Curve, Scored, at_threshold, bootstrap, f1, false_positive_rate, recall, roc_auc
from classifiers.embeddings import encoder
from classifiers.loading import need
from guardrails import grounding, heads
from guardrails.injection import by_sentence
from guardrails.normalise import variants
from guardrails.sentences import sentences, windows, words
from training import grounding as grounding_data
from training import injection as injection_data
from training import refusal as refusal_data
from training import refusals, wide
from training.sources import Example, Source

EMBEDDING_WEIGHT = 2.0  # of the embedding against the n-grams; both have length 1
MOST_WINDOWS, MOST_SENTENCES = 2, 4  # of one text, in training
THRESHOLD = 0.5  # of each head, on its probabilities
RARE = 1.0  # log-odds: attacks are rarer than in training; chosen on the two sets of our own


def make_injection(data: Path) -> str:
    numpy = need("numpy", feature="Training")
    texts, labels, weights = [], [], []
    named = _named(injection_data.TRAINING, data, injection_data.own_examples())
    for name, examples in [*named, ("planted", injection_data.planted_examples(data))]:
        for example in list(examples)[:: injection_data.EVERY.get(name, 1)]:
            text = variants(example.text)[0].text  # as it is judged
            pieces = windows(text)[:MOST_WINDOWS]
            if not example.label:  # not every sentence of an attack is one
                pieces = [*pieces, *by_sentence(text)[:MOST_SENTENCES]]
            texts += [piece.text for piece in pieces]
            labels += [example.label] * len(pieces)
            weights += [injection_data.WEIGHTS.get(name, 1.0) / max(1, len(pieces))] * len(pieces)
    kept, vectors, hashed = _features(texts)
    parts = wide.fit(vectors, hashed, numpy.array(labels)[kept], numpy.array(weights)[kept])
    _write("injection", **{**parts, "bias": parts["bias"] - RARE}, threshold=THRESHOLD)
    return _card("injection", injection_data.TRAINING, data, Counter(labels), "sentences and windows of 60 words")


def make_refusal(data: Path) -> str:
    from guardrails.refusal import opening

    examples = [example for source in refusal_data.TRAINING for example in source.examples(data)]
    made = [Example(text, True) for text in refusals.refusals(900)] + [Example(t, False) for t in refusals.answers(900)]
    texts, labels = [opening(e.text) for e in examples + made], [e.label for e in examples + made]
    weights = [1.0] * len(examples) + [0.5] * len(made)
    fit_text("refusal", texts, labels, weights, regularisation=10.0, threshold=THRESHOLD)
    return _card("refusal", refusal_data.TRAINING, data, Counter(labels), "openings of 80 words")


def make_grounding(data: Path) -> str:
    corpora = [source.examples(data) for source in grounding_data.TRAINING]
    rows = [[_grounding_rows(example) for example in corpus] for corpus in corpora]
    lines = []
    for held, (source, corpus) in enumerate(zip(grounding_data.TRAINING, corpora, strict=True)):
        others = [index for index in range(len(corpora)) if index != held]
        _fit_grounding([rows[i] for i in others], [corpora[i] for i in others])
        scores = [_worst(example) for example in corpus]
        lines.append(figures(f"{source.name}, trained on the other two", scores, [e.label for e in corpus]))
    _fit_grounding(rows, corpora)
    count = Counter(example.label for corpus in corpora for example in corpus)
    return _card("grounding", grounding_data.TRAINING, data, count, "answers") + "\n".join(["", *lines, ""])


MAKERS: dict[str, Callable[[Path], str]] = {
    "injection": make_injection,
    "refusal": make_refusal,
    "grounding": make_grounding,
}


def fit_text(
    name: str,
    texts: Sequence[str],
    labels: Sequence[bool],
    weights: Sequence[float],
    *,
    regularisation: float,
    threshold: float,
) -> None:
    """Fits and writes a TextHead that is linear. ``regularisation`` is scikit-learn's C."""
    sparse = need("scipy.sparse", feature="Training")
    kept, vectors, hashed = _features(texts)
    both = sparse.hstack([sparse.csr_matrix(vectors * EMBEDDING_WEIGHT), hashed]).tocsr()
    linear = need("sklearn.linear_model", feature="Training")
    model = linear.LogisticRegression(C=regularisation, solver="liblinear", max_iter=200, random_state=0)
    model.fit(both, [labels[i] for i in kept], sample_weight=[weights[i] for i in kept])
    size = vectors.shape[1]
    _write(
        name,
        embedding=model.coef_[0, :size] * EMBEDDING_WEIGHT,
        ngrams=model.coef_[0, size:],
        bias=model.intercept_[0],
        threshold=threshold,
    )


def _features(texts: Sequence[str]) -> tuple[list[int], Any, Any]:
    """The places of the texts that differ, of which each counts once, their embeddings and their n-grams."""
    numpy, sparse = need("numpy", feature="Training"), need("scipy.sparse", feature="Training")
    once = {text.lower(): index for index, text in reversed(list(enumerate(texts)))}
    kept = sorted(once.values())
    buckets = [heads.ngrams(texts[i]) for i in kept]
    pointers = numpy.cumsum([0, *map(len, buckets)])
    columns, values = [b for row in buckets for b in row], [v for row in buckets for v in row.values()]
    hashed = sparse.csr_matrix((values, columns, pointers), shape=(len(kept), heads.BUCKETS))
    return kept, encoder().embed([texts[i] for i in kept]), hashed


def figures(name: str, scores: Sequence[float], labels: Sequence[bool], threshold: float | None = None) -> str:
    """A line of a card: what a set shows at the threshold, with 95 % bootstrap intervals."""
    at = THRESHOLD if threshold is None else threshold
    wanted: dict[str, Callable[[Curve], float | None]] = {
        "found": at_threshold(at, recall),
        "false alarms": at_threshold(at, false_positive_rate),
        "F1": at_threshold(at, f1),
        "ROC-AUC": roc_auc,
    }
    if all(labels) or not any(labels):
        wanted = {"found" if any(labels) else "false alarms": wanted["found" if any(labels) else "false alarms"]}
    shown = bootstrap(Scored.of(scores, labels), wanted)
    return f"- {name} (n = {len(labels)}): " + ", ".join(f"{key} {_shown(value)}" for key, value in shown.items())


def _shown(estimate: Estimate) -> str:
    if estimate.value is None:
        return "undefined"
    return f"{estimate.value:.3f}" + (f" [{estimate.low:.3f}, {estimate.high:.3f}]" if estimate.low is not None else "")


def _named(sources: Iterable[Source], data: Path, own: Iterable[Example]) -> Iterable[tuple[str, Iterable[Example]]]:
    yield from ((source.name, source.examples(data)) for source in sources)
    yield "this project", own


def _grounding_rows(example: Example) -> Any:
    numpy = need("numpy", feature="Training")
    read, question = grounding.Sources.read([example.source]), frozenset(grounding._content(words(example.prompt)))
    rows = [grounding.features(claim.text, read, question) for claim in sentences(example.text)]
    return numpy.array(rows).reshape(len(rows), len(grounding.FEATURES))


def _fit_grounding(rows: Sequence[Sequence[Any]], corpora: Sequence[Sequence[Example]]) -> None:
    """Every sentence of an answer has the answer's label: most answers are one sentence."""
    numpy, linear = need("numpy", feature="Training"), need("sklearn.linear_model", feature="Training")
    x = numpy.vstack([found for corpus in rows for found in corpus])
    y = [
        e.label
        for answers, corpus in zip(rows, corpora, strict=True)
        for f, e in zip(answers, corpus, strict=True)
        for _ in f
    ]
    centre, scale = x.mean(0), numpy.where(x.std(0) > 0, x.std(0), 1)
    model = linear.LogisticRegression(C=0.1, class_weight="balanced", max_iter=500, random_state=0)
    model.fit((x - centre) / scale, y)
    _write("grounding", weights=model.coef_[0], bias=model.intercept_[0], centre=centre, scale=scale,
           threshold=THRESHOLD)  # fmt: skip


def _worst(example: Example) -> float:
    found = grounding.grounded(example.text, [example.source], example.prompt)
    return max((each.score for each in found), default=1.0)


def _write(name: str, **parts: Any) -> None:
    numpy = need("numpy", feature="Training")
    heads.WEIGHTS.mkdir(exist_ok=True)
    numpy.savez(heads.path(name), **{key: numpy.asarray(value, dtype=numpy.float32) for key, value in parts.items()})
    heads.arrays.cache_clear()
    heads.revision.cache_clear()


def _card(name: str, sources: Sequence[Source], data: Path, count: Counter[bool], unit: str) -> str:
    lines = [
        f"# The head `{name}`",
        "",
        f"Made by `python manage.py train_guardrail {name}`; SHA-256 {heads.revision(name)}.",
        "",
    ]
    lines += [f"Trained on {count[True]} positive and {count[False]} negative {unit}:", ""]
    lines += [f"- {s.name} ({s.licence}{f', package {s.package} {s.version}' if s.package else ''}): "
              f"SHA-256 {s.digest(data)[:16]}" for s in sources]  # fmt: skip
    return "\n".join([*lines, ""])

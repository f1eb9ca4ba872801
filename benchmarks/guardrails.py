"""How well the PII and the toxicity check do on data that they were not trained on, with 95 % bootstrap intervals.

python -m benchmarks.guardrails --data ../shared/data [--only pii]
"""

from __future__ import annotations

import argparse
import csv
import json
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from classifiers.agreement import Estimate
from classifiers.curves import Scored, at_threshold, bootstrap, f1, roc_auc
from classifiers.types import Stage, Subject
from guardrails.patterns import FINDERS
from guardrails.pii import PiiCheck
from guardrails.toxicity import LABELS, THRESHOLDS, ToxicityCheck
from tests.guardrails import pii_sets
from training import pii, toxicity

KINDS = ("PERSON", "LOCATION", *FINDERS)
RESAMPLES = 1000
Spans = set[tuple[str, int, int]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", choices=["pii", "toxicity"])
    options = parser.parse_args()
    if options.only != "toxicity":
        personal(options.data)
    if options.only != "pii":
        toxic(options.data)


def personal(folder: Path) -> None:
    check = PiiCheck()
    rows = pii.dataset(folder, held=True)
    report("templates kept apart, all spans", check, [(row["full_text"], gold(row)) for row in rows])
    report("the same, places in addresses left out", check, [(row["full_text"], gold(row)) for row in rows], rows)
    report("written after training", check, pii_sets.fresh(960, seed=1))
    for forms in (pii_sets.DECOYS, pii_sets.FRESH_DECOYS):
        found = Counter(span.kind for text in pii_sets.decoys(500, 8, forms) for span in check.detect(text))
        print(f"500 decoys of {len(forms)} forms: {dict(found)}")


def gold(row: dict[str, Any]) -> Spans:
    kinds = {"GPE": "LOCATION"}
    return {
        (kinds.get(s["entity_type"], s["entity_type"]), s["start_position"], s["end_position"]) for s in row["spans"]
    }


def report(name: str, check: PiiCheck, data: Sequence[tuple[str, Spans]], rows: Sequence[Any] = ()) -> None:
    """F1 by kind; a span counts when its kind and both ends are right."""
    print(f"\nPII, {name}: {len(data)} texts")
    tables = []
    for at, (text, expected) in enumerate(data):
        got = {(span.kind, span.start, span.end) for span in check.detect(text)}
        inside = [(s[1], s[2]) for s in expected if s[0] == "STREET_ADDRESS"] if rows else []
        got = {g for g in got if g[0] != "LOCATION" or not any(low < g[2] and g[1] < high for low, high in inside)}
        tables.append((Counter(k for k, *_ in got & expected), Counter(k for k, *_ in [*got, *expected]), at))
    for kind in KINDS:
        if sum(both[kind] for _, both, _ in tables):
            print(f"  {kind:16} F1 {interval(tables, kind)}")


def interval(tables: Sequence[Any], kind: str) -> str:
    chance = random.Random(0)
    counts = [(hits[kind], both[kind]) for hits, both, _ in tables if both[kind]]
    drawn = sorted(_f1(chance.choices(counts, k=len(counts))) for _ in range(RESAMPLES))
    low, high = drawn[int(0.025 * RESAMPLES)], drawn[int(0.975 * RESAMPLES)]
    return f"{_f1(counts):.3f} [{low:.3f}, {high:.3f}] ({sum(both for _, both in counts)} spans, found and true)"


def _f1(counts: Iterable[tuple[int, int]]) -> float:
    hits, both = map(sum, zip(*counts, strict=True))
    return 2 * hits / both


def toxic(folder: Path) -> None:
    check = ToxicityCheck()
    rows = toxicity.comments(folder)["test"]
    said = scores(check, [text for text, _ in rows])
    print(f"\nToxicity, Wikipedia comments kept apart: {len(rows)} texts")
    for at, label in enumerate(LABELS):
        known = [
            (found[label], bool(labels[at]))
            for found, (_, labels) in zip(said, rows, strict=True)
            if labels[at] is not None
        ]
        tell(label, known, THRESHOLDS[label])
    print("Other sources, the label toxic")
    for name, texts in others(folder).items():
        found = scores(check, [text for text, _ in texts])
        tell(name, [(f["toxic"], is_toxic) for f, (_, is_toxic) in zip(found, texts, strict=True)], THRESHOLDS["toxic"])


def scores(check: ToxicityCheck, texts: Sequence[str]) -> list[dict[str, float]]:
    return [dict(said.categories) for said in check.classify([Subject(text, Stage.OUTPUT) for text in texts])]


def tell(name: str, known: Sequence[tuple[float, bool]], threshold: float) -> None:
    scored = Scored.of([score for score, _ in known], [is_toxic for _, is_toxic in known])
    figures = bootstrap(scored, {"area": roc_auc, "f1": at_threshold(threshold, f1)})
    print(
        f"  {name:20} {sum(t for _, t in known):5} toxic of {len(known):5}  ROC-AUC {told(figures['area'])}  F1 at {threshold} {told(figures['f1'])}"
    )


def told(figure: Estimate) -> str:
    if figure.value is None or figure.low is None:
        return f"none ({figure.why})"
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"


def others(folder: Path) -> dict[str, list[tuple[str, bool]]]:
    with (folder / "davidson-hate-offensive/labeled_data.csv").open(newline="") as file:
        tweets = [(row["tweet"], row["class"] != "2") for row in csv.DictReader(file)][::8]
    with (folder / "hatemoji/build_validation.csv").open(newline="") as file:
        emoji = [(row["text"], row["label_gold"] == "1") for row in csv.DictReader(file)]
    with (folder / "toxic-spans-civil-comments/comments.csv").open(newline="") as file:
        civil = [(row["comment_text"], True) for row in csv.DictReader(file)][:1500]
    with (folder / "benign-prompts/dolly_1000.csv").open(newline="") as file:
        benign = [(row["instruction"], False) for row in csv.DictReader(file)]
    lines = (folder / "benign-prompts/mt_bench_questions.jsonl").read_text().splitlines()
    benign += [(turn, False) for line in lines for turn in json.loads(line)["turns"]]
    return {"tweets (Davidson)": tweets, "emoji (Hatemoji)": emoji, "civil + benign": civil + benign}


if __name__ == "__main__":
    main()

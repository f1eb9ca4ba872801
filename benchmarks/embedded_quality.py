"""How well the embedded Gemma judges, as it comes, on labelled texts: AUC, and recall and specificity at its threshold.

    python -m benchmarks.embedded_quality FILE... [--texts 400] [--seed 1]

A FILE is CSV or JSONL with a text and a label beside it: ``toxic`` (0 or 1), ``label`` (SAFE or TOXIC), or, as in
RealToxicityPrompts, the prompt's ``toxicity`` (toxic from .5 on). As many toxic texts as others are drawn, by seed.
"""

from __future__ import annotations

import argparse
import random
from typing import Any

from classifiers.prompts import read_prompts
from classifiers.providers.gemma import GemmaClassifier
from classifiers.sources import PromptSource
from classifiers.types import Label, Prompt, Stage, Subject

LONGEST = 1500  # characters; longer comments are left out, to keep the time in bounds


def is_toxic(metadata: Any) -> bool | None:
    if "label" in metadata:
        return metadata["label"] == "TOXIC"
    value = metadata["toxic"] if "toxic" in metadata else metadata["prompt"]["toxicity"]
    return None if value is None else float(value) >= 0.5


def sample(file: str, count: int, seed: int) -> list[tuple[Prompt, bool]]:
    """``count`` texts, half of them toxic, in random order."""
    prompts = list(read_prompts(PromptSource(file, limit=0, skip_bad_rows=True)))
    random.Random(seed).shuffle(prompts)
    known = [(p, toxic) for p in prompts if len(p.text) <= LONGEST and (toxic := is_toxic(p.metadata)) is not None]
    return [*[k for k in known if k[1]][: count // 2], *[k for k in known if not k[1]][: count // 2]]


def auc(toxic: list[float], other: list[float]) -> float:
    """The share of pairs in which the toxic text has the higher score, ties half (Mann-Whitney U / n1 n2)."""
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(toxic, other).statistic) / (len(toxic) * len(other))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--texts", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    judge = GemmaClassifier("embedded")
    for file in options.files:
        rows = sample(file, options.texts, options.seed)
        said = judge.classify([Subject(prompt.text, Stage.INPUT) for prompt, _ in rows])
        judged = [(c, toxic) for c, (_, toxic) in zip(said, rows, strict=True) if c.score is not None]
        scores = {side: [c.score for c, toxic in judged if toxic is side] for side in (True, False)}
        hits = {side: [c.label is Label.TOXIC for c, toxic in judged if toxic is side] for side in (True, False)}
        print(
            f"{file}: {len(judged)} texts, AUC {auc(scores[True], scores[False]):.3f}; at {judge.threshold} "
            f"recall {sum(hits[True]) / len(hits[True]):.2f}, "
            f"specificity {1 - sum(hits[False]) / len(hits[False]):.2f}"
        )


if __name__ == "__main__":
    main()

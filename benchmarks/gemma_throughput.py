"""How fast first-token scoring is against the two plain ways to get a label out of the same model, and whether a text gets the
same score in a batch as alone.

    python -m benchmarks.gemma_throughput [prompts.jsonl] [--texts 96] [--threads 2] [--dtype bfloat16] [--adapter FOLDER|none]

All three read the same full prompts with the embedded Gemma, in one process, precision and thread count. They take
turns in rounds, so that whatever else the machine does hits all alike; a figure is the median ratio of the rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from classifiers.models import load_model
from classifiers.providers.gemma import GemmaClassifier, _with_adapter
from classifiers.scoring import FirstTokenScorer, PromptTokens
from classifiers.types import Stage, Subject

TARGETS = {"generate(max_new_tokens=4), batch 1": 10.0, "scoring, batch 1, no reuse": 3.0}
ALONE = 6  # texts of a round for the ways that take one at a time


def main() -> None:
    options = arguments()
    texts = read_texts(options.prompts)[: options.texts]
    provider = GemmaClassifier(
        "embedded", adapter_path=options.adapter, dtype=options.dtype, threads=options.threads,
        token_budget=options.token_budget,
    )  # fmt: skip
    ways = other_ways(provider, options.threads)
    judge(provider, texts[:4])
    rounds = [one_round(provider, ways, texts, number) for number in range(options.rounds)]
    ours = statistics.median(rate for rate, _ in rounds)
    print(f"{len(texts)} texts, {options.dtype}, {options.threads} threads: ours {ours:.1f} texts/s")
    for way, target in TARGETS.items():
        ratio = statistics.median(rate / others[way] for rate, others in rounds)
        print(f"  {ratio:5.1f} x {way} (target {target:g} x)")
    batched = judge(provider, texts)
    furthest = max(abs(score - judge(provider, [text])[0]) for score, text in zip(batched, texts, strict=True))
    print(f"a score in a batch and alone differ by {furthest:.1e} at most")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    samples = Path(__file__).parents[1] / "samples"
    parser.add_argument("prompts", nargs="?", type=Path, default=samples, help="a JSONL file, or a folder of them")
    parser.add_argument("--texts", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float32"])
    parser.add_argument("--token-budget", type=int, default=2048)
    parser.add_argument("--adapter", help="the folder of an adapter, or none (default: what the embedded Gemma has)")
    return parser.parse_args()


def read_texts(path: Path) -> list[str]:
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    rows = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    prompts = [row.get("prompt", row.get("text")) for row in rows]
    return [prompt["text"] if isinstance(prompt, dict) else prompt for prompt in prompts]


def judge(provider: GemmaClassifier, texts: list[str]) -> list[float]:
    said = provider.classify([Subject(text, Stage.INPUT) for text in texts])
    return [answer.score for answer in said if answer.score is not None]


def other_ways(provider: GemmaClassifier, threads: int) -> dict[str, Callable[[str], Any]]:
    """The two ways to compare with, each on a model of its own, for ours has its output layer cut."""
    import torch

    prompt, encoder = provider.prompt, provider.encoder
    whole, other = (
        load_model(
            provider.local.checkpoint, provider.local.placement, auto_class="AutoModelForCausalLM", threads=threads
        )
        for _ in range(2)
    )
    if provider.adapter:
        whole, other = (_with_adapter(model, provider.adapter) for model in (whole, other))
    scorer = FirstTokenScorer(other, PromptTokens((), prompt.tail, prompt.labels))

    def full(text: str) -> list[int]:
        return [*prompt.prefix, *encoder.ids(encoder.plain(text))]

    def generate(text: str) -> Any:
        ids = torch.tensor([[*full(text), *prompt.tail]])
        return whole.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=4, do_sample=False, pad_token_id=0
        )

    return dict(zip(TARGETS, (generate, lambda text: scorer.logits([full(text)])), strict=True))


def one_round(
    provider: GemmaClassifier, ways: dict[str, Callable[[str], Any]], texts: list[str], number: int
) -> tuple[float, dict[str, float]]:
    """Texts a second, ours and by each other way; those take a few texts, others in each round."""
    few = [texts[(number * ALONE + i) % len(texts)] for i in range(ALONE)]
    ours = rate(lambda: judge(provider, texts), len(texts))
    return ours, {name: rate(lambda way=way: [way(text) for text in few], len(few)) for name, way in ways.items()}


def rate(work: Callable[[], Any], count: int) -> float:
    start = time.perf_counter()
    work()
    return count / (time.perf_counter() - start)


if __name__ == "__main__":
    main()

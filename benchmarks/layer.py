"""What the safety layer adds to a prompt and its answer of 100 tokens each: with rules alone, and with the small trained heads.

    python -m benchmarks.layer [--data ../shared/data] [--rounds 3] [--threads 1]

Each stage is judged one text at a time, as between a person and a model, all of its checks side by side; both kinds of
layer take turns at each text. Told are milliseconds that a person waits, and processor time beside them: on an idle
machine with two cores the wait lies between half the processor time and the whole.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from classifiers.embeddings import encoder
from classifiers.loading import describe
from classifiers.pipeline import Check
from classifiers.prompts import read_prompts
from classifiers.protocols import ClassifierProvider
from classifiers.sources import PromptSource
from guardrails.grounding import GroundingCheck
from guardrails.injection import InjectionDetector, InjectionRules
from guardrails.layer import SafetyLayer
from guardrails.patterns import FINDERS
from guardrails.pii import PiiCheck
from guardrails.refusal import RefusalDetector
from guardrails.toxicity import ToxicityCheck

ROOT = Path(__file__).resolve().parent.parent
TOKENS = 100
AT_MOST = {"rules alone": 10.0, "with PII and heads": 150.0}  # milliseconds, 95th percentile of each stage


def check(name: str, provider: ClassifierProvider) -> Check:
    return Check(name, provider, describe(provider, {}))


def layers(threads: int) -> dict[str, SafetyLayer]:
    forms = check("pii", PiiCheck(tuple(FINDERS)))
    pii, toxicity = check("pii", PiiCheck()), check("toxicity", ToxicityCheck())
    injection = check("injection", InjectionDetector(threads=threads))
    refusal = check("refusal", RefusalDetector(threads=threads))
    return {
        "rules alone": SafetyLayer([check("injection", InjectionRules()), forms], [forms]),
        "with PII and heads": SafetyLayer(
            [toxicity, pii, injection], [toxicity, pii, check("grounding", GroundingCheck()), refusal]
        ),
    }


def texts(data: Path | None, count: int) -> list[str]:
    """Texts of 100 tokens of the sentence encoder, cut from longer answers or put together from samples."""
    source = (
        PromptSource(str(data / "benign-prompts/dolly_1000.csv"), text_column="response", limit=0)
        if data
        else PromptSource(str(ROOT / "samples/prompts.jsonl"), limit=0)
    )
    whole = [prompt.text for prompt in read_prompts(source)]
    joined = whole if data else [" ".join(whole[i:] + whole[:i]) for i in range(len(whole))]
    return [short for text in joined if (short := cut(text))][:count]


def cut(text: str) -> str:
    """The first words that make 100 tokens; nothing when there are fewer."""
    words = text.split(" ")
    for end in range(TOKENS // 3, len(words) + 1):
        part = " ".join(words[:end])
        if len(encoder(threads=1).ids([part])[0]) - 2 >= TOKENS:
            return part
    return ""


def stages(layer: SafetyLayer, text: str, other: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    yield "input", lambda: layer.validate_input(text)
    yield "output", lambda: layer.validate_output(text, prompt=other, sources=[other])


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Milliseconds that it took, and of processor time, that of all threads."""
    wall, own = time.perf_counter(), time.process_time()
    work()
    return 1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - own)


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--texts", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of the sentence encoder")
    given = parser.parse_args()
    made, found = layers(given.threads), texts(given.data, given.texts)
    pairs = list(zip(found, found[1:] + found[:1], strict=True))
    for layer in made.values():
        for _, work in stages(layer, *pairs[0]):
            work()
    print(f"{len(found)} texts of {TOKENS} tokens; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    missed = False
    for number in range(given.rounds):
        took: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for pair in pairs:
            for name, layer in made.items():
                for stage, work in stages(layer, *pair):
                    took.setdefault((name, stage), []).append(timed(work))
        for (name, stage), both in took.items():
            waits, work_times = zip(*both, strict=True)
            wait, own = ([percentile(times, share) for share in (0.5, 0.95)] for times in (waits, work_times))
            missed |= wait[1] > AT_MOST[name]
            print(
                f"round {number + 1}, {name:20} {stage:7} p50 {wait[0]:6.1f} ms, p95 {wait[1]:6.1f} ms; "
                f"processor p50 {own[0]:6.1f}, p95 {own[1]:6.1f}",
                flush=True,
            )
    print(f"load {os.getloadavg()[0]:.1f}; p95 at most {AT_MOST}: {'missed' if missed else 'met'} in every round.")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())

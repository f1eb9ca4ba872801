"""Throughput of remote providers as configured by default, against one text and one request at a time.

    python -m benchmarks.remote_throughput [--latency 0.02] [--rate-429 0.02] [--retry-after 0.1] [--seconds 5]

The stub server runs as a process of its own, so that its work is not counted as the client's; it shares the machine.
Both sides meet the same latency and the same share of 429s in the same run; the figure is their ratio.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

from classifiers.providers.openai import OpenAIChat, OpenAIModeration
from classifiers.types import Label, Stage, Subject

TARGET = 20.0


@contextmanager
def stub(latency: float, rate_429: float, retry_after: str) -> Iterator[str]:
    """The address of a stub server."""
    command = [sys.executable, "-m", "tests.stub_server", f"--latency={latency}", f"--rate-429={rate_429}"]
    process = subprocess.Popen([*command, f"--retry-after={retry_after}"], stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


def throughput(call: Callable[[list[str]], None], *, batch: int, seconds: float) -> float:
    """Texts a second over about ``seconds``, after one batch to warm up."""
    call(texts(batch))
    done, start = 0, time.perf_counter()
    while time.perf_counter() < start + seconds:
        call(texts(batch))
        done += batch
    return done / (time.perf_counter() - start)


def texts(count: int) -> list[str]:
    return [f"Text {i}: what should I cook for eleven people on a rainy Sunday in November?" for i in range(count)]


def moderator(url: str, **options: int) -> Callable[[list[str]], None]:
    provider = OpenAIModeration(base_url=url, **options)

    def call(batch: list[str]) -> None:
        found = provider.classify([Subject(text, Stage.INPUT) for text in batch])
        assert all(c.label == Label.SAFE for c in found), next(c for c in found if c.label != Label.SAFE)

    return call


def chatter(url: str, **options: int) -> Callable[[list[str]], None]:
    provider = OpenAIChat(base_url=url, **options)

    def call(batch: list[str]) -> None:
        assert all(answer.text for answer in provider.generate(batch))

    return call


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--latency", type=float, default=0.02, help="seconds before each of the server's answers")
    parser.add_argument("--rate-429", type=float, default=0.02, help="share of requests that are refused")
    parser.add_argument("--retry-after", default="0.1", help="seconds that a refusal asks to wait")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    one_by_one = {"concurrency": 1, "max_concurrency": 1}
    ratios: dict[str, list[float]] = {"moderation": [], "chat": []}
    with stub(given.latency, given.rate_429, given.retry_after) as url:
        sides = {
            "moderation": (moderator(url), 2000, moderator(url, texts_per_request=1, **one_by_one)),
            "chat": (chatter(url), 400, chatter(url, **one_by_one)),
        }
        for _ in range(given.rounds):
            for name, (fast, batch, slow) in sides.items():
                alone = throughput(slow, batch=20, seconds=given.seconds)
                pooled = throughput(fast, batch=batch, seconds=given.seconds)
                ratios[name].append(pooled / alone)
                print(
                    f"{name}: {pooled:,.0f} texts/s, one at a time {alone:,.1f}, ratio {pooled / alone:.1f}", flush=True
                )
    print(f"moderation: median ratio {median(ratios['moderation']):.1f} (target {TARGET:.0f})")
    print(f"chat: median ratio {median(ratios['chat']):.1f} (no target: one text is one request)")
    return 0 if median(ratios["moderation"]) >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())

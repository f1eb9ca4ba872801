"""How fast the model server, and the site in front of it, judge against the classifier called in one process.

    python -m benchmarks.moderations [--texts 1000] [--rounds 3] [--threads 2] [--without-site]

The same texts, none twice, by the embedded classifier: in one call of its own process; by a real serve_models, and by a
real gunicorn in front of it, each asked by four clients with arrays of 32. They take turns, so that whatever else the
machine does hits all alike; a figure is the median of the rounds' ratios to the plain call (target 0.9). Where others
are at work as well, ask for fewer torch threads than there are free cores: threads that wait for each other measure nothing.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit

from benchmarks.gemma_throughput import read_texts
from benchmarks.site import ROOT, database, served
from classifiers.providers.gemma import GemmaClassifier
from classifiers.types import Stage, Subject

CLIENTS, ARRAY = 4, 32
OPENINGS = ("So,", "Well,", "Again:", "My friend asks:", "I wonder,", "Listen,", "A question.", "Seen today:")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--without-site", action="store_true")
    options = parser.parse_args()
    os.environ["AI_SAFETY_MONITOR_TORCH_THREADS"] = str(options.threads)
    provider = GemmaClassifier("embedded", threads=options.threads)
    with database("sqlite") as folder, models() as server:
        ways: dict[str, Callable[[list[str]], None]] = {
            "one call": lambda texts: judge(provider, texts),
            "serve_models": lambda texts: ask(server, "none", texts),
        }
        os.environ["AI_SAFETY_MONITOR_MODEL_SERVER"] = server
        key = token()
        with served(folder, threads=8) as site:
            if not options.without_site:
                ways["the site"] = lambda texts: ask(f"{site}/v1", key, texts)
            compare(ways, variations(options.texts), options.rounds)


def compare(ways: dict[str, Callable[[list[str]], None]], texts: Iterator[list[str]], rounds: int) -> None:
    few = next(texts)[: CLIENTS * ARRAY]
    for work in ways.values():
        work(few)
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for batch in itertools.islice(texts, rounds):
        for name, work in ways.items():
            start = time.perf_counter()
            work(batch)
            rates[name].append(len(batch) / (time.perf_counter() - start))
        print("  ".join(f"{name} {found[-1]:.1f}/s" for name, found in rates.items()), flush=True)
    for name, found in rates.items():
        ratio = statistics.median(rate / plain for rate, plain in zip(found, rates["one call"], strict=True))
        print(f"{name:12}  {statistics.median(found):6.1f} texts/s  {ratio:.2f} x one call")


def variations(count: int) -> Iterator[list[str]]:
    """Texts of the samples' lengths, none of which comes twice: equal ones would be judged once."""
    samples, chance = read_texts(ROOT / "samples" / "prompts.jsonl"), random.Random(1)
    for number in itertools.count():
        yield [f"{chance.choice(OPENINGS)} {chance.choice(samples)} {number}.{index}" for index in range(count)]


def judge(provider: GemmaClassifier, texts: Sequence[str]) -> None:
    provider.classify([Subject(text, Stage.INPUT) for text in texts])


def ask(base_url: str, key: str, texts: list[str]) -> None:
    """By four clients, each of which sends its next array when it has the answer to the last one."""
    arrays = iter([texts[start : start + ARRAY] for start in range(0, len(texts), ARRAY)])

    def client(_: int) -> None:
        parts = urlsplit(base_url)
        connection = http.client.HTTPConnection(parts.netloc)
        while array := next(arrays, None):
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
            body = json.dumps({"model": "gemma", "input": array})
            connection.request("POST", f"{parts.path}/moderations", body, headers)
            answer = connection.getresponse()
            found = json.loads(answer.read())
            assert answer.status == 200, found
            assert len(found["results"]) == len(array)
            assert all("flagged" in result and "error" not in result for result in found["results"])
        connection.close()

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(client, range(CLIENTS)))


@contextmanager
def models() -> Iterator[str]:
    """A real serve_models with the embedded classifier; its address."""
    command = [sys.executable, "manage.py", "serve_models", "gemma", "--gemma-base-model", "embedded"]
    process = subprocess.Popen([*command, "--bind", "127.0.0.1:0"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield next(line.rpartition(" ")[2].strip() for line in process.stdout if line.startswith("Ready: "))
    finally:
        process.terminate()
        process.wait()


def token() -> str:
    from django.contrib.auth.models import User

    from integrations.services import create_token

    user = User.objects.create_superuser("bench")
    return create_token(user, name="bench", scopes=["moderate"], expires_at=None, actor="benchmark")[1]


if __name__ == "__main__":
    main()

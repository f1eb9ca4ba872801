"""What the guarded proxy adds to a model's server: 20 clients, served by two processes on the same machine.

    python -m benchmarks.proxy [--database postgresql] [--requests 600] [--threads 16]

The server behind it is a stub that answers after --latency seconds, give or take --jitter of it; the checks are fakes that take no time. In turns, a
batch of requests goes to the stub alone and then to it through the proxy, by the same clients; then the results are
counted. Clients and stub run in processes of their own and take their share of the cores.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from statistics import median, quantiles
from typing import Any
from urllib.parse import urlsplit

from benchmarks.site import ROOT, database, served

ROUNDS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--requests", type=int, default=600, help="to each of the two")
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--latency", type=float, default=0.3, help="of the stub, in seconds")
    parser.add_argument("--jitter", type=float, default=0.3, help="0 makes all clients ask at the same moments")
    parser.add_argument("--threads", type=int, default=16, help="of each server process")
    parser.add_argument("--stream", action="store_true")
    options = parser.parse_args()
    with stub(options.latency, options.jitter) as upstream:
        os.environ["BENCHMARK_UPSTREAM"] = upstream
        with database(options.database) as folder:
            os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.proxy_settings"
            os.environ["AI_SAFETY_MONITOR_API_RATE"] = "1000000"
            key = make_key()
            with served(folder, threads=options.threads) as address:
                measure(options, upstream, f"{address}/v1", key)


def measure(options: Any, upstream: str, proxy: str, key: str) -> None:
    alone: list[float] = []
    through: list[float] = []
    with ThreadPoolExecutor(options.clients) as pool:
        ask_many(pool, proxy, key, options, "warm", 2 * options.clients)
        for number in range(ROUNDS):
            share = options.requests // ROUNDS
            alone += ask_many(pool, upstream, key, options, f"alone {number}", share)
            through += ask_many(pool, proxy, key, options, f"through {number}", share)
    from runs.models import Result

    kept = Result.objects.filter(prompt__startswith="through").count()
    added = [b - a for a, b in zip(*map(percentiles, (alone, through)), strict=True)]
    for name, times in (("alone", alone), ("through the proxy", through)):
        print(f"{name}: median {median(times) * 1000:.1f} ms, p95 {percentiles(times)[1] * 1000:.1f} ms")
    print(f"added: median {added[0] * 1000:.1f} ms, p95 {added[1] * 1000:.1f} ms (at most 25)")
    print(f"results: {kept} of {len(through)} requests, {len(through) - kept} lost (0)")


def percentiles(times: list[float]) -> tuple[float, float]:
    cuts = quantiles(times, n=20)
    return cuts[9], cuts[18]


def ask_many(pool: ThreadPoolExecutor, url: str, key: str, options: Any, name: str, count: int) -> list[float]:
    """Seconds of each request; every client has one connection and sends one after the other."""
    shares = [range(place, count, options.clients) for place in range(options.clients)]
    times = pool.map(lambda share: _client(url, key, options.stream, [f"{name} {n}." for n in share]), shares)
    return [each for some in times for each in some]


def _client(url: str, key: str, stream: bool, prompts: list[str]) -> list[float]:
    place = urlsplit(url)
    connection = HTTPConnection(place.hostname or "", place.port or 80, timeout=60)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    times = []
    for prompt in prompts:
        body = {"model": "stub", "messages": [{"role": "user", "content": prompt}], "stream": stream}
        started = time.perf_counter()
        connection.request("POST", f"{place.path}/chat/completions", json.dumps(body), headers)
        answer = connection.getresponse()
        said = answer.read()
        times.append(time.perf_counter() - started)
        if answer.status != 200 or b"An" not in said:
            raise SystemExit(f"{answer.status}: {said[:500]!r}")
    connection.close()
    return times


@contextmanager
def stub(latency: float, jitter: float = 0.0) -> Iterator[str]:
    """The address of a model's server in a process of its own."""
    command = [sys.executable, "-m", "tests.stub_server", "--latency", str(latency), "--jitter", str(jitter)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found
        yield found[0]
    finally:
        process.terminate()
        process.wait()


def make_key() -> str:
    from django.contrib.auth.models import Group, User

    from integrations.services import create_token
    from review.roles import ensure_roles

    ensure_roles(actor="benchmark")
    user, _ = User.objects.get_or_create(username="program")
    user.groups.add(Group.objects.get(name="program"))
    name = f"benchmark {time.time()}"
    return create_token(user, name=name, scopes=["moderate"], expires_at=None, actor="benchmark")[1]


if __name__ == "__main__":
    main()

"""Reviewers at work on a queue of 100,000 results, over HTTP, served by two processes on the same machine.

    python -m benchmarks.review_load [--database postgresql] [--results 100000] [--decisions 1500] [--threads 1]

First ten reviewers with three seconds to think (how long next and submit take), then fifty without any (how many decisions
a second), then fifty on small queues until they are empty, for 1, 2, 3 and 5 reviewers a result, where every result must be
judged by exactly as many different people. The reviewers run in this process and take their share of the two cores.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from statistics import quantiles
from typing import Any

from benchmarks.site import database, served

SMALL = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--results", type=int, default=100_000)
    parser.add_argument("--decisions", type=int, default=1500)
    parser.add_argument("--threads", type=int, default=1, help="of each server process")
    options = parser.parse_args()
    with database(options.database) as folder:
        from benchmarks import console

        run = console.build(options.results)
        people = make_people(50)
        with served(folder, threads=options.threads) as address:
            thinking(address, make_queue(run, people, needed=2), people[:10])
            racing(address, make_queue(run, people, needed=2), people, options.decisions)
            small = console.build(SMALL) if options.results == SMALL else part_of(run)
            for needed in (1, 2, 3, 5):
                emptying(address, make_queue(small, people, needed=needed), people, needed)


def make_people(number: int) -> list[Any]:
    from django.contrib.auth.models import Group, User

    from review.roles import ensure_roles

    ensure_roles(actor="benchmark")
    people = [
        User.objects.get_or_create(username=f"reviewer{n}", defaults={"is_staff": True})[0] for n in range(number)
    ]
    Group.objects.get(name="reviewer").user_set.add(*people)
    lead, _ = User.objects.get_or_create(username="lead", defaults={"is_staff": True})
    Group.objects.get(name="lead").user_set.add(lead)
    return people


def make_queue(run: Any, people: list[Any], *, needed: int) -> Any:
    from django.contrib.auth.models import User

    from review import queues
    from review.models import Queue

    fields = {"name": f"benchmark {needed}", "filters": {"run": str(run.pk)}, "blind": False, "gold_percent": 0}
    start = time.perf_counter()
    queue = queues.create_queue(Queue(needed=needed, **fields), by=User.objects.get(username="lead"))
    print(f"a queue of {queue.items.count()} results made in {time.perf_counter() - start:.1f} s")
    return queue


def part_of(run: Any) -> Any:
    """A run of the first few results of another."""
    from runs.models import Result, Run

    small = Run.objects.create(name="benchmark, a part", total=SMALL, status="DONE", created_by="benchmark")
    results = list(Result.objects.filter(run=run).order_by("position")[:SMALL])
    for result in results:
        result.pk, result.run = None, small
    Result.objects.bulk_create(results)
    return small


def reviewers(address: str, queue: Any, people: list[Any], **options: Any) -> list[Any]:
    from benchmarks.reviewers import Reviewer, session_of

    return [Reviewer(address, queue.pk, session_of(person), seed=person.pk, **options) for person in people]


def work(team: list[Any]) -> float:
    """Seconds until all have finished; stops at the first failure."""
    start = time.perf_counter()
    with ThreadPoolExecutor(len(team)) as pool:
        list(pool.map(lambda reviewer: reviewer.work(), team))
    if faults := [fault for reviewer in team for fault in reviewer.failed]:
        raise SystemExit(f"{len(faults)} requests failed, the first: {faults[0]}")
    return time.perf_counter() - start


def thinking(address: str, queue: Any, people: list[Any]) -> None:
    team = reviewers(address, queue, people, thinks=3, most=12)
    work(team)
    took, judged = ([second for reviewer in team for second in getattr(reviewer, kind)] for kind in ("took", "judged"))
    both = [first + second for first, second in zip(took, judged, strict=False)]
    print(
        f"{len(people)} reviewers who think 3 s: next p95 {p95(took)}, submit p95 {p95(judged)}, both p95 {p95(both)}"
    )


def racing(address: str, queue: Any, people: list[Any], decisions: int) -> None:
    team = reviewers(address, queue, people, most=decisions // len(people))
    seconds = work(team)
    done = sum(len(reviewer.stored) for reviewer in team)
    took, judged = ([second for reviewer in team for second in getattr(reviewer, kind)] for kind in ("took", "judged"))
    print(
        f"{len(people)} reviewers who do not think: {done / seconds:.0f} decisions/s, next p95 {p95(took)}, submit p95 {p95(judged)}"
    )
    check(queue, people)


def emptying(address: str, queue: Any, people: list[Any], needed: int) -> None:
    team = reviewers(address, queue, people)
    seconds = work(team)
    done = sum(len(reviewer.stored) for reviewer in team)
    complete = queue.items.filter(done=needed, claimed=0).count()
    lost = queue.items.count() * needed - done
    print(
        f"{needed} each: {done} decisions in {seconds:.1f} s, {complete} of {queue.items.count()} complete, {lost} lost"
    )
    check(queue, people)


def check(queue: Any, people: list[Any]) -> None:
    """Nobody twice, nothing over-served: counted in the reviews themselves."""
    from review.models import Review

    said = Counter(Review.objects.filter(item__queue=queue, stage="INPUT").values_list("item", "reviewer"))
    twice = sum(count > 1 for count in said.values())
    over = sum(count > queue.needed for count in Counter(item for item, _ in said).values())
    print(f"    {over} results over-served, {twice} judged twice by one reviewer")
    if over or twice:
        raise SystemExit(1)


def p95(seconds: list[float]) -> str:
    return f"{quantiles(seconds, n=20)[-1] * 1000:.0f} ms"


if __name__ == "__main__":
    main()

"""Agreement and machine against human over many stored verdicts: from the query to the last interval.

    python -m benchmarks.figures [--verdicts 100000] [--database postgresql]

Every tenth result is flagged and all of those are in the queue, with a quarter of the others drawn at random; two of ten
people judge both stages of each.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

PEOPLE = 10


def build(verdicts: int) -> Any:
    """A queue whose items are all judged by two people."""
    from django.contrib.auth.models import User
    from django.utils import timezone

    from moderation.models import ClassifierVersion
    from review.models import Queue, QueueItem
    from runs.models import Result, Run

    chance, now = random.Random(0), timezone.now()
    run = Run.objects.create(name="benchmark", created_by="benchmark", status="DONE")
    version = ClassifierVersion.objects.create(alias="fake", provider="benchmark", fingerprint="0")
    people = User.objects.bulk_create([User(username=f"reviewer{number}") for number in range(PEOPLE)])
    size = verdicts // 4
    queue = Queue.objects.create(
        name="benchmark", needed=2, filters={"run": str(run.pk), "flagged": "true"}, sample_percent=25
    )
    results = [_result(run, position, chance, now) for position in range(size)]
    Result.objects.bulk_create(results, batch_size=2000)
    flagged = sum(result.input_label == "TOXIC" or result.output_label == "TOXIC" for result in results)
    queue.population = {"flagged": flagged, "unflagged": 4 * (size - flagged), "sampled": size - flagged}
    queue.save()
    items = [
        QueueItem(queue=queue, result=r, needed=2, done=2, state="CLOSED", order=chance.random(), origin="FILTER" if "TOXIC" in (r.input_label, r.output_label) else "SAMPLE")
        for r in results
    ]  # fmt: skip
    QueueItem.objects.bulk_create(items, batch_size=2000)
    _judge(items, people, version, chance)
    return queue


def _result(run: Any, position: int, chance: random.Random, now: Any) -> Any:
    from runs.models import Result

    toxic = [chance.random() < 0.06 for _ in range(2)]
    said = ["TOXIC" if chance.random() < (0.9 if is_so else 0.03) else "SAFE" for is_so in toxic]
    result = Result(
        run=run, position=position, prompt="prompt " * 40, input_label=said[0], created_at=now, reviewed_at=now
    )
    result.human_input_label, result.input_provenance = "TOXIC" if toxic[0] else "SAFE", "unanimous"
    result.input_score = _score(said[0], chance)
    if said[0] == "SAFE":
        result.answer, result.output_label, result.output_score = "answer " * 80, said[1], _score(said[1], chance)
        result.human_output_label, result.output_provenance = "TOXIC" if toxic[1] else "SAFE", "unanimous"
    return result


def _score(label: str, chance: random.Random) -> float:
    return chance.uniform(0.5, 1) if label == "TOXIC" else chance.uniform(0, 0.5)


def _judge(items: list[Any], people: list[Any], version: Any, chance: random.Random) -> None:
    from review.models import Review
    from runs.models import Verdict

    verdicts, reviews = [], []
    for item in items:
        result = item.result
        for stage in ("input", "output"):
            if label := getattr(result, f"{stage}_label"):
                score = getattr(result, f"{stage}_score")
                verdicts.append(
                    Verdict(
                        result=result, stage=stage.upper(), check_name="fake", label=label, score=score, version=version
                    )
                )
        for person in chance.sample(people, 2):
            for stage in ("input", "output"):
                truth = getattr(result, f"human_{stage}_label") or "SAFE"
                label = truth if chance.random() < 0.9 else chance.choice(["SAFE", "TOXIC", "UNSURE"])
                key = f"{result.pk}-{person.pk}"
                reviews.append(
                    Review(result=result, item=item, stage=stage.upper(), reviewer=person, label=label, blind=True, digest="d" * 32, key=key)
                )  # fmt: skip
    Verdict.objects.bulk_create(verdicts, batch_size=2000)
    Review.objects.bulk_create(reviews, batch_size=2000)


def seconds(work: Callable[[], Any], repeat: int = 3) -> float:
    """The fastest of some runs."""
    times = []
    for _ in range(repeat):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def measure(verdicts: int) -> None:
    from django.db import connection

    from review import figures, machine
    from review.scopes import Scope

    queue = build(verdicts)
    scope = Scope(queue=queue.pk)
    told = figures.agreement_of(scope)
    agreement = seconds(lambda: figures.agreement_of(scope))
    pairs = len(told.pairs)
    print(
        f"{connection.vendor}: {told.verdicts} verdicts of {told.everybody} people: agreement with intervals and {pairs} pairs in "
        f"{agreement:.2f} s (at most 2), {seconds(lambda: list(figures._said(scope))):.2f} s of it the query"
    )
    whole = machine.as_a_whole(scope, queue)
    first = seconds(lambda: [held.missed for held in machine.as_a_whole(scope, queue)])

    def versions() -> list[Any]:
        return [(held.confusion, held.missed, held.sweep) for held in machine.by_version(scope, queue, whole=whole)]

    print(
        f"{connection.vendor}: machine against people, {queue.items.count()} results: as a whole in {first:.2f} s, "
        f"by version with the sweep in {seconds(versions):.2f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--verdicts", type=int, default=100_000)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    options = parser.parse_args()
    with ExitStack() as stack:
        if options.database == "postgresql":
            from benchmarks.two_workers import postgresql

            stack.enter_context(postgresql(Path(stack.enter_context(tempfile.TemporaryDirectory()))))
        from benchmarks.setup import prepare

        prepare()
        measure(options.verdicts)


if __name__ == "__main__":
    main()

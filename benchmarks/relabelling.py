"""A run labelled anew under other policies: some labels change, all of them, and back again; no model is asked.

    python -m benchmarks.relabelling [--database postgresql] [--results 100000]

Each result has about two verdicts of several categories. Beside it: counting the labels of the same run once, which
reads every result and changes none.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from benchmarks.api_lists import build, settle
from benchmarks.site import database

AT_MOST = 5  # seconds for 100,000 results


def timed(what: Any) -> tuple[float, Any]:
    started = time.perf_counter()
    said = what()
    return time.perf_counter() - started, said


def versions() -> dict[str, Any]:
    from classifiers.policy import Rule
    from moderation import policies
    from moderation.policies import Content

    rules = {
        "a stricter threshold for one category": [Rule("hate", 0.4)],
        "a threshold that every tenth reaches": [Rule("hate", 0.2)],
        "a threshold that flags nearly all": [Rule("*", 0.01)],
    }
    made = {
        name: policies.create_policy(name, Content(tuple(of)), note="Measured.", actor="benchmark")
        for name, of in rules.items()
    }
    return {**made, "back to the classifiers' own word": None}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--results", type=int, default=100_000)
    given = parser.parse_args()
    worst = 0.0
    with database(given.database):
        from runs.models import Result
        from runs.relabelling import preview, relabel

        run = build(given.results)
        for name, version in versions().items():
            settle()
            counting, _ = timed(lambda: Result.objects.filter(run=run).counts())
            looking, _ = timed(lambda version=version: preview(run, version))
            labelling, told = timed(lambda version=version: relabel(run, version, note="", actor="benchmark"))
            worst = max(worst, labelling)
            print(
                f"{name}: {told.changed:,} of {told.total:,} changed; preview {looking:.2f} s, labelled in "
                f"{labelling:.2f} s, {labelling / counting:.0f} times counting ({counting:.3f} s)",
                flush=True,
            )
    target = AT_MOST * given.results / 100_000
    print(f"At most {target:g} s: {'met' if worst <= target else 'missed'}.")
    return int(worst > target)


if __name__ == "__main__":
    sys.exit(main())

"""What a text of a megabyte costs a check: processor seconds, and memory beyond what the check holds once it is warm.

    python -m benchmarks.megabyte [--check pii] [--only digits] [--size 1000000]

Each text is read in a process of its own, so that one's peak is not another's. The texts are those that patterns and
tokenizers find hardest: one long run of something, or a form that nearly matches, over and over.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from classifiers.types import Stage, Subject

UNITS = {
    "sentences": "My name is John Smith and I live in Paris. ",
    "digits": "1",
    "digits apart": "1 ",
    "digits and hyphens": "41-",
    "cards that are none": "4111 1111 1111 1112 ",
    "one word": "x",
    "capitals": "X",
    "a@a@a@": "a@",
    "addresses without an end": "a.a@a.",
    "dots": "1.",
    "colons": "a:",
    "accounts that are none": "DE89 ",
    "zero-width": "\u200b",
    "accents on one letter": "\u0301",
    "new lines": "\n",
    "spaces": " ",
    "brackets": "(",
    "names in lines": "Main St 1\nBerlin\nGermany\n",
    "ideographs": "\u5317\u4eac",
    "emoji": "\U0001f600",
    "e-mail addresses": "jane@example.org ",
    "cards": "card 4111 1111 1111 1111 ",
    "phones of some country": "020 7946 0958 ",
    "names": "Angela Merkel ",
    "placeholders": "<EMAIL_1> ",
}
AT_MOST_SECONDS, AT_MOST_MB = 180, 500
GIVEN_UP = 2 * AT_MOST_SECONDS  # processor seconds


def checks() -> dict[str, Callable[[], Any]]:
    from guardrails.injection import InjectionDetector
    from guardrails.pii import PiiCheck
    from guardrails.refusal import RefusalDetector
    from guardrails.toxicity import ToxicityCheck

    return {
        "pii": PiiCheck,
        "toxicity": ToxicityCheck,
        "injection": InjectionDetector,
        "refusal": RefusalDetector,
    }


def read(name: str, text: str, answer: Connection) -> None:
    """Tells of processor seconds, megabytes and finds; runs in a process of its own."""
    resource.setrlimit(resource.RLIMIT_CPU, (GIVEN_UP, GIVEN_UP))
    check = checks()[name]()
    check.classify([Subject("Warm up, Mr. Smith.", Stage.INPUT)])
    before, started = peak(), time.process_time()
    (said,) = check.classify([Subject(text, Stage.INPUT)])
    answer.send((time.process_time() - started, peak() - before, said.label, len(said.spans)))


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def measure(name: str, text: str) -> tuple[float, float, str, int] | None:
    """None when it is given up."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=read, args=(name, text, theirs))
    process.start()
    theirs.close()
    try:
        said: tuple[float, float, str, int] = ours.recv()
    except EOFError:
        return None
    finally:
        process.join()
    return said


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", choices=sorted(checks()), default="pii")
    parser.add_argument("--only", action="append", choices=sorted(UNITS), default=[])
    parser.add_argument("--size", type=int, default=1_000_000, help="characters")
    given = parser.parse_args()
    missed = False
    for name in given.only or UNITS:
        unit = UNITS[name]
        text = (unit * (given.size // len(unit) + 1))[: given.size]
        told = measure(given.check, text)
        missed |= told is None or told[0] > AT_MOST_SECONDS or told[1] > AT_MOST_MB
        said = (
            f"{told[0]:6.1f} s  {told[1]:5.0f} MB  {told[2]}, {told[3]} spans"
            if told
            else f"given up after {GIVEN_UP} s"
        )
        print(f"{name:26} {said}", flush=True)
    print(f"At most {AT_MOST_SECONDS} s and {AT_MOST_MB} MB: {'missed' if missed else 'met'}.")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())

"""Measures the small heads on sets that none was trained on, and writes it into their cards: ``python -m training.measure``."""

from __future__ import annotations

import argparse
import base64
import codecs
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from classifiers.types import Stage, Subject
from guardrails import heads
from guardrails.injection import InjectionDetector, InjectionRules
from guardrails.refusal import EVASION, REFUSAL, RefusalDetector
from training import injection, refusal
from training.heads import figures
from training.sources import Example

HEADING = "## Measured"
KEYWORDS = re.compile(
    "sorry|i apologi[sz]e|i cannot|i can['\u2019]t|i can not|i am unable|i'm unable|not able to|as an ai|i won['\u2019]t|i will not"
    "|unfortunately|against my|unethical|illegal|i must decline|i refuse",
    re.IGNORECASE,
)
LOOKALIKES = str.maketrans(
    "aceopxyiAEOTK", "\u0430\u0441\u0435\u043e\u0440\u0445\u0443\u0456\u0410\u0415\u041e\u0422\u041a"
)
LEET = str.maketrans("aeiost", "431057")
DISGUISES: dict[str, Callable[[str], str]] = {
    "zero-width characters": lambda text: "\u200b".join(text),
    "lookalike letters": lambda text: text.translate(LOOKALIKES),
    "leetspeak": lambda text: text.translate(LEET),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "spaced letters": lambda text: "  ".join(" ".join(word) for word in text.split()),
    "rot13": lambda text: codecs.encode(text, "rot13"),
    "hexadecimal": lambda text: text.encode().hex(),
    "upper case": str.upper,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.measure", description=__doc__)
    parser.add_argument("head", choices=MEASURES)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="the folder of data sets")
    options = parser.parse_args()
    lines = MEASURES[options.head](options.data)
    card = heads.path(options.head).with_suffix(".md")
    before = card.read_text().partition(f"\n{HEADING}")[0].rstrip()
    card.write_text("\n".join([before, "", HEADING, "", *lines, ""]))
    sys.stdout.write("\n".join([*lines, ""]))


def measure_injection(data: Path) -> list[str]:
    detector = InjectionDetector(max_windows=4096)
    trained = [
        runs for source in injection.TRAINING[:4] for e in source.examples(data) if e.label and (runs := _runs(e.text))
    ]
    known = set().union(*trained)
    found = [
        f"Threshold {detector.threshold:g}. Attacks of which half the runs of five words are in training are left out.",
        "",
    ]
    for source in injection.TEST:
        examples = [e for e in source.examples(data) if not e.label or _is_new(e.text, known)]
        found.append(_line(source.name, detector, examples))
    own = [Example(text, False) for text in _own_triggers()]
    found.append(_line("own benign prompts with trigger words", detector, own))
    attacks = [e for source in injection.TEST[:4] for e in source.examples(data) if e.label and 20 < len(e.text) < 400
               and e.text.isascii() and _is_new(e.text, known) and e.kind in ("", "en")][:50]  # fmt: skip
    harmless = own[:50]
    for name, disguise in DISGUISES.items():
        both = [Example(disguise(e.text), e.label) for e in (*attacks, *harmless)]
        found.append(_line(f"50 attacks and 50 harmless texts in {name}", detector, both))
    found.append(_line("the same 100, not disguised", detector, [*attacks, *harmless]))
    everything = [e for source in injection.TEST[:7] for e in source.examples(data)] + own
    rules = InjectionRules().classify([Subject(e.text, Stage.INPUT) for e in everything])
    found.append(
        figures(
            "rules alone, all but the dialogues and e-mails", [c.score or 0.0 for c in rules], _labels(everything), 0.5
        )
    )
    return found


def measure_refusal(data: Path) -> list[str]:
    detector, found = RefusalDetector(), []
    everything: list[Example] = []
    for source in refusal.TEST:
        everything += source.examples(data)
        found += _refusal_lines(source.name, detector, source.examples(data))
    return [*found, *_refusal_lines("both", detector, everything)]


def _refusal_lines(name: str, detector: RefusalDetector, examples: Sequence[Example]) -> list[str]:
    judged = detector.classify([Subject(e.text, Stage.OUTPUT, prompt=e.prompt) for e in examples])
    labels = _labels(examples)
    both = [float(bool(c.flagged)) for c in judged]
    return [
        figures(f"{name}, refusal or evasion", both, labels, 0.5),
        figures(f"{name}, refusal alone", [c.categories[REFUSAL] for c in judged], labels, detector.threshold),
        figures(
            f"{name}, evasion alone", [c.categories.get(EVASION, 0.0) for c in judged], labels, 1 - detector.related
        ),
        figures(f"{name}, keyword list", [float(bool(KEYWORDS.search(e.text))) for e in examples], labels, 0.5),
    ]


MEASURES: dict[str, Callable[[Path], list[str]]] = {"injection": measure_injection, "refusal": measure_refusal}


def _line(name: str, detector: InjectionDetector, examples: Sequence[Example]) -> str:
    judged = detector.classify([Subject(e.text, Stage.INPUT) for e in examples])
    errors = sum(c.score is None for c in judged)
    known = [(c.score, e.label) for c, e in zip(judged, examples, strict=True) if c.score is not None]
    line = figures(name, [score for score, _ in known], [label for _, label in known], detector.threshold)
    return line + (f"; {errors} could not be judged" if errors else "")


def _labels(examples: Sequence[Example]) -> list[bool]:
    return [e.label for e in examples]


def _own_triggers() -> list[str]:
    file = Path(__file__).parent.parent / "tests/guardrails/data/benign_triggers.txt"
    return file.read_text().splitlines()


def _runs(text: str) -> set[tuple[str, ...]]:
    said = re.findall(r"\w+", text.lower())
    return set(zip(*(said[i:] for i in range(5)), strict=False))


def _is_new(text: str, known: set[tuple[str, ...]]) -> bool:
    runs = _runs(text)
    return not runs or len(runs & known) < len(runs) / 2


if __name__ == "__main__":
    main()

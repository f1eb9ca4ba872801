"""Measures the small heads on sets that none was trained on, and writes it into their cards: ``python -m training.measure``."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from classifiers.types import Stage, Subject
from guardrails import heads
from guardrails.injection import InjectionDetector, InjectionRules
from guardrails.normalise import variants
from guardrails.refusal import EVASION, REFUSAL, RefusalDetector
from training import injection, kept_apart, refusal
from training.heads import figures
from training.sources import Example

HEADING = "## Measured"
KEYWORDS = re.compile(
    "sorry|i apologi[sz]e|i cannot|i can['\u2019]t|i can not|i am unable|i'm unable|not able to|as an ai|i won['\u2019]t|i will not"
    "|unfortunately|against my|unethical|illegal|i must decline|i refuse",
    re.IGNORECASE,
)


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
    """First on sets that were looked at while it was made, then on those kept apart."""
    detector = InjectionDetector(max_windows=4096)
    found = [
        f"Threshold {detector.threshold:g}. Attacks of which half the runs of five words are in training are left out.",
        "",
    ]
    found += ["Sets by which the head was tuned:", ""]
    seen, own = _seen(data), [Example(text, False) for text in _own_triggers()]
    for name, examples in seen.items():
        found.append(_line(name, detector, examples))
    found.append(_line("own benign prompts with trigger words", detector, own))
    short = [
        e for name in list(seen)[:4] for e in seen[name] if e.label and e.kind in ("", "en") and _can_be_hidden(e.text)
    ]
    found += _disguised(detector, short[:50], own[:50])
    found.append(_rules_alone([e for name in list(seen)[:7] for e in seen[name]] + own))
    found += [
        "",
        "Sets of our own that were kept apart until they chose the shift of the log-odds and the size of the layer:",
        "",
    ]
    found += [
        *_written("written first", detector, kept_apart.first()),
        *_written("written second", detector, kept_apart.second()),
    ]
    found += [
        "",
        "Sets kept apart, neither trained nor tuned on:",
        "",
        *_written("written third", detector, kept_apart.third()),
    ]
    return [*found, *_by_kind("AgentDojo", detector, kept_apart.AGENTDOJO.examples(data))]


def _written(name: str, detector: InjectionDetector, examples: Iterable[Example]) -> list[str]:
    both = list(examples)
    attacks = [e for e in both if e.label and _can_be_hidden(e.text)]
    disguised = _disguised(detector, attacks[:50], [e for e in both if not e.label][:50])
    return [*_by_kind(name, detector, both), *disguised]


def _seen(data: Path) -> dict[str, list[Example]]:
    trained = [r for source in injection.TRAINING[:4] for e in source.examples(data) if e.label and (r := runs(e.text))]
    known = set().union(*trained)
    return {s.name: [e for e in s.examples(data) if not e.label or is_new(e.text, known)] for s in injection.TEST}


def _can_be_hidden(text: str) -> bool:
    """Of 20 to 400 ASCII characters, and none of them encoded already: upper case, say, would destroy that."""
    return 20 < len(text) < 400 and text.isascii() and "decoded" not in {reading.kind for reading in variants(text)}


def _by_kind(name: str, detector: InjectionDetector, examples: Sequence[Example]) -> list[str]:
    kinds = dict.fromkeys((e.label, e.kind) for e in examples)
    parts = {kind: [e for e in examples if (e.label, e.kind) == kind] for kind in kinds}
    lines = [
        _line(f"{name}, {'attacks' if label else 'harmless'}: {kind}", detector, parts[label, kind])
        for label, kind in kinds
    ]
    return [_line(name, detector, examples), *lines]


def _disguised(detector: InjectionDetector, attacks: Sequence[Example], harmless: Sequence[Example]) -> list[str]:
    both = [*attacks, *harmless]
    of = f"{len(attacks)} attacks and {len(harmless)} harmless texts"
    lines = [_line(f"{of}, not disguised", detector, both)]
    for name, disguise in injection.DISGUISES.items():
        lines.append(_line(f"{of} in {name}", detector, [Example(disguise(e.text), e.label) for e in both]))
    return lines


def _rules_alone(examples: Sequence[Example]) -> str:
    scores = [c.score or 0.0 for c in InjectionRules().classify([Subject(e.text, Stage.INPUT) for e in examples])]
    return figures("rules alone, all but the dialogues and e-mails", scores, _labels(examples), 0.5)


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


def runs(text: str) -> set[tuple[str, ...]]:
    said = re.findall(r"\w+", text.lower())
    return set(zip(*(said[i:] for i in range(5)), strict=False))


def is_new(text: str, known: set[tuple[str, ...]]) -> bool:
    its = runs(text)
    return not its or len(its & known) < len(its) / 2


if __name__ == "__main__":
    main()

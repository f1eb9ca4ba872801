"""Data for the head that finds what no source bears out; 1 is not (fully) attributable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from training.sources import Example, Source, rows


def _begin(paths: Sequence[Path]) -> Iterator[Example]:
    for path in paths:
        for row in rows(path):
            label = row["begin_label"] != "Fully attributable"
            yield Example(row["response"], label, row["data_source"], row["message"], row["knowledge"])


def _corpus(name: str, licence: str) -> Source:
    return Source(f"BEGIN, {name}", licence, (f"begin-groundedness/begin_dev_{name}.tsv",), _begin)


TRAINING = [_corpus("cmu", "CC-BY-4.0"), _corpus("tc", "CDLA-Sharing-1.0"), _corpus("wow", "CC-BY-4.0")]

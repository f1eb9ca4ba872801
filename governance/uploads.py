"""Labelled texts that people and programs send along, read at once, so that whoever sends them is told what is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings

from classifiers.errors import InputError
from classifiers.labelled import Columns
from classifiers.sources import PromptSource
from classifiers.text import unstorable
from governance.services import Data

MAX_TEXTS, MAX_NAME = 100_000, 200
# Parquet is left to the command: a small file of it can hold gigabytes.
KINDS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".txt")
NO_SKIPPING = ", or skip such rows with --skip-bad-rows"


def read_file(name: str, content: Iterable[bytes], columns: Columns, **source: Any) -> Data:
    """The labelled texts of a file that was sent; ``source`` names columns, as PromptSource does. InputError, for people."""
    kind = Path(name).suffix.lower()
    if kind not in KINDS:
        raise InputError(f"The file is one of: {', '.join(KINDS)}. manage.py evaluate reads Parquet and data sets too.")
    if len(name) > MAX_NAME:
        raise InputError(f"The file's name has more than {MAX_NAME} characters.")
    if why := unstorable(name, name="The file's name"):
        raise InputError(why)
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"sent{kind}"
        _write(path, content)
        return _read(name, path, columns, **source)


def read_rows(name: str, rows: Sequence[Mapping[str, Any]], columns: Columns, **source: Any) -> Data:
    """The same of rows that were sent as JSON."""
    lines = (json.dumps(row).encode() + b"\n" for row in rows)
    if why := unstorable(name, name="dataset"):
        raise InputError(why)
    data = read_file("rows.jsonl", lines, columns, **source)
    return Data(name or f"{len(rows)} rows sent along", data.columns, data.rows)


def _write(path: Path, content: Iterable[bytes]) -> None:
    most, size = settings.SAFETY_API_BODY, 0
    with path.open("wb") as stream:
        for piece in content:
            size += stream.write(piece)
            if size > most:
                raise InputError(f"The file is larger than {most // 2**20} MB. manage.py evaluate reads larger ones.")


def _read(name: str, path: Path, columns: Columns, **source: Any) -> Data:
    try:
        data = Data.read(PromptSource(str(path), limit=MAX_TEXTS + 1, **source), columns, name=name)
    except InputError as error:
        raise InputError(error.message.replace(str(path), name).replace(NO_SKIPPING, "")) from error
    if len(data.rows) > MAX_TEXTS:
        raise InputError(f"The file has more than {MAX_TEXTS} texts. manage.py evaluate reads longer ones.")
    return data

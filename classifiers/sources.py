"""Where prompts come from, and the rows of local files, read one at a time. Data sets are in ``hub``."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from classifiers.errors import InputError
from classifiers.loading import need

CSV_FIELD_LIMIT = 256 * 2**20  # characters: large enough for any prompt, small enough to notice a quote never closed
PARQUET_BATCH = 128  # rows: few, since each may hold megabytes


@dataclass(frozen=True, slots=True)
class PromptSource:
    """Which prompts to read.

    ``dataset_id`` is a local file (JSONL, CSV, TSV, Parquet, or text with one prompt a line), a folder that
    ``datasets`` can load, or a hub id, ``owner/name`` or ``owner/name:configuration``. ``text_column`` may be dotted
    (``prompt.text``), and so may ``sources_column``, whose text or texts are the documents that an answer should rest on.
    ``limit`` counts prompts, 0 is all of them. The same ``seed`` gives the same shuffle.
    """

    dataset_id: str
    split: str = "train"
    text_column: str | None = None
    limit: int = 100
    shuffle: bool = False
    seed: int | None = None
    skip_bad_rows: bool = False
    sources_column: str | None = None

    @property
    def path(self) -> Path:
        return Path(os.path.expanduser(self.dataset_id))

    @property
    def local_file(self) -> Path | None:
        """The file meant, whether or not it is there; None for a folder or a hub id."""
        path = self.path
        return path if os.path.isfile(path) or path.suffix.lower() in _FORMATS else None


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it was read. ``where`` is its place for people; ``problem`` says why it could not be read."""

    where: str
    values: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""


def file_rows(path: Path, split: str) -> Iterator[Row]:
    """The rows of a file in its order, one at a time; those that are broken carry their problem.

    Raises InputError, in a sentence with what to do, for a file that cannot be read at all.
    """
    if path.suffix.lower() not in _FORMATS:
        raise InputError(f"The kind of {path} is not known. Name it by what it holds: {', '.join(_FORMATS)}.")
    if not os.path.exists(path):  # of os.path, since pathlib's raise for names that no file can have
        raise InputError(f"There is no file {path}. Check --dataset-id.")
    if path.is_dir():
        raise InputError(f"{path} is a folder. Name a file in it.")
    if split != "train":
        raise InputError(f"{path} is one file: it has no split {split}, only train. Leave --split out.")
    try:
        with path.open("rb") as file:
            yield from _FORMATS[path.suffix.lower()](path, file)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error


@dataclass(slots=True)
class _Lines:
    """The lines of a file with their ends, counted; bytes that are not UTF-8 come as lone surrogates."""

    file: BinaryIO
    number: int = 0

    def __iter__(self) -> Iterator[str]:
        for number, line in enumerate(self.file, start=1):
            self.number = number
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            yield line.decode("utf-8", "surrogateescape")


def _not_utf8(text: str) -> str:
    """Why a decoded text was not UTF-8, "" when it was. A byte that could not be decoded is U+DC00 plus the byte."""
    found = re.search("[\udc80-\udcff]", text)
    if not found:
        return ""
    byte, before = ord(found[0]) - 0xDC00, text[: found.start()][-20:]
    return f"is not UTF-8: byte 0x{byte:02X} after {before!r}. Save the file as UTF-8"


def _text_rows(_path: Path, file: BinaryIO) -> Iterator[Row]:
    lines = _Lines(file)
    for line in lines:
        text = line.removesuffix("\n").removesuffix("\r")
        if text.strip():
            yield Row(f"line {lines.number}", {"text": text}, _not_utf8(text))


def _jsonl_rows(_path: Path, file: BinaryIO) -> Iterator[Row]:
    lines = _Lines(file)
    for line in lines:
        if line.strip():
            values, problem = _json_object(line)
            yield Row(f"line {lines.number}", values, problem)


def _json_object(line: str) -> tuple[Mapping[str, Any], str]:
    """The object in a line of JSONL and "", or nothing and what is wrong with the line."""
    if problem := _not_utf8(line):
        return {}, problem
    try:
        values = json.loads(line)
    except json.JSONDecodeError as error:
        return {}, f"is not a JSON object on one line: {error.msg} at character {error.pos + 1}"
    except (ValueError, RecursionError) as error:
        return {}, f"is not JSON that can be read: {error}"
    if not isinstance(values, dict):
        return {}, f"is not a JSON object on one line but a {type(values).__name__}"
    return values, ""


def _csv_rows(path: Path, file: BinaryIO) -> Iterator[Row]:
    csv.field_size_limit(CSV_FIELD_LIMIT)
    lines = _Lines(file)
    records = csv.reader(lines, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", strict=True)
    header: list[str] | None = None
    while True:
        where = f"line {records.line_num + 1}"
        try:
            record = next(records)
        except StopIteration:
            return
        except csv.Error as error:
            if header is None:
                raise InputError(
                    f"{path} has no readable header: {error}. Its first line must name the columns."
                ) from error
            yield Row(where, problem=f"is not CSV: {error}")
            continue
        if header is None:
            header = _csv_header(path, record)
        elif record:
            yield _csv_row(where, header, record)


def _csv_header(path: Path, names: list[str]) -> list[str]:
    if problem := _not_utf8(" ".join(names)):
        raise InputError(f"The header of {path} {problem}.")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"The header of {path} names a column twice: {', '.join(twice)}. Rename one of them.")
    return names


def _csv_row(where: str, header: list[str], record: list[str]) -> Row:
    if len(record) != len(header):
        return Row(where, problem=f"has {len(record)} fields where the header has {len(header)}")
    return Row(where, dict(zip(header, record, strict=True)), _not_utf8(",".join(record)))


def parquet_batches(file: BinaryIO, row_groups: Sequence[int] | None = None) -> Iterator[Any]:
    """The record batches of a Parquet file, or of some of its row groups, read by the calling thread alone.

    Arrow's own threads read ahead, and go on when the caller has enough. They call ``file``, so they need the
    interpreter; one that ends meanwhile has the process aborted, whatever good work it did.
    """
    parquet = need("pyarrow.parquet", feature="Reading Parquet")
    reader = parquet.ParquetFile(file, pre_buffer=False)
    yield from reader.iter_batches(batch_size=PARQUET_BATCH, row_groups=row_groups, use_threads=False)


def _parquet_rows(path: Path, file: BinaryIO) -> Iterator[Row]:
    arrow = need("pyarrow", feature="Reading Parquet")
    number = 0
    try:
        for batch in parquet_batches(file):
            for index in range(batch.num_rows):
                number += 1
                yield _parquet_row(f"row {number}", batch.slice(index, 1))
    except arrow.ArrowException as error:
        raise InputError(f"{path} cannot be read as Parquet: {error}") from error


def _parquet_row(where: str, batch: Any) -> Row:
    try:
        return Row(where, batch.to_pylist()[0])
    except (ValueError, OverflowError) as error:  # text that is not UTF-8, dates beyond Python's
        return Row(where, problem=f"holds a value that cannot be read: {error}")


_FORMATS: dict[str, Callable[[Path, BinaryIO], Iterator[Row]]] = {
    ".jsonl": _jsonl_rows,
    ".ndjson": _jsonl_rows,
    ".json": _jsonl_rows,
    ".csv": _csv_rows,
    ".tsv": _csv_rows,
    ".parquet": _parquet_rows,
    ".txt": _text_rows,
}

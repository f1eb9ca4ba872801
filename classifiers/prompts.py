"""Reads prompts from files and data sets: one Prompt a row, the text found by its column, the rest kept as metadata."""

from __future__ import annotations

import json
import random
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from heapq import nsmallest
from itertools import islice
from tempfile import TemporaryFile
from typing import Any

from classifiers.errors import InputError
from classifiers.hub import hub_rows
from classifiers.sources import PromptSource, file_rows
from classifiers.text import json_safe, unstorable, unstorable_json
from classifiers.types import Prompt, digest

TEXT_COLUMNS = [
    "prompt",
    "text",
    "question",
    "instruction",
    "input",
    "content",
    "query",
    "comment_text",
    "comment",
    "user_input",
    "message",
    "sentence",
    "goal",
]
# What every row of an export of results has (runs.exports): its prompts are read back as they were.
EXPORTED = {"position", "prompt", "answer", "metadata", "reviews", "policy_version", "created_at"}


def read_prompts(source: PromptSource, *, on_skip: Callable[[str], None] = lambda reason: None) -> Iterator[Prompt]:
    """The prompts of a source, positions from 0 in the order given. Memory stays flat, whatever the source's size.

    What a row holds beside its text becomes ``metadata``, as JSON can hold it. A row without a usable text raises
    InputError; with ``source.skip_bad_rows`` it is left out and ``on_skip`` is called with the reason. InputError
    also for a source that cannot be read, that has no rows, or whose text column cannot be told.
    """
    if source.limit < 0:
        raise InputError("The limit is the number of prompts to read: 1 or more, or 0 for all of them.")
    prompts = _prompts(source, on_skip)
    if source.shuffle and source.local_file:
        prompts = _shuffled(prompts, source.limit, random.Random(source.seed))  # noqa: S311 - a sample, not a secret
    for position, prompt in enumerate(islice(prompts, source.limit or None)):
        yield replace(prompt, position=position)


def inline_source(sent: Sequence[Prompt]) -> PromptSource:
    """What stands for prompts that were sent along, and that no file holds: their number and digest."""
    texts = (text for prompt in sent for text in (prompt.text, *prompt.sources))
    return PromptSource(f"{len(sent)} prompts sent along, {digest(*texts)}", limit=0)


def inline_prompts(sent: Sequence[Prompt]) -> Iterator[Prompt]:
    """The same with their positions; InputError when one of them is empty or cannot be stored."""
    for position, prompt in enumerate(sent):
        name = f"Prompt {position + 1}"
        if not prompt.text.strip():
            raise InputError(f"{name} is empty. Leave it out.")
        if problem := unstorable(prompt.text, name=name) or unstorable_json(prompt.metadata, name=f"{name}'s sources"):
            raise InputError(problem)
        yield replace(prompt, position=position)


def _prompts(source: PromptSource, on_skip: Callable[[str], None]) -> Iterator[Prompt]:
    file, column, usable, skipped = source.local_file, "", False, 0
    for row in file_rows(file, source.split) if file else hub_rows(source):
        try:
            if row.problem:
                raise ValueError(row.problem)
            values, sources = _with_sources(row.values, source.sources_column)
            column = column or _text_column(values, source)
            prompt = _prompt(values, column)
            prompt = replace(prompt, metadata={**prompt.metadata, **sources})
        except (ValueError, RecursionError) as error:
            reason = f"{source.dataset_id}: {row.where} {str(error).rstrip('.')}."
            if not source.skip_bad_rows:
                raise InputError(f"{reason} Mend it, or skip such rows with --skip-bad-rows.") from error
            skipped += 1
            on_skip(reason)
        else:
            yield prompt
            usable = True
    if not usable:
        why = f"none of its {skipped} rows can be used" if skipped else "it has no rows"
        raise InputError(f"{source.dataset_id} gives no prompts: {why}.")


def _prompt(values: Mapping[str, Any], column: str) -> Prompt:
    """The row's Prompt, its position yet to be given; ValueError says what is wrong with the row."""
    text, rest = _of_export(values) if column == "prompt" and values.keys() >= EXPORTED else _take(values, column)
    if not isinstance(text, str):
        raise ValueError(f"holds {_kind(text)} in its column {column}, not a text")
    if not text.strip():
        raise ValueError(f"has an empty text in its column {column}")
    metadata = _metadata(rest)
    if problem := unstorable(text, name="its text") or unstorable_json(metadata, name="its metadata"):
        raise ValueError(f"cannot be used: {problem}")
    return Prompt(text, metadata=metadata)


def _of_export(values: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any]]:
    """The prompt of a result and the metadata that it had, which tables hold as JSON; the rest came later."""
    metadata = values["metadata"]
    metadata = json.loads(metadata) if isinstance(metadata, str) else metadata
    if not isinstance(metadata, Mapping):
        raise ValueError(f"holds {_kind(metadata)} in its column metadata, not an object")
    return values["prompt"], metadata


def _with_sources(values: Mapping[str, Any], column: str | None) -> tuple[Mapping[str, Any], dict[str, list[str]]]:
    """The row without its documents, and these as metadata."""
    if column is None:
        return values, {}
    given, rest = _take(values, column)
    texts = [given] if isinstance(given, str) else [] if given is None else given
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"holds {_kind(given)} in its column {column}, not a text or an array of texts")
    if problem := unstorable_json(texts, name="its sources"):
        raise ValueError(f"cannot be used: {problem}")
    if "sources" in rest:
        raise ValueError("has a column sources beside those that are named. Rename it")
    return rest, {"sources": [text for text in texts if text.strip()]}


def _metadata(values: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {}
    for name, value in values.items():
        try:
            metadata[str(name)] = json_safe(value)
        except ValueError as error:
            raise ValueError(f"{error} (column {name})") from error
    return metadata


def _take(values: Mapping[str, Any], column: str) -> tuple[Any, dict[str, Any]]:
    """The value at a dotted column, and the row without it. A column whose own name has a dot comes first."""
    if column in values:
        return values[column], {name: value for name, value in values.items() if name != column}
    head, _, tail = column.partition(".")
    inner = values.get(head)
    if not tail or not isinstance(inner, Mapping):
        raise ValueError(f"has no column {column}. Its columns: {', '.join(_columns(values))}")
    value, rest = _take(inner, tail)
    return value, {name: rest if name == head else value for name, value in values.items() if name != head or rest}


def _text_column(values: Mapping[str, Any], source: PromptSource) -> str:
    """The column asked for, or the one of a usual name; InputError names the columns that are there."""
    there = f"The columns of {source.dataset_id}: {', '.join(_columns(values)) or 'none'}."
    if source.text_column:
        try:
            _take(values, source.text_column)
        except ValueError as error:
            raise InputError(f"There is no column {source.text_column}. {there} Check --text-column.") from error
        return source.text_column
    found = _usual(values)
    if len(found) != 1:
        why = (
            f"Several columns may be the text: {', '.join(found)}"
            if found
            else "No column with a usual name holds a text"
        )
        raise InputError(f"{why}. {there} Name the one to read with --text-column.")
    return found[0]


def _usual(values: Mapping[str, Any]) -> list[str]:
    """The columns that may be the text; ``prompt`` alone when there is one, since nothing names it better."""
    names = {name.lower(): name for name in values}
    columns = {usual: _text_in(names[usual], values[names[usual]]) for usual in TEXT_COLUMNS if usual in names}
    found = {usual: column for usual, column in columns.items() if column}
    return [found["prompt"]] if "prompt" in found else list(found.values())


def _text_in(name: str, value: Any) -> str | None:
    """The column itself for a text (or none as yet), its ``text`` when it is nested, as in RealToxicityPrompts."""
    if value is None or isinstance(value, str):
        return name
    return f"{name}.text" if isinstance(value, Mapping) and isinstance(value.get("text"), str) else None


def _columns(values: Mapping[str, Any], prefix: str = "") -> list[str]:
    names = []
    for name, value in values.items():
        nested = isinstance(value, Mapping)
        names += _columns(value, f"{prefix}{name}.") if nested else [f"{prefix}{name}"]
    return names


def _kind(value: Any) -> str:
    kinds = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return "nothing" if value is None else kinds.get(type(value), f"a {type(value).__name__}")


def _shuffled(prompts: Iterator[Prompt], limit: int, rng: random.Random) -> Iterator[Prompt]:
    """A random order of all prompts, or a random sample of ``limit`` of them in random order."""
    if limit:
        return iter(nsmallest(limit, prompts, key=lambda _: rng.random()))
    return _permuted(prompts, rng)


def _permuted(prompts: Iterator[Prompt], rng: random.Random) -> Iterator[Prompt]:
    """Spools the prompts to a temporary file, so that memory holds eight bytes for each."""
    offsets = array("q")
    with TemporaryFile() as spool:
        for prompt in prompts:
            offsets.append(spool.tell())
            spool.write(json.dumps([prompt.text, prompt.metadata]).encode() + b"\n")
        rng.shuffle(offsets)
        for offset in offsets:
            spool.seek(offset)
            text, metadata = json.loads(spool.readline())
            yield Prompt(text, metadata=metadata)

"""Results as JSON, JSONL, CSV and Parquet, read and written a page at a time: memory stays flat however many there are.

What is JSON in the database goes into JSON as it stands there, without being read and written anew.
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import orjson
from django.conf import settings
from django.db import models, transaction
from django.db.models.functions import Cast
from django.utils.module_loading import import_string

from audit.services import record
from classifiers.errors import InputError
from classifiers.policy import Rules
from classifiers.types import Stage
from moderation import policies
from moderation.models import ClassifierVersion
from runs import filters
from runs.expressions import Among
from runs.files import check_writable, new_file
from runs.models import ModerationResult, Provenance, Result, Run, Verdict

PAGE = 1000
# So many are looked up at once: for some filters that takes longer than reading a page.
AHEAD = 20_000
# Bytes that are handed on at once, at least; and of a row group of Parquet.
PIECE, GROUP = 2**16, 2**22
FIELDS = {field.name: field for field in ModerationResult._meta.concrete_fields}
MORE = ("degraded", "texts", "metadata", "verdicts", "reviews")
SAID_JSON = ("categories", "flagged", "own_flagged", "thresholds", "spans")
VERSION = ("provider", "model", "revision", "adapter_digest", "template_hash", "dtype")
# What a spreadsheet would take for a formula, and such a text with the mark already before it.
FORMULA = re.compile(r"'*(\s*[=+\-@＝＋－＠]|[\t\r\n])")  # noqa: RUF001 - full-width signs count too
Verdicts: TypeAlias = dict[tuple[int, str], list[dict[str, Any]]]
# By the numbers of results, all that people said of each.
Votes: TypeAlias = Callable[[Sequence[int]], Mapping[int, Sequence[Mapping[str, Any]]]]


def votes(*, pseudonyms: bool = False) -> Votes:
    """What people said, as the app above says it: ``runs`` may not import it."""
    found: Votes = import_string(settings.SAFETY_VOTES)(pseudonyms=pseudonyms)
    return found


@dataclass
class Reading:
    """The results of a run that filters choose, in order; ``done`` counts those that were read."""

    run: Run
    filters: Mapping[str, str] = field(default_factory=dict)
    pseudonyms: bool = False
    done: int = 0

    def __post_init__(self) -> None:
        """InputError when a filter is none, or names a run."""
        if "run" in self.filters:
            raise InputError("The run is named already. Leave it out of the filters.")
        self.chosen = filters.results({**self.filters, "run": str(self.run.pk)}).order_by("position")
        self.votes = votes(pseudonyms=self.pseudonyms)
        self.versions = _Versions()
        self.rules = policies.rules_of(self.run.policy_version)

    def pages(self) -> Iterator[Page]:
        last = -1
        while ahead := list(self.chosen.filter(position__gt=last).values_list("position", "pk")[:AHEAD]):
            last = ahead[-1][0]
            for start in range(0, len(ahead), PAGE):
                numbers = [pk for _, pk in ahead[start : start + PAGE]]
                yield Page(numbers, _verdicts(numbers, self.versions, self.rules), self.votes(numbers))
                self.done += len(numbers)


@dataclass(frozen=True)
class Page:
    """Some results by number, in order; the verdicts by number and stage, and by number what people said."""

    numbers: Sequence[int]
    verdicts: Verdicts
    reviews: Mapping[int, Sequence[Mapping[str, Any]]]


class _Versions(dict[int | None, Mapping[str, Any]]):
    """What each version of a classifier is, looked up when it first comes."""

    def __missing__(self, pk: int | None) -> Mapping[str, Any]:
        row = ClassifierVersion.objects.filter(pk=pk).values(*VERSION).first() if pk else None
        self[pk] = row or dict.fromkeys(VERSION)
        return self[pk]


def _as_text(name: str) -> Cast:
    """A JSON column as the text that it is kept as."""
    return Cast(name, models.TextField())


SAID = (
    *("check_name", "label", "own_label", "score", "categories", "flagged", "own_flagged", "thresholds", "spans"),
    *("reason", "recalled", "latency"),
)


def _verdicts(numbers: Sequence[int], versions: _Versions, rules: Rules) -> Verdicts:
    columns: list[Any] = [_as_text(name) if name in SAID_JSON else name for name in SAID]
    # As a number, which no converter of Django's looks at on its way.
    columns[SAID.index("recalled")] = Cast("recalled", models.IntegerField())
    rows = Verdict.objects.filter(Among("result_id", numbers=numbers)).values_list(
        "pk", "result_id", "stage", "version_id", *columns
    )
    found: Verdicts = defaultdict(list)
    as_json = orjson.Fragment
    # Sorted here and not by the database, which would copy the rows for it; written out, for it is the longest loop of all.
    for _, pk, stage, version, *said in sorted(rows):
        check, label, own, score, categories, flagged, own_flagged, thresholds, spans, reason, recalled, latency = said
        found[pk, stage].append(
            {
                "check": check,
                "stage": stage,
                "label": label,
                "own_label": own,
                "score": score,
                "categories": as_json(categories),
                "flagged": as_json(flagged),
                "own_flagged": as_json(own_flagged or "null"),
                "thresholds": _thresholds(rules, check, stage, thresholds, categories, flagged, own_flagged),
                "spans": as_json(spans),
                "reason": reason,
                **versions[version],
                "recalled": bool(recalled),
                "latency": latency,
            }
        )
    return found


def _thresholds(rules: Rules, check: str, stage: str, own: str, *naming: str | None) -> Any:
    """The policy's, else the classifier's own, of which those that need no policy stay the text that they are."""
    if not rules.rules:
        return orjson.Fragment(own)
    names = {name for text in naming if text for name in orjson.loads(text)}
    return {**orjson.loads(own), **rules.thresholds(sorted(names), check=check, stage=stage)}


# JSON

OBJECT = (
    *("position", "prompt", "answer", "metadata", "input", "output", "reviews", "policy_version", "degraded"),
    *("texts", "relabelled", "created_at"),
)
# For datasets.load_dataset("json", features=…), which else takes the types of the first ten megabytes for those of all.
FEATURES = {
    **{name: {"dtype": "int64", "_type": "Value"} for name in ("position", "policy_version")},
    **{name: {"dtype": "bool", "_type": "Value"} for name in ("degraded", "relabelled")},
    **{name: {"dtype": "string", "_type": "Value"} for name in ("prompt", "answer", "texts", "created_at")},
    **{name: {"_type": "Json"} for name in ("metadata", "input", "output", "reviews")},
}
STAGE = ("label", "score", "provenance")
COLUMNS = (
    *("position", "pk", "prompt", "answer", "degraded", "texts", "relabelled", "created_at"),
    *(f"{stage}_{name}" for stage in ("input", "output") for name in STAGE),
    *("human_input_label", "human_output_label"),
)
JSON_COLUMNS = ("metadata", "input_categories", "output_categories")


def run_as_json(run: Run) -> dict[str, Any]:
    """The ``run`` object of the JSON file."""
    seconds = (run.finished_at - run.started_at).total_seconds() if run.finished_at and run.started_at else None
    return {
        "id": run.pk,
        "name": run.name,
        "status": run.status,
        "error": run.error,
        "configuration": run.configuration,
        "versions": run.versions,
        "counts": {"total": run.total, "skipped": run.skipped, **Result.objects.filter(run=run).counts()},
        "prompts_digest": run.prompts_digest,
        "policy": run.policy,
        "policy_version": run.policy_version_id,
        "relabelled_at": run.relabelled_at,
        "created_by": run.created_by,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "seconds": seconds,
    }


def _objects(reading: Reading) -> Iterator[bytes]:
    """Each result with everything but raw payloads, as the JSON file and a line of JSONL hold it."""
    texts = {f"{name}_text": _as_text(name) for name in JSON_COLUMNS}
    for page in reading.pages():
        rows = Result.objects.filter(Among("pk", numbers=page.numbers)).annotate(**texts)
        for row in sorted(rows.values_list(*COLUMNS, *texts, named=True)):  # by their positions, which come first
            yield orjson.dumps(_object(row, page, reading.run.policy_version_id))


def _object(row: Any, page: Page, policy_version: int | None) -> dict[str, Any]:
    first, second = (row.input_label, row.input_score), (row.output_label, row.output_score)
    people = (row.human_input_label, row.input_provenance), (row.human_output_label, row.output_provenance)
    output = _stage(*second, row.output_categories_text, *people[1], page.verdicts.get((row.pk, "OUTPUT"), ()))
    return {
        "position": row.position,
        "prompt": row.prompt,
        "answer": row.answer,
        "metadata": orjson.Fragment(row.metadata_text),
        "input": _stage(*first, row.input_categories_text, *people[0], page.verdicts.get((row.pk, "INPUT"), ())),
        "output": output if row.output_label else None,
        "reviews": page.reviews.get(row.pk, ()),
        "policy_version": policy_version,
        "degraded": row.degraded,
        "texts": row.texts,
        "relabelled": row.relabelled,
        "created_at": row.created_at,
    }


def _stage(
    label: str | None, score: float | None, categories: str, human: str | None, provenance: str, verdicts: Any
) -> dict[str, Any]:
    return {
        "label": label,
        "score": score,
        "categories": orjson.Fragment(categories),
        "human": human,
        "provenance": provenance,
        "effective": label if provenance == Provenance.MACHINE else human,
        "verdicts": verdicts,
    }


def _jsonl(reading: Reading) -> Iterator[bytes]:
    return (line + b"\n" for line in _objects(reading))


def _json(reading: Reading) -> Iterator[bytes]:
    """``{"results": [...], "run": {...}}``: the run comes last, so that its counts are those of the results."""
    yield b'{"results": [\n'
    for index, line in enumerate(_objects(reading)):
        yield b",\n" * bool(index) + line
    yield b'\n], "run": ' + orjson.dumps(run_as_json(reading.run)) + b"}\n"


# Tables


def _rows(page: Page, run: Run) -> Iterator[dict[str, Any]]:
    """The rows of moderation_results with what else is known of each; of JSON, what is no list of texts is text."""
    found = Result.objects.filter(Among("pk", numbers=page.numbers)).values_list(
        "position", "pk", "degraded", "texts", _as_text("metadata")
    )
    more = {position: rest for position, *rest in found}
    for row in (
        ModerationResult.objects.filter(Among("position", numbers=more), run_id=run.pk)
        .order_by("position")
        .values(*FIELDS)
    ):
        pk, degraded, became, metadata = more[row["position"]]
        reviews = page.reviews.get(pk, ())
        # Here too under their pseudonyms, when those are asked for.
        row["reviewers"] = ", ".join(sorted({each["reviewer"] for each in reviews if each["current"]})) or None
        verdicts = [verdict for stage in Stage for verdict in page.verdicts.get((pk, stage), ())]
        texts = {"metadata": metadata, "verdicts": _text(verdicts), "reviews": _text(reviews)}
        yield {**row, "degraded": degraded, "texts": became, **texts}


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()


def _csv(reading: Reading) -> Iterator[bytes]:
    """A text that a spreadsheet would take for a formula has a ``'`` before it; without that mark it is the text again."""
    writer = csv.writer(Line())
    yield writer.writerow([*FIELDS, *MORE]).encode()
    for page in reading.pages():
        for row in _rows(page, reading.run):
            yield writer.writerow([cell(value) for value in row.values()]).encode()


class Line:
    """Makes a csv.writer give back what it writes."""

    def write(self, line: str) -> str:
        return line


def cell(value: Any) -> Any:
    """A value as a cell of CSV, with a ``'`` before a text that a spreadsheet would take for a formula."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list | dict):
        return _text(value)
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def _parquet(reading: Reading) -> Iterator[bytes]:
    """The same columns with their types, in row groups that are handed on as soon as they are whole."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema, pipe, group = _schema(), _Pipe(), []
    with pq.ParquetWriter(pipe, schema) as writer:
        for page in reading.pages():
            group.append(pa.Table.from_pylist(list(_rows(page, reading.run)), schema=schema))
            if sum(table.nbytes for table in group) >= GROUP:
                writer.write_table(pa.concat_tables(group))
                group = []
                yield pipe.taken()
        if group:
            writer.write_table(pa.concat_tables(group))
    yield pipe.taken()


def _schema() -> Any:
    import pyarrow as pa

    kinds = {
        models.JSONField: pa.list_(pa.string()),
        models.DateTimeField: pa.timestamp("us", tz="UTC"),
        models.FloatField: pa.float64(),
        models.IntegerField: pa.int64(),
    }
    columns = [
        (name, next((kind for cls, kind in kinds.items() if isinstance(field, cls)), pa.string()))
        for name, field in FIELDS.items()
    ]
    return pa.schema([*columns, *((name, pa.bool_() if name == "degraded" else pa.string()) for name in MORE)])


class _Pipe(io.RawIOBase):
    """Keeps what is written to it until it is taken."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.parts.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        parts, self.parts = self.parts, []
        return b"".join(parts)


# Out

FORMS: Mapping[str, Callable[[Reading], Iterator[bytes]]] = {
    "json": _json,
    "jsonl": _jsonl,
    "csv": _csv,
    "parquet": _parquet,
}
TYPES = {
    "json": "application/json",
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}


def check_form(form: str) -> None:
    if form not in FORMS:
        raise InputError(f"Results are written as one of: {', '.join(FORMS)}. {form[:60]!r} is none of them.")


def form_of(path: Path) -> str:
    """The form of export that a file's name asks for."""
    form = path.suffix.lower().lstrip(".")
    if form not in FORMS:
        raise InputError(f"The name of {path} does not say how to write it. Name one of: {', '.join(FORMS)}.")
    return form


def columns(form: str) -> Sequence[str]:
    """Of a table, or of each object."""
    return OBJECT if form.startswith("json") else [*FIELDS, *MORE]


def pieces(reading: Reading, form: str) -> Iterator[bytes]:
    """The whole export, some tens of kilobytes at a time."""
    return _gathered(FORMS[form](reading))


def _gathered(parts: Iterable[bytes]) -> Iterator[bytes]:
    held, size = [], 0
    for part in parts:
        held.append(part)
        size += len(part)
        if size >= PIECE:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)


def note_export(reading: Reading, form: str, *, actor: str, **more: Any) -> None:
    """Records who took which results out; in a transaction of its own or of what else is done then."""
    asked = {"form": form, "filters": dict(reading.filters), "pseudonyms": reading.pseudonyms, **more}
    with transaction.atomic():
        record("run.exported", actor=actor, target=reading.run, data=asked)


def export_run(reading: Reading, *, form: str, path: Path, actor: str) -> None:
    """Writes results of a run to a file that appears when it is whole, and records who took them out."""
    check_writable(path)
    with new_file(path, binary=True) as stream:
        stream.writelines(pieces(reading, form))
        note_export(reading, form, actor=actor)

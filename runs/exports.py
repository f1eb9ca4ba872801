"""Results as JSON, JSONL, CSV and Parquet, read and written a few at a time."""

from __future__ import annotations

import csv
import json
import re
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import IO, Any

from django.db import models, transaction
from django.db.models import Prefetch

from audit.services import record
from classifiers.errors import InputError
from runs.models import ModerationResult, Result, Run, Verdict

PAGE = 500
FIELDS = {field.name: field for field in ModerationResult._meta.concrete_fields}
# What a spreadsheet would take for a formula, and such a text with the mark already before it.
FORMULA = re.compile(r"'*(\s*[=+\-@＝＋－＠]|[\t\r\n])")  # noqa: RUF001 - full-width signs count too


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
        "created_by": run.created_by,
        "created_at": _time(run.created_at),
        "started_at": _time(run.started_at),
        "finished_at": _time(run.finished_at),
        "seconds": seconds,
    }


def result_as_json(result: Result) -> dict[str, Any]:
    """One result with everything but raw payloads, as the JSON file and a line of JSONL hold it."""
    return {
        "position": result.position,
        "prompt": result.prompt,
        "answer": result.answer,
        "metadata": result.metadata,
        "input": _stage(result, "input"),
        "output": _stage(result, "output") if result.output_label else None,
        "created_at": _time(result.created_at),
    }


def _stage(result: Result, stage: str) -> dict[str, Any]:
    return {
        "label": getattr(result, f"{stage}_label"),
        "score": getattr(result, f"{stage}_score"),
        "categories": getattr(result, f"{stage}_categories"),
        "verdicts": [_verdict(v) for v in result.verdicts.all() if v.stage == stage.upper()],
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    version = verdict.version
    return {
        "check": verdict.check_name,
        "label": verdict.label,
        "score": verdict.score,
        "categories": verdict.categories,
        "flagged": verdict.flagged,
        "thresholds": verdict.thresholds,
        "spans": verdict.spans,
        "reason": verdict.reason,
        "provider": version and version.provider,
        "model": version and version.model,
        "revision": version and version.revision,
        "adapter_digest": version and version.adapter_digest,
        "template_hash": version and version.template_hash,
        "dtype": version and version.dtype,
        "recalled": verdict.recalled,
        "latency": verdict.latency,
    }


def results_of(run: Run) -> Iterator[Result]:
    """All results in order, with their verdicts, a page in memory at a time; a page that was gone through loses them."""
    verdicts = Prefetch("verdicts", Verdict.objects.order_by("pk"))
    results = Result.objects.filter(run=run).order_by("position").prefetch_related(verdicts, "verdicts__version")
    last = -1
    while page := list(results.filter(position__gt=last)[:PAGE]):
        yield from page
        last = page[-1].position
        for result in page:
            # Verdicts point back to their result: long texts would wait in such rings for the garbage collector.
            vars(result)["_prefetched_objects_cache"].clear()


def write_json(run: Run, stream: IO[str]) -> None:
    """``{"results": [...], "run": {...}}``: the run comes last, so that its counts are those of the results."""
    stream.write('{"results": [\n')
    for index, result in enumerate(results_of(run)):
        stream.write(",\n" * bool(index) + _json(result_as_json(result)))
    stream.write('\n], "run": ' + _json(run_as_json(run)) + "}\n")


def jsonl_lines(run: Run) -> Iterator[str]:
    for result in results_of(run):
        yield _json(result_as_json(result)) + "\n"


def csv_lines(run: Run) -> Iterator[str]:
    """The columns of moderation_results, then the metadata, lists and objects as JSON.

    A text that a spreadsheet would take for a formula has a ``'`` before it; without that mark it is the text again.
    """
    writer = csv.writer(Line())
    yield writer.writerow([*FIELDS, "metadata"])
    for row in rows_of(run):
        yield writer.writerow([cell(value) for value in row.values()])


class Line:
    """Makes a csv.writer give back what it writes."""

    def write(self, line: str) -> str:
        return line


def write_parquet(run: Run, stream: IO[bytes]) -> None:
    """The same columns with their types; the metadata as JSON, since each row may have other keys."""
    import pyarrow as pa
    import pyarrow.parquet as pq

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
    schema = pa.schema([*columns, ("metadata", pa.string())])
    rows = ({**row, "metadata": _json(row["metadata"])} for row in rows_of(run))
    with pq.ParquetWriter(stream, schema) as writer:
        while page := list(islice(rows, PAGE)):
            writer.write_table(pa.Table.from_pylist(page, schema=schema))


def rows_of(run: Run) -> Iterator[dict[str, Any]]:
    """The rows of moderation_results with their metadata, in order, a page in memory at a time."""
    rows = ModerationResult.objects.filter(run_id=run.pk).order_by("position").values(*FIELDS)
    last = -1
    while page := list(rows.filter(position__gt=last)[:PAGE]):
        first, last = page[0]["position"], page[-1]["position"]
        of_page = Result.objects.filter(run=run, position__range=(first, last))
        metadata = dict(of_page.values_list("position", "metadata"))
        yield from ({**row, "metadata": metadata[row["position"]]} for row in page)


def cell(value: Any) -> Any:
    """A value as a cell of CSV, with a ``'`` before a text that a spreadsheet would take for a formula."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list | dict):
        return _json(value)
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _time(value: datetime | None) -> str | None:
    return value.isoformat() if value else None


WRITERS: Mapping[str, Callable[[Run, Any], None]] = {
    "json": write_json,
    "jsonl": lambda run, stream: stream.writelines(jsonl_lines(run)),
    "csv": lambda run, stream: stream.writelines(csv_lines(run)),
    "parquet": write_parquet,
}


def form_of(path: Path) -> str:
    """The form of export that a file's name asks for."""
    form = path.suffix.lower().lstrip(".")
    if form not in WRITERS:
        raise InputError(f"The name of {path} does not say how to write it. Name one of: {', '.join(WRITERS)}.")
    return form


def export_run(run: Run, *, form: str, path: Path, actor: str) -> None:
    """Writes all results of a run to a file that appears when it is whole, and records who took them out."""
    check_writable(path)
    with new_file(path, binary=form == "parquet") as stream:
        WRITERS[form](run, stream)
        with transaction.atomic():
            record("run.exported", actor=actor, target=run, data={"form": form})


@contextmanager
def new_file(path: Path, *, binary: bool = False) -> Iterator[IO[Any]]:
    """A file that appears under its name only when it is whole. InputError when it cannot be written."""
    target = path.resolve()  # a link stays one
    temporary = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") if binary else temporary.open("x", encoding="utf-8", newline="") as stream:
            yield stream
        temporary.replace(target)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """InputError when a file could not be written there; leaves nothing."""
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path} is {'a folder' if path.is_dir() else 'no ordinary file'}. Name another file.")
        with tempfile.TemporaryFile(dir=path.resolve().parent):
            pass
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path} cannot be written: {error.strerror or error}. Choose another place.")

"""Results as JSON, JSONL, CSV and Parquet, read and written a few at a time."""

from __future__ import annotations

import csv
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import IO, Any

from classifiers.errors import InputError
from runs.models import ModerationResult, Result, Run, Verdict

PAGE = 500
COLUMNS = [field.name for field in ModerationResult._meta.concrete_fields]


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
    """All results in order, with their verdicts, a page in memory at a time."""
    last = -1
    while page := list(
        Result.objects.filter(run=run, position__gt=last)
        .prefetch_related("verdicts__version")
        .order_by("position")[:PAGE]
    ):
        yield from page
        last = page[-1].position


def write_json(run: Run, stream: IO[str]) -> None:
    """``{"results": [...], "run": {...}}``: the run comes last, so that its counts are those of the results."""
    stream.write('{"results": [\n')
    for index, result in enumerate(results_of(run)):
        stream.write(",\n" * bool(index) + json.dumps(result_as_json(result), ensure_ascii=False))
    stream.write('\n], "run": ' + json.dumps(run_as_json(run), ensure_ascii=False) + "}\n")


def write_jsonl(run: Run, stream: IO[str]) -> None:
    for result in results_of(run):
        stream.write(json.dumps(result_as_json(result), ensure_ascii=False) + "\n")


def write_csv(run: Run, stream: IO[str]) -> None:
    """The columns of moderation_results, then the metadata as JSON; spreadsheets take no cell for a formula."""
    writer = csv.writer(stream)
    writer.writerow([*COLUMNS, "metadata"])
    for row in rows_of(run):
        writer.writerow([_cell(value) for value in row.values()])


def write_parquet(run: Run, stream: IO[bytes]) -> None:
    """The same columns as CSV, typed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, _arrow_type(pa, name)) for name in [*COLUMNS, "metadata"]])
    rows = rows_of(run)
    with pq.ParquetWriter(stream, schema) as writer:
        while page := list(islice(rows, PAGE)):
            writer.write_table(pa.Table.from_pylist(page, schema=schema))


def rows_of(run: Run) -> Iterator[dict[str, Any]]:
    """The rows of moderation_results with their metadata, in order."""
    last = -1
    while page := _page(run.pk, last):
        yield from page
        last = page[-1]["position"]


def _page(run_id: int, last: int) -> list[dict[str, Any]]:
    page = ModerationResult.objects.filter(run_id=run_id, position__gt=last).order_by("position")
    rows = [{name: _plain(value) for name, value in row.items()} for row in page.values(*COLUMNS)[:PAGE]]
    if rows:
        of_page = Result.objects.filter(run_id=run_id, position__range=(rows[0]["position"], rows[-1]["position"]))
        metadata = dict(of_page.values_list("position", "metadata"))
        rows = [{**row, "metadata": _plain(metadata[row["position"]])} for row in rows]
    return rows


def _plain(value: Any) -> Any:
    """What a cell holds: times in ISO 8601, lists and objects as JSON."""
    if isinstance(value, datetime):
        return value.isoformat()
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _arrow_type(pa: Any, name: str) -> Any:
    if name in ("run_id", "position", "policy_version"):
        return pa.int64()
    return pa.float64() if name.endswith("_score") else pa.string()


def _time(value: datetime | None) -> str | None:
    return value.isoformat() if value else None


WRITERS: Mapping[str, Callable[[Run, Any], None]] = {
    "json": write_json,
    "jsonl": write_jsonl,
    "csv": write_csv,
    "parquet": write_parquet,
}


@contextmanager
def new_file(path: Path, *, binary: bool = False) -> Iterator[IO[Any]]:
    """A file that appears under its name only when it is whole. InputError when the place cannot be written."""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}. Choose another place.") from error
    try:
        with open(descriptor, "wb" if binary else "w", **({} if binary else {"encoding": "utf-8", "newline": ""})) as f:
            yield f
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def check_writable(path: Path) -> None:
    """InputError when a file could not be written there; leaves nothing."""
    if path.is_dir():
        raise InputError(f"{path} is a folder. Name a file.")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}. Choose another place.") from error


def export_run(run: Run, *, form: str, path: Path) -> None:
    """Writes all results of a run to a file that appears when it is whole."""
    check_writable(path)
    with new_file(path, binary=form == "parquet") as stream:
        WRITERS[form](run, stream)

"""Exports written in the background: asked for, written by a worker, taken away in one piece or in several.

A file appears in the folder of exports when it is whole. Whoever writes it holds the export by the file's name, which is
new with each attempt: one who was given up for dead, or whose export was cancelled, notes nothing and leaves no file.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from audit.services import record
from classifiers.errors import ConflictError, ForbiddenError, InputError, NotFoundError, SafetyError
from review.rights import Person, actor, need
from runs import leases
from runs.exports import FEATURES, Reading, check_form, columns, note_export, pieces
from runs.files import new_file
from runs.models import Export, Run

State = Export.State
UNDER_WAY: tuple[str, ...] = (State.WAITING, State.RUNNING)
TAKE_OUT = "take results out"
TICK = 1.0  # seconds between two signs of life


class GivenUpError(Exception):
    """Whoever writes holds the export no more: it was cancelled, or given to another."""


def start(run: Run, *, form: str, filters: Mapping[str, str], pseudonyms: bool, by: Person) -> Export:
    """Notes what is wanted, for ``write`` to do. InputError for a form or a filter that cannot be."""
    need(by, "review.export", TAKE_OUT)
    check_form(form)
    total = Reading(run, filters).chosen.count()
    asked: dict[str, Any] = {"form": form, "filters": dict(filters), "pseudonyms": pseudonyms}
    with transaction.atomic():
        export = Export.objects.create(run=run, **asked, total=total, created_by=actor(by), moved_at=timezone.now())
        record("export.started", actor=actor(by), target=export, data={"run": run.pk, **asked})
    return export


def find_run(pk: int) -> Run:
    run = Run.objects.filter(pk=pk).first()
    if run is None:
        raise NotFoundError("There is no such run: it may have been deleted.")
    return run


def find_export(pk: int) -> Export:
    export = Export.objects.select_related("run").filter(pk=pk).first()
    if export is None:
        raise NotFoundError("There is no such export: it may be older than exports are kept. Ask for a new one.")
    return export


def newest(run: Run | None = None) -> QuerySet[Export]:
    exports = Export.objects.select_related("run").order_by("-pk")
    return exports.filter(run=run) if run else exports


# Writing


def write(export: Export) -> None:
    """Writes the file, if it waits to be written. What goes wrong stands in the export."""
    name = f"{export.pk}-{secrets.token_hex(8)}.{export.form}"
    waiting = Export.objects.filter(pk=export.pk, state=State.WAITING)
    if not waiting.update(
        state=State.RUNNING, file=name, holder=leases.this_process(), done=0, moved_at=timezone.now()
    ):
        return
    export.refresh_from_db()
    try:
        _write(export)
    except GivenUpError:
        return
    except SafetyError as error:
        _fail(export, error.message)
    except Exception:
        _fail(export, "It could not be written; the workers' log says why. Ask for it anew.")
        raise


def _write(export: Export) -> None:
    _check_right(export)
    reading, digest = Reading(export.run, export.filters, pseudonyms=export.pseudonyms), hashlib.sha256()
    with new_file(_place(export), binary=True) as stream:
        for piece in _kept(export, reading):
            stream.write(piece)
            digest.update(piece)
        stream.flush()
        os.fsync(stream.fileno())
        size = stream.tell()
    try:
        _finish(export, reading, size=size, sha256=digest.hexdigest())
    except BaseException:
        _place(export).unlink(missing_ok=True)
        raise


def _check_right(export: Export) -> None:
    """Whoever asked may have lost the right since."""
    name = export.created_by.removeprefix("user:")
    person = User.objects.filter(username=name, is_active=True).first()
    if person is None:
        raise ForbiddenError(f"The account {name}, which asked for it, is gone or switched off.")
    need(person, "review.export", TAKE_OUT)


def _kept(export: Export, reading: Reading) -> Iterator[bytes]:
    """The pieces, with a sign of life now and then."""
    last = time.monotonic()
    for piece in pieces(reading, export.form):
        yield piece
        if time.monotonic() - last > TICK:
            _update(export, done=reading.done, moved_at=timezone.now())
            last = time.monotonic()


def _update(export: Export, **fields: Any) -> None:
    """GivenUpError when the export is not ours any more."""
    if not Export.objects.filter(pk=export.pk, state=State.RUNNING, file=export.file).update(**fields):
        raise GivenUpError


def _finish(export: Export, reading: Reading, *, size: int, sha256: str) -> None:
    now, run = timezone.now(), export.run
    manifest = {
        "form": export.form,
        "bytes": size,
        "sha256": sha256,
        "rows": reading.done,
        "columns": list(columns(export.form)),
        "features": FEATURES if export.form == "jsonl" else None,
        "filters": export.filters,
        "pseudonyms": export.pseudonyms,
        "run": {"id": run.pk, "name": run.name, "status": run.status, "prompts_digest": run.prompts_digest},
        "versions": run.versions,
        "policy": run.policy,
        "policy_version": run.policy_version_id,
        "asked_by": export.created_by.removeprefix("user:"),
        "asked_at": export.created_at.isoformat(),
        "written_at": now.isoformat(),
    }
    done: dict[str, Any] = {"state": State.DONE, "done": reading.done, "total": reading.done, "holder": ""}
    with transaction.atomic():
        _update(export, **done, size=size, sha256=sha256, manifest=manifest, moved_at=now, finished_at=now)
        note_export(reading, export.form, actor=export.created_by, export=export.pk, rows=reading.done, sha256=sha256)


def _fail(export: Export, why: str) -> None:
    with suppress(GivenUpError), transaction.atomic():
        _update(export, state=State.FAILED, error=why, holder="", file="", finished_at=timezone.now())
        record("export.failed", actor=export.created_by, target=export, data={"error": why})


def cancel(export: Export, *, by: Person) -> Export:
    """Stops it; what was written is gone. ConflictError when it has ended otherwise."""
    need(by, "review.export", TAKE_OUT)
    with transaction.atomic():
        under_way = Export.objects.filter(pk=export.pk, state__in=UNDER_WAY)
        if under_way.update(state=State.CANCELLED, file="", holder="", finished_at=timezone.now()):
            record("export.cancelled", actor=actor(by), target=export)
    export.refresh_from_db()
    if export.state != State.CANCELLED:
        raise ConflictError(f"This cannot be stopped any more: {export.get_state_display().lower()}.")
    return export


def take_lost(*, waiting_since: datetime) -> list[Export]:
    """Those that somebody has to write, from the start."""
    under_way = Export.objects.filter(state__in=UNDER_WAY)
    return leases.take_lost(under_way, waiting_since=waiting_since, file="", done=0)


def is_stalled(export: Export) -> bool:
    """Whether it is under way, and nobody has moved it for long."""
    return export.state in UNDER_WAY and export.moved_at is not None and leases.is_silent(export.moved_at)


# Taking away


def file_of(export: Export, *, by: Person) -> Path:
    """Where the file lies, for whoever may take results out. ConflictError while there is none, NotFoundError when it is gone."""
    need(by, "review.export", TAKE_OUT)
    if export.state != State.DONE:
        raise ConflictError(f"There is no file: {export.get_state_display().lower()}.", code="not_ready")
    place = _place(export)
    if not place.is_file():
        raise NotFoundError(
            "The file is not here. It was deleted, or written on a machine with another folder of exports. "
            "Ask for a new export."
        )
    return place


def note_download(export: Export, *, by: Person) -> None:
    """Records that somebody began to take the file away."""
    with transaction.atomic():
        data: dict[str, Any] = {"run": export.run_id, "sha256": export.sha256}
        record("export.downloaded", actor=actor(by), target=export, data=data)


def prune() -> int:
    """Forgets exports that ended too long ago, with their files, and files that no export names; gives their number."""
    before = timezone.now() - timedelta(days=settings.SAFETY_EXPORT_DAYS)
    old = Export.objects.filter(finished_at__lt=before)
    for export in old.exclude(file=""):
        _place(export).unlink(missing_ok=True)
    pruned, _ = old.delete()
    known = set(Export.objects.exclude(file="").values_list("file", flat=True))
    for stray in _strays(known, older_than=before.timestamp()):
        stray.unlink(missing_ok=True)
        pruned += 1
    return pruned


def _strays(known: set[str], *, older_than: float) -> Iterator[Path]:
    """Left by those who were killed, or by runs that were deleted."""
    if not settings.SAFETY_EXPORTS.is_dir():
        return
    for path in settings.SAFETY_EXPORTS.iterdir():
        ours = path.suffix == ".part" or path.name.partition("-")[0].isdecimal()
        with suppress(FileNotFoundError):
            if ours and path.name not in known and path.stat().st_mtime < older_than:
                yield path


def _place(export: Export) -> Path:
    folder: Path = settings.SAFETY_EXPORTS
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The folder of exports, {folder}, cannot be made: {error.strerror or error}.") from error
    return folder / export.file

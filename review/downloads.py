"""A file sent whole or in part (RFC 9110, section 14), a block in memory at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse

from review import export_files
from review.rights import Person
from runs.exports import TYPES
from runs.models import Export

BLOCK = 2**18
RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


def send_export(request: HttpRequest, export: Export, *, by: Person) -> HttpResponseBase:
    """The file of an export; that somebody began to take it away is recorded. Raises what ``file_of`` does."""
    file = export_files.file_of(export, by=by)
    name = f"results-of-run-{export.run_id}.{export.form}"
    response = sent(request, file, etag=export.sha256, kind=TYPES[export.form], name=name)
    begins = response.status_code == 200 or response.get("Content-Range", "").startswith("bytes 0-")
    if request.method == "GET" and begins:
        export_files.note_download(export, by=by)
    return response


class UnsatisfiableError(Exception):
    """The file has no byte of the range that was asked for."""


def sent(request: HttpRequest, file: Path, *, etag: str, kind: str, name: str) -> HttpResponseBase:
    """The file, or the part of it that Range asks for, or 304 when the asker has it. ``etag`` without its quotes."""
    size, tag = file.stat().st_size, f'"{etag}"'
    headers = {"ETag": tag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache"}
    if tag in map(str.strip, request.headers.get("If-None-Match", "").split(",")):
        return HttpResponse(status=304, headers=headers)
    try:
        part = part_of(request, size, tag)
    except UnsatisfiableError:
        return _refused(size)
    start, end = part or (0, size)
    headers |= {"Content-Length": str(end - start), "Content-Disposition": f'attachment; filename="{name}"'}
    if part:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    status = 206 if part else 200
    if request.method == "HEAD":
        return HttpResponse(status=status, content_type=kind, headers=headers)
    return StreamingHttpResponse(_blocks(file, start, end), status=status, content_type=kind, headers=headers)


def part_of(request: HttpRequest, size: int, tag: str) -> tuple[int, int] | None:
    """The bytes that are asked for, from one up to but not including another; None for all of them.

    Several ranges, ranges in other units and what cannot be read are answered with the whole file, which is allowed; so is a
    range of a file that is not the one the asker began with (If-Range). Raises UnsatisfiableError.
    """
    found = RANGE.fullmatch(request.headers.get("Range", "").strip())
    if request.method != "GET" or not found or request.headers.get("If-Range", tag).strip() != tag:
        return None
    first, last = found.groups()
    if not (first or last) or (first and last and int(last) < int(first)):
        return None
    start = int(first) if first else max(size - int(last), 0)
    end = min(int(last) + 1, size) if first and last else size
    if start >= size:
        raise UnsatisfiableError
    return start, end


def _refused(size: int) -> HttpResponse:
    said = {"code": "range_not_satisfiable", "detail": f"The file has {size} bytes, and none of those asked for."}
    return JsonResponse(said, status=416, headers={"Content-Range": f"bytes */{size}"})


def _blocks(file: Path, start: int, end: int) -> Iterator[bytes]:
    with file.open("rb") as stream:
        stream.seek(start)
        while start < end and (block := stream.read(min(BLOCK, end - start))):
            start += len(block)
            yield block

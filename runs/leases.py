"""Who holds a chunk, and until when: claimed by one conditional UPDATE, kept by a heartbeat, free when that stops."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

import psutil
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import F
from django.utils import timezone
from django.utils.module_loading import import_string

from runs.models import Chunk, Export, Run
from runs.querysets import ChunkQuerySet

logger = logging.getLogger(__name__)

CLOCK_SHIFT = 5  # seconds
FREE: dict[str, Any] = {"state": Chunk.State.OPEN, "holder": "", "lease_until": None}


def this_process() -> str:
    """Names this process so that it is not taken for a later one with the same number."""
    return f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time():.2f}"


def is_dead(holder: str) -> bool:
    """Whether the process is known to have ended; one on another machine never is."""
    host, pid, started = holder.rsplit(":", 2)
    if host != socket.gethostname():
        return False
    try:
        process = psutil.Process(int(pid))
        # Start times are counted from a boot time that shifts a little when the clock is set.
        another = abs(process.create_time() - float(started)) > CLOCK_SHIFT
        return another or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def held_by(pids: Container[int]) -> bool:
    """Whether one of these processes of this machine holds work, and has said so within a lease."""
    for name in settings.SAFETY_HOLDERS:
        for holder in import_string(name)():
            host, pid, _ = holder.rsplit(":", 2)
            if host == socket.gethostname() and int(pid) in pids:
                return True
    return False


def holders() -> Iterator[str]:
    """The processes that hold a chunk, or write an export, and have said so within a lease."""
    since = timezone.now() - timedelta(seconds=settings.SAFETY_LEASE_SECONDS)
    chunks = Chunk.objects.filter(state=Chunk.State.HELD, lease_until__gt=timezone.now())
    exports = Export.objects.filter(state=Export.State.RUNNING, moved_at__gt=since)
    yield from (*chunks.values_list("holder", flat=True), *exports.values_list("holder", flat=True))


def claim(chunk_id: int, *, holder: str) -> Chunk | None:
    """The chunk, if it was free and its run is at work; a second claim of the same chunk gets None."""
    # No join: a condition outside the locked row is not looked at again when PostgreSQL waited for another claim.
    at_work = Run.objects.filter(status=Run.Status.RUNNING)
    free = Chunk.objects.filter(pk=chunk_id, run__in=at_work).claimable(timezone.now())
    claimed = free.update(state=Chunk.State.HELD, holder=holder, lease_until=_lease(), attempts=F("attempts") + 1)
    return Chunk.objects.select_related("run").get(pk=chunk_id) if claimed else None


def claim_next(run: Run, *, holder: str) -> Chunk | None:
    """The first free chunk of a run, None when there is none left."""
    while True:
        free = run.chunks.unfinished().claimable(timezone.now()).order_by("index").values_list("pk", flat=True)[:1]
        if not (ids := list(free)):
            return None
        if chunk := claim(ids[0], holder=holder):
            return chunk
        if not Run.objects.filter(pk=run.pk, status=Run.Status.RUNNING).exists():
            return None


def release(chunk: Chunk) -> None:
    """Gives a chunk back unfinished, if it is still held by whoever claimed it."""
    _held(chunk).update(**FREE)


def release_dead(run: Run) -> None:
    """Frees the chunks whose holder has ended or has not been heard of for a whole lease."""
    now = timezone.now()
    for chunk in run.chunks.filter(state=Chunk.State.HELD).defer("payload"):
        if is_dead(chunk.holder):
            release(chunk)
        elif chunk.lease_until is None or chunk.lease_until < now:
            # Unless it was renewed since.
            _held(chunk).filter(lease_until=chunk.lease_until).update(**FREE)


def kept(chunk: Chunk) -> AbstractContextManager[None]:
    """Renews the lease while the block runs, however long one batch takes."""
    return beating(lambda: _held(chunk).update(lease_until=_lease()), chunk)


@contextmanager
def beating(renew: Callable[[], object], what: object) -> Iterator[None]:
    """Calls ``renew`` thrice a lease while the block runs, in a thread of its own."""
    done = threading.Event()
    heart = threading.Thread(target=_beat, args=(renew, what, done), daemon=True)
    heart.start()
    try:
        yield
    finally:
        done.set()
        heart.join()


def _beat(renew: Callable[[], object], what: object, done: threading.Event) -> None:
    while not done.wait(settings.SAFETY_LEASE_SECONDS / 3):
        try:
            renew()
        except DatabaseError:
            logger.warning("The lease of %s could not be renewed; trying again.", what, exc_info=True)
        finally:
            connection.close()


def _held(chunk: Chunk) -> ChunkQuerySet:
    return Chunk.objects.filter(pk=chunk.pk, state=Chunk.State.HELD, holder=chunk.holder)


def _lease() -> datetime:
    return timezone.now() + timedelta(seconds=settings.SAFETY_LEASE_SECONDS)


# Work that a single row stands for, an export say: it is WAITING, then RUNNING under a holder who moves it now and then


class Work(Protocol):
    pk: Any
    state: Any
    holder: Any
    moved_at: Any


Some = TypeVar("Some", bound=Work)


def is_silent(moved_at: datetime) -> bool:
    """Whether nobody has moved it for a lease."""
    return moved_at < timezone.now() - timedelta(seconds=settings.SAFETY_LEASE_SECONDS)


def take_lost(under_way: Iterable[Some], *, waiting_since: datetime, **anew: Any) -> list[Some]:
    """Those whose holder is dead or silent, and those that wait for long, made to wait again, ``anew``; each is given to one
    who asks."""
    return [work for work in under_way if _is_lost(work, waiting_since) and _given_back(work, anew)]


def _is_lost(work: Work, waiting_since: datetime) -> bool:
    if work.state == "WAITING":
        return bool(work.moved_at < waiting_since)
    return is_silent(work.moved_at) or is_dead(work.holder)


def _given_back(work: Work, anew: Mapping[str, Any]) -> bool:
    """False when another found it lost before us."""
    rows: Any = type(work)
    same = rows.objects.filter(pk=work.pk, state=work.state, holder=work.holder, moved_at=work.moved_at)
    return bool(same.update(state="WAITING", holder="", moved_at=timezone.now(), **anew))

"""Exports in the background: who writes one, who gives up, what a kill leaves, what is forgotten; and their pages."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_q.models import OrmQ
from pytest_django import Settings

from audit.models import AuditEvent
from classifiers.errors import ConflictError, ForbiddenError
from review import export_files, tasks
from runs import exports, leases
from runs.models import Export, Run
from tests.review.conftest import TEXTS, Cast

State = Export.State


@pytest.fixture(autouse=True)
def folder(settings: Settings, tmp_path: Path) -> Path:
    settings.SAFETY_EXPORTS = tmp_path / "exports"
    return settings.SAFETY_EXPORTS


@pytest.fixture
def run(done_run: Callable[..., Run]) -> Run:
    return done_run(TEXTS)


@pytest.fixture
def begin(cast: Cast, run: Run) -> Callable[..., Export]:
    def start(form: str = "jsonl", **filters: str) -> Export:
        return export_files.start(run, form=form, filters=filters, pseudonyms=False, by=cast.lena)

    return start


def again(export: Export) -> Export:
    return export_files.find_export(export.pk)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


class TestWriting:
    def test_two_who_are_told_to_write_it_write_one_file(self, begin: Callable[..., Export], folder: Path) -> None:
        export = begin()
        export_files.write(export)
        export_files.write(export)
        assert files(folder) == [again(export).file]
        assert AuditEvent.objects.filter(action="run.exported").count() == 1

    def test_who_lost_the_right_meanwhile_gets_no_file(
        self, begin: Callable[..., Export], cast: Cast, folder: Path
    ) -> None:
        export = begin()
        cast.lena.groups.clear()
        export_files.write(export)
        export = again(export)
        assert (export.state, export.file) == (State.FAILED, "")
        assert "You may not take results out" in export.error
        assert files(folder) == []

    @pytest.mark.parametrize("way", ["off", "gone"])
    def test_an_account_that_is_gone_gets_no_file(self, begin: Callable[..., Export], cast: Cast, way: str) -> None:
        export = begin()
        type(cast.lena).objects.filter(pk=cast.lena.pk).update(
            **{"is_active": False} if way == "off" else {"username": "x"}
        )
        export_files.write(export)
        assert "gone or switched off" in again(export).error

    def test_one_that_is_stopped_meanwhile_leaves_nothing(
        self, begin: Callable[..., Export], cast: Cast, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        export = begin()
        monkeypatch.setattr(export_files, "TICK", 0)

        def pieces(*arguments: Any) -> Any:
            yield b"one"
            export_files.cancel(again(export), by=cast.lena)
            yield b"two"

        monkeypatch.setattr(export_files, "pieces", pieces)
        export_files.write(export)
        assert again(export).state == State.CANCELLED
        assert files(folder) == []

    def test_one_that_another_took_over_leaves_the_others_file(
        self, begin: Callable[..., Export], folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        export = begin()

        def pieces(*arguments: Any) -> Any:
            monkeypatch.undo()
            yield b"slow"
            Export.objects.update(moved_at=timezone.now() - timedelta(hours=1))
            (lost,) = export_files.take_lost(waiting_since=timezone.now())
            export_files.write(lost)

        monkeypatch.setattr(export_files, "pieces", pieces)
        monkeypatch.setattr(export_files.settings, "SAFETY_EXPORTS", folder)
        export_files.write(export)
        export = again(export)
        assert export.state == State.DONE
        assert export_files._place(export).stat().st_size == export.size > 100

    def test_what_goes_wrong_stands_in_it(self, begin: Callable[..., Export], folder: Path, settings: Settings) -> None:
        export = begin()
        folder.write_text("no folder")
        export_files.write(export)
        assert "cannot be made" in again(export).error

    def test_a_fault_of_ours_ends_it_and_is_told(
        self, begin: Callable[..., Export], folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        export = begin()
        monkeypatch.setattr(exports, "_objects", lambda reading: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            export_files.write(export)
        assert (again(export).state, files(folder)) == (State.FAILED, [])


class TestLost:
    def test_what_a_dead_process_left_is_taken_up_at_once(self, begin: Callable[..., Export]) -> None:
        export = begin()
        host, _, started = leases.this_process().rsplit(":", 2)
        Export.objects.update(state="RUNNING", holder=f"{host}:999999:{started}", file="x", done=3)
        assert tasks.requeue_exports() == 1
        export = again(export)
        assert (export.state, export.done, export.file) == (State.WAITING, 0, "")
        assert OrmQ.objects.count() == 1

    def test_what_is_being_written_is_left_alone(self, begin: Callable[..., Export]) -> None:
        begin()
        Export.objects.update(state="RUNNING", holder=leases.this_process(), file="x")
        assert tasks.requeue_exports() == 0
        assert leases.held_by({os.getpid()})

    def test_one_that_waits_for_long_is_sent_again(self, begin: Callable[..., Export]) -> None:
        begin()
        assert tasks.requeue_exports() == 0
        Export.objects.update(moved_at=timezone.now() - timedelta(hours=2))
        assert (tasks.requeue_exports(), tasks.requeue_exports()) == (1, 0)

    @pytest.mark.slow
    def test_a_killed_writer_is_followed_by_another(
        self, transactional_db: None, begin: Callable[..., Export], manage: Callable[..., Any], folder: Path
    ) -> None:
        """A real process is killed while it writes; its part of a file is under no name, and the next one writes all."""
        export = begin()
        program = (
            "import time; from review import export_files as e; from runs import exports;"
            "real = exports._objects;"
            "exports.FORMS = {**exports.FORMS, 'jsonl': lambda r: (time.sleep(.5) or line + b'\\n' for line in real(r))};"
            f"e.write(e.find_export({export.pk}))"
        )
        process = manage("shell", "-c", program, AI_SAFETY_MONITOR_EXPORTS=str(folder))
        deadline = time.monotonic() + 60
        while not (files(folder) and again(export).state == State.RUNNING):
            assert time.monotonic() < deadline, process.communicate(timeout=1)
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert tasks.requeue_exports() == 1
        export_files.write(again(export))
        export = again(export)
        assert (export.state, export.done) == (State.DONE, 8)
        assert [name for name in files(folder) if not name.endswith(".part")] == [export.file]


class TestForgetting:
    def test_old_ones_go_with_their_files_and_what_nobody_names(
        self, begin: Callable[..., Export], folder: Path, settings: Settings
    ) -> None:
        old, new = begin(), begin()
        for export in (old, new):
            export_files.write(export)
        for name in (".abc.part", "99-x.jsonl", "mine.txt"):
            (folder / name).touch()
            os.utime(folder / name, (0, 0))
        Export.objects.filter(pk=old.pk).update(finished_at=timezone.now() - timedelta(days=8))
        export_files.prune()
        assert list(Export.objects.values_list("pk", flat=True)) == [new.pk]
        assert files(folder) == sorted([again(new).file, "mine.txt"])


class TestPages:
    @pytest.fixture
    def lena(self, cast: Cast) -> Client:
        client = Client()
        client.force_login(cast.lena, backend="django.contrib.auth.backends.ModelBackend")
        return client

    def test_from_the_run_to_the_file(self, lena: Client, run: Run) -> None:
        page = lena.get(reverse("admin:review_of_run", args=[run.pk])).content.decode()
        assert "?as=parquet" in page
        listed = reverse("admin:review_export_changelist")
        assert f"{listed}?run={run.pk}" in page
        assert "Write a file in the background" in lena.get(listed, {"run": run.pk}).content.decode()
        answer = lena.post(reverse("admin:review_export_add"), {"run": run.pk, "as": "csv", "pseudonyms": "1"})
        export = Export.objects.get()
        assert answer.url == reverse("admin:review_export_change", args=[export.pk])
        assert 'hx-trigger="every 2s"' in lena.get(answer.url).content.decode()
        export_files.write(export)
        done = lena.get(reverse("admin:review_export_state", args=[export.pk])).content.decode()
        assert again(export).sha256 in done
        assert "hx-trigger" not in done
        taken = lena.get(reverse("admin:review_export_download", args=[export.pk]), headers={"Range": "bytes=0-5"})
        assert (taken.status_code, b"".join(taken)) == (206, b"run_id")

    def test_a_large_run_is_written_in_the_background(self, lena: Client, run: Run) -> None:
        Run.objects.update(total=20_001)
        page = lena.get(reverse("admin:review_of_run", args=[run.pk])).content.decode()
        assert "?as=" not in page
        assert "Export results" in page

    def test_the_form_of_what_cannot_be_is_refused(self, lena: Client, run: Run) -> None:
        where = reverse("admin:review_export_add")
        for sent in ({}, {"run": run.pk}, {"run": run.pk, "as": "xlsx"}, {"run": 999, "as": "csv"}, {"run": "x"}):
            assert lena.post(where, sent).status_code in (400, 404)
        assert not Export.objects.exists()

    def test_stopping_it(self, lena: Client, begin: Callable[..., Export]) -> None:
        export = begin()
        lena.post(reverse("admin:review_export_cancel", args=[export.pk]))
        assert again(export).state == State.CANCELLED


def test_who_may_not(begin: Callable[..., Export], cast: Cast, run: Run) -> None:
    export = begin()
    export_files.write(export)
    for name in ("ruth", "sara", "axel", "nora"):
        with pytest.raises(ForbiddenError):
            export_files.start(run, form="csv", filters={}, pseudonyms=False, by=cast[name])
        with pytest.raises(ForbiddenError):
            export_files.file_of(again(export), by=cast[name])
        with pytest.raises(ForbiddenError):
            export_files.cancel(again(export), by=cast[name])
    with pytest.raises(ConflictError):
        export_files.cancel(again(export), by=cast.lena)

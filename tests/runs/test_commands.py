from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import load_command_class
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from runs.models import Chunk, Run, RunLog
from tests.runs.commands import refused, said

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = [
    (file.parts[-4], file.stem)
    for app in ("audit", "moderation", "runs")
    for file in sorted((ROOT / app / "management" / "commands").glob("[a-z]*.py"))
]
PROMPTS = ["hello", "you are toxic", "fail here", "good day"]


@pytest.mark.parametrize(("app", "name"), COMMANDS)
def test_help_reads_as_documentation(app: str, name: str) -> None:
    parser = load_command_class(app, name).create_parser("manage.py", name)
    assert len(parser.description) > 60
    assert [action.dest for action in parser._actions if not action.help] == []
    assert name in parser.format_help()


class TestListRuns:
    def test_the_newest_comes_first_with_its_counts(self, done_run: Callable[..., Run]) -> None:
        done_run(PROMPTS, name="older")
        newer = done_run(PROMPTS[:2], name="newer")
        lines = said("list_runs").splitlines()
        assert lines[0].split()[:7] == ["id", "name", "status", "prompts", "done", "toxic", "errors"]
        assert lines[1].split()[:7] == [str(newer.pk), "newer", "DONE", "2", "2", "1", "0"]
        assert lines[2].split()[1:7] == ["older", "DONE", "4", "4", "1", "1"]
        assert len(said("list_runs", "--limit", "1").splitlines()) == 2

    def test_one_state_alone(self, make_run: Callable[..., Run], done_run: Callable[..., Run]) -> None:
        make_run(PROMPTS, name="waiting")
        done_run(PROMPTS, name="finished")
        text = said("list_runs", "--status", "queued")
        assert "waiting" in text
        assert "finished" not in text
        assert "no such runs" in said("list_runs", "--status", "FAILED")

    @pytest.mark.django_db
    def test_none_yet_says_how_to_make_one(self) -> None:
        assert "run_pipeline" in said("list_runs")

    def test_it_asks_once(
        self, done_run: Callable[..., Run], django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        for name in "abc":
            done_run(["hello"], name=name)
        with django_assert_num_queries(1):
            said("list_runs")

    def test_a_name_cannot_steer_the_terminal(self, done_run: Callable[..., Run]) -> None:
        done_run(["hello"], name="red \x1b[31m and \u202eturned")
        assert "red \N{REPLACEMENT CHARACTER}[31m and \N{REPLACEMENT CHARACTER}turned" in said("list_runs")


class TestShowRun:
    def test_everything_is_there(self, done_run: Callable[..., Run]) -> None:
        run = done_run(PROMPTS, name="mine")
        text = said("show_run", "mine")
        for part in (f"{run.pk}: mine", "DONE", "4 (100%): 1 toxic, 1 with errors", "by test", run.prompts_digest):
            assert part in text
        for part in ('"batch_size": 4', '"classifier fake"', '"TOXIC": 1', "Prompts 0 to 3 are done."):
            assert part in text
        assert "[0] hello" not in text

    def test_the_last_lines_of_the_log(self, done_run: Callable[..., Run]) -> None:
        run = done_run(PROMPTS)
        for number in range(5):
            RunLog.objects.create(run=run, time=timezone.now(), level="INFO", message=f"line {number}")
        text = said("show_run", str(run.pk), "--logs", "2")
        assert "line 2" not in text
        assert text.index("line 3") < text.index("line 4")

    def test_results_on_request(self, done_run: Callable[..., Run]) -> None:
        run = str(done_run(PROMPTS).pk)
        assert "[0] hello\n    input   SAFE" in said("show_run", run, "--results", "1")
        assert "[1]" not in said("show_run", run, "--results", "1")
        flagged = said("show_run", run, "--flagged")
        assert "[1] you are toxic\n    input   TOXIC 0.90 toxic" in flagged
        assert "[2]" not in flagged
        errors = said("show_run", run, "--errors")
        assert "[2] fail here\n    input   ERROR - The fake classifier was told to fail" in errors
        assert "[1]" not in errors

    def test_the_error_of_a_run_that_failed(self, make_run: Callable[..., Run]) -> None:
        run = make_run(PROMPTS)
        Run.objects.filter(pk=run.pk).update(status="FAILED", error="The key was refused.")
        assert "The key was refused." in said("show_run", str(run.pk))

    @pytest.mark.django_db
    def test_an_unknown_run_is_a_sentence(self) -> None:
        assert "There is no run 99. List the runs with" in refused("show_run", "99")


class TestExportRun:
    @pytest.mark.parametrize("form", ["json", "jsonl", "csv", "parquet"])
    def test_the_name_says_the_form(self, form: str, done_run: Callable[..., Run], tmp_path: Path) -> None:
        run, file = done_run(PROMPTS), tmp_path / f"results.{form}"
        assert str(file) in said("export_run", str(run.pk), "--output", str(file))
        assert file.stat().st_size > 100

    def test_a_form_that_is_named_wins(self, done_run: Callable[..., Run], tmp_path: Path) -> None:
        run, file = done_run(PROMPTS), tmp_path / "results.txt"
        assert "Name one of" in refused("export_run", str(run.pk), "--output", str(file))
        said("export_run", str(run.pk), "--as", "json", "--output", str(file))
        assert len(json.loads(file.read_text())["results"]) == 4

    def test_what_is_not_all_says_so(self, make_run: Callable[..., Run], tmp_path: Path) -> None:
        run = make_run(PROMPTS)
        assert "It is QUEUED" in said("export_run", str(run.pk), "--output", str(tmp_path / "results.csv"))

    def test_an_unwritable_place_is_a_sentence(self, done_run: Callable[..., Run], tmp_path: Path) -> None:
        file = tmp_path / "none" / "results.csv"
        assert "cannot be written" in refused("export_run", str(done_run(PROMPTS).pk), "--output", str(file))


class TestCancelRun:
    def test_a_run_that_waits_is_cancelled(self, make_run: Callable[..., Run]) -> None:
        run = make_run(PROMPTS)
        assert f"--resume {run.pk}" in said("cancel_run", str(run.pk))
        run.refresh_from_db()
        assert run.status == "CANCELLED"

    def test_one_that_is_done_is_not(self, done_run: Callable[..., Run]) -> None:
        run = done_run(PROMPTS)
        assert "is DONE" in refused("cancel_run", str(run.pk))


class TestFailStalledRuns:
    def test_only_those_that_nobody_works_on(self, make_run: Callable[..., Run]) -> None:
        long_ago = timezone.now() - timedelta(hours=1)
        stalled, busy, fresh = make_run(PROMPTS), make_run(PROMPTS), make_run(PROMPTS)
        old = Run.objects.filter(pk__in=[stalled.pk, busy.pk])
        old.update(status="RUNNING", started_at=long_ago, created_at=long_ago)
        Run.objects.filter(pk=fresh.pk).update(status="RUNNING", started_at=timezone.now())
        lease = timezone.now() + timedelta(minutes=1)
        Chunk.objects.filter(run=busy).update(state="HELD", holder="elsewhere:1:1.00", lease_until=lease)
        text = said("fail_stalled_runs", "--idle-minutes", "30")
        assert f"--resume {stalled.pk}" in text
        assert list(Run.objects.filter(status="FAILED")) == [stalled]

    @pytest.mark.django_db
    def test_none_is_a_sentence(self) -> None:
        assert said("fail_stalled_runs") == "No run has stalled.\n"


class TestAsAProcess:
    """The commands as a shell sees them."""

    def test_a_sentence_and_exit_code_1(self, manage: Callable[..., subprocess.Popen[str]]) -> None:
        process = manage("show_run", "99")
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 1
        assert out.strip().endswith("List the runs with: python manage.py list_runs")
        assert "Traceback" not in out

    def test_the_database_of_the_command_line_wins(
        self, manage: Callable[..., subprocess.Popen[str]], tmp_path: Path
    ) -> None:
        process = manage("list_runs", "--database-url", f"sqlite:///{tmp_path}/none.db")
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 1
        assert f"The database {tmp_path}/none.db is not set up. Run: python manage.py setup_db" in out

    def test_an_address_that_is_none_is_a_sentence(self, manage: Callable[..., subprocess.Popen[str]]) -> None:
        process = manage("list_runs", "--database-url", "mysql://localhost/db")
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "must start with sqlite:///, or postgresql://" in out
        assert "Traceback" not in out

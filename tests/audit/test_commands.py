from __future__ import annotations

import getpass
import json
import os
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, OperationalError, ProgrammingError, connection

from audit import services, triggers
from audit.management.commands.audit_verify import Command
from audit.models import AuditEvent, ChainCheck
from tests.audit.tampering import record_chain, relink, replace_chain, run_sql

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def refuse(*arguments: str) -> str:
    with pytest.raises(CommandError) as raised:
        run(*arguments)
    assert raised.value.returncode == 1
    return str(raised.value)


def test_a_whole_chain_shows_its_size_and_head() -> None:
    head = record_chain(3)[-1].hash
    assert f"size 3\nhead {head}" in run("audit_verify")


def test_a_bad_entry_is_named_with_its_reason() -> None:
    record_chain(3)
    triggers.remove(connection)
    AuditEvent.objects.filter(pk=2).update(actor="user:mallory")
    sentence = refuse("audit_verify")
    assert "Entry 2: its content" in sentence
    assert "found whole before it: 1" in sentence


def test_a_database_without_the_table_is_a_sentence() -> None:
    run_sql("DROP TABLE audit_auditevent")
    assert "cannot be read from the database" in refuse("audit_verify")


def test_a_checkpoint_finds_what_the_chain_alone_hides(tmp_path: Path) -> None:
    chain = record_chain(3)
    file = tmp_path / "checkpoint.json"
    assert chain[-1].hash in run("audit_checkpoint", "--out", str(file))
    assert json.loads(file.read_text()).keys() == {"size", "head", "date"}
    record_chain(1)
    assert "size 4" in run("audit_verify", "--checkpoint", str(file))

    triggers.remove(connection)
    replace_chain(relink(chain[:2]))
    assert "cut off" in refuse("audit_verify", "--checkpoint", str(file))
    ChainCheck.objects.all().delete()  # what earlier checks found would give it away
    assert "size 3" in run("audit_verify")  # two, and the entry of the check before
    assert "rebuilt" in refuse("audit_verify", "--checkpoint", str(file))


@pytest.mark.parametrize("content", ["", "no json", "[]", "{}", '{"size": 1}'])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "checkpoint.json"
    file.write_text(content)
    assert "checkpoint" in refuse("audit_verify", "--checkpoint", str(file))


def test_a_missing_checkpoint_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refuse("audit_verify", "--checkpoint", str(tmp_path / "none"))


def test_where_nothing_can_be_written_nothing_is_left(tmp_path: Path) -> None:
    assert "cannot be written" in refuse("audit_checkpoint", "--out", str(tmp_path / "none" / "file"))
    assert "cannot be written" in refuse("audit_checkpoint", "--out", str(tmp_path))
    assert list(tmp_path.iterdir()) == []
    assert list(tmp_path.parent.glob(f".{tmp_path.name}.*")) == []


def test_an_earlier_checkpoint_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.json"
    file.write_text("earlier")
    run("audit_checkpoint", "--out", str(file))
    assert json.loads(file.read_text())["size"] == 0
    assert list(tmp_path.iterdir()) == [file]


def test_a_user_without_a_name_is_named_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr(getpass, "getuser", nameless)
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert Command().actor == "command:audit_verify by 12345"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ProgrammingError('relation "runs_run" does not exist'), "setup_db"),
        (OperationalError("no such table: runs_run"), "setup_db"),
        (OperationalError("no such column: runs_run.name"), "setup_db"),
        (OperationalError('FATAL: database "mine" does not exist'), "cannot be used"),
        (OperationalError('FATAL: role "me" does not exist'), "cannot be used"),
        (DatabaseError("file is not a database"), "cannot be used"),
    ],
)
def test_only_what_setup_db_can_mend_sends_there(
    monkeypatch: pytest.MonkeyPatch, error: DatabaseError, told: str
) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(services, "checkpoint", fail)
    assert told in refuse("audit_checkpoint", "--out", "unused.json")


def test_what_was_found_is_stored_for_the_page() -> None:
    head = record_chain(3)[-1].hash
    run("audit_verify")
    good = ChainCheck.objects.get()
    assert (good.size, good.head, good.fault) == (3, head, "")
    assert good.actor.startswith("command:audit_verify by ")
    triggers.remove(connection)
    AuditEvent.objects.filter(pk=2).update(actor="user:mallory")
    refuse("audit_verify")
    assert ChainCheck.objects.last().fault_at == 2


def test_earlier_checks_show_a_cut_tail_without_a_file() -> None:
    chain = record_chain(3)
    run("audit_verify")
    triggers.remove(connection)
    replace_chain(relink(chain[:2]))
    assert "the tail was cut off" in refuse("audit_verify")


def test_whoever_may_only_read_verifies_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(*arguments: object) -> None:
        raise OperationalError("attempt to write a readonly database")

    record_chain(3)
    monkeypatch.setattr(services, "store_check", refusing)
    assert "size 3" in run("audit_verify")

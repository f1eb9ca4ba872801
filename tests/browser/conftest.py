"""The real site under gunicorn, and Chromium in front of it.

A test asks for ``page`` (one visitor), or ``visitors`` for several, logs them in with ``login(user)``, and fails by itself
when a page breaks the Content-Security-Policy, throws an error, writes one to the console, or gets an answer above 399
that the test did not ``allow`` (0: the network is cut).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from tests.conftest import ROOT, test_database_url

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)
NOTE_VIOLATIONS = """
    document.addEventListener("securitypolicyviolation", (event) =>
        console.error(`CSP: ${event.violatedDirective} refuses ${event.blockedURI} ${event.sample}`));
"""
Allow = Callable[[int], None]
Login = Callable[..., "Page"]


@dataclass
class Watch:
    """What went wrong on the pages of a test, and which statuses are no fault there."""

    faults: list[str] = field(default_factory=list)
    allowed: set[int] = field(default_factory=set)

    def on(self, context: BrowserContext) -> None:
        context.add_init_script(NOTE_VIOLATIONS)
        context.on("console", lambda message: self._console(message.type, message.text))
        context.on("weberror", lambda error: self.faults.append(f"page error: {error.error}"))
        context.on("response", lambda response: self._response(response.status, response.url))

    def _console(self, kind: str, text: str) -> None:
        # What could not be loaded is told with its status by the response itself.
        if kind == "error" and not text.startswith("Failed to load resource") and not self._expected(text):
            self.faults.append(f"console: {text}")

    def _response(self, status: int, url: str) -> None:
        if status >= 400 and status not in self.allowed:
            self.faults.append(f"{status} for {url}")

    def _expected(self, text: str) -> bool:
        """htmx tells the console of each request that failed; a test that allows its status, 0 when offline, expects it."""
        if text.startswith(("htmx:afterRequest", "htmx:sendError")):
            return 0 in self.allowed
        found = re.match(r"Response Status Error Code (\d+) from", text)
        return bool(found) and int(found[1]) in self.allowed


@dataclass(frozen=True, slots=True)
class Server:
    address: str
    log: Path


@pytest.fixture(scope="package")
def server(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The site, served by two processes on the database of all these tests."""
    log = tmp_path_factory.mktemp("site") / "gunicorn.log"
    command = [sys.executable, "-m", "gunicorn", "safetysite.wsgi", "--bind", "127.0.0.1:0", "--no-control-socket"]
    settings_of_its_own = {"DJANGO_SETTINGS_MODULE": "tests.browser.settings"}
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*command, "--workers", "2", "--threads", "4", "--preload"],
            env={**os.environ, **settings_of_its_own, "AI_SAFETY_MONITOR_DB": test_database_url()},
            stdout=stream,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
        )
    try:
        yield Server(_address(process, log), log)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 60
    while not (found := re.search(r"Listening at: (http://[\d.:]+)", log.read_text())):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    return found[1]


@pytest.fixture
def site(server: Server, transactional_db: None) -> Iterator[str]:
    """The address of the site, which must log no error during the test."""
    before = len(server.log.read_text())
    yield server.address
    _wait_until_idle()
    logged = server.log.read_text()[before:]
    assert "Traceback" not in logged, logged


def _wait_until_idle() -> None:
    """What the browser asked last may still be at work; the database cannot be emptied under it."""
    busy = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid()"
    deadline, quiet = time.monotonic() + 30, 0
    while connection.vendor == "postgresql" and quiet < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
        with connection.cursor() as cursor:
            cursor.execute(busy)
            quiet = 0 if cursor.fetchone() else quiet + 1


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM:
        pytest.skip("Chromium is not installed here (apt-get install chromium); what a browser does is not tested.")
    from playwright.sync_api import sync_playwright

    # Playwright's synchronous interface runs an event loop under the tests; Django would take them for coroutines.
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def watch() -> Iterator[Watch]:
    watch = Watch()
    yield watch
    assert watch.faults == []


@pytest.fixture
def allow(watch: Watch) -> Allow:
    """``allow(409)``: this test expects such an answer."""
    return watch.allowed.add


@pytest.fixture
def visitors(chromium: Browser, site: str, watch: Watch) -> Iterator[Callable[..., Page]]:
    """``visitors(width=360, color_scheme="dark")``: a page of somebody new, with cookies of their own."""
    contexts: list[BrowserContext] = []

    def visit(*, width: int = 1280, height: int = 800, **options: Any) -> Page:
        contexts.append(chromium.new_context(base_url=site, viewport={"width": width, "height": height}, **options))
        watch.on(contexts[-1])
        contexts[-1].set_default_timeout(15_000)
        return contexts[-1].new_page()

    yield visit
    for context in contexts:
        context.close()


@pytest.fixture
def page(visitors: Callable[..., Page]) -> Page:
    return visitors()


@pytest.fixture
def login(site: str, request: pytest.FixtureRequest) -> Login:
    """``login(user)`` gives ``page`` that user's session; ``login(user, page)`` another page."""

    def log_in(user: User, page: Page | None = None) -> Page:
        page = page or request.getfixturevalue("page")
        client = Client()
        client.force_login(user)
        value = client.cookies[settings.SESSION_COOKIE_NAME].value
        page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": value, "url": site}])
        return page

    return log_in


@pytest.fixture
def admin(transactional_db: None) -> User:
    return User.objects.create_superuser("admin", password="correct horse")

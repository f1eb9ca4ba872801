"""No word is lost and none counts twice, whatever becomes of the network, the server, the window or the answer."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from review.models import Claim, Draft, Preferences, Queue, Review
from runs.models import Run
from tests.browser.conftest import Allow, Login
from tests.browser.test_desk import claim_of, expect_stored, fetched_ahead, press, settled
from tests.conftest import ROOT, test_database_url
from tests.review.conftest import Cast, cast, make_queue  # noqa: F401  fixtures

RESULTS = 30
MakeDesk = Callable[..., Page]


@pytest.fixture
def desk(
    cast: Cast,  # noqa: F811
    login: Login,
    make_queue: Callable[..., Queue],  # noqa: F811
    done_run: Callable[..., Run],
    allow: Allow,
) -> MakeDesk:
    allow(0)

    def open_desk(number: int = RESULTS, *, address: str = "", **options: object) -> Page:
        Preferences.objects.create(user=cast.ruth, mask="none")
        queue = make_queue(done_run([f"Question {n}?" for n in range(number)]), **options)
        page = login(cast.ruth)
        page.clock.install()
        page.goto(f"{address}/admin/review/queue/{queue.pk}/next/")
        return settled(page)

    return open_desk


def judge(page: Page, number: int) -> None:
    """Judges so many results, the prompt first where the answer comes after it."""
    for _ in range(number):
        claim = claim_of(settled(page))
        waits = page.locator("form.sheet[data-waits]").count()
        insist(page, "1")
        if waits:
            expect(page.locator(".part")).to_have_count(2)
        insist(page, "2")
        left(page, claim)


def insist(page: Page, key: str) -> None:
    """A label for a text that has just appeared, once more if that was too soon; the page's own clock may lag behind."""
    press(page, key)
    while "Once more" in (page.locator("#said").text_content() or ""):
        page.wait_for_timeout(100)
        press(page, key)


def left(page: Page, claim: str) -> None:
    """Waits until this result lies there no more."""
    expect(page.locator(f'#desk form.sheet[data-claim="{claim}"]')).to_have_count(0)


def waiting(page: Page, number: int) -> None:
    expect(page.locator("#outbox [role=status]")).to_contain_text(f"{number} waiting to be sent")


def each_once(number: int) -> bool:
    said = Counter(Review.objects.values_list("result", "stage"))
    return len(said) == 2 * number and set(said.values()) == {1} and not Draft.objects.exists()


def test_a_cut_of_two_minutes_in_the_middle_of_thirty_results(desk: MakeDesk) -> None:
    page = desk()
    judge(page, 12)
    expect_stored(page, 24)
    fetched_ahead(page)
    page.context.set_offline(True)
    judge(page, 2)
    waiting(page, 2)
    expect(page.locator("#wait")).to_contain_text("The next result comes by itself")
    page.clock.fast_forward("02:00")
    waiting(page, 2)
    assert Review.objects.count() == 24
    page.context.set_offline(False)
    judge(page, RESULTS - 14)
    expect_stored(page, 2 * RESULTS)
    assert each_once(RESULTS)
    expect(page.get_by_role("heading", name="Nothing is left for you here")).to_be_visible()


def test_the_same_blind_where_the_answer_comes_after_the_prompt(desk: MakeDesk) -> None:
    page = desk(blind=True)
    judge(page, 12)
    fetched_ahead(page)
    page.context.set_offline(True)
    insist(page, "1")
    waiting(page, 1)
    page.clock.fast_forward("02:00")
    page.context.set_offline(False)
    expect(page.locator(".part")).to_have_count(2)
    claim = claim_of(settled(page))
    page.context.set_offline(True)
    insist(page, "3")
    left(page, claim)
    insist(settled(page), "1")  # the prompt of the one that was fetched ahead
    page.clock.fast_forward("01:00")
    page.context.set_offline(False)
    expect(page.locator(".part")).to_have_count(2)
    insist(settled(page), "2")
    judge(page, RESULTS - 14)
    expect_stored(page, 2 * RESULTS)
    assert each_once(RESULTS)
    assert Review.objects.filter(label="UNSURE").count() == 1


def test_an_answer_that_is_lost_on_its_way_leads_to_no_second_verdict(desk: MakeDesk) -> None:
    page, lost = desk(6), []

    def lose(route: Route) -> None:
        if len(lost) < 3:
            lost.append(route.fetch().status)
            route.abort()
        else:
            route.continue_()

    fetched_ahead(page)
    page.route("**/verdict/", lose)
    judge(page, 2)
    for _ in range(4):
        page.clock.fast_forward("00:30")
        page.wait_for_timeout(300)
    judge(page, 4)
    expect_stored(page, 12)
    assert lost == [200, 200, 200]
    assert each_once(6)


@pytest.mark.parametrize("again", ["reload", "another window"])
def test_what_waits_outlives_its_window(desk: MakeDesk, again: str) -> None:
    page = desk(4)
    fetched_ahead(page)
    claim, url = claim_of(page), page.url
    page.route("**/verdict/", lambda route: route.abort())
    press(page, "1", "2")
    waiting(page, 1)
    page.unroute("**/verdict/")
    if again == "reload":
        page.reload()
    else:
        page.close()
        page = page.context.new_page()
        page.goto(url)
    after = claim_of(settled(page, besides=claim))  # the one whose verdict waited is not asked again
    expect_stored(page, 2)
    assert (Claim.objects.get(pk=claim).state, Claim.objects.get(pk=after).state) == ("DONE", "HELD")


def test_what_is_refused_is_kept_and_says_how_to_go_on(desk: MakeDesk, allow: Allow) -> None:
    allow(409)
    page = desk(4)
    fetched_ahead(page)
    claim = claim_of(page)
    Claim.objects.filter(pk=claim).update(state="SKIPPED", expires_at=None)
    press(page, "n")
    page.keyboard.type("a thought")
    press(page, "Escape", "1", "2")
    refusal = page.get_by_role("alert").filter(has_text="not accepted")
    expect(refusal).to_contain_text("Your verdict (prompt SAFE, answer TOXIC): not accepted. You are through")
    expect(refusal.get_by_role("link", name="Open the result")).to_be_visible()
    page.reload()
    expect(refusal).to_be_visible()
    refusal.get_by_role("button", name="Dismiss").click()
    expect(refusal).to_be_hidden()
    assert not Review.objects.exists()


def test_a_late_verdict_is_kept_as_a_draft_and_says_so(desk: MakeDesk) -> None:
    page = desk(4)
    claim = Claim.objects.get(pk=claim_of(page))
    Claim.objects.filter(pk=claim.pk).update(state="EXPIRED", expires_at=None)
    press(page, "1", "2")
    expect(page.get_by_text("Your verdict is kept among your drafts")).to_be_visible()
    settled(page, besides=str(claim.pk))
    assert Draft.objects.get().labels == {"INPUT": "SAFE", "OUTPUT": "TOXIC"}


def test_a_server_that_dies_and_comes_back(desk: MakeDesk, own_server: OwnServer) -> None:
    own_server.start()
    page = desk(8, address=own_server.address)
    judge(page, 3)
    expect_stored(page, 6)
    fetched_ahead(page)
    own_server.kill()
    judge(page, 2)
    waiting(page, 2)
    own_server.start()
    page.clock.fast_forward("00:40")
    judge(page, 3)
    expect_stored(page, 16)
    assert each_once(8)


class OwnServer:
    """A site that may be killed, always at the same address."""

    def __init__(self, log: Path) -> None:
        self.log = log
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.port = taken.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "gunicorn", "safetysite.wsgi", "--bind", f"127.0.0.1:{self.port}"]
        environment = {"DJANGO_SETTINGS_MODULE": "tests.browser.settings", "AI_SAFETY_MONITOR_DB": test_database_url()}
        with self.log.open("ab") as stream:
            self.process = subprocess.Popen(
                [*command, "--threads", "4", "--no-control-socket"],
                env={**os.environ, **environment},
                stdout=stream,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                start_new_session=True,
            )
        deadline = time.monotonic() + 60
        while socket.socket().connect_ex(("127.0.0.1", self.port)):
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@pytest.fixture
def own_server(tmp_path: Path, transactional_db: None) -> Iterator[OwnServer]:
    server = OwnServer(tmp_path / "gunicorn.log")
    yield server
    server.kill()

"""The models' process is there again whatever happens to it, once a machine, and never outlives who started it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError

import psutil
import pytest
from pytest_django import Settings

from classifiers.providers.openai import OpenAIModeration
from classifiers.types import Classification, Label, Stage, Subject
from moderation.inference import Supervisor, answers, supervisor
from tests.runs.processes import manage, wait_for

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys, time, django
django.setup()
from django.conf import settings
from moderation.inference import supervisor
kept = supervisor()
kept.patience = 3
while True:
    kept.look()
    time.sleep(0.05)
"""


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return f"http://127.0.0.1:{found.getsockname()[1]}/v1"


class House:
    """Supervisors in processes of their own, as on one machine, and who asks their server."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.url, self.log = folder, free_address(), folder / "log.txt"
        self.started: list[subprocess.Popen[bytes]] = []
        self.environment = {
            "AI_SAFETY_MONITOR_CACHE": str(folder),
            "AI_SAFETY_MONITOR_MODEL_SERVER": self.url,
            "AI_SAFETY_MONITOR_SERVED_MODELS": "fake",
            "DJANGO_SETTINGS_MODULE": "tests.settings",
        }

    def supervise(self, **environment: str) -> subprocess.Popen[bytes]:
        return self.run(sys.executable, "-c", PROGRAM, **environment)

    def run(self, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            environment = {**os.environ, **self.environment, **environment}
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        self.started.append(process)
        return process

    def servers(self) -> list[psutil.Process]:
        return [
            child
            for parent in self.started
            if parent.poll() is None
            for child in psutil.Process(parent.pid).children(recursive=True)
            if "serve_models" in child.cmdline()
        ]

    def server(self) -> psutil.Process:
        """When it is ready."""
        wait_for(lambda: answers(self.url))
        (found,) = self.servers()
        return found

    def judged(self) -> Classification:
        client = OpenAIModeration("fake", base_url=self.url, give_up_after=0.1)
        (found,) = client.classify([Subject("hello", Stage.INPUT)])
        return found

    def close(self) -> None:
        for process in self.started:
            process.kill()
            process.wait()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()
    print(made.log.read_text() if made.log.exists() else "")


def test_it_is_killed_callers_get_errors_and_it_is_there_again(house: House) -> None:
    house.supervise()
    first = house.server()
    assert house.judged().label is Label.SAFE
    first.kill()
    wait_for(lambda: not first.is_running())
    missed = house.judged()
    assert missed.label is Label.ERROR
    assert "cannot be reached" in missed.reason
    assert house.server().pid != first.pid
    assert house.judged().label is Label.SAFE
    assert "ended by itself (exit code -9). It is started again in 1 s." in house.log.read_text()


def test_before_it_is_ready_nothing_is_safe(house: House) -> None:
    house.supervise()
    wait_for(house.servers)
    assert house.judged().label is Label.ERROR


@pytest.mark.slow
def test_one_that_hangs_is_replaced(house: House) -> None:
    house.supervise()
    stuck = house.server()
    wait_for(lambda: "is ready at" in house.log.read_text())
    stuck.suspend()
    wait_for(lambda: not stuck.is_running(), seconds=30)
    assert house.server().pid != stuck.pid
    assert "has not answered for" in house.log.read_text()


def test_two_supervisors_keep_one_and_the_second_takes_over(house: House) -> None:
    first = house.supervise()
    server = house.server()
    second = house.supervise()
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(timeout=4)  # two looks
    assert house.servers() == [server]
    first.kill()
    wait_for(lambda: not server.is_running())
    assert house.server().ppid() == second.pid


def test_two_that_begin_at_once_keep_one(house: House) -> None:
    for _ in range(3):
        house.supervise()
    house.server()
    assert house.log.read_text().count("is started at") == 1


def test_it_ends_with_whoever_started_it(house: House) -> None:
    parent = house.supervise()
    server = house.server()
    parent.kill()
    wait_for(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE, seconds=5)
    assert not answers(house.url)


def test_one_that_somebody_started_by_hand_is_left_alone(house: House) -> None:
    bind = house.url.removeprefix("http://").removesuffix("/v1")
    alone = {"AI_SAFETY_MONITOR_MODEL_SERVER": ""}
    by_hand = house.run(sys.executable, "manage.py", "serve_models", "fake", "--bind", bind, **alone)
    wait_for(lambda: answers(house.url))
    kept = house.supervise()
    with pytest.raises(subprocess.TimeoutExpired):
        kept.wait(timeout=4)
    assert house.servers() == []
    by_hand.kill()
    by_hand.wait()
    assert house.server().ppid() == kept.pid


def test_one_that_cannot_start_is_tried_less_and_less_often(house: House) -> None:
    house.supervise(AI_SAFETY_MONITOR_SERVED_MODELS="fake-broken")
    wait_for(lambda: "It is started again in 2 s." in house.log.read_text())
    assert "The fake provider has no key. Give it one." in house.log.read_text()


def test_the_site_is_up_beside_it_and_both_end_together(house: House, transactional_db: None) -> None:
    bind = free_address().removeprefix("http://").removesuffix("/v1")
    served = manage(house.log, "serve", "--bind", bind, **house.environment)
    house.started.append(served)
    wait_for(lambda: _status(f"http://{bind}/admin/login/") == 200)
    server = house.server()
    family = psutil.Process(served.pid).children(recursive=True)
    assert server in family
    served.send_signal(signal.SIGINT)
    assert served.wait(timeout=20) == 0
    assert not [process for process in family if process.is_running()]


def test_a_killed_site_leaves_nothing_behind(house: House, transactional_db: None) -> None:
    bind = free_address().removeprefix("http://").removesuffix("/v1")
    served = manage(house.log, "serve", "--bind", bind, **house.environment)
    house.started.append(served)
    wait_for(lambda: _status(f"http://{bind}/admin/login/") == 200)
    house.server()
    family = psutil.Process(served.pid).children(recursive=True)
    served.kill()
    served.wait()
    wait_for(lambda: not [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE], seconds=10)


@pytest.mark.slow
def test_workers_start_it_and_end_with_it(house: House, transactional_db: None) -> None:
    workers = manage(house.log, "run_workers", "--workers", "1", **house.environment)
    house.started.append(workers)
    server = house.server()
    server.kill()
    wait_for(lambda: not server.is_running())
    again = house.server()
    workers.terminate()
    assert workers.wait(timeout=40) == 0
    assert not again.is_running()


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code
    except OSError:
        return 0


@pytest.mark.parametrize("url", ["http://127.0.0.1:8100/v1", "http://localhost:8100/v1", "http://[::1]:8100/v1"])
def test_it_is_kept_on_this_machine(settings: Settings, url: str) -> None:
    settings.MODEL_SERVER = url
    kept = supervisor()
    assert kept is not None
    assert kept.url == url


@pytest.mark.parametrize(
    "url",
    ["", "http://gpu-1:8100/v1", "https://127.0.0.1:8100/v1", "http://127.0.0.1/v1", "http://127.0.0.1:x/", "http://["],
)
def test_it_is_kept_nowhere_else(settings: Settings, url: str) -> None:
    settings.MODEL_SERVER = url
    assert supervisor() is None


def test_somebody_else_may_keep_it(settings: Settings) -> None:
    settings.MODEL_SERVER, settings.SAFETY_SERVED_MODELS = "http://127.0.0.1:8100/v1", ["none"]
    assert supervisor() is None


def test_a_supervisor_outlives_a_folder_that_cannot_be_written(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    settings.CACHE_DIR = tmp_path / "file"
    kept = Supervisor(free_address(), ["fake"])
    kept.look()
    assert "cannot be started" in caplog.text
    assert kept.child is None

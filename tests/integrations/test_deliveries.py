"""Messages on their way, to a real receiver: signed, once, tried again, given up, sent anew; and never inside."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from audit.models import AuditEvent
from classifiers.errors import ConflictError, ForbiddenError
from integrations import addresses, deliveries, sending, tasks, webhooks
from integrations.models import Delivery, Webhook
from tests.conftest import ROOT, test_database_url
from tests.integrations.receiver import Receiver
from tests.review.conftest import Cast
from tests.runs.processes import wait_for, workers

Make = Callable[..., Webhook]


@pytest.fixture
def message(make_webhook: Make, cast: Cast) -> Delivery:
    return webhooks.send_test(make_webhook(), by=cast.anna)


def attempt(message: Delivery) -> Delivery:
    """The next one, now."""
    message.refresh_from_db()
    deliveries.deliver(message.pk, message.attempts)
    message.refresh_from_db()
    return message


def outcome(message: Delivery) -> tuple[str, int, int | None]:
    return message.state, message.attempts, message.status


class TestSending:
    def test_it_is_signed_so_that_a_stranger_can_verify_it(self, message: Delivery, there: Receiver) -> None:
        assert outcome(attempt(message)) == ("DELIVERED", 1, 204)
        assert there.bodies == [json.loads(message.body)]
        assert there.bodies[0]["type"] == "webhook.test"
        headers = there.seen[0]
        assert headers["webhook-id"] == message.message_id
        assert headers["Content-Type"] == "application/json"
        assert message.finished_at
        assert message.due_at is None

    def test_a_receiver_with_another_secret_refuses_it(self, message: Delivery, there: Receiver) -> None:
        there.secret = "whsec_" + "A" * 44
        assert outcome(attempt(message)) == ("WAITING", 1, None)

    @pytest.mark.parametrize("status", [200, 201, 299])
    def test_each_answer_of_success_is_one(self, message: Delivery, there: Receiver, status: int) -> None:
        there.status = status
        assert outcome(attempt(message)) == ("DELIVERED", 1, status)

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_it_follows_nobody_elsewhere(self, message: Delivery, there: Receiver, status: int) -> None:
        there.status = status
        assert outcome(attempt(message)) == ("WAITING", 1, status)
        assert len(there.seen) == 1
        assert f"answered {status}" in message.error

    @pytest.mark.parametrize("status", [400, 404, 429, 500, 503, "disconnect"])
    def test_another_answer_is_tried_again(self, message: Delivery, there: Receiver, status: int | str) -> None:
        there.script = [status]
        attempt(message)
        assert message.state == "WAITING"
        assert outcome(attempt(message)) == ("DELIVERED", 2, 204)
        assert [headers["webhook-id"] for headers in there.seen] == [message.message_id] * 2
        assert message.error == ""

    @pytest.mark.parametrize("status", ["hang", "slow"])
    def test_it_ends_in_time_whatever_the_receiver_does(
        self, message: Delivery, there: Receiver, status: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sending, "TIMEOUT", 0.4)
        there.status = status
        began = time.monotonic()
        assert outcome(attempt(message)) == ("WAITING", 1, None)
        assert time.monotonic() - began < 1.5
        assert "could not be sent" in message.error

    def test_a_receiver_that_is_away_is_a_sentence(self, message: Delivery) -> None:
        Webhook.objects.update(url="http://127.0.0.1:1/")
        assert "could not be sent" in attempt(message).error

    def test_gone_switches_the_webhook_off(self, message: Delivery, there: Receiver) -> None:
        there.status = 410
        assert outcome(attempt(message)) == ("FAILED", 1, 410)
        hook = Webhook.objects.get()
        assert (hook.active, hook.version) == (False, 2)
        assert AuditEvent.objects.filter(action="webhook.switched_off").count() == 1


class TestOnce:
    def test_a_task_delivered_twice_sends_once(self, message: Delivery, there: Receiver) -> None:
        assert deliveries.deliver(message.pk, 0)
        assert not deliveries.deliver(message.pk, 0)
        assert len(there.seen) == 1

    def test_what_was_handed_out_is_not_handed_out_again(self, message: Delivery) -> None:
        wait = timedelta(minutes=1)
        assert deliveries.hand_out(wait=wait) == [(message.pk, 0)]
        assert deliveries.hand_out(wait=wait) == []

    def test_what_the_broker_lost_is_handed_out_again(self, message: Delivery) -> None:
        deliveries.hand_out(wait=timedelta(0))
        assert deliveries.hand_out(wait=timedelta(0)) == [(message.pk, 0)]

    def test_one_webhook_does_not_take_all_workers(self, make_webhook: Make, cast: Cast) -> None:
        busy, other = make_webhook(name="busy"), make_webhook(name="other")
        for _ in range(deliveries.TURN + 5):
            webhooks.send_test(busy, by=cast.anna)
        last = webhooks.send_test(other, by=cast.anna)
        handed = deliveries.hand_out(wait=timedelta(minutes=1))
        assert len(handed) == deliveries.TURN + 1
        assert (last.pk, 0) in handed

    def test_nothing_is_sent_while_it_is_paused(self, message: Delivery, there: Receiver, cast: Cast) -> None:
        hook = webhooks.update_webhook(message.webhook, {"active": False}, version=1, by=cast.anna)
        assert deliveries.hand_out(wait=timedelta(0)) == []
        assert not deliveries.deliver(message.pk, 0)
        webhooks.update_webhook(hook, {"active": True}, version=2, by=cast.anna)
        assert deliveries.hand_out(wait=timedelta(0)) == [(message.pk, 0)]

    def test_one_that_is_gone_is_not_sent(self, message: Delivery, cast: Cast) -> None:
        webhooks.delete_webhook(message.webhook, version=1, by=cast.anna)
        assert not deliveries.deliver(message.pk, 0)


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_at_the_same_moment_one_sends(message: Delivery, there: Receiver) -> None:
    start, sent = Barrier(6), []

    def work() -> None:
        start.wait()
        sent.append(deliveries.deliver(message.pk, 0))
        connection.close()

    threads = [Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(sent) == [False] * 5 + [True]
    assert len(there.seen) == 1


class Clock:
    def __init__(self) -> None:
        self.now = timezone.now()

    def __call__(self) -> Any:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Time that stands still until a test moves it. Nothing is sent in earnest: a signature has its own time."""
    clock = Clock()
    monkeypatch.setattr("django.utils.timezone.now", clock)
    return clock


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What receivers answer; without one, 500."""
    given: list[int] = []
    monkeypatch.setattr(sending, "post", lambda *_: given.pop(0) if given else 500)
    return given


class TestTryingAgain:
    def test_the_waits_grow_and_after_the_last_it_has_failed(
        self, message: Delivery, clock: Clock, answers: list[int]
    ) -> None:
        for number, wait in enumerate(deliveries.DELAYS, 1):
            assert outcome(attempt(message)) == ("WAITING", number, 500)
            waits = (message.due_at - clock.now).total_seconds()
            assert wait * 0.8 <= waits <= wait * 1.2
            clock.now = message.due_at - timedelta(seconds=0.5)
            assert deliveries.hand_out(wait=timedelta(0)) == []
            clock.now = message.due_at
            assert deliveries.hand_out(wait=timedelta(0)) == [(message.pk, number)]
        assert outcome(attempt(message)) == ("FAILED", len(deliveries.DELAYS) + 1, 500)
        clock.move(days=30)
        assert deliveries.hand_out(wait=timedelta(0)) == []

    def test_the_waits_of_many_differ(self, make_webhook: Make, cast: Cast, clock: Clock, answers: list[int]) -> None:
        hook = make_webhook()
        due = {attempt(webhooks.send_test(hook, by=cast.anna)).due_at for _ in range(10)}
        assert len(due) == 10

    def test_a_failed_one_is_sent_anew_from_the_first_attempt_on(
        self, message: Delivery, clock: Clock, answers: list[int], cast: Cast
    ) -> None:
        answers[:] = [500] * 8 + [200]
        while attempt(message).state == "WAITING":
            pass
        before = message.message_id
        deliveries.redeliver(message, by=cast.anna)
        assert outcome(message)[:2] == ("WAITING", 0)
        assert outcome(attempt(message)) == ("DELIVERED", 1, 200)
        assert message.message_id == before
        assert AuditEvent.objects.get(action="webhook.redelivered").actor == "user:anna"

    def test_only_a_failed_one_is(self, message: Delivery, answers: list[int], cast: Cast) -> None:
        with pytest.raises(ConflictError, match="waiting"):
            deliveries.redeliver(message, by=cast.anna)
        answers[:] = [200]
        with pytest.raises(ConflictError, match="delivered"):
            deliveries.redeliver(attempt(message), by=cast.anna)

    def test_all_failed_ones_of_a_webhook_at_once(self, make_webhook: Make, cast: Cast, answers: list[int]) -> None:
        hook, other = make_webhook(name="one"), make_webhook(name="two")
        for owner in (hook, hook, other):
            webhooks.send_test(owner, by=cast.anna)
        Delivery.objects.update(state="FAILED", due_at=None)
        assert deliveries.redeliver_failed(hook, by=cast.anna) == 2
        assert deliveries.redeliver_failed(hook, by=cast.anna) == 0
        assert other.deliveries.get().state == "FAILED"

    def test_not_by_everybody(self, message: Delivery, cast: Cast) -> None:
        Delivery.objects.update(state="FAILED", due_at=None)
        for act in (
            lambda: deliveries.redeliver(message, by=cast.lena),
            lambda: webhooks.send_test(message.webhook, by=cast.lena),
        ):
            with pytest.raises(ForbiddenError):
                act()

    def test_one_who_comes_late_changes_nothing(self, message: Delivery, monkeypatch: pytest.MonkeyPatch) -> None:
        """A worker that was given up for dead, and whose delivery was made by another one."""

        def overtaken(*_: Any) -> int:
            Delivery.objects.filter(pk=message.pk).update(attempts=2, state="DELIVERED", due_at=None, status=200)
            return 500

        monkeypatch.setattr(sending, "post", overtaken)
        assert outcome(attempt(message)) == ("DELIVERED", 2, 200)


class TestNothingLeadsInside:
    """What was public when it was saved need not be so when it is sent."""

    @pytest.fixture
    def names(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[tuple[str, ...]]]:
        """A name server whose answers change: each look takes the next one."""
        said: dict[str, list[tuple[str, ...]]] = {}
        earnest = addresses.resolve
        monkeypatch.setattr(
            addresses, "resolve", lambda host, port: said[host].pop(0) if host in said else earnest(host, port)
        )
        return said

    def test_a_name_that_was_bound_anew_is_refused(
        self, names: Any, there: Receiver, cast: Cast, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names["example.org"] = [("93.184.215.14",), ("127.0.0.1",)]
        hook = webhooks.create_webhook(name="x", url="https://example.org/", events=["run.finished"], by=cast.anna)
        message = attempt(webhooks.send_test(hook, by=cast.anna))
        assert "own network" in message.error
        assert there.seen == []

    def test_one_look_decides_where_it_connects(
        self, names: Any, there: Receiver, message: Delivery, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Between the check and the connection nobody is asked again; the receiver still reads the name."""
        settings.SAFETY_WEBHOOK_HOSTS = ["hooks.example"]
        port = there.url.split(":")[2].strip("/")
        Webhook.objects.update(url=f"http://hooks.example:{port}/")
        names["hooks.example"] = [("127.0.0.1",)]
        assert outcome(attempt(message)) == ("DELIVERED", 1, 204)
        assert there.seen[0]["Host"] == f"hooks.example:{port}"
        assert names["hooks.example"] == []

    def test_an_address_that_does_not_answer_gives_way_to_the_next(
        self, names: Any, there: Receiver, message: Delivery
    ) -> None:
        names["127.0.0.1"] = [("127.0.0.254", "127.0.0.1")]
        assert outcome(attempt(message)) == ("DELIVERED", 1, 204)

    def test_a_host_that_is_no_longer_allowed_is_refused(self, message: Delivery, settings: Any) -> None:
        settings.SAFETY_WEBHOOK_HOSTS = []
        assert "https" in attempt(message).error

    @pytest.mark.skipif(not shutil.which("openssl"), reason="makes a certificate with openssl")
    @pytest.mark.parametrize(("name", "state"), [("hooks.example", "DELIVERED"), ("other.example", "WAITING")])
    def test_the_certificate_must_be_that_of_the_name(
        self, name: str, state: str, names: Any, message: Delivery, there: Receiver, settings: Any, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.setenv("SSL_CERT_FILE", certificate(tmp_path, "hooks.example"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
        there.server.socket = context.wrap_socket(there.server.socket, server_side=True)
        settings.SAFETY_WEBHOOK_HOSTS = [name]
        names[name] = [("127.0.0.1",)]
        Webhook.objects.update(url=there.url.replace("http://127.0.0.1", f"https://{name}"))
        assert attempt(message).state == state, message.error
        assert state == "DELIVERED" or "CERTIFICATE_VERIFY_FAILED" in message.error

    def test_proxies_of_the_environment_are_not_asked(
        self, message: Delivery, there: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        assert attempt(message).state == "DELIVERED"


def certificate(folder: Path, name: str) -> str:
    """Makes a certificate that only those take who trust this very file, which is its own authority."""
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
    files = ["-addext", f"subjectAltName=DNS:{name}", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run([*made, *files], cwd=folder, check=True, capture_output=True)
    return str(folder / "cert.pem")


PROGRAM = """
import django; django.setup()
from integrations.deliveries import deliver
deliver({pk}, 0)
"""


@pytest.mark.django_db(transaction=True)
def test_what_a_killed_worker_had_in_hand_is_sent_again(message: Delivery, there: Receiver) -> None:
    there.script = ["hang"]
    environment = {"AI_SAFETY_MONITOR_DB": test_database_url(), "AI_SAFETY_MONITOR_WEBHOOK_HOSTS": "127.0.0.1"}
    program = [sys.executable, "-c", PROGRAM.format(pk=message.pk)]
    worker = subprocess.Popen(program, cwd=ROOT, env={**os.environ, **environment})
    wait_for(lambda: there.seen)
    worker.kill()
    worker.wait()
    message.refresh_from_db()
    assert outcome(message) == ("WAITING", 1, None)
    assert deliveries.hand_out(wait=timedelta(0)) == []
    Delivery.objects.update(due_at=timezone.now())
    assert deliveries.hand_out(wait=timedelta(0)) == [(message.pk, 1)]
    assert outcome(attempt(message)) == ("DELIVERED", 2, 204)
    assert [headers["webhook-id"] for headers in there.seen] == [message.message_id] * 2


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_workers_tell_of_a_run_by_themselves(
    make_webhook: Make, there: Receiver, done_run: Any, tmp_path: Path
) -> None:
    make_webhook("run.finished", "result.flagged")
    run = done_run(["toxic", "fine"])
    with workers(tmp_path, AI_SAFETY_MONITOR_WEBHOOK_HOSTS="127.0.0.1"):
        wait_for(lambda: len(there.bodies) == 2)
        wait_for(lambda: Delivery.objects.filter(state="DELIVERED").count() == 2)
    assert {body["type"] for body in there.bodies} == {"run.finished", "result.flagged"}
    assert {body["data"]["run"] for body in there.bodies} == {run.pk}


def test_a_look_enqueues_what_is_due_once(message: Delivery, monkeypatch: pytest.MonkeyPatch) -> None:
    enqueued: list[Any] = []
    monkeypatch.setattr(tasks, "async_task", lambda *call: enqueued.append(call))
    assert (tasks.look(), tasks.look()) == (1, 0)
    assert enqueued == [("integrations.tasks.deliver", message.pk, 0)]

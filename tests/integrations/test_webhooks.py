"""Webhooks in the console and over REST: who may, what is refused, what is shown once, what the record keeps."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from audit.models import AuditEvent
from integrations.models import Delivery, Webhook
from tests.api.conftest import Program
from tests.integrations.receiver import Receiver
from tests.review.conftest import Cast

Make = Callable[..., Webhook]
PAGE, SENT, REST = "/admin/integrations/webhook/", "/admin/integrations/delivery/", "/api/v1/webhooks/"
SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]{44}")


@pytest.fixture
def anna(cast: Cast) -> Client:
    return visitor(cast.anna)


def visitor(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def actions() -> list[str]:
    found = AuditEvent.objects.filter(action__startswith="webhook.").order_by("sequence")
    return list(found.values_list("action", flat=True))


class TestPages:
    def test_one_is_made_and_its_secret_shown_once(self, anna: Client, there: Receiver) -> None:
        answer = anna.post(f"{PAGE}add/", {"name": "hook", "url": there.url, "events": ["run.finished"]})
        (secret,) = SECRET.findall(answer.content.decode())
        hook = Webhook.objects.get()
        assert (hook.secret, hook.events, hook.created_by) == (secret, ["run.finished"], "user:anna")
        assert "no-store" in answer["Cache-Control"]
        shown = [anna.get(path).content.decode() for path in (PAGE, f"{PAGE}{hook.pk}/")]
        shown += AuditEvent.objects.values_list("data", flat=True)
        assert not [text for text in shown if secret in text]

    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"name": ""}, "This field is required"),
            ({"events": []}, "This field is required"),
            ({"events": ["everything"]}, "not one of the available"),
            ({"url": "https://localhost/"}, "own network"),
            ({"url": "http://169.254.169.254/latest/meta-data/"}, "https"),
            ({"url": "nonsense"}, "no web address"),
            ({"url": "https://u:p@127.0.0.1/"}, "name or a password"),
        ],
    )
    def test_what_cannot_be_is_said_beside_its_field(
        self, anna: Client, there: Receiver, changes: dict[str, Any], says: str
    ) -> None:
        answer = anna.post(f"{PAGE}add/", {"name": "x", "url": there.url, "events": ["run.finished"], **changes})
        assert (answer.status_code, Webhook.objects.count()) == (400, 0)
        assert says in answer.content.decode()

    def test_a_name_counts_once(self, anna: Client, make_webhook: Make, there: Receiver) -> None:
        make_webhook(name="hook")
        answer = anna.post(f"{PAGE}add/", {"name": "hook", "url": there.url, "events": ["run.finished"]})
        assert answer.status_code == 400
        assert "with this name already" in answer.content.decode()

    def test_it_is_changed_paused_and_deleted(self, anna: Client, make_webhook: Make) -> None:
        hook = make_webhook("run.finished")
        page = f"{PAGE}{hook.pk}/"
        changed = {"name": "new", "url": hook.url, "events": ["result.flagged"], "version": "1"}
        assert anna.post(page, changed).status_code == 302
        assert anna.post(f"{page}pause/", {"active": "0", "version": "2"}).status_code == 302
        hook.refresh_from_db()
        assert (hook.name, hook.events, hook.active, hook.version) == ("new", ["result.flagged"], False, 3)
        assert "is paused" in anna.get(page).content.decode()
        anna.post(f"{page}delete/", {"version": "3"})
        assert not Webhook.objects.exists()
        assert actions() == ["webhook.created", "webhook.changed", "webhook.changed", "webhook.deleted"]

    @pytest.mark.parametrize("act", ["", "pause/", "delete/"])
    def test_a_stale_version_shows_both(self, anna: Client, make_webhook: Make, act: str) -> None:
        hook = make_webhook("run.finished")
        Webhook.objects.update(version=2, name="newer")
        sent = {"name": "x", "url": hook.url, "events": ["run.finished"], "active": "0", "version": "1"}
        answer = anna.post(f"{PAGE}{hook.pk}/{act}", sent)
        assert answer.status_code == 409
        assert "newer" in answer.content.decode()
        assert Webhook.objects.get().version == 2

    def test_a_test_message_and_what_became_of_it(self, anna: Client, make_webhook: Make) -> None:
        hook = make_webhook()
        answer = anna.post(f"{PAGE}{hook.pk}/test/", follow=True)
        assert "webhook.test" in answer.content.decode()
        message = Delivery.objects.get()
        assert message.message_id in anna.get(f"{SENT}{message.pk}/").content.decode()

    def test_failed_ones_are_found_and_sent_again(self, anna: Client, make_webhook: Make) -> None:
        hook = make_webhook()
        for _ in range(3):
            anna.post(f"{PAGE}{hook.pk}/test/")
        Delivery.objects.update(state="FAILED", due_at=None, error="The receiver answered 500.")
        first = Delivery.objects.first()
        listed = anna.get(f"{SENT}?state=FAILED&webhook={hook.pk}")
        assert len(listed.context["deliveries"]) == 3
        assert "answered 500" in listed.content.decode()
        anna.post(f"{SENT}{first.pk}/redeliver/")
        assert len(anna.get(f"{SENT}?state=FAILED").context["deliveries"]) == 2
        anna.post(f"{PAGE}{hook.pk}/redeliver/")
        assert len(anna.get(f"{SENT}?state=WAITING").context["deliveries"]) == 3

    @pytest.mark.parametrize(
        ("query", "status"), [("state=LOST", 400), ("webhook=x", 400), ("webhook=999", 404), ("before=1", 200)]
    )
    def test_a_list_that_cannot_be(self, anna: Client, query: str, status: int) -> None:
        assert anna.get(f"{SENT}?{query}").status_code == status

    def test_nobody_else(self, make_webhook: Make, cast: Cast) -> None:
        hook = make_webhook()
        for name in ("lena", "axel", "ruth", "nora"):
            assert visitor(cast[name]).get(PAGE).status_code == 403
            for act in ("", "pause/", "delete/", "test/", "redeliver/"):
                assert visitor(cast[name]).post(f"{PAGE}{hook.pk}/{act}", {"version": "1"}).status_code == 403


class TestRest:
    def test_its_life(self, cast: Cast, there: Receiver) -> None:
        program = Program(cast.anna)
        made = program.post(REST, {"name": "hook", "url": there.url, "events": ["run.finished"]})
        assert (made.status_code, made["ETag"]) == (201, '"1"')
        assert SECRET.fullmatch(made.json()["secret"])
        one = f"{REST}{made.json()['id']}/"
        seen = program.get(one)
        assert (seen["ETag"], "secret" in seen.json()) == ('"1"', False)
        assert program.patch(one, {"active": False}, If_Match='"1"').json()["active"] is False
        assert program.get(REST).json()["results"][0]["version"] == 2
        assert program.post(f"{one}test/").status_code == 409
        program.patch(one, {"active": True}, If_Match='"2"')
        sent = program.post(f"{one}test/")
        assert (sent.status_code, sent.json()["event"]) == (202, "webhook.test")
        assert program.delete(one, If_Match='"3"').status_code == 204
        assert program.get(one).status_code == 404
        assert AuditEvent.objects.filter(action="webhook.deleted", data__contains="token").exists()

    def test_deliveries(self, cast: Cast, make_webhook: Make) -> None:
        program, hook = Program(cast.anna), make_webhook()
        for _ in range(2):
            program.post(f"{REST}{hook.pk}/test/")
        Delivery.objects.update(state="FAILED", due_at=None)
        listed = program.get("/api/v1/deliveries/", state="FAILED", webhook=hook.pk).json()["results"]
        assert len(listed) == 2
        one = f"/api/v1/deliveries/{listed[0]['id']}/"
        assert "webhook.test" in program.get(one).json()["body"]
        assert program.post(f"{one}redeliver/").json()["state"] == "WAITING"
        assert program.post(f"{one}redeliver/").status_code == 409
        assert program.post(f"{REST}{hook.pk}/redeliver/").json() == {"deliveries": 1}
        assert program.get("/api/v1/deliveries/", state="FAILED").json()["results"] == []

    @pytest.mark.parametrize(
        ("changes", "says", "status"),
        [
            ({"url": "https://127.0.0.1:1@localhost/"}, "name or a password", 422),
            ({"url": "https://[::ffff:127.0.0.1]/"}, "own network", 422),
            ({"url": "https://2130706433/"}, "own network", 422),
            ({"url": 5}, "text|web address", 400),
            ({"name": " "}, "blank", 422),
            ({"name": "a\0b"}, "null", 422),
            ({"events": []}, "empty", 422),
            ({"events": ["x"]}, "not a valid choice", 400),
            ({"secret": "whsec_x"}, "no field 'secret'", 400),
        ],
    )
    def test_bad_input_stores_nothing(
        self, cast: Cast, there: Receiver, changes: dict[str, Any], says: str, status: int
    ) -> None:
        given = {"name": "x", "url": there.url, "events": ["run.finished"], **changes}
        answer = Program(cast.anna).post(REST, given)
        assert (answer.status_code, Webhook.objects.count()) == (status, 0)
        assert re.search(says, answer.json()["detail"], re.IGNORECASE)

    def test_versions(self, cast: Cast, make_webhook: Make) -> None:
        program, one = Program(cast.anna), f"{REST}{make_webhook().pk}/"
        assert program.patch(one, {"name": "y"}).status_code == 428
        assert program.patch(one, {"name": "y"}, If_Match='"7"').status_code == 412
        assert program.delete(one).status_code == 428
        assert program.delete(one, If_Match='"7"').status_code == 412
        assert Webhook.objects.get().name == "hook"

    def test_a_name_counts_once_and_an_act_too(self, cast: Cast, there: Receiver) -> None:
        program, given = Program(cast.anna), {"name": "x", "url": there.url, "events": ["run.finished"]}
        assert [program.post(REST, given, Idempotency_Key="k").status_code for _ in range(2)] == [201, 201]
        assert program.post(REST, given).status_code == 409
        assert Webhook.objects.count() == 1

    def test_nobody_else_and_no_other_scope(self, cast: Cast, make_webhook: Make) -> None:
        one = f"{REST}{make_webhook().pk}/"
        for program in (Program(cast.anna, "read", "run"), Program(cast.lena), Program(cast.axel)):
            asked = [program.get(path) for path in (REST, one, "/api/v1/deliveries/")]
            asked += [program.post(path) for path in (REST, f"{one}test/", f"{one}redeliver/")]
            asked += [program.patch(one, {}, If_Match='"1"'), program.delete(one, If_Match='"1"')]
            assert {answer.status_code for answer in asked} == {403}

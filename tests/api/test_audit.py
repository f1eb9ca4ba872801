"""The audit trail over REST: read by those who may, checked on demand, changed by nobody."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from django_q.models import OrmQ

from audit import services
from audit.models import AuditEvent, ChainCheck
from tests.api.conftest import Program
from tests.review.conftest import Cast

EVENTS, CHECKS = "/api/v1/audit-events/", "/api/v1/audit-checks/"


@pytest.fixture
def trail(cast: Cast) -> None:
    with transaction.atomic():
        for number in range(7):
            who = "user:zoe" if number % 2 else "command:x by root"
            services.record("thing.done", actor=who, target=cast.rob if number == 3 else None, data={"number": number})


def numbers(program: Program, address: str | None, turn: str = "next") -> list[int]:
    found: list[int] = []
    while address:
        page = program.get(address).json()
        found += [row["sequence"] for row in page["results"]]
        address = page[turn]
    return found


def test_pages_hold_every_entry_once_there_and_back(cast: Cast, trail: None) -> None:
    axel = Program(cast.axel)
    expected = list(AuditEvent.objects.order_by("-sequence").values_list("sequence", flat=True))
    assert numbers(axel, f"{EVENTS}?limit=3") == expected
    first = axel.get(f"{EVENTS}?cursor=b{expected[-1]}&limit=3").json()
    assert first["results"] == []
    assert sorted(numbers(axel, f"{EVENTS}?cursor=a0&limit=3", "previous")) == sorted(expected)


@pytest.mark.parametrize(
    ("query", "chosen"),
    [
        ({"action": "thing.done"}, {}),
        ({"action": "thing.done", "actor": "zoe"}, {"actor": "user:zoe"}),
        ({"actor": "command:x by root"}, {"actor": "command:x by root"}),
        ({"text": '"number":5'}, {"data": '{"number":5}'}),
        ({"action": "never.done"}, {"action": "never.done"}),
        ({"action": "thing.done", "since": f"{timezone.now() + timedelta(days=2):%Y-%m-%d}"}, {"action": "none"}),
        ({"action": "thing.done", "until": f"{timezone.now() + timedelta(days=2):%Y-%m-%d}"}, {}),
    ],
)
def test_the_filters_are_those_of_the_console(cast: Cast, trail: None, query: Any, chosen: Any) -> None:
    expected = AuditEvent.objects.filter(**{"action": "thing.done", **chosen}).order_by("-sequence")
    rows = Program(cast.axel).get(EVENTS, **query).json()["results"]
    assert [row["sequence"] for row in rows] == list(expected.values_list("sequence", flat=True))


def test_what_was_done_to_something_is_found(cast: Cast, trail: None) -> None:
    (row,) = Program(cast.axel).get(EVENTS, target=f"auth.user {cast.rob.pk}", action="thing.done").json()["results"]
    assert (row["target_type"], row["target_id"]) == ("auth.user", str(cast.rob.pk))


def test_an_entry_has_its_details_and_its_place_in_the_chain(cast: Cast, trail: None) -> None:
    event = AuditEvent.objects.filter(action="thing.done").order_by("sequence")[2]
    found = Program(cast.axel).get(f"{EVENTS}{event.sequence}/").json()
    assert found["details"] == {"number": 2}
    assert (found["hash"], found["previous"], found["fault"]) == (event.hash, event.previous, "")
    assert Program(cast.axel).get(f"{EVENTS}999999/").status_code == 404


def test_an_entry_that_was_changed_says_so(cast: Cast, trail: None) -> None:
    last = AuditEvent.objects.order_by("-sequence").first()
    forged = AuditEvent(**{**AuditEvent.objects.values().get(pk=last.pk), "data": "no JSON"})
    assert services.fault_of(forged)
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER audit_event_no_update")
            cursor.execute("UPDATE audit_auditevent SET data = 'no JSON' WHERE sequence = %s", [last.pk])
        found = Program(cast.axel).get(f"{EVENTS}{last.pk}/").json()
        assert found["details"] == "no JSON"
        assert found["fault"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"colour": "red"}, 422),
        ({"target": "runs.run"}, 400),
        ({"since": "yesterday"}, 400),
        ({"cursor": "7"}, 400),
        ({"cursor": "b" + "9" * 17}, 400),
        ({"text": "a\0"}, 422),
        ({"before": "3"}, 422),
    ],
)
def test_what_is_no_filter_is_refused(cast: Cast, query: Any, status: int) -> None:
    assert Program(cast.axel).get(EVENTS, **query).status_code == status


def test_a_short_chain_is_checked_at_once(cast: Cast, trail: None) -> None:
    axel = Program(cast.axel)
    answer = axel.post(CHECKS)
    assert answer.status_code == 202
    found = axel.get(answer["Location"]).json()
    assert found == answer.json()
    assert (found["actor"], found["fault"], found["fault_at"]) == ("user:axel", "", None)
    assert found["finished_at"] is not None
    assert axel.get(CHECKS).json()["results"] == [found]


def test_a_long_chain_is_checked_by_a_worker_once(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "SHORT", 0)
    axel = Program(cast.axel)
    first, second = axel.post(CHECKS), axel.post(CHECKS)
    assert first.json() == second.json()
    assert first.json()["finished_at"] is None
    assert (OrmQ.objects.count(), ChainCheck.objects.count()) == (1, 1)


def test_who_may_not_read_the_trail_is_refused(cast: Cast) -> None:
    for who in ("ruth", "sara", "lena", "prog", "nora"):
        program = Program(cast[who])
        assert {program.get(EVENTS).status_code, program.get(f"{EVENTS}1/").status_code} == {403}
        assert {program.get(CHECKS).status_code, program.post(CHECKS).status_code} == {403}
    assert Program(cast.axel, "read").post(CHECKS).json()["code"] == "scope_missing"
    assert not ChainCheck.objects.exists()


def test_nobody_changes_an_entry(cast: Cast) -> None:
    anna = Program(cast.anna)
    for send in (anna.post, anna.delete, lambda path: anna.patch(path, {}), lambda path: anna.send("put", path, "{}")):
        assert send(f"{EVENTS}1/").status_code == 405


def test_lists_cost_few_queries(cast: Cast, trail: None, django_assert_max_num_queries: Any) -> None:
    axel = Program(cast.axel)
    for path in (EVENTS, CHECKS):
        with django_assert_max_num_queries(6):
            assert axel.get(path).status_code == 200

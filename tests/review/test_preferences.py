"""How a person wants to work is theirs alone, and two windows of theirs do not overwrite each other."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from audit.models import AuditEvent
from classifiers.errors import ConflictError, InputError
from review import preferences
from review.models import Preferences
from review.preferences import Wish
from tests.review.conftest import Cast

PAGE = "/admin/review/preferences/"
CALM = Wish(mask="all", submit_at_once=False, break_minutes=30, version=1)


@pytest.fixture
def ruth(cast: Cast) -> Client:
    client = Client()
    client.force_login(cast.ruth)
    return client


def sent(wish: Wish) -> dict[str, object]:
    fields = {"mask": wish.mask, "break_minutes": wish.break_minutes, "version": wish.version}
    return {**fields, **({"submit_at_once": "on"} if wish.submit_at_once else {})}


def test_a_choice_is_stored_and_written_down(cast: Cast, ruth: Client) -> None:
    assert ruth.post(PAGE, sent(CALM), follow=True).status_code == 200
    mine = preferences.of(cast.ruth)
    assert (mine.mask, mine.submit_at_once, mine.break_minutes, mine.version) == ("all", False, 30, 2)
    assert AuditEvent.objects.get(action="preferences.changed").actor == "user:ruth"


def test_the_record_hides_what_was_chosen_in_this_session_and_the_next(cast: Cast, ruth: Client) -> None:
    ruth.post(PAGE, sent(CALM))
    assert ruth.session["mask"] == "everything"
    again = Client()
    again.force_login(cast.ruth)
    again.get("/admin/review/queue/work/")
    assert again.session["mask"] == "everything"


def test_a_stale_choice_gets_both_values_and_changes_nothing(cast: Cast, ruth: Client) -> None:
    preferences.change(cast.ruth, Wish("none", True, 60, 1))
    stale = ruth.post(PAGE, sent(CALM))
    page = stale.content.decode()
    assert stale.status_code == 409
    assert "<td>none</td>" in page
    assert "<td>all</td>" in page
    assert preferences.of(cast.ruth).mask == "none"
    with pytest.raises(ConflictError):
        preferences.change(cast.ruth, CALM)


@pytest.mark.parametrize(
    "bad", [{"mask": "some"}, {"break_minutes": "481"}, {"break_minutes": "soon"}, {"version": ""}, {"mask": "a\0b"}]
)
def test_a_choice_that_there_is_not_is_one_sentence(cast: Cast, ruth: Client, bad: dict[str, str]) -> None:
    assert ruth.post(PAGE, {**sent(CALM), **bad}).status_code == 400
    assert preferences.of(cast.ruth).version == 1
    assert not AuditEvent.objects.exclude(action="roles.changed").exists()


def test_a_wrong_choice_is_refused_by_the_service_itself(cast: Cast) -> None:
    with pytest.raises(InputError, match="mask"):
        preferences.change(cast.ruth, Wish("some", True, 60, 1))


def test_everybody_has_a_page_of_their_own_and_strangers_have_none(cast: Cast, ruth: Client) -> None:
    ruth.post(PAGE, sent(CALM))
    nora = Client()
    nora.force_login(cast.nora)
    assert 'value="60"' in nora.get(PAGE).content.decode()
    assert Client().get(PAGE).status_code == 302


def test_what_was_seen_counts_for_one_day(cast: Cast) -> None:
    mine = Preferences.objects.create(user=cast.ruth, exposed=7, exposed_on=timezone.now().date())
    assert preferences.exposed_today(mine) == 7
    mine.exposed_on -= timedelta(days=1)
    assert preferences.exposed_today(mine) == 0


def test_a_pause_of_ten_minutes_begins_the_count_anew(cast: Cast) -> None:
    now = timezone.now()
    preferences.note_work(cast.ruth)
    Preferences.objects.update(working_since=now - timedelta(minutes=42), last_seen=now - timedelta(minutes=9))
    assert preferences.minutes_at_work(preferences.note_work(cast.ruth)) == 42
    Preferences.objects.update(last_seen=now - timedelta(minutes=11))
    assert preferences.minutes_at_work(preferences.of(cast.ruth)) == 0
    assert preferences.minutes_at_work(preferences.note_work(cast.ruth)) == 0

"""Policies in the console: lena leads and sets them, axel and ruth read, nora may nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from classifiers.policy import Action, Rule
from moderation import policies
from moderation.forms import read_examples, write_examples
from moderation.models import Policy, PolicyVersion
from moderation.policies import Content, Definition
from runs.models import Run
from tests.review.conftest import Cast, cast  # noqa: F401  fixtures

pytestmark = pytest.mark.django_db
POLICIES = "/admin/moderation/policy/"
SAID = Content(
    (Rule("hate", 0.7), Rule("*", action=Action.INFORM, check="pii")),
    (Definition("hate", "Demeans groups.", (("They are\nall thieves.", "TOXIC"), ("I hate rain.", "SAFE"))),),
)


@pytest.fixture
def team(cast: Cast) -> PolicyVersion:  # noqa: F811
    return policies.create_policy("Team", SAID, note="The beginning.", actor="user:lena", description="For the chat.")


@pytest.fixture
def at(cast: Cast) -> Callable[[str], Client]:  # noqa: F811
    def log_in(who: str) -> Client:
        client = Client()
        client.force_login(cast[who], backend="django.contrib.auth.backends.ModelBackend")
        return client

    return log_in


def page(client: Client, address: str = "", status: int = 200) -> str:
    answer = client.get(f"{POLICIES}{address}")
    assert answer.status_code == status
    return answer.content.decode()


def fields(answer: Any) -> dict[str, str]:
    """What a browser would send of a form as it stands."""
    making = answer.context["making"]
    forms = [making.note, *making.content.thresholds, *making.content.categories]
    forms += [making.content.thresholds.management_form, making.content.categories.management_form]
    forms += [making.named] if making.named else []
    bound = [field for form in forms for field in form]
    return {
        field.html_name: str(field.value())
        for field in bound
        if field.value() is not None and field.value() is not False
    }


class TestReading:
    def test_a_policy_is_read_by_whoever_reviews(self, team: PolicyVersion, at: Any) -> None:
        ruth = at("ruth")
        assert "Team" in page(ruth)
        said = page(ruth, f"{team.policy_id}/")
        assert "For the chat." in said
        assert "The beginning." in said
        assert "New version" not in said
        assert "only informs" in page(ruth, f"{team.policy_id}/1/")

    def test_a_check_that_is_none_here_is_told(self, team: PolicyVersion, at: Any, settings: Any) -> None:
        assert "No check of this name" not in page(at("axel"), f"{team.policy_id}/1/")
        settings.SAFETY_CLASSIFIERS = {"fake": settings.SAFETY_CLASSIFIERS["fake"]}
        assert "never count: <b>pii</b>" in page(at("axel"), f"{team.policy_id}/1/")

    def test_two_versions_are_compared(self, team: PolicyVersion, at: Any) -> None:
        policies.add_version(team.policy, Content((Rule("hate", 0.4),)), note="Stricter.", seen=1, actor="user:lena")
        told = page(at("ruth"), f"{team.policy_id}/difference/?before=1&after=2")
        assert "blocks from 0.7" in told
        assert "blocks from 0.4" in told
        assert "They say the same." in page(at("ruth"), f"{team.policy_id}/difference/?before=2&after=2")
        for wrong in ("before=1", "before=1&after=x", "before=1&after=²"):
            page(at("ruth"), f"{team.policy_id}/difference/?{wrong}", 400)
        page(at("ruth"), f"{team.policy_id}/difference/?before=1&after=9", 404)

    def test_what_is_hostile_is_shown_as_text(self, at: Any, cast: Cast) -> None:  # noqa: F811
        hostile = "<script>alert(1)</script>\u202eevil"
        made = policies.create_policy(
            hostile, Content((Rule(hostile, 0.5),), (Definition(hostile, hostile, ((hostile, "TOXIC"),)),)),
            note=hostile, description=hostile, actor="test",
        )  # fmt: skip
        for address in (
            "",
            f"{made.policy_id}/",
            f"{made.policy_id}/1/",
            f"{made.policy_id}/difference/?before=1&after=1",
        ):
            assert "<script>alert" not in page(at("lena"), address)
        assert "<script>alert" not in page(at("lena"), f"{made.policy_id}/new/")

    def test_taxonomies_are_one_table(self, cast: Cast, at: Any) -> None:  # noqa: F811
        said = page(at("ruth"), "taxonomies/")
        assert "Llama Guard" in said
        assert "identity_hate" in said

    def test_runs_are_counted_and_led_to(self, team: PolicyVersion, at: Any, done_run: Callable[..., Run]) -> None:
        run = done_run(["one"])
        assert "?policy=Team%401" in page(at("axel"), f"{team.policy_id}/")
        assert "?policy=Team%401" not in page(at("ruth"), f"{team.policy_id}/")
        listed = at("axel").get("/admin/runs/run/", {"policy": "Team@1"})
        assert [row.pk for row in listed.context["runs"]] == [run.pk]
        assert list(at("axel").get("/admin/runs/run/", {"policy": "none"}).context["runs"]) == []

    @pytest.mark.parametrize("address", ["", "taxonomies/", "{pk}/", "{pk}/1/", "{pk}/difference/?before=1&after=1"])
    def test_who_may_not_read_is_refused(self, team: PolicyVersion, at: Any, address: str) -> None:
        page(at("nora"), address.format(pk=team.policy_id), 403)

    def test_what_is_not_there(self, team: PolicyVersion, at: Any) -> None:
        page(at("ruth"), "999/", 404)
        page(at("ruth"), f"{team.policy_id}/9/", 404)


class TestMaking:
    def test_a_new_policy(self, cast: Cast, at: Any) -> None:  # noqa: F811
        lena = at("lena")
        sent = fields(lena.get(f"{POLICIES}new/")) | {
            "name": "Team", "note": "The beginning.",
            "thresholds-0-category": "hate", "thresholds-0-threshold": "0.7", "thresholds-0-stage": "INPUT",
            "categories-0-name": "hate", "categories-0-definition": "Demeans.",
            "categories-0-examples": "TOXIC: All\r\n  thieves.\r\nSAFE: Rain.",
        }  # fmt: skip
        answer = lena.post(f"{POLICIES}new/", sent)
        assert answer.status_code == 302
        (version,) = PolicyVersion.objects.all()
        assert version.created_by == "user:lena"
        assert policies.content_of(version) == Content(
            (Rule("hate", 0.7, stage="INPUT"),),
            (Definition("hate", "Demeans.", (("All\nthieves.", "TOXIC"), ("Rain.", "SAFE"))),),
        )

    def test_a_version_begins_as_the_newest_one(self, team: PolicyVersion, at: Any) -> None:
        lena, address = at("lena"), f"{POLICIES}{team.policy_id}/new/"
        sent = fields(lena.get(address)) | {"note": "The same again."}
        assert lena.post(address, sent).status_code == 302
        second = policies.newest_of(team.policy)
        assert (second.number, second.note, policies.content_of(second)) == (2, "The same again.", SAID)

    def test_what_is_removed_is_gone(self, team: PolicyVersion, at: Any) -> None:
        lena, address = at("lena"), f"{POLICIES}{team.policy_id}/new/"
        gone = {"note": "x", "thresholds-1-DELETE": "on", "categories-0-DELETE": "on"}
        lena.post(address, fields(lena.get(address)) | gone)
        assert policies.content_of(policies.newest_of(team.policy)) == Content((Rule("hate", 0.7),))

    def test_more_rows_keep_what_was_filled_in(self, team: PolicyVersion, at: Any) -> None:
        lena, address = at("lena"), f"{POLICIES}{team.policy_id}/new/"
        before = fields(lena.get(address))
        answer = lena.post(address, before | {"more": "thresholds", "thresholds-2-category": "violence"})
        assert answer.status_code == 200
        after = fields(answer)
        assert after["thresholds-2-category"] == "violence"
        assert int(after["thresholds-TOTAL_FORMS"]) == int(before["thresholds-TOTAL_FORMS"]) + 3
        assert PolicyVersion.objects.count() == 1

    def test_a_threshold_comes_from_an_evaluation(self, team: PolicyVersion, at: Any) -> None:
        lena, address = at("lena"), f"{POLICIES}{team.policy_id}/new/"
        asked = {"category": "hate", "threshold": "0.42", "evaluation": "7"}
        begun = lena.get(address, asked)
        assert fields(begun)["thresholds-0-threshold"] == "0.42"
        lena.post(address, fields(begun))
        newest = policies.newest_of(team.policy)
        assert newest.note == "hate blocks from 0.42 on, by evaluation 7."
        assert policies.rules_of(newest).rules == (Rule("hate", 0.42), SAID.rules[1])
        other = lena.get(address, asked | {"check": "fake", "stage": "OUTPUT"})
        assert fields(other)["thresholds-2-check"] == "fake"

    @pytest.mark.parametrize("asked", [{"category": "hate"}, {"category": "", "threshold": "2"}, {"odd": "1"}])
    def test_what_is_no_threshold_is_refused(self, team: PolicyVersion, at: Any, asked: dict[str, str]) -> None:
        assert at("lena").get(f"{POLICIES}{team.policy_id}/new/", asked).status_code == 400

    def test_somebody_who_was_faster_is_shown_and_nothing_lost(self, team: PolicyVersion, at: Any) -> None:
        lena, address = at("lena"), f"{POLICIES}{team.policy_id}/new/"
        sent = fields(lena.get(address)) | {"note": "Mine.", "thresholds-0-threshold": "0.5"}
        policies.add_version(team.policy, Content((Rule("hate", 0.1),)), note="x", seen=1, actor="user:anna")
        refused = lena.post(address, sent)
        assert refused.status_code == 409
        assert "blocks from 0.1" in refused.content.decode()
        assert PolicyVersion.objects.count() == 2
        kept = fields(refused)
        assert (kept["note"], kept["thresholds-0-threshold"], kept["seen"]) == ("Mine.", "0.5", "2")
        assert lena.post(address, kept).status_code == 302
        assert policies.newest_of(team.policy).number == 3

    @pytest.mark.parametrize(
        ("wrong", "says"),
        [
            ({"note": ""}, "This field is required"),
            ({"thresholds-0-threshold": "70"}, "less than or equal to 1"),
            ({"thresholds-0-category": ""}, "This field is required"),
            ({"thresholds-2-category": "hate"}, "two thresholds for hate"),
            ({"categories-0-examples": "thieves"}, "begins neither with"),
            ({"categories-1-name": "hate", "categories-1-definition": "x"}, "defined twice"),
        ],
    )
    def test_what_cannot_be_is_said_and_nothing_is_made(
        self, team: PolicyVersion, at: Any, wrong: dict[str, str], says: str
    ) -> None:
        lena, address = at("lena"), f"{POLICIES}{team.policy_id}/new/"
        answer = lena.post(address, fields(lena.get(address)) | {"note": "x"} | wrong)
        assert answer.status_code == 400
        assert says in answer.content.decode()
        assert PolicyVersion.objects.count() == 1

    def test_another_becomes_the_default(self, team: PolicyVersion, at: Any) -> None:
        other = policies.create_policy("Strict", Content(), note="x", actor="test")
        assert at("lena").post(f"{POLICIES}{other.policy_id}/default/").status_code == 302
        assert Policy.objects.get(default=True).name == "Strict"

    def test_who_may_not_set_them_is_refused(self, team: PolicyVersion, at: Any) -> None:
        for who in ("axel", "ruth", "sara", "nora"):
            for address in (f"{POLICIES}new/", f"{POLICIES}{team.policy_id}/new/"):
                assert at(who).get(address).status_code == 403
                assert at(who).post(address, {"note": "x"}).status_code == 403
            assert at(who).post(f"{POLICIES}{team.policy_id}/default/").status_code == 403
        assert PolicyVersion.objects.count() == 1

    def test_the_largest_policy_can_be_sent(self, at: Any, cast: Cast) -> None:  # noqa: F811
        rules = tuple(Rule(f"c{number}", 0.5) for number in range(policies.MOST_RULES))
        large = policies.create_policy("Large", Content(rules), note="x", actor="test")
        lena, address = at("lena"), f"{POLICIES}{large.policy_id}/new/"
        assert lena.post(address, fields(lena.get(address)) | {"note": "x"}).status_code == 302
        assert len(policies.rules_of(policies.newest_of(large.policy)).rules) == policies.MOST_RULES


PRINTABLE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=30)


@given(st.lists(st.tuples(PRINTABLE, st.sampled_from(["SAFE", "TOXIC"])), max_size=4))
def test_examples_that_are_written_are_read_back(examples: list[tuple[str, str]]) -> None:
    assert list(read_examples(write_examples(examples))) == examples

"""The doors of labelling anew: lena leads and may, axel reads and looks beforehand, ruth reviews and sees neither."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from django.test import Client

from audit.models import AuditEvent
from classifiers.policy import Rule
from moderation import policies
from moderation.models import PolicyVersion
from moderation.policies import Content
from runs.models import Result, Run
from tests.api.conftest import Program, unthrottled  # noqa: F401  fixtures
from tests.review.conftest import Cast, cast  # noqa: F401  fixtures
from tests.runs.commands import refused, said

pytestmark = pytest.mark.django_db
TEXTS = ["one", "toxic two", "fail three", "four"]


@pytest.fixture
def run(done_run: Callable[..., Run]) -> Run:
    return done_run(TEXTS)


@pytest.fixture
def lax(run: Run) -> PolicyVersion:
    return policies.create_policy("Team", Content((Rule("toxic", 0.95),)), note="For the test.", actor="user:lena")


def labels(run: Run) -> list[str]:
    return list(Result.objects.filter(run=run).order_by("position").values_list("input_label", flat=True))


class TestRest:
    def address(self, run: Run) -> str:
        return f"/api/v1/runs/{run.pk}/relabelling/"

    def test_what_would_change_is_told_and_nothing_changed(self, run: Run, lax: PolicyVersion, cast: Cast) -> None:  # noqa: F811
        answer = Program(cast.axel, "read").get(self.address(run), policy="Team@1")
        assert answer.status_code == 200
        assert (answer.json()["policy"], answer.json()["total"], answer.json()["changed"]) == ("Team@1", 4, 1)
        assert answer.json()["labels"] == [{"stage": "INPUT", "before": "TOXIC", "after": "SAFE", "results": 1}]
        assert labels(run) == ["SAFE", "TOXIC", "ERROR", "SAFE"]

    def test_a_lead_labels_anew_and_the_trail_says_why(self, run: Run, lax: PolicyVersion, cast: Cast) -> None:  # noqa: F811
        lena, wanted = Program(cast.lena, "run"), {"policy": "Team", "note": "Too many."}
        answer = lena.post(self.address(run), wanted, Idempotency_Key="once")
        assert (answer.status_code, answer.json()["changed"]) == (200, 1)
        assert labels(run) == ["SAFE", "SAFE", "ERROR", "SAFE"]
        event = AuditEvent.objects.get(action="run.relabelled")
        assert (event.actor, event.details["note"]) == ("user:lena", "Too many.")
        again = lena.post(self.address(run), wanted, Idempotency_Key="once")
        assert (again.status_code, again.json()) == (200, answer.json())
        assert lena.post(self.address(run), wanted).status_code == 409

    def test_who_may_not_is_refused(self, run: Run, lax: PolicyVersion, cast: Cast) -> None:  # noqa: F811
        wanted = {"policy": "Team@1", "note": "Because."}
        for who in ("axel", "ruth", "prog", "nora"):
            assert Program(cast[who]).post(self.address(run), wanted).status_code == 403
        assert Program(cast.lena, "read").post(self.address(run), wanted).json()["code"] == "scope_missing"
        assert Program(cast.ruth).get(self.address(run), policy="Team@1").status_code == 403
        assert labels(run) == ["SAFE", "TOXIC", "ERROR", "SAFE"]

    @pytest.mark.parametrize(
        ("sent", "status"),
        [
            ({"policy": "Nobody's@1", "note": "x"}, 422),
            ({"policy": "Team@9", "note": "x"}, 422),
            ({"policy": "Team@1"}, 400),
            ({"policy": "Team@1", "note": " "}, 422),
            ({"policy": "Team@1", "note": "x", "dry_run": True}, 400),
        ],
    )
    def test_what_cannot_be_done_changes_nothing(
        self, run: Run, lax: PolicyVersion, cast: Cast, sent: dict[str, str], status: int  # noqa: F811
    ) -> None:  # fmt: skip
        assert Program(cast.lena).post(self.address(run), sent).status_code == status
        assert labels(run) == ["SAFE", "TOXIC", "ERROR", "SAFE"]

    def test_a_run_that_is_not_there(self, cast: Cast) -> None:  # noqa: F811
        assert Program(cast.lena).get("/api/v1/runs/999/relabelling/", policy="none").status_code == 404


class TestCommand:
    def test_a_dry_run_tells_and_changes_nothing(self, run: Run, lax: PolicyVersion) -> None:
        told = said("relabel_run", str(run.pk), "--policy", "Team@1", "--dry-run")
        assert "Nothing is changed yet. Under Team v1, 1 of 4 results" in told
        assert "INPUT  TOXIC   SAFE         1" in told
        assert labels(run) == ["SAFE", "TOXIC", "ERROR", "SAFE"]

    def test_it_labels_anew_and_brings_back(self, run: Run, lax: PolicyVersion) -> None:
        told = said("relabel_run", str(run.pk), "--policy", "Team", "--note", "Too many.")
        assert "Not answered, though the prompt is SAFE now: 1." in told
        assert labels(run) == ["SAFE", "SAFE", "ERROR", "SAFE"]
        back = json.loads(said("relabel_run", str(run.pk), "--policy", "none", "--note", "Back.", "--json"))
        assert (back["policy"], back["changed"]) == (None, 1)
        assert labels(run) == ["SAFE", "TOXIC", "ERROR", "SAFE"]

    def test_it_says_what_it_lacks(self, run: Run, lax: PolicyVersion) -> None:
        assert "--note" in refused("relabel_run", str(run.pk), "--policy", "Team@1")
        assert "no policy 'Tame'" in refused("relabel_run", str(run.pk), "--policy", "Tame", "--note", "x")
        assert "no run 77" in refused("relabel_run", "77", "--policy", "Team", "--note", "x")
        assert labels(run) == ["SAFE", "TOXIC", "ERROR", "SAFE"]


class TestPage:
    @pytest.fixture
    def lena(self, cast: Cast, client: Client) -> Client:  # noqa: F811
        client.force_login(cast.lena, backend="django.contrib.auth.backends.ModelBackend")
        return client

    def address(self, run: Run) -> str:
        return f"/admin/runs/run/{run.pk}/relabel/"

    def test_from_the_run_to_its_new_labels(self, run: Run, lax: PolicyVersion, lena: Client) -> None:
        assert self.address(run) in lena.get(f"/admin/runs/run/{run.pk}/").content.decode()
        assert "Team v1: For the test." in lena.get(self.address(run)).content.decode()
        shown = lena.get(self.address(run), {"policy": "Team@1"})
        assert shown.context["told"].changed == 1
        assert labels(run) == ["SAFE", "TOXIC", "ERROR", "SAFE"]
        done = lena.post(self.address(run), {"policy": "Team@1", "note": "Too many."})
        assert (done.status_code, done.url) == (302, f"/admin/runs/run/{run.pk}/")
        assert labels(run) == ["SAFE", "SAFE", "ERROR", "SAFE"]
        assert AuditEvent.objects.get(action="run.relabelled").actor == "user:lena"
        assert lena.get(self.address(run)).context["no_policy"] == "none"

    @pytest.mark.parametrize("note", ["", "x" * 2001, "\0"])
    def test_without_a_reason_nothing_changes(self, run: Run, lax: PolicyVersion, lena: Client, note: str) -> None:
        assert lena.post(self.address(run), {"policy": "Team@1", "note": note}).status_code == 400
        assert labels(run) == ["SAFE", "TOXIC", "ERROR", "SAFE"]

    def test_what_is_asked_for_must_be_there(self, run: Run, lax: PolicyVersion, lena: Client) -> None:
        for asked in ({"policy": "Nobody's"}, {"polcy": "Team"}):
            assert lena.get(self.address(run), asked).status_code == 400
        assert lena.post(self.address(run), {"policy": "Nobody's", "note": "x"}).status_code == 400
        assert lena.get("/admin/runs/run/999/relabel/").status_code == 404

    def test_a_run_that_is_worked_on_is_not_labelled(self, run: Run, lax: PolicyVersion, lena: Client) -> None:
        Run.objects.filter(pk=run.pk).update(status="RUNNING")
        shown = lena.get(self.address(run), {"policy": "Team@1"}).content.decode()
        assert "This run is being worked on." in shown
        assert 'id="relabel"' not in shown
        assert lena.post(self.address(run), {"policy": "Team@1", "note": "x"}).status_code == 409
        assert labels(run) == ["SAFE", "TOXIC", "ERROR", "SAFE"]

    @pytest.mark.parametrize("who", ["axel", "ruth", "prog", "nora"])
    def test_who_may_not_is_refused(self, run: Run, lax: PolicyVersion, cast: Cast, client: Client, who: str) -> None:  # noqa: F811
        client.force_login(cast[who], backend="django.contrib.auth.backends.ModelBackend")
        assert client.get(self.address(run)).status_code == 403
        assert client.post(self.address(run), {"policy": "Team@1", "note": "x"}).status_code == 403
        assert labels(run) == ["SAFE", "TOXIC", "ERROR", "SAFE"]

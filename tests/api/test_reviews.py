"""What people say over REST: given once, corrected by appending, taken back, settled by somebody else."""

# ruff: noqa: F811 - fixtures that are imported

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from audit.models import AuditEvent
from review import handout
from review.models import Claim, Preferences, Queue, QueueItem, Review
from runs.models import Result, Run
from tests.api.conftest import Program
from tests.api.test_queues import claim, queue, said  # noqa: F401  fixtures
from tests.review.conftest import TEXTS, Cast, review_next
from tests.review.test_handout import expire

REVIEWS = "/api/v1/reviews/"
CASES = "/api/v1/adjudications/"


def on(claim: Claim) -> str:
    return f"/api/v1/results/{claim.item.result_id}/reviews/"


class TestGiven:
    def test_a_verdict_is_stored_once_however_often_it_is_sent(self, claim: Claim, cast: Cast) -> None:
        program, sent = Program(cast.ruth, "review"), said(claim, note="  kind ", categories=["hate"])
        first = program.post(on(claim), sent, Idempotency_Key="k")
        again = program.post(on(claim), sent, Idempotency_Key="k")
        assert (first.status_code, first.json()["status"]) == (201, "stored")
        assert (again.status_code, again.json()["status"]) == (200, "repeated")
        assert again.json()["reviews"] == first.json()["reviews"]
        stages = claim.stages(claim.item.result)
        assert {(r.stage, r.label, r.note, r.key) for r in Review.objects.all()} == {
            (stage.value, "SAFE", "  kind ", "k") for stage in stages
        }
        assert AuditEvent.objects.get(action="review.submitted").details["via"] == f"token {program.token.pk}"

    def test_another_verdict_under_the_same_key_is_refused(self, claim: Claim, cast: Cast) -> None:
        program = Program(cast.ruth)
        program.post(on(claim), said(claim), Idempotency_Key="k")
        answer = program.post(on(claim), {**said(claim), "input": "TOXIC"}, Idempotency_Key="k")
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
        assert not Review.objects.filter(label="TOXIC").exists()

    def test_in_a_blind_queue_the_answer_comes_after_the_verdict_on_the_prompt(
        self, make_queue: Any, done_run: Callable[..., Run], cast: Cast
    ) -> None:
        queue = make_queue(done_run(["You are kind."]), blind=True)
        program = Program(cast.ruth)
        sheet = program.post(f"/api/v1/queues/{queue.pk}/claim/").json()
        assert [part["stage"] for part in sheet["parts"]] == ["INPUT"]
        assert sheet["parts"][0]["found"] is None
        address, sent = f"/api/v1/results/{sheet['result']}/reviews/", {"claim": sheet["id"], "input": "SAFE"}
        assert program.post(address, {**sent, "output": "SAFE"}).status_code == 422
        pending = program.post(address, sent)
        assert (pending.status_code, pending.json()["status"], pending.json()["reviews"]) == (200, "pending", [])
        parts = pending.json()["sheet"]["parts"]
        assert [(part["stage"], part["label"], part["fixed"]) for part in parts] == [
            ("INPUT", "SAFE", True),
            ("OUTPUT", "", False),
        ]
        assert parts[1]["text"] == Result.objects.get().answer
        done = program.post(address, {**sent, "output": "TOXIC"})
        assert (done.status_code, {r["blind"] for r in done.json()["reviews"]}) == (201, {True})

    def test_a_claim_of_somebody_else_or_on_another_result_stores_nothing(self, claim: Claim, cast: Cast) -> None:
        assert Program(cast.rob).post(on(claim), said(claim)).status_code == 404
        other = Result.objects.exclude(pk=claim.item.result_id).first()
        answer = Program(cast.ruth).post(f"/api/v1/results/{other.pk}/reviews/", said(claim))
        assert (answer.status_code, "another result" in answer.json()["detail"]) == (422, True)
        assert Program(cast.ruth, "read").post(on(claim), said(claim)).json()["code"] == "scope_missing"
        assert not Review.objects.exists()

    def test_a_late_verdict_is_stored_while_its_place_is_free(self, claim: Claim, cast: Cast) -> None:
        expire(claim)
        assert Program(cast.ruth).post(on(claim), said(claim)).json()["status"] == "stored"

    @pytest.mark.parametrize(
        ("change", "says", "status"),
        [
            ({"input": "NICE"}, "input", 400),
            ({"input": None}, "input", 400),
            ({"input": ["SAFE"]}, "input", 400),
            ({"note": "a\0b"}, "null", 422),
            ({"note": "\ud800"}, "surrogate", 422),
            ({"note": "x" * 10_001}, "note", 400),
            ({"categories": "hate"}, "categories", 400),
            ({"categories": [""]}, "categories", 422),
            ({"categories": ["x"] * 51}, "categories", 400),
            ({"claim": 0}, "claim", 400),
            ({"claim": 2**70}, "claim", 400),
            ({"label": "SAFE"}, "no field 'label'", 400),
        ],
    )
    def test_what_cannot_be_a_verdict_is_refused(
        self,
        claim: Claim,
        cast: Cast,
        change: dict[str, Any],
        says: str,
        status: int,
    ) -> None:
        answer = Program(cast.ruth).post(on(claim), {**said(claim), **change})
        assert answer.status_code == status
        assert says in answer.json()["detail"].lower()
        assert not Review.objects.exists()

    def test_a_verdict_says_something(self, claim: Claim, cast: Cast) -> None:
        assert Program(cast.ruth).post(on(claim), {"claim": claim.pk}).status_code == 422

    def test_outside_a_queue_only_those_review_to_whom_the_record_is_open(self, claim: Claim, cast: Cast) -> None:
        sent = {"input": "SAFE"}
        for name in ("ruth", "sara", "axel", "nora"):
            assert Program(cast[name]).post(on(claim), sent).status_code == 403
            assert Program(cast[name]).post("/api/v1/results/999/reviews/", sent).status_code == 403
        assert not Review.objects.exists()
        assert Program(cast.lena).post(on(claim), sent).status_code == 201
        assert Program(cast.lena).post("/api/v1/results/999/reviews/", sent).status_code == 404

    def test_all_that_was_said_of_a_result_is_for_those_who_oversee(self, claim: Claim, cast: Cast) -> None:
        Program(cast.ruth).post(on(claim), said(claim))
        rows = Program(cast.axel, "read").get(on(claim)).json()["results"]
        assert {(row["reviewer"], row["label"], row["standing"]) for row in rows} == {("ruth", "SAFE", "stands")}
        assert Program(cast.ruth).get(on(claim)).status_code == 403
        assert Program(cast.axel).get("/api/v1/results/999/reviews/").status_code == 404

    def test_nothing_said_is_ever_changed_or_deleted(self, claim: Claim, cast: Cast) -> None:
        Program(cast.ruth).post(on(claim), said(claim))
        address = f"{REVIEWS}{Review.objects.first().pk}/"
        for method in ("put", "patch", "delete"):
            assert Program(cast.anna).send(method, address, "{}").status_code == 405
            assert Program(cast.anna).send(method, on(claim), "{}").status_code == 405


class TestKept:
    def test_a_reviewer_sees_their_own_with_what_the_machine_said(self, queue: Queue, cast: Cast) -> None:
        review_next(queue, cast.ruth)
        review_next(queue, cast.rob)
        rows = Program(cast.ruth, "read").get(REVIEWS).json()["results"]
        assert {row["reviewer"] for row in rows} == {"ruth"}
        assert all(row["machine"]["label"] in ("SAFE", "TOXIC") for row in rows)
        theirs = Review.objects.filter(reviewer=cast.rob).first()
        assert Program(cast.ruth).get(f"{REVIEWS}{theirs.pk}/").status_code == 404
        assert Program(cast.nora).get(REVIEWS).status_code == 403

    def test_who_oversees_sees_all_and_filters(self, queue: Queue, cast: Cast) -> None:
        review_next(queue, cast.ruth)
        review_next(queue, cast.rob)
        program = Program(cast.axel)

        def seen(**query: Any) -> set[str]:
            return {row["reviewer"] for row in program.get(REVIEWS, **query).json()["results"]}

        assert seen() == {"ruth", "rob"}
        assert seen(one="ruth", other="rob", queue=queue.pk, stage="INPUT") == {"ruth", "rob"}
        assert seen(until="2001-01-01") == set()
        for query in ({"one": "ruth"}, {"one": "nora", "other": "rob"}, {"queue": 999},
                      {"since": "2026-01-02", "until": "2026-01-01"}):  # fmt: skip
            assert program.get(REVIEWS, **query).status_code == 422
        for query in ({"since": "soon"}, {"stage": "input"}):
            assert program.get(REVIEWS, **query).status_code == 400
        assert Program(cast.ruth).get(REVIEWS, category="hate").status_code == 403

    def test_a_correction_is_appended_to_what_was_seen(self, claim: Claim, cast: Cast) -> None:
        program = Program(cast.ruth)
        review = program.post(on(claim), said(claim)).json()["reviews"][0]
        address = f"{REVIEWS}{review['id']}/corrections/"
        seen = program.get(f"{REVIEWS}{review['id']}/")["ETag"]
        sent = {name: "TOXIC" for name in said(claim) if name in ("input", "output")}
        assert program.post(address, sent).status_code == 428
        assert program.post(address, sent, If_Match='"999999"').status_code == 412
        assert Program(cast.rob).post(address, sent, If_Match=seen).status_code == 404
        assert Program(cast.axel).post(address, sent, If_Match=seen).status_code == 403
        assert not Review.objects.filter(label="TOXIC").exists()
        answer = program.post(address, sent, If_Match=seen, Idempotency_Key="c")
        assert (answer.status_code, answer.json()["reviews"][0]["supersedes"]) == (201, review["id"])
        assert program.post(address, sent, If_Match=seen, Idempotency_Key="c").json()["status"] == "repeated"
        assert program.post(address, sent, If_Match=seen).json()["code"] == "stale"
        assert program.get(f"{REVIEWS}{review['id']}/").json()["standing"] == "superseded"

    def test_an_act_is_taken_back_by_its_person(self, claim: Claim, cast: Cast) -> None:
        review = Program(cast.ruth).post(on(claim), said(claim)).json()["reviews"][0]
        address = f"{REVIEWS}{review['id']}/undo/"
        assert Program(cast.rob).post(address).status_code == 404
        assert Program(cast.lena).post(address).status_code == 404
        assert Program(cast.ruth).post(address).json() == {"claim": claim.pk}
        assert Program(cast.ruth).post(address).status_code == 409
        assert Program(cast.ruth).get(f"{REVIEWS}{review['id']}/").json()["machine"] is None

    def test_ones_own_numbers(self, queue: Queue, cast: Cast) -> None:
        review_next(queue, cast.ruth)
        numbers = Program(cast.ruth).get(f"{REVIEWS}today/").json()
        assert (numbers["judged"], numbers["toxic"], numbers["answered"]) == (1, 0, 0)
        assert numbers["share"]["value"] is None
        assert Program(cast.axel).get(f"{REVIEWS}today/").status_code == 403


class TestSettled:
    @pytest.fixture
    def item(self, make_queue: Any, done_run: Callable[..., Run], cast: Cast) -> QueueItem:
        """Ruth and rob differ on its prompt."""
        queue = make_queue(done_run(["toxic or not"]), needed=2)
        for name, label in (("ruth", "SAFE"), ("rob", "TOXIC")):
            review_next(queue, cast[name], input=label)
        return QueueItem.objects.get(state="NEEDS_ADJUDICATION")

    def test_what_waits_is_listed_to_those_who_can_settle_it(self, item: QueueItem, cast: Cast) -> None:
        for address in (CASES, f"{CASES}?queue={item.queue_id}", f"/api/v1/queues/{item.queue_id}/disagreements/"):
            (row,) = Program(cast.sara, "read").get(address).json()["results"]
            assert (row["item"], sorted(row["input"]), row["output"]) == (item.pk, ["SAFE", "TOXIC"], [])
            assert [Program(cast[name]).get(address).status_code for name in ("ruth", "axel", "nora")] == [403] * 3
        assert Program(cast.sara).get(CASES, queue=999).json()["results"] == []
        assert Program(cast.sara).get("/api/v1/queues/999/disagreements/").status_code == 404

    def test_a_case_shows_all_that_was_said(self, item: QueueItem, cast: Cast) -> None:
        case = Program(cast.sara).get(f"{CASES}{item.pk}/").json()
        assert [(part["stage"], part["asked"], part["label"]) for part in case["parts"]] == [("INPUT", True, "TOXIC")]
        assert {(row["reviewer"], row["label"]) for row in case["reviews"]} == {("ruth", "SAFE"), ("rob", "TOXIC")}
        assert Program(cast.ruth).get(f"{CASES}{item.pk}/").status_code == 403
        assert Program(cast.sara).get(f"{CASES}999/").status_code == 404

    def test_it_is_settled_once(self, item: QueueItem, cast: Cast) -> None:
        program, sent = Program(cast.sara), {"item": item.pk, "input": "TOXIC", "cause": "ambiguous", "note": "Irony."}
        answer = program.post(CASES, sent, Idempotency_Key="k")
        assert (answer.status_code, answer.json()["reviews"][0]["cause"]) == (201, "ambiguous")
        again = program.post(CASES, sent, Idempotency_Key="k")
        assert (again.status_code, again.json()["status"]) == (200, "repeated")
        assert program.post(CASES, sent).status_code == 409
        assert program.get(f"{CASES}{item.pk}/").status_code == 409
        item.refresh_from_db()
        assert item.state == "CLOSED"
        assert Result.objects.get().human_input_label == "TOXIC"

    @pytest.mark.parametrize(
        ("change", "status", "without_input"),
        [
            ({"input": "UNSURE"}, 400, 422),
            ({"input": None}, 400, 422),
            ({"cause": "whim"}, 400, 400),
            ({"cause": ""}, 400, 400),
            ({"output": "SAFE"}, 422, 422),
            ({"item": 0}, 400, 400),
        ],
    )
    def test_what_decides_nothing_is_refused(
        self, item: QueueItem, cast: Cast, change: dict[str, Any], status: int, without_input: int
    ) -> None:
        sent = {"item": item.pk, "input": "TOXIC", "cause": "ambiguous", **change}
        assert Program(cast.sara).post(CASES, sent).status_code == status
        del sent["input"]
        assert Program(cast.sara).post(CASES, sent).status_code == without_input
        item.refresh_from_db()
        assert item.state == "NEEDS_ADJUDICATION"

    def test_nobody_settles_what_they_judged_or_may_not(self, item: QueueItem, cast: Cast) -> None:
        sent = {"item": item.pk, "input": "TOXIC", "cause": "ambiguous"}
        cast.ruth.groups.set(cast.sara.groups.all())
        for name in ("ruth", "rob", "axel", "nora"):
            assert Program(cast[name]).post(CASES, sent).status_code == 403
        assert Program(cast.sara, "read").post(CASES, sent).json()["code"] == "scope_missing"
        item.refresh_from_db()
        assert item.state == "NEEDS_ADJUDICATION"


class TestInBulk:
    ADDRESS = "/api/v1/bulk-actions/"

    @pytest.fixture
    def run(self, done_run: Callable[..., Run]) -> Run:
        return done_run(TEXTS)

    def previewed(self, program: Program, run: Run) -> dict[str, Any]:
        chosen = {"filters": {"run": str(run.pk)}, "stage": "INPUT"}
        told = program.post(f"{self.ADDRESS}preview/", chosen).json()
        return {**chosen, "label": "SAFE", "reason": "All kind.", "count": told["count"], "until": told["until"]}

    def test_looked_at_started_once_and_taken_back(self, run: Run, cast: Cast) -> None:
        program = Program(cast.lena)
        sent = self.previewed(program, run)
        assert sent["count"] == 8
        answer = program.post(self.ADDRESS, sent, Idempotency_Key="b")
        assert (answer.status_code, answer.json()["state"], answer.json()["done"]) == (201, "DONE", 8)
        assert program.post(self.ADDRESS, sent, Idempotency_Key="b").json()["id"] == answer.json()["id"]
        assert Review.objects.count() == 8
        address = f"{self.ADDRESS}{answer.json()['id']}/"
        assert Program(cast.axel, "read").get(address).json()["words"] == f"run {run.pk}"
        assert len(Program(cast.axel).get(self.ADDRESS).json()["results"]) == 1
        assert program.post(f"{address}cancel/").status_code == 409
        assert Program(cast.anna).post(f"{address}undo/").status_code == 403
        assert program.post(f"{address}undo/").json()["state"] == "UNDONE"
        assert program.post(f"{address}go-on/").json()["state"] == "UNDONE"

    def test_what_is_no_longer_so_is_not_labelled(self, run: Run, cast: Cast) -> None:
        program = Program(cast.lena)
        sent = self.previewed(program, run)
        assert program.post(self.ADDRESS, {**sent, "count": 7}).json()["code"] == "stale"
        for change in ({"label": "NICE"}, {"stage": "input"}, {"filters": {"x": "1"}}, {"count": -1}):
            assert program.post(self.ADDRESS, {**sent, **change}).status_code == 400
        assert program.post(self.ADDRESS, {**sent, "reason": ""}).status_code == 422
        assert not Review.objects.exists()

    def test_only_a_lead_labels_in_bulk(self, run: Run, cast: Cast) -> None:
        sent = self.previewed(Program(cast.lena), run)
        for name in ("ruth", "axel", "sara"):
            assert Program(cast[name]).post(self.ADDRESS, sent).status_code == 403
            assert Program(cast[name]).post(f"{self.ADDRESS}preview/", {"stage": "INPUT"}).status_code == 403
        assert Program(cast.ruth).get(self.ADDRESS).status_code == 403
        assert Program(cast.lena, "read").post(self.ADDRESS, sent).json()["code"] == "scope_missing"
        assert not Review.objects.exists()


class TestOwnWays:
    VIEWS, PREFERENCES = "/api/v1/saved-views/", "/api/v1/preferences/"

    def test_a_filter_is_saved_renamed_and_deleted_as_it_was_seen(self, cast: Cast) -> None:
        program = Program(cast.lena)
        made = program.post(self.VIEWS, {"name": "Bad ones", "filters": {"flagged": "true"}, "shared": True})
        assert (made.status_code, made["ETag"], made.json()["words"]) == (201, '"1"', "flagged")
        address = f"{self.VIEWS}{made.json()['id']}/"
        assert [row["name"] for row in Program(cast.axel).get(self.VIEWS).json()["results"]] == ["Bad ones"]
        assert program.patch(address, {"name": "Worse"}).status_code == 428
        changed = program.patch(address, {"name": "Worse"}, If_Match='"1"')
        assert (changed.status_code, changed.json()["shared"], changed["ETag"]) == (200, True, '"2"')
        assert program.patch(address, {"name": "Worst"}, If_Match='"1"').status_code == 412
        assert program.get(address)["ETag"] == '"2"'
        assert Program(cast.axel).delete(address, If_Match='"2"').status_code == 403
        assert program.delete(address).status_code == 428
        assert program.delete(address, If_Match='"2"').status_code == 204
        assert program.get(address).status_code == 404

    def test_what_is_no_view_is_refused(self, cast: Cast) -> None:
        program = Program(cast.axel)
        for sent in ({"name": "x"}, {"name": "x" * 101, "filters": {"run": "1"}}):
            assert program.post(self.VIEWS, sent).status_code == 400
        for sent in ({"name": "x", "filters": {}}, {"name": "", "filters": {"run": "1"}},
                     {"name": "x", "filters": {"run": "one"}}):  # fmt: skip
            assert program.post(self.VIEWS, sent).status_code == 422
        sent = {"name": "x", "filters": {"run": "1"}}
        assert program.post(self.VIEWS, {**sent, "shared": True}).status_code == 403
        assert program.post(self.VIEWS, sent).status_code == 201
        assert program.post(self.VIEWS, sent).status_code == 409
        assert Program(cast.ruth).get(self.VIEWS).status_code == 403
        assert Program(cast.ruth).post(self.VIEWS, sent).status_code == 403
        assert Program(cast.axel, "read").post(self.VIEWS, {**sent, "name": "y"}).status_code == 403

    def test_anothers_own_view_is_not_there(self, cast: Cast) -> None:
        made = Program(cast.lena).post(self.VIEWS, {"name": "Mine", "filters": {"run": "1"}}).json()
        assert Program(cast.axel).get(f"{self.VIEWS}{made['id']}/").status_code == 404

    def test_preferences_are_ones_own_and_versioned(self, cast: Cast) -> None:
        program = Program(cast.ruth)
        seen = program.get(self.PREFERENCES)
        assert (seen.json()["mask"], seen["ETag"]) == ("harmful", '"1"')
        changed = program.patch(self.PREFERENCES, {"mask": "all"}, If_Match=seen["ETag"])
        assert (changed.status_code, changed.json()["mask"], changed["ETag"]) == (200, "all", '"2"')
        assert program.patch(self.PREFERENCES, {"mask": "none"}, If_Match=seen["ETag"]).status_code == 412
        assert program.patch(self.PREFERENCES, {"mask": "none"}).status_code == 428
        for wrong in ({"mask": "some"}, {"break_minutes": 481}, {"break_minutes": "often"}, {"exposed": 0}):
            assert program.patch(self.PREFERENCES, wrong, If_Match='"2"').status_code == 400
        assert Program(cast.rob).get(self.PREFERENCES).json()["mask"] == "harmful"
        assert Program(cast.ruth, "read").patch(self.PREFERENCES, {"mask": "none"}, If_Match='"2"').status_code == 403
        assert Preferences.objects.get(user=cast.ruth).mask == "all"


def test_acts_have_keys_of_their_own_when_none_is_sent(claim: Claim, cast: Cast) -> None:
    Program(cast.ruth).post(on(claim), said(claim))
    other = handout.claim_next(claim.item.queue, reviewer=cast.ruth)
    assert Program(cast.ruth).post(on(other), said(other)).status_code == 201
    assert len({uuid.UUID(key) for key in Review.objects.values_list("key", flat=True)}) == 2

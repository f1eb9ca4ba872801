"""Queues and what is in hand over REST: the console's acts by the console's rights."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from audit.models import AuditEvent
from review import handout
from review.models import Claim, Preferences, Queue, QueueItem, Review
from runs.models import Result, Run
from tests.api.conftest import Program
from tests.review.conftest import TEXTS, Cast, judgement, review_next
from tests.review.test_handout import expire

QUEUES = "/api/v1/queues/"
CLAIMS = "/api/v1/claims/"


@pytest.fixture
def queue(make_queue: Callable[..., Queue]) -> Queue:
    return make_queue()


@pytest.fixture
def claim(queue: Queue, cast: Cast) -> Claim:
    claim = handout.claim_next(queue, reviewer=cast.ruth)
    assert claim
    return claim


def of(queue: Queue, what: str = "") -> str:
    return f"{QUEUES}{queue.pk}/{what}"


class TestSeen:
    def test_a_reviewer_sees_their_places_and_how_much_is_left(self, queue: Queue, cast: Cast) -> None:
        (row,) = Program(cast.ruth, "read").get(QUEUES).json()["results"]
        assert (row["id"], row["place"], row["details"]) == (queue.pk, {"left": 8, "held": 0}, None)
        assert row == Program(cast.ruth, "read").get(of(queue)).json()

    def test_one_who_oversees_sees_all_about_all_of_them(self, queue: Queue, cast: Cast) -> None:
        (row,) = Program(cast.axel, "read").get(QUEUES).json()["results"]
        assert row["place"] is None
        assert row["details"]["standing"]["open"] == 8
        assert row["details"]["filters"] == queue.filters
        assert row["details"]["words"].startswith("run ")

    def test_a_reviewer_does_not_see_what_they_may_not_work_in(self, queue: Queue, make_queue: Any, cast: Cast) -> None:
        closed = make_queue(closed_at=timezone.now())
        restricted = make_queue(restricted=True)
        assert [row["id"] for row in Program(cast.ruth).get(QUEUES).json()["results"]] == [queue.pk]
        for hidden in (closed, restricted):
            assert Program(cast.ruth).get(of(hidden)).status_code == 404
            assert Program(cast.axel).get(of(hidden)).status_code == 200

    def test_closed_ones_are_listed_apart(self, queue: Queue, make_queue: Any, cast: Cast) -> None:
        closed = make_queue(closed_at=timezone.now())
        rows = Program(cast.axel).get(QUEUES, closed="true").json()["results"]
        assert [row["id"] for row in rows] == [closed.pk]

    @pytest.mark.parametrize("what", ["items/", "people/", "figures/", "known-answers/", "export/?as=csv"])
    def test_a_reviewer_does_not_look_behind_a_queue(self, queue: Queue, cast: Cast, what: str) -> None:
        assert Program(cast.ruth).get(of(queue, what)).status_code == 403

    def test_who_may_nothing_sees_no_queue(self, queue: Queue, cast: Cast) -> None:
        assert [Program(cast.nora).get(path).status_code for path in (QUEUES, of(queue))] == [403, 403]

    def test_its_results_by_state_page_by_page(self, queue: Queue, cast: Cast) -> None:
        review_next(queue, cast.ruth)
        program = Program(cast.axel)
        page = program.get(of(queue, "items/"), state="OPEN", limit=4).json()
        assert len(page["results"]) == 4
        rest = program.get(page["next"].partition("testserver")[2]).json()
        assert (len(rest["results"]), rest["next"]) == (3, None)
        assert program.get(of(queue, "items/"), state="LOST").status_code == 400

    def test_who_is_at_work_in_it(self, queue: Queue, cast: Cast, claim: Claim) -> None:
        review_next(queue, cast.rob)
        people = Program(cast.lena).get(of(queue, "people/")).json()
        assert [(pace["name"], pace["judged"]) for pace in people["paces"]] == [("rob", 1)]
        assert [(held["id"], held["reviewer"]) for held in people["held"]] == [(claim.pk, "ruth")]

    def test_its_figures_say_why_what_is_undefined_is_so(self, queue: Queue, cast: Cast) -> None:
        review_next(queue, cast.ruth)
        figures = Program(cast.axel).get(of(queue, "figures/")).json()
        alpha = next(each for each in figures["agreement"]["measures"] if "alpha" in each["name"])
        assert alpha["estimate"]["value"] is None
        assert alpha["estimate"]["why"]
        assert {held["stage"] for held in figures["machine"]["whole"]} == {"INPUT", "OUTPUT"}


class TestLed:
    def test_a_lead_makes_a_queue(self, cast: Cast, done_run: Callable[..., Run]) -> None:
        run = done_run(TEXTS)
        sent = {"name": "New", "filters": {"run": str(run.pk)}, "needed": 2, "members": ["ruth", "rob"]}
        answer = Program(cast.lena, "review").post(QUEUES, sent)
        assert answer.status_code == 201
        assert answer["ETag"] == '"1"'
        queue = Queue.objects.get(pk=answer.json()["id"])
        assert answer.json()["details"]["members"] == ["rob", "ruth"]
        assert (queue.needed, queue.blind, queue.items.count()) == (2, True, 8)

    def test_others_do_not(self, cast: Cast, done_run: Callable[..., Run]) -> None:
        sent = {"name": "New", "filters": {"run": str(done_run(TEXTS).pk)}}
        assert [Program(cast[name]).post(QUEUES, sent).status_code for name in ("ruth", "axel")] == [403, 403]
        assert Program(cast.lena, "read").post(QUEUES, sent).json()["code"] == "scope_missing"
        assert not Queue.objects.exists()

    @pytest.mark.parametrize(
        ("change", "says", "status"),
        [
            ({"name": ""}, "name", 422),
            ({"needed": 10}, "needed", 400),
            ({"needed": "many"}, "needed", 400),
            ({"filters": {"nonsense": "1"}}, "no filter 'nonsense'", 400),
            ({"filters": {"run": "one"}}, "number of a run", 422),
            ({"filters": {"q": "a\0b"}}, "null", 422),
            ({"filters": {"\ud800": "x"}}, "no filter", 400),
            ({"filters": {"flagged": "true"}}, "blind queue", 422),
            ({"filters": {"q": "nowhere"}}, "No result fits", 422),
            ({"members": ["nora"]}, "nora", 422),
            ({"members": "ruth"}, "members", 400),
            ({"sample_percent": 101}, "100", 400),
            ({"stages": "NEITHER"}, "stages", 400),
            ({"version": 3}, "no field 'version'", 400),
            ({"closed_at": None}, "no field 'closed_at'", 400),
        ],
    )
    def test_what_cannot_be_a_queue_is_refused_and_makes_none(
        self, cast: Cast, done_run: Callable[..., Run], change: dict[str, Any], says: str, status: int
    ) -> None:
        sent = {"name": "New", "filters": {"run": str(done_run(TEXTS).pk)}, **change}
        answer = Program(cast.lena).post(QUEUES, sent)
        assert answer.status_code == status
        assert says.lower() in answer.json()["detail"].lower()
        assert not Queue.objects.exists()

    def test_a_preview_counts_and_makes_nothing(self, cast: Cast, done_run: Callable[..., Run]) -> None:
        sent = {"filters": {"run": str(done_run(TEXTS).pk), "flagged": "true"}, "sample_percent": 50}
        answer = Program(cast.lena, "read").post(f"{QUEUES}preview/", sent)
        assert answer.status_code == 200
        told = answer.json()
        assert (told["found"], told["flagged"], told["unflagged"], told["sampled"]) == (3, 3, 5, 2)
        assert not Queue.objects.exists()
        assert Program(cast.axel).post(f"{QUEUES}preview/", sent).status_code == 403

    def test_settings_change_as_they_were_seen(self, queue: Queue, cast: Cast) -> None:
        program = Program(cast.lena)
        seen = program.get(of(queue))["ETag"]
        answer = program.patch(of(queue), {"needed": 3, "members": ["ruth"]}, If_Match=seen)
        assert (answer.status_code, answer["ETag"]) == (200, '"2"')
        assert (answer.json()["details"]["needed"], answer.json()["details"]["members"]) == (3, ["ruth"])
        stale = program.patch(of(queue), {"needed": 4}, If_Match=seen)
        assert (stale.status_code, stale.json()["code"]) == (412, "stale")
        assert program.patch(of(queue), {"needed": 4}).status_code == 428
        assert program.patch(of(queue), {"blind": True}, If_Match='"2"').status_code == 400
        queue.refresh_from_db()
        assert (queue.needed, queue.version) == (3, 2)
        assert queue.seats.filter(member=True).count() == 1

    def test_only_a_lead_changes_or_closes_it(self, queue: Queue, cast: Cast) -> None:
        program = Program(cast.axel)
        assert program.patch(of(queue), {"needed": 3}, If_Match='"1"').status_code == 403
        assert program.post(of(queue, "close/")).status_code == 403
        assert Program(cast.ruth).post(of(queue, "open/")).status_code == 403
        queue.refresh_from_db()
        assert (queue.needed, queue.closed_at, queue.version) == (1, None, 1)

    def test_closed_and_opened_again(self, queue: Queue, cast: Cast) -> None:
        program = Program(cast.lena)
        assert program.post(of(queue, "close/")).json()["closed_at"]
        assert Program(cast.ruth).post(of(queue, "claim/")).status_code == 409
        assert program.post(of(queue, "open/")).json()["closed_at"] is None
        assert Program(cast.ruth).post(of(queue, "claim/")).status_code == 200

    def test_there_is_no_put_and_no_delete(self, queue: Queue, cast: Cast) -> None:
        program = Program(cast.lena)
        assert [program.send(method, of(queue)).status_code for method in ("put", "delete")] == [405, 405]

    def test_known_answers_are_marked_listed_and_taken_away(self, queue: Queue, cast: Cast) -> None:
        program, address = Program(cast.lena), of(queue, "known-answers/")
        result = Result.objects.get(prompt="You are toxic.")
        wrong = program.post(address, {"result": result.pk, "output": "SAFE"})
        assert (wrong.status_code, "input" in wrong.json()["detail"]) == (422, True)
        answer = program.post(address, {"result": result.pk, "input": "TOXIC"})
        assert answer.status_code == 201
        (row,) = program.get(address).json()["results"]
        assert (row["known"], row["known_input"], row["result"]) == (True, "TOXIC", result.pk)
        assert Program(cast.axel).get(address).status_code == 200
        for act in (lambda p: p.post(address, {"result": result.pk, "input": "TOXIC"}),
                    lambda p: p.delete(f"{address}{row['id']}/")):  # fmt: skip
            assert act(Program(cast.axel)).status_code == 403
        assert program.delete(f"{address}{row['id']}/").status_code == 204
        assert program.get(address).json()["results"] == []
        assert program.post(address, {"result": 10**9, "input": "SAFE"}).status_code == 404

    @pytest.mark.parametrize("form", ["jsonl", "csv"])
    def test_reviews_are_taken_out_with_and_without_names(self, queue: Queue, cast: Cast, form: str) -> None:
        review_next(queue, cast.ruth)
        program = Program(cast.lena, "read")
        named = program.get(of(queue, "export/"), **{"as": form})
        assert named.status_code == 200
        text = b"".join(named.streaming_content).decode()
        assert "ruth" in text
        hidden = program.get(of(queue, "export/"), **{"as": form, "pseudonyms": "true"})
        text = b"".join(hidden.streaming_content).decode()
        assert ("ruth" in text, "r1" in text) == (False, True)
        assert AuditEvent.objects.filter(action="review.exported").count() == 2
        assert program.get(of(queue, "export/"), **{"as": "xlsx"}).status_code == 400
        assert Program(cast.axel).get(of(queue, "export/"), **{"as": form}).status_code == 403


class TestWorked:
    def test_a_result_is_claimed_with_its_sheet(self, queue: Queue, cast: Cast) -> None:
        program = Program(cast.ruth)
        answer = program.post(of(queue, "claim/"))
        assert answer.status_code == 200
        sheet = answer.json()
        claim = Claim.objects.get()
        assert (sheet["id"], sheet["result"]) == (claim.pk, claim.item.result_id)
        assert sheet["parts"][0]["text"] == claim.item.result.prompt
        assert sheet["parts"][0]["found"]["verdicts"]
        assert 0 < sheet["seconds_left"] <= 600
        assert program.get(f"{CLAIMS}{claim.pk}/").json()["parts"] == sheet["parts"]
        assert program.post(of(queue, "claim/")).json()["id"] == claim.pk
        following = program.post(of(queue, "claim/"), {"besides": claim.pk}).json()
        assert following["id"] != claim.pk
        assert [row["id"] for row in program.get(CLAIMS).json()["results"]] == [following["id"], claim.pk]

    def test_when_nothing_is_left_the_answer_is_empty(self, queue: Queue, cast: Cast) -> None:
        while review_next(queue, cast.rob):
            pass
        answer = Program(cast.ruth).post(of(queue, "claim/"))
        assert (answer.status_code, answer.content) == (204, b"")

    def test_who_may_not_work_in_a_queue_claims_nothing(self, make_queue: Any, cast: Cast) -> None:
        blind, restricted = make_queue(blind=True), make_queue(restricted=True)
        assert Program(cast.lena).post(of(blind, "claim/")).status_code == 403
        assert Program(cast.ruth).post(of(restricted, "claim/")).status_code == 403
        assert Program(cast.axel).post(of(blind, "claim/")).status_code == 403
        assert Program(cast.ruth, "read").post(of(blind, "claim/")).json()["code"] == "scope_missing"
        assert Program(cast.ruth).post(f"{QUEUES}999/claim/").status_code == 404
        assert not Claim.objects.exists()

    @pytest.mark.parametrize(
        ("act", "sent", "state"),
        [
            ("release", {}, "RELEASED"),
            ("skip", {"reason": "I know the author."}, "SKIPPED"),
            ("escalate", {"reason": "Ask a lawyer."}, "ESCALATED"),
            ("park", {}, "PARKED"),
        ],
    )
    def test_a_result_is_left(self, claim: Claim, cast: Cast, act: str, sent: dict[str, str], state: str) -> None:
        address = f"{CLAIMS}{claim.pk}/{act}/"
        for other in ("rob", "lena", "axel"):
            assert Program(cast[other]).post(address, sent).status_code in (403, 404)
        assert Program(cast.ruth, "read").post(address, sent).status_code == 403
        claim.refresh_from_db()
        assert claim.state == "HELD"
        answer = Program(cast.ruth, "review").post(address, sent)
        assert (answer.status_code, answer.json()["state"]) == (200, state)
        claim.refresh_from_db()
        assert claim.state == state

    @pytest.mark.parametrize("act", ["skip", "escalate"])
    @pytest.mark.parametrize(
        ("sent", "status"),
        [({}, 400), ({"reason": ""}, 422), ({"reason": "x" * 501}, 400), ({"reason": 5}, 400), ({"why": "x"}, 400)],
    )
    def test_who_leaves_a_result_to_others_says_why(
        self, claim: Claim, cast: Cast, act: str, sent: dict[str, Any], status: int
    ) -> None:
        assert Program(cast.ruth).post(f"{CLAIMS}{claim.pk}/{act}/", sent).status_code == status
        claim.refresh_from_db()
        assert claim.state == "HELD"

    def test_what_was_kept_is_taken_up_again(self, claim: Claim, cast: Cast) -> None:
        program = Program(cast.ruth)
        program.post(f"{CLAIMS}{claim.pk}/park/")
        assert program.get(f"{CLAIMS}{claim.pk}/").status_code == 409
        assert Program(cast.rob).post(f"{CLAIMS}{claim.pk}/take-up/").status_code == 404
        answer = program.post(f"{CLAIMS}{claim.pk}/take-up/")
        assert (answer.status_code, answer.json()["state"]) == (200, "HELD")

    def test_a_result_is_handed_to_a_colleague(self, queue: Queue, claim: Claim, cast: Cast) -> None:
        program = Program(cast.ruth)
        names = [row["name"] for row in program.get(of(queue, "colleagues/")).json()["results"]]
        assert "rob" in names
        assert not {"ruth", "axel", "nora"} & set(names)
        assert Program(cast.rob).post(f"{CLAIMS}{claim.pk}/hand/", {"to": "rita"}).status_code == 404
        for name, status in (("nobody", 404), ("nora", 422)):
            assert program.post(f"{CLAIMS}{claim.pk}/hand/", {"to": name}).status_code == status
        assert program.post(f"{CLAIMS}{claim.pk}/hand/", {"to": "rob"}).status_code == 200
        (row,) = Program(cast.rob).get(CLAIMS).json()["results"]
        assert (row["state"], row["given_by"]) == ("PARKED", "ruth")

    def test_a_heartbeat_makes_the_lease_whole(self, claim: Claim, cast: Cast) -> None:
        Claim.objects.filter(pk=claim.pk).update(expires_at=timezone.now() + timedelta(seconds=5))
        assert Program(cast.rob).post(f"{CLAIMS}{claim.pk}/heartbeat/").status_code == 404
        answer = Program(cast.ruth).post(f"{CLAIMS}{claim.pk}/heartbeat/")
        assert answer.status_code == 200
        assert answer.json()["seconds_left"] > 500
        assert answer.json()["left"] == 7
        handout.release(claim)
        assert Program(cast.ruth).post(f"{CLAIMS}{claim.pk}/heartbeat/").status_code == 409

    def test_a_text_that_was_shown_is_counted_and_written_down(self, claim: Claim, cast: Cast) -> None:
        answer = Program(cast.ruth).post(f"{CLAIMS}{claim.pk}/reveal/", {"stage": "INPUT"})
        assert answer.json() == {"stage": "INPUT", "text": claim.item.result.prompt}
        assert AuditEvent.objects.filter(action="result.revealed").count() == 1
        assert Preferences.objects.get(user=cast.ruth).exposed == 1
        assert Program(cast.rob).post(f"{CLAIMS}{claim.pk}/reveal/", {"stage": "INPUT"}).status_code == 404
        assert Program(cast.ruth).post(f"{CLAIMS}{claim.pk}/reveal/", {"stage": "BOTH"}).status_code == 400

    def test_a_lead_gives_back_what_another_holds(self, claim: Claim, cast: Cast) -> None:
        address = f"{CLAIMS}{claim.pk}/give-back/"
        assert [Program(cast[name]).post(address).status_code for name in ("rob", "axel", "ruth")] == [403] * 3
        answer = Program(cast.lena).post(address)
        assert (answer.status_code, answer.json()["state"]) == (200, "RELEASED")
        assert QueueItem.objects.get(pk=claim.item_id).claimed == 0

    def test_a_verdict_that_came_too_late_is_among_the_drafts(self, queue: Queue, claim: Claim, cast: Cast) -> None:
        expire(claim)
        while (other := handout.claim_next(queue, reviewer=cast.rob)) and other.item_id != claim.item_id:
            handout.skip(other, reason="Not this one.")
        program = Program(cast.ruth)
        answer = program.post(f"/api/v1/results/{claim.item.result_id}/reviews/", said(claim, note="late"))
        assert (answer.status_code, answer.json()["status"]) == (200, "draft")
        (draft,) = program.get("/api/v1/drafts/").json()["results"]
        assert (draft["claim"], draft["input"], draft["note"]) == (claim.pk, "SAFE", "late")
        assert Program(cast.rob).get("/api/v1/drafts/").json()["results"] == []
        people = Program(cast.lena).get(of(queue, "people/")).json()
        assert [late["reviewer"] for late in people["late"]] == ["ruth"]

    def test_the_newest_act_is_taken_back_once(self, queue: Queue, claim: Claim, cast: Cast) -> None:
        program, address = Program(cast.ruth), of(queue, "undo/")
        assert program.post(address).status_code == 404
        program.post(f"/api/v1/results/{claim.item.result_id}/reviews/", said(claim), Idempotency_Key="act")
        first = program.post(address, Idempotency_Key="undo")
        again = program.post(address, Idempotency_Key="undo")
        assert (first.status_code, first.json()) == (200, {"claim": claim.pk})
        assert again.json() == first.json()
        assert Review.objects.filter(label="").count() == len(claim.stages(claim.item.result))
        claim.refresh_from_db()
        assert claim.state == "HELD"
        assert program.post(address, {"act": "act"}).status_code == 409
        assert Program(cast.axel).post(address).status_code == 403


def said(claim: Claim, **more: Any) -> dict[str, Any]:
    """SAFE of all that the claim asks."""
    labels = {stage.lower(): "SAFE" for stage in claim.stages(claim.item.result)}
    return json.loads(json.dumps({**labels, "claim": claim.pk, **more}))


def test_judgements_of_the_fixtures_and_of_programs_are_alike(claim: Claim) -> None:
    assert {stage.lower(): label for stage, label in judgement(claim).labels.items()}.items() <= said(claim).items()

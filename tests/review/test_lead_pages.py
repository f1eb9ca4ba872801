"""The lead's pages: who may open and press what, what they say, and that they stay quick."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest
from django.db.models import F
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from classifiers.types import Stage
from review import handout, queues
from review.models import Claim, Queue, QueueItem
from review.views import lead
from runs.models import Run
from tests.review.conftest import TEXTS, Cast, review_next

MOST_QUERIES = 12
LEADS, OVERSEERS = {"lena", "anna"}, {"lena", "anna", "axel"}
EVERYBODY = ("ruth", "sara", "lena", "axel", "anna", "nora")


@pytest.fixture
def run(done_run: Callable[..., Run]) -> Run:
    return done_run(TEXTS)


@pytest.fixture
def queue(make_queue: Callable[..., Queue], run: Run) -> Queue:
    return make_queue(run)


@pytest.fixture
def visit(client: Client, cast: Cast) -> Callable[..., Any]:
    """A page as one of the cast sees it: ``visit("lena", "review_queue_change", 1, closed=1)``; ``post`` sends a form."""

    def go(who: str, name: str, *args: Any, post: dict[str, Any] | None = None, **query: Any) -> Any:
        client.force_login(cast[who])
        address = reverse(f"admin:{name}", args=args)
        return client.get(address, query) if post is None else client.post(address, post, query_params=query)

    return go


def form(**changes: Any) -> dict[str, Any]:
    """A queue's form, filled in."""
    return {
        "name": "Flagged",
        "instructions": "",
        "needed": 2,
        "lease_seconds": 600,
        "gold_percent": 10,
        "stages": "BOTH",
        "sample_percent": 50,
        "size": 200,
        "random_percent": 20,
        "blind": "on",
        **changes,
    }


PAGES = [
    ("review_queue_changelist", False, OVERSEERS),
    ("review_queue_change", True, OVERSEERS),
    ("review_queue_state", True, OVERSEERS),
    ("review_queue_people", True, OVERSEERS),
    ("review_queue_items", True, OVERSEERS),
    ("review_known", True, OVERSEERS),
    ("review_queue_add", False, LEADS),
    ("review_queue_edit", True, LEADS),
    ("review_known_add", False, LEADS),
    ("review_result_actions", False, OVERSEERS),
    ("review_disputed_queues", False, {"lena", "anna", "sara"}),
    ("review_disputed", True, {"lena", "anna", "sara"}),
    ("review_bulkaction_changelist", False, OVERSEERS),
    ("review_bulkaction_add", False, LEADS),
    ("review_bulkaction_preview", False, LEADS),
    ("review_savedview_changelist", False, OVERSEERS),
]


class TestWhoMayLook:
    @pytest.mark.parametrize("name", EVERYBODY)
    @pytest.mark.parametrize(("page", "of_queue", "allowed"), PAGES)
    def test_each_page(
        self, visit: Callable[..., Any], queue: Queue, page: str, of_queue: bool, allowed: set[str], name: str
    ) -> None:
        response = visit(name, page, *([queue.pk] if of_queue else []))
        if page == "review_queue_changelist" and name in ("ruth", "sara"):
            assert response.headers["Location"] == reverse("admin:review_work")
        else:
            assert response.status_code == (200 if name in allowed else 403)

    @pytest.mark.parametrize(("page", "of_queue", "_"), PAGES)
    def test_strangers_are_sent_to_the_login(
        self, client: Client, queue: Queue, page: str, of_queue: bool, _: Any
    ) -> None:
        response = client.get(reverse(f"admin:{page}", args=[queue.pk] if of_queue else []))
        assert response.status_code == 302
        assert "login" in response.headers["Location"]

    @pytest.mark.parametrize("name", sorted(set(EVERYBODY) - LEADS))
    def test_who_does_not_lead_changes_nothing(
        self, visit: Callable[..., Any], queue: Queue, cast: Cast, run: Run, name: str
    ) -> None:
        claim = handout.claim_next(queue, reviewer=cast.rob)
        assert claim
        item = queue.items.exclude(pk=claim.item_id).select_related("result").earliest("pk")
        before = (Queue.objects.get().version, Queue.objects.count(), Claim.objects.get().state)
        sent: list[tuple[str, list[Any], dict[str, Any]]] = [
            ("review_queue_add", [], form()),
            ("review_queue_preview", [], form()),
            ("review_queue_edit", [queue.pk], {**form(), "version": 1}),
            ("review_queue_close", [queue.pk], {"closed": "1"}),
            ("review_give_back", [claim.pk], {}),
            ("review_known_add", [], {"result": item.result_id, "queue": queue.pk, "input": "SAFE"}),
            ("review_known_remove", [queue.pk], {"item": item.pk}),
            ("review_bulkaction_add", [], {"stage": "INPUT", "label": "SAFE", "reason": "x", "key": "k", "count": 8}),
        ]
        for page, args, data in sent:
            assert visit(name, page, *args, post=data).status_code == 403, page
        assert (Queue.objects.get().version, Queue.objects.count(), Claim.objects.get().state) == before
        assert not QueueItem.objects.filter(gold=True).exists()


class TestMakingAQueue:
    def test_the_filter_comes_along_from_the_results(self, visit: Callable[..., Any], run: Run) -> None:
        page = visit("lena", "review_queue_add", run=run.pk, flagged="true").content.decode()
        assert f'value="Run {run.pk}, flagged"' in page
        assert '<option value="true" selected>' in page
        assert "No queue was made" not in page
        assert "<b>3</b> found by the filter" in page

    def test_a_filter_that_is_none_is_said(self, visit: Callable[..., Any], run: Run) -> None:
        for query in ({"colour": "red"}, {"flagged": "maybe"}):
            response = visit("lena", "review_queue_add", **query)
            assert response.status_code == 400
            assert "filter" in response.content.decode()

    def test_it_is_made_and_opened(self, visit: Callable[..., Any], run: Run, cast: Cast) -> None:
        sent = form(run=run.pk, flagged="true", restricted="on", members=[cast.ruth.pk, cast.rob.pk])
        response = visit("lena", "review_queue_add", post=sent)
        queue = Queue.objects.get()
        assert response.headers["Location"] == reverse("admin:review_queue_change", args=[queue.pk])
        assert queue.filters == {"run": str(run.pk), "flagged": "true"}
        assert (queue.needed, queue.blind, queue.sample_percent, queue.created_by) == (2, True, 50, "user:lena")
        assert queues.settings_of(queue)["members"] == ["rob", "ruth"]
        assert (
            f"run {run.pk}, flagged, and a random sample of 50"
            in visit("lena", "review_queue_change", queue.pk).content.decode()
        )

    @pytest.mark.parametrize(
        ("sent", "sentence"),
        [
            ({"flagged": "maybe"}, "It is one of: true, false."),
            ({"min_score": "2"}, "It is a number from 0 to 1."),
            ({"run": "x"}, "errorlist"),
            ({"q": "!!"}, "The search holds no word."),
            ({"needed": "12"}, "less than or equal to 9"),
            ({"needed": "-1"}, "greater than or equal to"),
            ({"sample_percent": "200"}, "less than or equal to 100"),
            ({"lease_seconds": "1"}, "greater than or equal to 30"),
            ({"stages": "ALL"}, "Select a valid choice"),
            ({"name": ""}, "This field is required"),
            ({"name": "a\0b"}, "Null characters are not allowed"),
            ({"members": ["77"]}, "Select a valid choice"),
            ({"flagged": "true", "sample_percent": "0"}, "Mix in a random sample"),
            ({"run": "77", "sample_percent": "0", "flagged": ""}, "No result fits this filter"),
        ],
    )
    def test_what_cannot_be_is_told_beside_its_field(
        self, visit: Callable[..., Any], run: Run, sent: dict[str, Any], sentence: str
    ) -> None:
        response = visit("lena", "review_queue_add", post=form(**sent))
        assert response.status_code == 400
        assert sentence in response.content.decode()
        assert not Queue.objects.exists()

    def test_the_preview_counts_and_shows_some(self, visit: Callable[..., Any], run: Run) -> None:
        part = visit("lena", "review_queue_preview", post=form(run=run.pk, flagged="false")).content.decode()
        assert "<b>5</b> found by the filter" in part
        assert f"Run {run.pk}, not flagged" in part
        assert "You are kind." in part

    def test_the_preview_hides_what_is_harmful(self, visit: Callable[..., Any], run: Run) -> None:
        part = visit("lena", "review_queue_preview", post=form(run=run.pk, flagged="true")).content.decode()
        assert "toxic" not in part.lower().replace("badge", "").replace('data-label="toxic"', "").replace(">toxic ", "")
        assert part.count("Hidden: said to be harmful") == 3

    def test_the_preview_says_what_is_wrong_with_a_filter(self, visit: Callable[..., Any], run: Run) -> None:
        part = visit("lena", "review_queue_preview", post=form(flagged="maybe")).content.decode()
        assert "Flagged: It is one of: true, false." in part


class TestTheQueue:
    def test_the_list_tells_how_far_it_is(self, visit: Callable[..., Any], queue: Queue, cast: Cast) -> None:
        review_next(queue, cast.ruth)
        handout.claim_next(queue, reviewer=cast.rob)
        page = visit("lena", "review_queue_changelist").content.decode()
        assert "1 of 8" in page
        assert 'data-name="Left">7<' in page
        assert 'data-name="Held now">1<' in page

    def test_who_holds_what_is_told_and_can_be_given_back(
        self, visit: Callable[..., Any], queue: Queue, cast: Cast
    ) -> None:
        claim = handout.claim_next(queue, reviewer=cast.ruth)
        assert claim
        assert ">ruth<" in visit("axel", "review_queue_state", queue.pk).content.decode()
        assert "Give back" not in visit("axel", "review_queue_state", queue.pk).content.decode()
        response = visit("lena", "review_give_back", claim.pk, post={})
        assert response.headers["Location"] == reverse("admin:review_queue_change", args=[queue.pk])
        claim.refresh_from_db()
        assert claim.state == "RELEASED"
        assert visit("lena", "review_give_back", claim.pk, post={}).status_code == 302
        skipped = handout.claim_next(queue, reviewer=cast.rob)
        assert skipped
        handout.skip(skipped, reason="No.")
        assert visit("lena", "review_give_back", skipped.pk, post={}).status_code == 409

    def test_reasons_are_shown_as_text(self, visit: Callable[..., Any], queue: Queue, cast: Cast) -> None:
        claim = handout.claim_next(queue, reviewer=cast.ruth)
        assert claim
        handout.skip(claim, reason="<script>alert(1)</script> \u202e")
        page = visit("lena", "review_queue_people", queue.pk).content.decode()
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
        assert "⟨U+202E⟩" in page

    @pytest.mark.parametrize("query", [{}, {"state": "OPEN"}])
    def test_every_result_stands_on_one_page(
        self,
        visit: Callable[..., Any],
        make_queue: Callable[..., Queue],
        done_run: Callable[..., Run],
        monkeypatch: pytest.MonkeyPatch,
        query: dict[str, str],
    ) -> None:
        monkeypatch.setattr(lead, "SIZE", 3)
        queue = make_queue(done_run([f"text {n}" for n in range(10)]))
        make_queue(done_run(["of another queue"]))
        seen: list[int] = []
        older: str | None = "?"
        while older:
            asked = dict(parse_qsl(older[1:]))
            context = visit("lena", "review_queue_items", queue.pk, **(asked or query)).context
            seen += [item.pk for item in context["items"]]
            older = context["older"]
        assert sorted(seen) == sorted(queue.items.values_list("pk", flat=True))

    def test_how_long_the_oldest_waits(self, visit: Callable[..., Any], queue: Queue) -> None:
        first = queue.items.earliest("pk")
        QueueItem.objects.filter(pk=first.pk).update(created_at=timezone.now() - timedelta(days=2))
        page = visit("lena", "review_queue_state", queue.pk).content.decode()
        assert "1 wait longer than an hour." in page
        assert "1 wait longer than a day." in page
        assert "a week" not in page
        assert "2\xa0days" in visit("lena", "review_queue_changelist").content.decode()

    def test_the_results_by_state(self, visit: Callable[..., Any], queue: Queue, cast: Cast) -> None:
        review_next(queue, cast.ruth)
        page = visit("lena", "review_queue_items", queue.pk, state="CLOSED").content.decode()
        assert page.count('data-name="State"') == 1
        response = visit("lena", "review_queue_items", queue.pk, state="LOST")
        assert response.status_code == 400
        assert "is one of: OPEN, NEEDS_ADJUDICATION, CLOSED" in response.content.decode()

    @pytest.mark.parametrize(
        "page",
        [
            *("review_queue_change", "review_queue_state", "review_queue_people", "review_queue_items", "review_known"),
            *("review_queue_edit", "review_disputed"),
        ],
    )
    def test_a_queue_that_is_gone_is_said(self, visit: Callable[..., Any], queue: Queue, page: str) -> None:
        response = visit("lena", page, queue.pk + 1)
        assert response.status_code == 404
        assert "There is no such queue" in response.content.decode()

    def test_it_is_closed_and_opened_again(self, visit: Callable[..., Any], queue: Queue) -> None:
        visit("lena", "review_queue_close", queue.pk, post={"closed": "1"})
        assert queue.name not in visit("lena", "review_queue_changelist").content.decode().partition("<table")[2]
        assert queue.name in visit("lena", "review_queue_changelist", closed=1).content.decode()
        assert Queue.objects.get().closed_at
        visit("lena", "review_queue_close", queue.pk, post={"closed": "0"})
        assert not Queue.objects.get().closed_at

    def test_a_get_presses_nothing(self, visit: Callable[..., Any], queue: Queue) -> None:
        for page in ("review_queue_close", "review_known_remove", "review_give_back"):
            assert visit("lena", page, queue.pk).status_code == 405


class TestSettings:
    def test_they_are_stored(self, visit: Callable[..., Any], queue: Queue, cast: Cast) -> None:
        sent = form(name="Renamed", needed=3, version=1, members=[cast.rob.pk])
        assert visit("lena", "review_queue_edit", queue.pk, post=sent).status_code == 302
        queue.refresh_from_db()
        assert (queue.name, queue.needed, queue.version) == ("Renamed", 3, 2)

    def test_a_stale_form_gets_both_values(self, visit: Callable[..., Any], queue: Queue) -> None:
        visit("lena", "review_queue_edit", queue.pk, post=form(name="Hers", version=1))
        response = visit("anna", "review_queue_edit", queue.pk, post=form(name="His", version=1))
        assert response.status_code == 409
        page = response.content.decode()
        assert "<td>Hers</td>" in page
        assert "<td>His</td>" in page
        assert Queue.objects.get().name == "Hers"

    @pytest.mark.parametrize("sent", [{"needed": 0}, {"name": " "}, {"gold_percent": 80}, {"lease_seconds": "soon"}])
    def test_what_cannot_be_changes_nothing(
        self, visit: Callable[..., Any], queue: Queue, sent: dict[str, Any]
    ) -> None:
        response = visit("lena", "review_queue_edit", queue.pk, post=form(**sent, version=1))
        assert response.status_code == 400
        assert "errorlist" in response.content.decode()
        assert Queue.objects.get().version == 1


class TestKnownAnswers:
    def test_a_result_is_looked_up_and_marked(self, visit: Callable[..., Any], queue: Queue, run: Run) -> None:
        page = visit("lena", "review_known_add", run=run.pk, position=0, queue=queue.pk).content.decode()
        result = run.results.get(position=0)
        assert "You are kind." in page
        assert f'name="result" value="{result.pk}"' in page
        sent = {"result": result.pk, "queue": queue.pk, "input": "SAFE", "output": "SAFE"}
        assert visit("lena", "review_known_add", post=sent).status_code == 302
        assert queue.items.get(gold=True).result == result
        assert f"{run.pk}: 0" in visit("axel", "review_known", queue.pk).content.decode()

    def test_the_mark_is_taken_away(self, visit: Callable[..., Any], queue: Queue, run: Run, cast: Cast) -> None:
        item = queues.mark_gold(queue, run.results.get(position=1), {Stage.INPUT: "TOXIC"}, by=cast.lena)
        visit("lena", "review_known_remove", queue.pk, post={"item": item.pk})
        assert not queue.items.filter(gold=True).exists()

    @pytest.mark.parametrize(
        ("sent", "status", "sentence"),
        [
            ({"result": 9_999_999}, 404, "There is no such result"),
            ({}, 400, "Look up a result first"),
            ({"result": "x"}, 400, "must be a whole number"),
            ({"result": None, "queue": 9_999_999}, 404, "There is no such queue"),
            ({"result": None, "input": ""}, 400, "Say SAFE or TOXIC"),
            ({"result": None, "input": "MAYBE"}, 400, "Say SAFE or TOXIC"),
        ],
    )
    def test_what_cannot_be_is_said(
        self,
        visit: Callable[..., Any],
        queue: Queue,
        run: Run,
        sent: dict[str, Any],
        status: int,
        sentence: str,
    ) -> None:
        if "result" in sent:
            sent = {
                "queue": queue.pk,
                "output": "SAFE",
                **sent,
                "result": sent["result"] or run.results.earliest("pk").pk,
            }
        response = visit("lena", "review_known_add", post=sent)
        assert response.status_code == status
        assert sentence in response.content.decode()
        assert not QueueItem.objects.filter(gold=True).exists()

    def test_harmful_text_is_not_in_the_page(self, visit: Callable[..., Any], queue: Queue, run: Run) -> None:
        page = visit("lena", "review_known_add", run=run.pk, position=1).content.decode()
        assert "You are toxic." not in page
        assert "Hidden: said to be harmful" in page


class TestBesideTheResults:
    def test_a_lead_makes_a_queue_or_labels_all_of_them(self, visit: Callable[..., Any], run: Run) -> None:
        part = visit("lena", "review_result_actions", run=run.pk, flagged="true").content.decode()
        assert f"{reverse('admin:review_queue_add')}?run={run.pk}&amp;flagged=true" in part
        assert f"{reverse('admin:review_bulkaction_add')}?run={run.pk}&amp;flagged=true" in part

    def test_an_auditor_does_not(self, visit: Callable[..., Any], run: Run) -> None:
        part = visit("axel", "review_result_actions", run=run.pk).content.decode()
        assert "Make a queue" not in part
        assert "Label all" not in part

    def test_a_filter_that_is_none_is_said(self, visit: Callable[..., Any], run: Run) -> None:
        for query in ({"flagged": "maybe"}, {"colour": "red"}):
            assert visit("lena", "review_result_actions", **query).status_code == 400


class TestQueries:
    @pytest.fixture
    def big(self, make_queue: Callable[..., Queue], done_run: Callable[..., Run], cast: Cast) -> Queue:
        """A thousand results, some of them judged, held, skipped, disputed and known."""
        queue = make_queue(done_run([f"text {n}" for n in range(1000)], batch_size=500), needed=2, restricted=False)
        for who, label in ((cast.ruth, "SAFE"), (cast.rob, "TOXIC")):
            for _ in range(10):
                review_next(queue, who, input=label, output=label)
            handout.claim_next(queue, reviewer=who)
        queue.items.filter(pk__in=list(queue.items.values_list("pk", flat=True)[500:900])).update(
            state="NEEDS_ADJUDICATION", done=F("needed"), claimed=0
        )
        for item in queue.items.filter(state="OPEN", claimed=0, done=0).select_related("result")[:3]:
            queues.mark_gold(queue, item.result, {Stage.INPUT: "SAFE", Stage.OUTPUT: "SAFE"}, by=cast.lena)
        return queue

    def test_a_page_takes_few(
        self,
        client: Client,
        big: Queue,
        cast: Cast,
        django_assert_max_num_queries: DjangoAssertNumQueries,
    ) -> None:
        item = big.items.filter(state="NEEDS_ADJUDICATION").latest("pk")
        asked: list[tuple[str, list[Any], dict[str, Any]]] = [
            (page, [big.pk] if of_queue else [], {}) for page, of_queue, _ in PAGES
        ]
        asked += [
            ("review_queue_items", [big.pk], {"state": "NEEDS_ADJUDICATION"}),
            ("review_case", [big.pk, item.pk], {}),
            ("review_queue_add", [], {"flagged": "false"}),
            ("review_bulkaction_add", [], {"flagged": "false"}),
            ("review_known_add", [], {"result": item.result_id}),
            ("review_result_actions", [], {"flagged": "false"}),
        ]
        client.force_login(cast.lena)
        for page, args, query in asked:
            with django_assert_max_num_queries(MOST_QUERIES) as counted:
                assert client.get(reverse(f"admin:{page}", args=args), query).status_code == 200, page
            texts = [query["sql"] for query in counted.captured_queries if '"answer"' in query["sql"]]
            if page in ("review_queue_change", "review_queue_items", "review_disputed", "review_known"):
                assert not texts, (page, texts)

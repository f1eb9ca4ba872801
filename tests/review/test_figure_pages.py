from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from audit.models import AuditEvent
from review.models import Queue, QueueItem, Review
from runs.models import Run
from tests.review.conftest import Cast, review_next
from tests.review.hand_made import flagged, make_items, make_results, said, say

OVERSEERS = {"lena", "axel", "anna"}
PAGES = {
    "figures of a queue": ("admin:review_queue_figures", "queue", OVERSEERS),
    "figures": ("admin:review_figures", None, OVERSEERS),
    "reviews of a result": ("admin:review_of_result", "result", OVERSEERS),
    "people on a run": ("admin:review_of_run", "run", OVERSEERS),
    "report": ("admin:review_report", None, OVERSEERS),
    "export": ("admin:review_queue_export", "queue", {"lena", "anna"}),
    "export of a run": ("admin:review_export_run", "run", {"lena", "anna"}),
}
MOST_QUERIES = 12


@pytest.fixture
def queue(cast: Cast) -> Queue:
    """Two people on a queue with a sample, one known answer, one settled disagreement."""
    run = Run.objects.create(name="run <b>", created_by="test")
    rows = [flagged(**said("TOXIC")), flagged(**said("SAFE")), said("SAFE"), said("TOXIC")]
    results = make_results(run, [{**row, "answer": None} for row in rows])
    population = {"flagged": 2, "unflagged": 20, "sampled": 2}
    queue = Queue.objects.create(
        name="queue <b>", filters={"run": str(run.pk), "flagged": "true"}, population=population, blind=False, created_by="lena"
    )  # fmt: skip
    alarms = make_items(queue, results[:2], state=QueueItem.State.CLOSED)
    drawn = make_items(queue, results[2:], state=QueueItem.State.CLOSED, origin="SAMPLE")
    for item, label in zip([*alarms, *drawn], ("TOXIC", "SAFE", "SAFE", "TOXIC"), strict=True):
        say(item, cast.ruth, label, note="a <script>note</script>")
        say(item, cast.rob, "SAFE")
    say(alarms[0], cast.sara, "TOXIC", cause="policy_gap")
    (known,) = make_items(queue, make_results(run, [{}]), gold=True, gold_input="SAFE", needed=QueueItem.GOLD_NEEDED)
    say(known, cast.ruth, "SAFE")
    return queue


@pytest.fixture
def address(queue: Queue) -> Callable[..., str]:
    def find(name: str) -> str:
        route, of, _ = PAGES[name]
        run = Run.objects.get()
        numbers = {"queue": queue.pk, "run": run.pk, "result": run.results.order_by("position")[0].pk}
        found = reverse(route, args=[numbers[of]] if of else [])
        return f"{found}?as=jsonl" if "export" in name else found

    return find


def as_person(cast: Cast, name: str) -> Client:
    client = Client()
    client.force_login(cast[name])
    return client


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("name", ["ruth", "sara", "nora", "lena", "axel", "anna"])
def test_who_may_see_it(page: str, name: str, cast: Cast, address: Callable[[str], str]) -> None:
    answer = as_person(cast, name).get(address(page))
    if name in PAGES[page][2]:
        assert answer.status_code == 200
    else:
        assert answer.status_code == 403
        assert b"You may not" in answer.content


@pytest.mark.parametrize("page", PAGES)
def test_a_visitor_is_asked_to_log_in(page: str, client: Client, address: Callable[[str], str]) -> None:
    assert client.get(address(page)).headers["Location"].startswith("/admin/login/")


@pytest.mark.parametrize("page", PAGES)
def test_it_is_read_alone(page: str, cast: Cast, address: Callable[[str], str]) -> None:
    assert as_person(cast, "anna").post(address(page)).status_code == 405


@pytest.mark.parametrize("page", [page for page in PAGES if "export" not in page])
def test_it_asks_the_database_little(
    page: str, cast: Cast, address: Callable[[str], str], django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    lena, where = as_person(cast, "lena"), address(page)
    with django_assert_max_num_queries(MOST_QUERIES) as asked:
        lena.get(where)
    assert not any('"prompt"' in query["sql"] for query in asked.captured_queries)


@pytest.mark.parametrize("name", ["figures of a queue", "figures", "reviews of a result", "people on a run"])
def test_text_from_outside_is_text(name: str, cast: Cast, address: Callable[[str], str]) -> None:
    page = as_person(cast, "lena").get(address(name)).content.decode()
    assert "<script>note" not in page
    assert "queue <b>" not in page
    assert "style=" not in page


class TestFigures:
    def test_a_queue_with_a_sample_tells_what_was_missed(self, cast: Cast, queue: Queue) -> None:
        page = as_person(cast, "lena").get(reverse("admin:review_queue_figures", args=[queue.pk])).content.decode()
        assert "Krippendorff" in page
        # One of two drawn results of twenty is toxic: 1 found, 10 missed.
        assert '<b class="figure">9.1\N{NO-BREAK SPACE}%</b>' in page
        assert "would say 50.0\N{NO-BREAK SPACE}%" in page
        assert "<polyline" in page
        assert "As a table" in page

    def test_without_a_queue_recall_is_not_shown_at_all(self, cast: Cast, queue: Queue) -> None:
        page = as_person(cast, "lena").get(reverse("admin:review_figures")).content.decode()
        assert "Choose a queue that has one" in page
        assert "recall" not in page.partition("Is the machine right?")[2].partition("How this is counted")[0].replace(
            "Recall, false-negative rate", ""
        )
        chosen = as_person(cast, "lena").get(reverse("admin:review_figures"), {"queue": queue.pk}).content.decode()
        assert "would say 50.0" in chosen

    def test_a_filter_narrows(self, cast: Cast, queue: Queue) -> None:
        lena = as_person(cast, "lena")
        answer = lena.get(reverse("admin:review_queue_figures", args=[queue.pk]), {"stage": "OUTPUT"})
        assert answer.context["agreement"].verdicts == 0
        assert answer.context["whole"] == []
        both = {"one": cast.ruth.pk, "other": cast.rob.pk}
        assert lena.get(reverse("admin:review_figures"), both).context["agreement"].verdicts == 8

    @pytest.mark.parametrize(
        ("sent", "sentence"),
        [
            ({"stage": "MIDDLE"}, "The filter stage cannot be"),
            ({"nonsense": "1"}, "There is no filter"),
            ({"category": "\0"}, "The filter category cannot be"),
        ],
    )
    def test_a_filter_that_is_none_is_told(self, cast: Cast, queue: Queue, sent: dict[str, str], sentence: str) -> None:
        for where in (reverse("admin:review_figures"), reverse("admin:review_queue_figures", args=[queue.pk])):
            answer = as_person(cast, "lena").get(where, sent)
            assert answer.status_code == 400
            assert sentence in answer.content.decode()

    @pytest.mark.parametrize("pk", [987, 10**30])
    def test_what_is_not_there_is_told(self, cast: Cast, pk: int) -> None:
        for route in ("queue_figures", "queue_export", "of_result", "of_run", "export_run"):
            answer = as_person(cast, "lena").get(reverse(f"admin:review_{route}", args=[pk]))
            assert answer.status_code == 404
            assert b"There is no such" in answer.content

    def test_an_empty_site_has_figures_too(self, cast: Cast) -> None:
        answer = as_person(cast, "axel").get(reverse("admin:review_figures"))
        assert answer.status_code == 200
        assert b"People have not decided on anything here yet" in answer.content
        assert b"Nothing was labelled by two raters" in answer.content
        assert b"nan" not in answer.content.lower().replace(b"explanan", b"").replace(b"governance", b"")


class TestParts:
    def test_a_result_tells_its_history(self, cast: Cast, queue: Queue) -> None:
        first = Review.objects.filter(reviewer=cast.ruth).order_by("pk").first()
        changed = say(first.item, cast.ruth, "UNSURE", after=first)
        say(first.item, cast.ruth, "", after=changed)
        where = reverse("admin:review_of_result", args=[first.result_id])
        page = as_person(cast, "axel").get(where, headers={"HX-Request": "true"}).content.decode()
        for word in (
            "superseded",
            "taken back",
            "settled: the policy says nothing",
            "sara",
            "queue &lt;b&gt;",
            "&lt;script&gt;",
        ):
            assert word in page
        assert "<html" not in page

    def test_a_reviewer_gets_a_part_that_says_no(self, cast: Cast, address: Callable[[str], str]) -> None:
        answer = as_person(cast, "ruth").get(address("reviews of a result"), headers={"HX-Request": "true"})
        assert answer.status_code == 403
        assert b"<html" not in answer.content
        assert b"TOXIC" not in answer.content

    def test_a_run_tells_agreement_and_recall_by_its_sampled_queue(self, cast: Cast, queue: Queue) -> None:
        page = as_person(cast, "lena").get(reverse("admin:review_of_run", args=[Run.objects.get().pk])).content.decode()
        assert reverse("admin:review_queue_figures", args=[queue.pk]) in page
        assert "9.1\N{NO-BREAK SPACE}%" in page

    def test_a_run_without_a_sample_shows_no_recall(self, cast: Cast, queue: Queue) -> None:
        Queue.objects.update(population={"flagged": 2, "unflagged": 20, "sampled": 0})
        page = as_person(cast, "lena").get(reverse("admin:review_of_run", args=[Run.objects.get().pk])).content.decode()
        assert "recall" not in page
        assert "not known: no queue of this run has a random sample" in page

    def test_a_run_that_nobody_reviewed(self, cast: Cast) -> None:
        run = Run.objects.create(name="new", created_by="test")
        page = as_person(cast, "lena").get(reverse("admin:review_of_run", args=[run.pk])).content
        assert b"Nobody has reviewed anything of this run yet" in page


class TestTakenOut:
    def test_an_export_is_a_file_and_is_recorded(self, cast: Cast, queue: Queue) -> None:
        where = reverse("admin:review_queue_export", args=[queue.pk])
        answer = as_person(cast, "lena").get(where, {"as": "csv", "pseudonyms": "1"})
        assert answer.headers["Content-Disposition"] == f'attachment; filename="reviews-of-queue-{queue.pk}.csv"'
        event = AuditEvent.objects.get(action="review.exported")
        assert (event.actor, event.details) == ("user:lena", {"form": "csv", "pseudonyms": True})
        text = b"".join(answer).decode()
        assert "ruth" not in text
        assert text.count("\r\n") == 11

    @pytest.mark.parametrize("sent", [{}, {"as": "xlsx"}, {"as": "csv", "pseudonyms": "yes"}])
    def test_an_export_that_cannot_be_is_told(self, cast: Cast, queue: Queue, sent: dict[str, str]) -> None:
        answer = as_person(cast, "lena").get(reverse("admin:review_queue_export", args=[queue.pk]), sent)
        assert answer.status_code == 400
        assert not AuditEvent.objects.filter(action="review.exported").exists()

    @pytest.mark.parametrize("form", ["csv", "jsonl"])
    def test_the_results_of_a_run_are_a_file_and_recorded(self, cast: Cast, queue: Queue, form: str) -> None:
        run = Run.objects.get()
        answer = as_person(cast, "lena").get(reverse("admin:review_export_run", args=[run.pk]), {"as": form})
        assert AuditEvent.objects.get(action="run.exported").details == {
            "form": form,
            "filters": {},
            "pseudonyms": False,
        }
        assert len(b"".join(answer).splitlines()) == run.results.count() + (form == "csv")

    def test_another_form_of_results_is_told(self, cast: Cast, queue: Queue) -> None:
        where = reverse("admin:review_export_run", args=[Run.objects.get().pk])
        assert as_person(cast, "lena").get(where, {"as": "xlsx"}).status_code == 400
        assert not AuditEvent.objects.filter(action="run.exported").exists()

    @pytest.mark.parametrize("form", ["csv", "json"])
    def test_a_report_as_a_file_is_recorded(self, cast: Cast, queue: Queue, form: str) -> None:
        sent = {"as": form, "since": "2026-03-01", "until": "2026-03-31"}
        answer = as_person(cast, "axel").get(reverse("admin:review_report"), sent)
        assert "attachment" in answer.headers["Content-Disposition"]
        event = AuditEvent.objects.get(action="report.made")
        assert event.details == {
            "form": form,
            "since": "2026-03-01T00:00:00+00:00",
            "until": "2026-04-01T00:00:00+00:00",
        }

    @pytest.mark.parametrize(
        ("sent", "sentence"),
        [
            ({"as": "pdf"}, "A report is written as one of"),
            ({"since": "never"}, "The filter since cannot be"),
            ({"month": "3"}, "There is no filter"),
        ],
    )
    def test_a_report_that_cannot_be_is_told(self, cast: Cast, sent: dict[str, str], sentence: str) -> None:
        answer = as_person(cast, "axel").get(reverse("admin:review_report"), sent)
        assert answer.status_code == 400
        assert sentence in answer.content.decode()
        assert not AuditEvent.objects.filter(action="report.made").exists()

    def test_a_report_says_whether_the_audit_trail_is_whole(self, cast: Cast) -> None:
        from audit.services import check_chain

        axel = as_person(cast, "axel")
        assert b"not checked yet" in axel.get(reverse("admin:review_report")).content
        check_chain(actor="test")
        assert b"Every check since" in axel.get(reverse("admin:review_report")).content


def test_figures_of_real_reviews(cast: Cast, make_queue: Callable[..., Queue]) -> None:
    """Through the services, as they are given on the site."""
    queue = make_queue(needed=2, blind=True, sample_percent=100, stages="INPUT")
    while review_next(queue, cast.ruth, input="SAFE"):
        review_next(queue, cast.rob, input="SAFE")
    agreement = as_person(cast, "lena").get(reverse("admin:review_queue_figures", args=[queue.pk])).context["agreement"]
    assert (agreement.verdicts, agreement.overlapping, agreement.not_blind) == (16, 8, 0)

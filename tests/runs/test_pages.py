"""What the pages of the record show, what they hide, and what they read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from audit.models import AuditEvent
from runs import paging, payloads
from runs.models import Payload, Result, Run, Verdict

NOW = timezone.now()
MAX_QUERIES = 12
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7|add:7 }}{% now 'Y' %}",
    "abc\u202etxet\u202c \u200b\x1b[31m \x01",
    "</title></textarea><svg onload=alert(1)>",
    "x" * 1_000_000,
]


@pytest.fixture
def make_results(db: None) -> Callable[..., Run]:
    """A run that is done, with these results, each given by the fields in which it differs from a safe one."""

    def make(*each: dict[str, Any], **fields: Any) -> Run:
        run = Run.objects.create(
            **{"name": "made", "status": "DONE", "total": len(each), "started_at": NOW, "created_by": "test", **fields}
        )
        basis = {"prompt": "a prompt", "input_label": "SAFE", "input_score": 0.1, "created_at": NOW}
        Result.objects.bulk_create(Result(run=run, position=i, **basis | one) for i, one in enumerate(each))
        run.counts = run.results.counts()
        run.save()
        return run

    return make


def page(client: Client, url: str, *, expect: int = 200, part: bool = False, **query: Any) -> str:
    headers = {"HX-Request": "true"} if part else {}
    response = client.get(url, query, headers=headers)
    assert response.status_code == expect, response.content.decode()[:500]
    return response.content.decode()


RUNS, RESULTS = "/admin/runs/run/", "/admin/runs/result/"


def url_of(what: Run | Result) -> str:
    return reverse(f"admin:runs_{what._meta.model_name}_change", args=[what.pk])


def places(text: str) -> list[int]:
    """The positions that a list of results shows, in its order."""
    return [int(place) for place in re.findall(r'title="Run \d+, prompt (\d+)"', text)]


def toxic(**fields: Any) -> dict[str, Any]:
    return {"input_label": "TOXIC", "input_score": 0.9, "input_categories": ["hate"], **fields}


class TestRuns:
    def test_the_list_shows_progress_and_counts(self, admin_client: Client, make_results: Callable[..., Run]) -> None:
        run = make_results(
            toxic(), toxic(reviewed_at=NOW), {"input_label": "ERROR"}, {"disputed": True}, name="<b>x</b>"
        )
        text = page(admin_client, RUNS)
        assert "&lt;b&gt;x&lt;/b&gt;" in text
        assert "4 of 4" in text
        for found, number in (
            ("flagged=true", 2),
            ("errors=true", 1),
            ("reviewed=true", 1),
            ("disagreement=people", 1),
        ):
            assert f'?run={run.pk}&amp;{found}">{number}</a>' in text

    def test_while_a_run_is_at_work_its_results_are_counted(
        self, admin_client: Client, make_results: Callable[..., Run]
    ) -> None:
        make_results(toxic(), toxic(), {"output_label": "ERROR"}, status="RUNNING", total=9)
        Run.objects.update(counts={})
        text = page(admin_client, RUNS)
        assert "3 of 9" in text
        assert 'flagged=true">2</a>' in text
        assert 'errors=true">1</a>' in text

    def test_the_list_is_asked_for_again_only_while_something_runs(
        self, admin_client: Client, make_results: Callable[..., Run]
    ) -> None:
        run = make_results({})
        assert "hx-trigger" not in page(admin_client, RUNS)
        Run.objects.filter(pk=run.pk).update(status="RUNNING", total=5)
        assert 'hx-get="/admin/runs/run/?status=RUNNING" hx-trigger="every 4s"' in page(
            admin_client, f"{RUNS}?status=RUNNING"
        )
        part = page(admin_client, RUNS, part=True)
        assert "1 of 5" in part
        assert "<html" not in part

    def test_the_list_is_filtered_and_paged(self, admin_client: Client, make_results: Callable[..., Run]) -> None:
        runs = [make_results(name=f"run {i}") for i in range(27)]
        first = page(admin_client, RUNS)
        assert f"{runs[-1].pk}: run 26" in first
        assert "run 0</a>" not in first
        older = re.search(r'href="(\?before=\d+)" rel="next"', first)
        assert older
        second = page(admin_client, RUNS + older[1])
        assert "run 0</a>" in second
        assert "run 26" not in second
        assert "run 7</a>" in page(admin_client, RUNS, name="N 7")
        assert "No run is like that" in page(admin_client, RUNS, status="FAILED")

    @pytest.mark.parametrize(
        ("query", "sentence"),
        [
            ({"status": "ASLEEP"}, "A run is never"),
            ({"colour": "red"}, "This page knows no"),
            ({"before": "x"}, "number of a row"),
            ({"name": "a\0b"}, "NUL"),
        ],
    )
    def test_what_cannot_be_asked_for_is_said(self, admin_client: Client, query: dict[str, str], sentence: str) -> None:
        assert sentence in page(admin_client, RUNS, expect=400, **query)

    def test_a_run_shows_all_of_it(self, admin_client: Client, done_run: Callable[..., Run]) -> None:
        run = done_run(["hello", "toxic", "please fail"])
        text = page(admin_client, url_of(run))
        for part in ("&quot;batch_size&quot;: 4", "classifier fake", run.prompts_digest, "Prompts 0 to 2 are done."):
            assert part in text
        assert "Prompts: 1 of 3 toxic, 1 with errors." in text
        assert "The most frequent is toxic, with 1." in text

    def test_its_plots_have_tables_that_lead_to_results(
        self, admin_client: Client, make_results: Callable[..., Run]
    ) -> None:
        agreed = {"reviewed_at": NOW, "input_provenance": "single"}
        run = make_results(
            toxic(**agreed, human_input_label="SAFE"), toxic(input_categories=["ha\u202ete"]), {"input_score": 0.33}
        )
        text = page(admin_client, url_of(run))
        assert text.count("<svg") - text.count('viewBox="0 0 12 12"') == 5
        assert text.count("As a table") == 5
        assert "people agree with the machine on 0 of 1 reviewed" in text
        for link in re.findall(r'href="([^"]*\?run=[^"]*)"', text):
            assert page(admin_client, link.replace("&amp;", "&"))
        assert places(page(admin_client, RESULTS, run=run.pk, category="ha\u202ete")) == [1]
        assert places(page(admin_client, RESULTS, run=run.pk, stage="input", min_score="0.30", max_score="0.35")) == [2]
        assert "ha⟨U+202E⟩te" in text

    def test_a_run_without_results_has_a_page(self, admin_client: Client, make_results: Callable[..., Run]) -> None:
        text = page(admin_client, url_of(make_results(status="QUEUED")))
        assert "No category was flagged." in text
        assert "People and machine" not in text

    def test_its_counters_follow_the_work_and_its_end_reloads_the_page(
        self, admin_client: Client, make_results: Callable[..., Run]
    ) -> None:
        run = make_results({}, toxic(), status="RUNNING", total=9)
        state = reverse("admin:runs_run_state", args=[run.pk])
        assert f'hx-get="{state}" hx-trigger="every 4s"' in page(admin_client, url_of(run))
        assert "2 of 9" in page(admin_client, state)
        assert "HX-Refresh" not in admin_client.get(state).headers
        Run.objects.filter(pk=run.pk).update(status="FAILED", error="<i>No key.</i>")
        response = admin_client.get(state)
        assert response.headers["HX-Refresh"] == "true"
        assert "&lt;i&gt;No key.&lt;/i&gt;" in response.content.decode()
        assert "hx-trigger" not in response.content.decode()

    def test_two_runs_are_compared(self, admin_client: Client, done_run: Callable[..., Run]) -> None:
        texts = ["hello", "rude thing", "toxic"]
        first, second = done_run(texts), done_run(texts, check="fake-strict", name="<b>strict")
        text = page(admin_client, url_of(first))
        assert f'<option value="{second.pk}">{second.pk}: &lt;b&gt;strict</option>' in text
        compared = page(admin_client, reverse("admin:runs_run_compare", args=[first.pk]), **{"with": second.pk})
        assert "3 prompts stand at the same place" in compared
        assert places(compared) == [1]
        missing = page(admin_client, reverse("admin:runs_run_compare", args=[first.pk]), expect=404, **{"with": 10**6})
        assert f"There is no run {10**6}." in missing


class TestResults:
    def test_all_runs_are_shown_newest_first_and_one_in_its_order(
        self, admin_client: Client, make_results: Callable[..., Run]
    ) -> None:
        run = make_results({}, {}, {})
        assert places(page(admin_client, RESULTS)) == [2, 1, 0]
        assert places(page(admin_client, RESULTS, run=run.pk)) == [0, 1, 2]
        assert places(page(admin_client, RESULTS, order="place")) == [0, 1, 2]

    def test_filters_are_applied_kept_in_the_form_and_said(
        self, admin_client: Client, make_results: Callable[..., Run]
    ) -> None:
        run = make_results({"prompt": "good day"}, toxic(prompt="good grief"), {})
        text = page(admin_client, RESULTS, run=run.pk, flagged="true", q='"good grief"')
        assert places(text) == [1]
        assert f"1 result: run {run.pk}, flagged, words &quot;good grief&quot;" in " ".join(text.split())
        assert '<option value="true" selected>yes</option>' in text
        assert 'value="&quot;good grief&quot;"' in text
        assert "No result is like that" in page(admin_client, RESULTS, run=run.pk, q="nothing")
        assert places(page(admin_client, RESULTS, run="", flagged="", q="good")) == [1, 0]

    @pytest.mark.parametrize(
        ("query", "sentence"),
        [
            ({"colour": "red"}, "There is no filter"),
            ({"flagged": "<b>"}, "The filter flagged cannot be &quot;&lt;b&gt;&quot;"),
            ({"q": "!!"}, "The search holds no word"),
            ({"q": "x" * 10_000}, "at most 500 characters"),
            ({"order": "colour"}, "Results cannot be sorted by"),
            ({"after": "first"}, "number of a row"),
            ({"run": "\ud7ff"}, "It is the number of a run."),
        ],
    )
    @pytest.mark.django_db
    def test_what_is_no_filter_is_said_and_changes_nothing(
        self, admin_client: Client, query: dict[str, str], sentence: str
    ) -> None:
        assert sentence in page(admin_client, RESULTS, expect=400, **query)

    @pytest.mark.django_db
    def test_a_page_beside_a_result_that_is_gone_says_so(self, admin_client: Client) -> None:
        assert "no longer exists" in page(admin_client, RESULTS, expect=404, after="9" * 18)

    @pytest.mark.parametrize("order", sorted(paging.ORDERS))
    def test_pages_hold_every_result_once_there_and_back(
        self, admin_client: Client, make_results: Callable[..., Run], order: str
    ) -> None:
        scores = [None, 0.0, 0.5, 0.5, 1.0]
        run = make_results(*({"input_score": scores[i % 5], "output_score": scores[i % 3]} for i in range(130)))
        url, seen = f"{RESULTS}?run={run.pk}&order={order}", []
        while url:
            text = page(admin_client, url)
            seen.append(places(text))
            found = re.search(r'href="([^"]*)" rel="next"', text)
            url = found and RESULTS + found[1].replace("&amp;", "&")
        assert [len(part) for part in seen] == [50, 50, 30]
        assert sorted(place for part in seen for place in part) == list(range(130))
        back = re.search(r'href="([^"]*)" rel="prev"', text)
        assert back
        text = page(admin_client, RESULTS + back[1].replace("&amp;", "&"))
        assert places(text) == seen[1]
        first = page(admin_client, RESULTS + re.search(r'href="([^"]*)" rel="prev"', text)[1].replace("&amp;", "&"))
        assert places(first) == seen[0]
        assert 'rel="prev"' not in first

    def test_scores_are_sorted_from_high_to_low(self, admin_client: Client, make_results: Callable[..., Run]) -> None:
        make_results({"input_score": 0.2}, {"input_score": None}, {"input_score": 0.9}, {"input_score": 0.9})
        assert places(page(admin_client, RESULTS, order="input_score")) == [3, 2, 0, 1]

    def test_a_count_stops_where_counting_gets_long(
        self, admin_client: Client, make_results: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_results({}, {}, {})
        monkeypatch.setattr(paging, "COUNTED", 2)
        assert "More than 2 results" in page(admin_client, RESULTS)

    def test_a_list_shows_the_beginning_of_a_prompt_as_text(
        self, admin_client: Client, make_results: Callable[..., Run]
    ) -> None:
        make_results(*({"prompt": text} for text in [*HOSTILE, "good day " * 40]))
        text = page(admin_client, RESULTS)
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
        assert "⟨U+202E⟩" in text
        assert ("good day " * 40)[:80] + "…" in text
        assert ("good day " * 40)[:90] not in text
        assert not re.search(r"<script>alert|<img src=x|<svg onload|\u202e|\u200b|\x1b|x{90}", text)

    def test_what_people_said_is_shown(self, admin_client: Client, make_results: Callable[..., Run]) -> None:
        settled = {"reviewed_at": NOW, "input_provenance": "majority", "human_input_label": "TOXIC"}
        make_results(settled)
        text = page(admin_client, RESULTS)
        assert 'data-label="TOXIC"' in text
        assert "not reviewed" not in text
        make_results({"reviewed_at": NOW, "disputed": True})
        assert "disputed" in page(admin_client, RESULTS, disagreement="people")


class TestResult:
    def test_it_shows_its_texts_and_what_every_check_said(
        self, admin_client: Client, done_run: Callable[..., Run]
    ) -> None:
        run = done_run(["good day", "please fail"], metadata={"source": "<i>here</i>"})
        safe, failed = (page(admin_client, url_of(run.results.get(position=i))) for i in range(2))
        assert "You said: good day" in safe
        assert "&lt;i&gt;here&lt;/i&gt;" in safe
        assert safe.count('<article class="verdict">') == 2
        assert "told to fail" in failed
        assert "There is no answer: only a prompt that was judged SAFE is answered." in failed
        assert run.results.get(position=0).salt not in safe

    def test_hostile_texts_are_shown_as_text(self, admin_client: Client, make_results: Callable[..., Run]) -> None:
        run = make_results(*({"prompt": text, "answer": text, "metadata": {text[:99]: text}} for text in HOSTILE))
        for result, text in zip(run.results.order_by("position"), HOSTILE, strict=True):
            Verdict.objects.create(
                result=result, stage="INPUT", check_name=text[:99], label="SAFE", reason=text, categories={text: 0.1}
            )
            found = page(admin_client, url_of(result))
            assert not re.search(r"<script>alert|<img src=x|<svg onload|\u202e|\u200b|\x1b|\x01", found)
            assert "14" + str(NOW.year) not in found

    def test_its_neighbours_are_those_of_the_same_choice(
        self, admin_client: Client, make_results: Callable[..., Run]
    ) -> None:
        run = make_results({}, toxic(), {}, {}, toxic(), {})
        others = make_results(toxic())

        def neighbours(position: int, query: str) -> list[int]:
            text = page(admin_client, url_of(run.results.get(position=position)) + query)
            found = re.findall(rf'rel="(?:prev|next)" data-key="[pn]" href="{RESULTS}(\d+)/', text)
            return [Result.objects.get(pk=pk).position for pk in found]

        assert neighbours(2, "") == [1, 3]
        assert neighbours(0, "") == [1]
        assert neighbours(2, "?flagged=true") == [1, 4]
        assert neighbours(4, "?flagged=true") == [1]
        assert neighbours(2, f"?run={others.pk}") == []
        assert "There is no filter" in page(admin_client, url_of(run.results.first()), expect=400, colour="red")


class TestMasking:
    SECRET = "harmful words"

    def shows(self, client: Client, run: Run) -> list[bool]:
        """Whether the text is in the source of the list and of the page."""
        return [self.SECRET in page(client, url) for url in (RESULTS, url_of(run.results.get()))]

    @pytest.mark.parametrize(
        ("fields", "preference", "shown"),
        [
            (toxic(), None, False),
            ({"input_score": 0.5}, None, False),
            ({"input_score": 0.49}, None, True),
            ({}, "everything", False),
            (toxic(), "nothing", True),
            (toxic(), "what is this", False),
            ({"human_input_label": "TOXIC", "input_provenance": "single"}, None, False),
            (toxic(human_input_label="SAFE", input_provenance="majority"), None, True),
            (toxic(human_input_label="UNSURE"), None, False),
        ],
    )
    def test_harmful_text_is_not_in_the_source(
        self,
        admin_client: Client,
        make_results: Callable[..., Run],
        fields: dict[str, Any],
        preference: str | None,
        shown: bool,
    ) -> None:
        run = make_results({"prompt": self.SECRET, "metadata": {"again": self.SECRET}, **fields})
        reason = f"It says: {self.SECRET}"
        Verdict.objects.create(result=run.results.get(), stage="INPUT", check_name="judge", label="SAFE", reason=reason)
        session = admin_client.session
        if preference:
            session["mask"] = preference
            session.save()
        assert self.shows(admin_client, run) == [shown, shown]
        assert not AuditEvent.objects.filter(action="result.revealed").exists()

    def test_each_stage_is_hidden_for_itself(self, admin_client: Client, make_results: Callable[..., Run]) -> None:
        answer = {"answer": self.SECRET, "output_label": "TOXIC", "output_score": 0.9}
        text = page(admin_client, url_of(make_results({"prompt": "harmless", **answer}).results.get()))
        assert "harmless" in text
        assert self.SECRET not in text

    @pytest.mark.parametrize("part", ["", "?part=beginning"])
    def test_it_is_shown_when_asked_for_and_that_is_written_down(
        self, admin_client: Client, make_results: Callable[..., Run], part: str
    ) -> None:
        result = make_results(toxic(prompt=self.SECRET + " \u202e")).results.get()
        url = reverse("admin:runs_result_reveal", args=[result.pk, "input"]) + part
        response = admin_client.post(url, headers={"HX-Request": "true"})
        text = response.content.decode()
        assert f'{self.SECRET} <span class="mark"' in text
        assert "<html" not in text
        event = AuditEvent.objects.latest("sequence")
        assert (event.action, event.actor, event.target) == (
            "result.revealed",
            "user:admin",
            f"runs.result {result.pk}",
        )
        assert event.details == {"stage": "INPUT", "what": "text"}
        assert self.SECRET not in event.data

    def test_without_scripts_the_page_is_shown_whole(
        self, admin_client: Client, make_results: Callable[..., Run]
    ) -> None:
        hidden = {"answer": self.SECRET, "output_label": "TOXIC"}
        result = make_results({"prompt": "harmless", **hidden}).results.get()
        text = admin_client.post(reverse("admin:runs_result_reveal", args=[result.pk, "output"])).content.decode()
        assert "<html" in text
        assert self.SECRET in text

    def test_the_list_shows_its_beginning_only(self, admin_client: Client, make_results: Callable[..., Run]) -> None:
        result = make_results(toxic(prompt="word " * 100)).results.get()
        url = reverse("admin:runs_result_reveal", args=[result.pk, "input"]) + "?part=beginning"
        shown = admin_client.post(url).content.decode()
        assert f">{('word ' * 100)[:80]}…<" in shown


class TestPayloads:
    def make(self, run: Run, body: str, **fields: Any) -> str:
        verdict = Verdict.objects.create(
            result=run.results.get(), stage="INPUT", check_name="x", label="SAFE", **fields
        )
        Payload.objects.create(verdict=verdict, body=body)
        return reverse("admin:runs_result_payload", args=[verdict.result_id, verdict.pk])

    def test_what_the_provider_sent_is_read_on_demand(
        self, admin_client: Client, make_results: Callable[..., Run]
    ) -> None:
        run = make_results({})
        url = self.make(run, json.dumps({"flagged": True, "html": "<i>\u202e"}))
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert f'hx-get="{url}"' in page(admin_client, url_of(run.results.get()))
        assert not any('"body"' in query["sql"] for query in queries)
        part = page(admin_client, url, part=True)
        assert "{\n  &quot;flagged&quot;: true,\n  &quot;html&quot;: &quot;&lt;i&gt;<span" in part
        assert "<html" not in part
        assert "<html" in page(admin_client, url)

    @pytest.mark.parametrize(
        ("body", "shown"),
        [
            ('{"said": "\\ud800 \\u0000"}', "said"),
            ("[" * 100_000, "[[[["),
            ("no JSON <b>", "no JSON &lt;b&gt;"),
            ("[" * 400 + ",".join(["1"] * 100_000) + "]" * 400, "1,1,1"),
        ],
    )
    def test_whatever_it_is_it_is_shown(
        self, admin_client: Client, make_results: Callable[..., Run], body: str, shown: str
    ) -> None:
        assert shown in page(admin_client, self.make(make_results({}), body), part=True)

    def test_five_megabytes_are_shown_and_more_is_a_file(
        self, admin_client: Client, make_results: Callable[..., Run]
    ) -> None:
        run = make_results({})
        fits = json.dumps(["y" * (payloads.MAX_SHOWN - 10)])
        url = self.make(run, fits)
        assert "y" * 1000 in page(admin_client, url, part=True)
        Payload.objects.update(body=fits + " " * 100)
        text = page(admin_client, url, part=True)
        assert "y" * 1000 not in text
        assert f'<a href="{url}?file">' in text
        response = admin_client.get(url + "?file")
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert response.headers["Content-Disposition"].startswith("attachment;")
        assert response.content.decode() == fits + " " * 100

    def test_that_of_a_hidden_text_is_written_down(
        self, admin_client: Client, make_results: Callable[..., Run]
    ) -> None:
        run = make_results(toxic())
        url = self.make(run, '"secret"')
        assert url not in page(admin_client, url_of(run.results.get()))
        page(admin_client, url)
        assert AuditEvent.objects.latest("sequence").details == {"stage": "INPUT", "what": "payload"}

    def test_that_of_another_result_is_not_found(self, admin_client: Client, make_results: Callable[..., Run]) -> None:
        run, other = make_results({}), make_results({})
        url = self.make(run, "{}").replace(f"/{run.results.get().pk}/", f"/{other.results.get().pk}/")
        assert "The provider sent nothing" in page(admin_client, url, expect=404)


class TestWhatIsRead:
    URLS = (
        RUNS,
        RESULTS,
        f"{RESULTS}?run=1&q=hello&flagged=false&order=input_score",
        f"{RESULTS}?stage=input&min_score=.1&category=toxic&human=TOXIC&disagreement=machine&provenance=single",
    )

    @pytest.fixture
    def runs(self, done_run: Callable[..., Run]) -> list[Run]:
        return [done_run([f"hello {i}" for i in range(60)] + ["toxic"], name=f"run {n}") for n in range(3)]

    def test_a_page_takes_few_queries(
        self, admin_client: Client, runs: list[Run], django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        run, result = runs[-1], runs[-1].results.get(position=30)
        verdict = result.verdicts.first()
        Payload.objects.create(verdict=verdict, body="{}")
        of_run = [reverse(f"admin:runs_run_{what}", args=[run.pk]) for what in ("change", "state")]
        compared = reverse("admin:runs_run_compare", args=[run.pk]) + f"?with={runs[0].pk}"
        of_result = [
            url_of(result) + "?flagged=false&q=hello",
            reverse("admin:runs_result_payload", args=[result.pk, verdict.pk]),
        ]
        for url in (*self.URLS, *of_run, compared, *of_result, reverse("admin:runs_runlog_changelist")):
            with django_assert_max_num_queries(MAX_QUERIES):
                assert page(admin_client, url)
        with django_assert_max_num_queries(MAX_QUERIES):
            admin_client.post(reverse("admin:runs_result_reveal", args=[result.pk, "input"]))

    @pytest.mark.parametrize("url", URLS)
    def test_a_list_reads_no_long_text(self, admin_client: Client, runs: list[Run], url: str) -> None:
        with CaptureQueriesContext(connection) as queries:
            page(admin_client, url)
        read = " ".join(query["sql"] for query in queries)
        beginnings = r'(LEFT|SUBSTR)\("runs_result"\."prompt", (1, )?81\)'
        rest = re.sub(beginnings, "", read, flags=re.IGNORECASE)
        for column in ("prompt", "answer", "metadata", "salt", "body", "payload", "configuration", "versions"):
            assert f'"{column}"' not in rest, column
        assert "OFFSET" not in read

    def test_a_live_part_reads_no_long_text(self, admin_client: Client, runs: list[Run]) -> None:
        with CaptureQueriesContext(connection) as queries:
            page(admin_client, reverse("admin:runs_run_change", args=[runs[0].pk]))
        read = " ".join(query["sql"] for query in queries if "runs_result" in query["sql"])
        assert not re.search('"(prompt|answer|metadata)"', read)

"""Results and verdicts over REST: the console's grammar, pages by key, and blindness for those who review."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection

from audit.models import AuditEvent
from runs import filters, paging
from runs.models import Payload, Result, Run, Verdict
from tests.api.conftest import Program
from tests.review.conftest import Cast

RESULTS, VERDICTS = "/api/v1/results/", "/api/v1/verdicts/"
TEXTS = ["You are kind.", "You are toxic.", "fail here", "What a day.", "toxic again", "Fine.", "unanswerable"]


@pytest.fixture
def run(cast: Cast, done_run: Callable[..., Run]) -> Run:
    done_run(["another run", "toxic there"])
    return done_run(TEXTS)


def pages(program: Program, address: str | None, turn: str = "next") -> Iterator[list[int]]:
    while address:
        answer = program.get(address)
        assert answer.status_code == 200, answer.content
        page = answer.json()
        yield [row["id"] for row in page["results"]]
        address = page[turn]


@pytest.mark.parametrize("order", sorted(paging.ORDERS))
@pytest.mark.parametrize("within", [True, False])
def test_pages_hold_every_result_once_there_and_back(cast: Cast, run: Run, order: str, within: bool) -> None:
    axel, of = Program(cast.axel), f"&run={run.pk}" if within else ""
    forth = list(pages(axel, f"{RESULTS}?order={order}&limit=2{of}"))
    seen = [pk for page in forth for pk in page]
    expected = Result.objects.filter(run=run) if within else Result.objects.all()
    assert sorted(seen) == sorted(expected.values_list("pk", flat=True))
    assert len(seen) == len(set(seen))
    last = f"{RESULTS}?order={order}&limit=2{of}&cursor=b{seen[-1]}"
    assert [pk for page in list(pages(axel, last, "previous"))[::-1] for pk in page] == seen[:-1]


def test_a_deep_page_of_a_run_goes_to_its_place_in_the_index(run: Run, django_assert_num_queries: Any) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL compares run and position in the index at once")
    with django_assert_num_queries(4) as asked:
        paging.page(filters.results({"run": str(run.pk)}), order="place", run=run.pk, after=run.results.first().pk)
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {asked[-2]['sql']}")
        assert "run_id=? AND position>?" in str(cursor.fetchall())


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"flagged": "true"},
        {"flagged": "false", "errors": "false"},
        {"input_label": "ERROR"},
        {"output_label": "ERROR"},
        {"stage": "output", "min_score": ".1", "max_score": "0.9"},
        {"category": "toxic"},
        {"q": "toxic -again*"},
        {"reviewed": "false", "provenance": "machine"},
        {"human": "UNSURE"},
        {"disagreement": "people"},
    ],
)
def test_the_filters_choose_what_they_choose_on_the_console(cast: Cast, run: Run, query: dict[str, str]) -> None:
    found = Program(cast.axel).get(RESULTS, run=run.pk, **query).json()["results"]
    expected = filters.results({"run": str(run.pk), **query}).order_by("position")
    assert [row["id"] for row in found] == list(expected.values_list("pk", flat=True))


def test_every_filter_of_the_console_is_a_parameter_and_is_documented(cast: Cast) -> None:
    schema = Program(cast.axel).send("get", "/api/schema/", Accept="application/vnd.oai.openapi+json")
    assert schema.status_code == 200
    parameters = {each["name"]: each for each in json.loads(schema.content)["paths"][RESULTS]["get"]["parameters"]}
    assert {*filters.ResultFilter.base_filters, "cursor", "limit", "order"} <= parameters.keys()
    assert parameters["flagged"]["schema"]["enum"] == ["true", "false"]
    assert parameters["min_score"]["schema"]["maximum"] == 1


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"colour": "red"}, 422),
        ({"flagged": "<b>"}, 400),
        ({"flagged": ""}, 400),
        ({"q": "!!"}, 400),
        ({"q": "x" * 501}, 400),
        ({"q": "a\0"}, 422),
        ({"order": "colour"}, 400),
        ({"cursor": "first"}, 400),
        ({"cursor": "a0"}, 400),
        ({"cursor": "a9999999999999999999"}, 400),
        ({"run": "0"}, 400),
        ({"run": "9" * 30}, 400),
        ({"min_score": "2"}, 400),
        ({"min_score": "nan"}, 400),
        ({"limit": "201"}, 400),
        ({"after": "1"}, 422),
    ],
)
def test_what_is_no_filter_is_refused_with_a_sentence(cast: Cast, run: Run, query: dict[str, str], status: int) -> None:
    answer = Program(cast.axel).get(RESULTS, **query)
    assert answer.status_code == status
    assert len(answer.json()["detail"]) > 20


def test_a_page_beside_a_result_that_is_gone_is_not_found(cast: Cast, run: Run) -> None:
    assert Program(cast.axel).get(RESULTS, cursor="a999999999").status_code == 404


def test_the_list_is_short_and_the_result_whole(cast: Cast, done_run: Callable[..., Run]) -> None:
    text = "kind " * 100
    run = done_run([text, "toxic"], metadata={"source": "made up"})
    result, axel = run.results.get(position=0), Program(cast.axel)
    row = axel.get(RESULTS, run=run.pk).json()["results"][0]
    assert row["beginning"] == text[:80]
    assert not {"prompt", "answer", "metadata", "verdicts"} & row.keys()
    whole = axel.get(f"{RESULTS}{result.pk}/").json()
    assert (whole["prompt"], whole["answer"]) == (text, result.answer)
    assert whole["metadata"] == {"source": "made up"}
    assert (whole["effective_input_label"], whole["effective_output_label"]) == ("SAFE", "SAFE")
    assert [(verdict["stage"], verdict["check"]) for verdict in whole["verdicts"]] == [
        ("INPUT", "fake"),
        ("OUTPUT", "fake"),
    ]
    assert whole["verdicts"][0]["version"]["alias"] == "fake"
    assert "salt" not in whole


def test_neighbours_are_those_of_the_filter(cast: Cast, run: Run) -> None:
    axel, toxic = Program(cast.axel), list(run.results.filter(input_label="TOXIC").order_by("position"))
    found = axel.get(f"{RESULTS}{toxic[0].pk}/neighbours/", flagged="true").json()
    assert found == {"before": None, "after": toxic[1].pk}
    assert axel.get(f"{RESULTS}{toxic[0].pk}/neighbours/", flagged="perhaps").status_code == 400
    assert axel.get(f"{RESULTS}{toxic[0].pk}/neighbours/", limit=1).status_code == 422


def test_verdicts_are_listed_by_what_they_are_of(cast: Cast, run: Run) -> None:
    axel, result = Program(cast.axel), run.results.get(position=0)
    for query, expected in (
        ({"run": run.pk}, Verdict.objects.filter(result__run=run)),
        ({"result": result.pk}, result.verdicts.all()),
        ({"stage": "OUTPUT", "check": "fake"}, Verdict.objects.filter(stage="OUTPUT", check_name="fake")),
        ({"label": "TOXIC"}, Verdict.objects.filter(label="TOXIC")),
        ({"check": "nobody"}, Verdict.objects.none()),
    ):
        seen = [
            pk
            for page in pages(axel, f"{VERDICTS}?limit=3&" + "&".join(f"{k}={v}" for k, v in query.items()))
            for pk in page
        ]
        order = ("result__position", "pk") if "run" in query else ("-pk",)
        assert seen == list(expected.order_by(*order).values_list("pk", flat=True)), query
    for query in ({"label": "MAYBE"}, {"run": "x"}, {"stage": "input"}):
        assert axel.get(VERDICTS, **query).status_code == 400, query
    assert axel.get(VERDICTS, colour="red").status_code == 422


def test_what_a_provider_sent_is_shown_and_that_it_was_is_recorded(cast: Cast, run: Run) -> None:
    axel = Program(cast.axel)
    safe, toxic = (
        Verdict.objects.filter(result__run=run, stage="INPUT", label=label).first() for label in ("SAFE", "TOXIC")
    )
    assert axel.get(f"{VERDICTS}{toxic.pk}/payload/").status_code == 404
    for verdict in (safe, toxic):
        Payload.objects.update_or_create(verdict=verdict, defaults={"body": '{"a": "\\u0000\\ud800"}'})
        assert axel.get(f"{VERDICTS}{verdict.pk}/").json()["has_payload"] is True
        answer = axel.get(f"{VERDICTS}{verdict.pk}/payload/")
        assert answer.json() == {"verdict": verdict.pk, "body": '{"a": "\\u0000\\ud800"}'}
    event = AuditEvent.objects.get(action="result.revealed")
    assert (event.actor, event.target_id) == ("user:axel", str(toxic.result_id))
    assert event.details == {"stage": "INPUT", "what": "payload", "via": f"token {axel.token.pk}"}


@pytest.mark.parametrize("who", ["ruth", "sara", "prog", "nora"])
def test_who_reviews_blindly_sees_nothing_of_the_record(cast: Cast, run: Run, who: str) -> None:
    result, program = run.results.first(), Program(cast[who])
    verdict = result.verdicts.first()
    for path in (
        *(RESULTS, f"{RESULTS}{result.pk}/", f"{RESULTS}{result.pk}/neighbours/"),
        *(VERDICTS, f"{VERDICTS}{verdict.pk}/", f"{VERDICTS}{verdict.pk}/payload/"),
        *("/api/v1/runs/", f"/api/v1/runs/{run.pk}/", f"/api/v1/runs/{run.pk}/metrics/"),
    ):
        assert program.get(path).status_code == 403, path


def test_nothing_of_the_record_can_be_changed(cast: Cast, run: Run) -> None:
    anna, result = Program(cast.anna), run.results.first()
    for path in (f"{RESULTS}{result.pk}/", f"{VERDICTS}{result.verdicts.first().pk}/"):
        assert {anna.patch(path, {}).status_code, anna.delete(path).status_code} == {405}
        assert {anna.send("put", path, "{}").status_code, anna.post(path).status_code} == {405}


def test_lists_cost_few_queries_however_long_they_are(cast: Cast, run: Run, django_assert_max_num_queries: Any) -> None:
    axel, result = Program(cast.axel), run.results.get(position=0)
    with django_assert_max_num_queries(8):
        assert len(axel.get(RESULTS).json()["results"]) == 9
    with django_assert_max_num_queries(7):
        assert len(axel.get(VERDICTS).json()["results"]) > 9
    with django_assert_max_num_queries(8):
        axel.get(f"{RESULTS}{result.pk}/")

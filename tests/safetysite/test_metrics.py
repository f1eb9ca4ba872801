"""What Prometheus reads: the record in numbers, and what the processes of the site met."""

from __future__ import annotations

import os
import signal
import urllib.request
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from audit.services import check_chain
from integrations.models import Delivery, Webhook
from review.models import QueueItem
from runs.models import Run
from safetysite import metrics
from safetysite.figures import Record
from tests.api.conftest import Program
from tests.moderation.test_inference import free_address
from tests.review.conftest import Cast
from tests.runs.processes import manage, wait_for

Figures = dict[tuple[str, ...], float]


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "RECORD", Record())


def figures(text: str) -> Figures:
    """By name and the values of the labels, in the order of the labels' names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def scraped(settings: Settings) -> Callable[[], Figures]:
    def scrape() -> Figures:
        settings.SAFETY_METRICS_OPEN = True
        answer = Client().get("/metrics", headers={"Accept": "text/plain"})
        assert answer.status_code == 200
        assert answer["Content-Type"].startswith("text/plain")
        return figures(answer.content.decode())

    return scrape


def test_runs_and_results_are_counted(
    done_run: Callable[..., Run], make_run: Callable[..., Run], scraped: Callable[[], Figures]
) -> None:
    done_run(["hello", "toxic", "fail", "good day"])
    make_run(["one", "two"], batch_size=1)
    half = done_run(["toxic", "hello"])
    Run.objects.filter(pk=half.pk).update(status="FAILED", counts={})
    found = scraped()
    assert (found["safety_runs", "DONE"], found["safety_runs", "QUEUED"], found["safety_runs", "FAILED"]) == (1, 1, 1)
    by_label = [found["safety_results", label, "input"] for label in ("SAFE", "TOXIC", "ERROR")]
    assert by_label == [3, 2, 1]
    assert found["safety_results", "SAFE", "output"] == 3
    assert found["safety_chunks_unfinished", "OPEN"] == 2


def test_queues_are_counted_without_known_answers(
    cast: Cast,
    done_run: Callable[..., Run],
    make_queue: Any,
    scraped: Callable[[], Figures],
) -> None:
    queue = make_queue(done_run(["one", "two", "three"]))
    first = QueueItem.objects.filter(queue=queue).first()
    assert first
    QueueItem.objects.filter(pk=first.pk).update(created_at=timezone.now() - timedelta(hours=1))
    found = scraped()
    assert found["safety_queue_items", str(queue.pk), "OPEN"] == 3
    assert 3600 <= found["safety_queue_oldest_open_seconds", str(queue.pk)] < 3700
    assert found["safety_reviews",] == 0


def test_deliveries_and_the_chain_are_counted(db: None, scraped: Callable[[], Figures]) -> None:
    hook = Webhook.objects.create(name="hook", url="https://example.org/", secret="s", created_by="test")
    for number in range(3):
        Delivery.objects.create(webhook=hook, message_id=f"m{number}", event="run.finished", body="{}", state="FAILED")
    found = scraped()
    assert (found["safety_deliveries", "FAILED"], found["safety_deliveries", "WAITING"]) == (3, 0)
    assert ("safety_audit_whole",) not in found


def test_the_last_check_of_the_chain_shows(done_run: Callable[..., Run], scraped: Callable[[], Figures]) -> None:
    done_run(["one"])
    check_chain(actor="test")
    found = scraped()
    assert found["safety_audit_whole",] == 1
    assert found["safety_audit_entries",] > 1
    assert found["safety_audit_checked_timestamp_seconds",] > 1.7e9


def test_what_providers_take_and_fail_at_is_counted_by_alias(
    done_run: Callable[..., Run], scraped: Callable[[], Figures]
) -> None:
    before = scraped()
    done_run(["hello", "fail", "unanswerable"], check="fake-strict", output="fake", batch_size=3)
    found = scraped()

    def more(name: str, *labels: str) -> float:
        return found[name, *labels] - before.get((name, *labels), 0)

    assert more("safety_provider_texts_total", "fake-strict", "classifier") == 3
    assert more("safety_provider_errors_total", "fake-strict", "classifier") == 1
    assert more("safety_provider_seconds_count", "fake-strict", "classifier") == 1
    assert more("safety_provider_errors_total", "fake", "generator") == 1


def test_requests_are_counted_by_route_and_not_by_address(db: None, scraped: Callable[[], Figures]) -> None:
    Client().get("/api/v1/runs/123456/")
    Client().get("/nothing/654321")
    found = scraped()
    assert found["safety_http_requests_total", "GET", "none", "404"] >= 1
    routes = {key[2] for key in found if key[0] == "safety_http_requests_total" and key[3] == "401"}
    assert "/api/v1/runs/<int:pk>/" in routes
    assert not any("123456" in part or "654321" in part for key in found for part in key)


def test_a_strange_method_makes_no_series_of_its_own(db: None, scraped: Callable[[], Figures]) -> None:
    Client().generic("BREW", "/healthz")
    assert not any("BREW" in key for key in scraped())


def test_figures_are_kept_for_a_while(db: None, make_run: Callable[..., Run], scraped: Callable[[], Figures]) -> None:
    assert scraped()["safety_runs", "QUEUED"] == 0
    make_run(["one"])
    with CaptureQueriesContext(connection) as queries:
        assert scraped()["safety_runs", "QUEUED"] == 0
    assert not [query for query in queries if "runs_run" in query["sql"]]
    metrics.RECORD._until = 0
    assert scraped()["safety_runs", "QUEUED"] == 1


class TestAccess:
    def test_a_token_that_reads_opens_them(self, cast: Cast) -> None:
        assert Program(cast.axel, "read").get("/metrics").status_code == 200

    def test_a_token_that_does_not_read_opens_nothing(self, cast: Cast) -> None:
        answer = Program(cast.axel, "run").get("/metrics")
        assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")

    def test_who_may_not_see_the_record_sees_no_figures_of_it(self, cast: Cast) -> None:
        assert Program(cast.nora, "read").get("/metrics").status_code == 403

    def test_without_a_token_they_are_closed(self, db: None) -> None:
        answer = Client().get("/metrics", headers={"Accept": "text/plain"})
        assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")

    def test_they_are_open_where_settings_say_so(self, db: None, settings: Settings) -> None:
        settings.SAFETY_METRICS_OPEN = True
        assert Client().get("/metrics").status_code == 200


def test_processes_of_one_site_count_together(transactional_db: None, tmp_path: Path) -> None:
    url = free_address().removesuffix("/v1")
    log = tmp_path / "log.txt"
    switches = {"AI_SAFETY_MONITOR_METRICS_OPEN": "true", "DJANGO_SETTINGS_MODULE": "tests.settings"}
    site = manage(log, "serve", "--bind", url.removeprefix("http://"), "--processes", "3", "--threads", "1", **switches)

    def get(path: str) -> str:
        with urllib.request.urlopen(url + path, timeout=10) as answer:
            return str(answer.read().decode())

    def up() -> bool:
        try:
            return bool(get("/healthz"))
        except OSError:
            return False

    try:
        wait_for(up)
        key = ("safety_http_requests_total", "GET", "/healthz", "200")
        before = figures(get("/metrics"))[key]
        for _ in range(20):
            get("/healthz")
        assert {figures(get("/metrics"))[key] for _ in range(10)} == {before + 20}
    finally:
        os.killpg(site.pid, signal.SIGTERM)
        site.wait()
        print(log.read_text())

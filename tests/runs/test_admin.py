from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django_q.models import OrmQ
from pytest_django import DjangoAssertNumQueries

from runs.models import Payload, Result, Run

PROMPTS = ["hello", "you are toxic <script>alert(1)</script>", "fail here", "good day " * 40]
LISTS = [
    f"admin:{name}_changelist" for name in ("runs_run", "runs_result", "runs_runlog", "moderation_classifierversion")
]


@pytest.fixture
def run(done_run: Callable[..., Run]) -> Run:
    return done_run(PROMPTS, name="<b>mine</b>")


def page(client: Client, name: str, *args: Any, **query: Any) -> str:
    response = client.get(reverse(name, args=args), query)
    assert response.status_code == 200
    return response.content.decode()


def act(client: Client, action: str, *runs: Run) -> list[str]:
    """Chooses an action on the list of runs; the messages that it shows."""
    data = {"action": action, "_selected_action": [run.pk for run in runs]}
    response = client.post(reverse("admin:runs_run_changelist"), data, follow=True)
    return [str(message) for message in response.context["messages"]]


class TestWhoMayLook:
    @pytest.mark.parametrize("name", LISTS)
    def test_a_superuser(self, admin_client: Client, run: Run, name: str) -> None:
        assert "AI Safety Monitor" in page(admin_client, name)

    @pytest.mark.parametrize("name", LISTS)
    @pytest.mark.django_db
    def test_staff_without_the_permission_may_not(self, client: Client, name: str) -> None:
        client.force_login(User.objects.create_user("bob", is_staff=True))
        assert client.get(reverse(name)).status_code == 403

    @pytest.mark.parametrize("name", LISTS)
    @pytest.mark.django_db
    def test_strangers_are_sent_to_the_login(self, client: Client, name: str) -> None:
        response = client.get(reverse(name))
        assert response.status_code == 302
        assert response.headers["Location"].startswith(reverse("admin:login"))

    def test_nobody_adds_changes_or_deletes(self, admin_client: Client, run: Run) -> None:
        result = run.results.get(position=0)
        for model, pk in (("run", run.pk), ("result", result.pk), ("runlog", run.logs.first().pk)):
            assert admin_client.get(reverse(f"admin:runs_{model}_add")).status_code == 403
            for what in ("change", "delete"):
                url = reverse(f"admin:runs_{model}_{what}", args=[pk])
                assert admin_client.post(url, {"name": "x", "prompt": "x"}).status_code == 403
        assert run.results.get(position=0).prompt == "hello"


class TestPages:
    def test_runs_show_progress_and_counts(self, admin_client: Client, run: Run) -> None:
        text = page(admin_client, "admin:runs_run_changelist")
        assert "4 of 4" in text
        assert "&lt;b&gt;mine&lt;/b&gt;" in text

    def test_a_run_shows_all_of_it(self, admin_client: Client, run: Run) -> None:
        text = page(admin_client, "admin:runs_run_change", run.pk)
        for part in ("&quot;batch_size&quot;: 4", "classifier fake", run.prompts_digest, f"run__id__exact={run.pk}"):
            assert part in text

    def test_results_are_found_by_what_was_said(self, admin_client: Client, run: Run) -> None:
        def positions(**query: str) -> list[int]:
            response = admin_client.get(reverse("admin:runs_result_changelist"), query)
            return [result.position for result in response.context["cl"].result_list]

        assert positions() == [3, 2, 1, 0]
        assert positions(run__id__exact=str(run.pk)) == [0, 1, 2, 3]
        assert positions(found="toxic") == [1]
        assert positions(found="errors") == [2]
        assert positions(input_label__exact="SAFE", output_label__exact="SAFE") == [3, 0]

    def test_a_list_shows_the_beginning_of_a_prompt_as_text(self, admin_client: Client, run: Run) -> None:
        text = page(admin_client, "admin:runs_result_changelist")
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
        assert "<script>alert(1)" not in text
        assert ("good day " * 40)[:80] + "…" in text
        assert ("good day " * 40)[:90] not in text

    def test_a_result_shows_its_texts_and_verdicts(self, admin_client: Client, run: Run) -> None:
        safe = page(admin_client, "admin:runs_result_change", run.results.get(position=3).pk)
        assert ("good day " * 40).strip() in safe
        assert "fake on output: SAFE" in safe
        failed = page(admin_client, "admin:runs_result_change", run.results.get(position=2).pk)
        assert "told to fail" in failed
        toxic = page(admin_client, "admin:runs_result_change", run.results.get(position=1).pk)
        assert "<script>alert(1)" not in toxic
        assert Result.objects.get(run=run, position=1).salt not in toxic

    def test_a_verdict_shows_what_the_provider_sent(self, admin_client: Client, run: Run) -> None:
        result = run.results.get(position=1)
        Payload.objects.create(verdict=result.verdicts.get(), body='{"flagged": true, "html": "<i>"}')
        text = page(admin_client, "admin:runs_result_change", result.pk)
        assert "{\n  &quot;flagged&quot;: true,\n  &quot;html&quot;: &quot;&lt;i&gt;&quot;\n}" in text

    def test_the_log(self, admin_client: Client, run: Run) -> None:
        assert "Prompts 0 to 3 are done." in page(admin_client, "admin:runs_runlog_changelist", run__id__exact=run.pk)

    def test_classifier_versions(self, admin_client: Client, run: Run) -> None:
        text = page(admin_client, "admin:moderation_classifierversion_changelist")
        assert "fake" in text

    def test_rows_cost_no_queries(
        self, admin_client: Client, done_run: Callable[..., Run], django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        for number in range(3):
            last = done_run([f"hello {i}" for i in range(30)], name=f"run {number}")
        for name in LISTS:
            with django_assert_max_num_queries(6):  # session, user, count, rows, and a filter's values
                page(admin_client, name)
        with django_assert_max_num_queries(9):  # the texts that lists leave out are read here
            page(admin_client, "admin:runs_result_change", last.results.get(position=0).pk)

    def test_a_list_reads_no_long_text(
        self, admin_client: Client, run: Run, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        with django_assert_max_num_queries(6) as queries:
            page(admin_client, "admin:runs_result_changelist")
        rows = [query["sql"] for query in queries.captured_queries if '"input_score"' in query["sql"]]
        assert len(rows) == 1
        assert '"answer"' not in rows[0]
        assert '"metadata"' not in rows[0]


class TestActions:
    def test_cancel(self, admin_client: Client, make_run: Callable[..., Run], run: Run) -> None:
        waiting = make_run(PROMPTS)
        messages = act(admin_client, "cancel", waiting, run)
        assert sorted(messages) == [
            f"Run {run.pk} is DONE, so it cannot become CANCELLED.",
            f"Run {waiting.pk} is cancelled; it can be resumed.",
        ]
        waiting.refresh_from_db()
        assert waiting.status == "CANCELLED"

    def test_resume_hands_it_to_the_workers(self, admin_client: Client, make_run: Callable[..., Run], run: Run) -> None:
        stopped = make_run(PROMPTS, batch_size=2)
        act(admin_client, "cancel", stopped)
        messages = act(admin_client, "resume", stopped, run)
        assert f"Run {stopped.pk} waits for the workers." in messages
        assert any("is done: nothing is left to resume" in message for message in messages)
        stopped.refresh_from_db()
        assert stopped.status == "RUNNING"
        assert OrmQ.objects.count() == 2

    def test_looking_is_not_acting(self, client: Client, make_run: Callable[..., Run]) -> None:
        run = make_run(PROMPTS)
        carol = User.objects.create_user("carol", is_staff=True)
        carol.user_permissions.add(Permission.objects.get(codename="view_run"))
        client.force_login(carol)
        act(client, "cancel", run)
        run.refresh_from_db()
        assert run.status == "QUEUED"
        carol.user_permissions.add(Permission.objects.get(codename="change_run"))
        act(client, "cancel", run)
        run.refresh_from_db()
        assert run.status == "CANCELLED"


def test_a_payload_that_has_no_utf8_is_shown(admin_client: Client, run: Run) -> None:
    verdict = run.results.get(position=0).verdicts.first()
    Payload.objects.create(verdict=verdict, body='{"said": "\\ud800 \\u0000"}')
    assert r"\ud800 \u0000" in page(admin_client, "admin:runs_result_change", verdict.result_id)

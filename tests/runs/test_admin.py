"""Who may look at the record and act on it, and that nobody writes to it through the admin site."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django_q.models import OrmQ

from audit.models import AuditEvent
from runs.models import Payload, Result, Run

PROMPTS = ["hello", "you are toxic <script>alert(1)</script>", "fail here", "good day " * 40]
LISTS = {f"admin:{app}_{name}_changelist" for app, name in (("runs", "runlog"), ("moderation", "classifierversion"))}


@pytest.fixture
def run(done_run: Callable[..., Run]) -> Run:
    return done_run(PROMPTS, name="<b>mine</b>")


@pytest.fixture
def carol(client: Client, db: None) -> Callable[..., Client]:
    """Staff with just these permissions, logged in."""

    def with_permissions(*names: str) -> Client:
        user = User.objects.create_user("carol", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=names))
        client.force_login(user)
        return client

    return with_permissions


def pages_of(run: Run) -> dict[str, tuple[str, str, str]]:
    """Every page of the record: how it is asked for, its address, and the permission that it takes."""
    result = run.results.get(position=0)
    verdict = result.verdicts.first()
    Payload.objects.get_or_create(verdict=verdict, defaults={"body": "{}"})
    of_run, of_result = [run.pk], [result.pk]
    return {
        "runs": ("get", reverse("admin:runs_run_changelist"), "view_run"),
        "run": ("get", reverse("admin:runs_run_change", args=of_run), "view_run"),
        "state": ("get", reverse("admin:runs_run_state", args=of_run), "view_run"),
        "compare": ("get", reverse("admin:runs_run_compare", args=of_run) + f"?with={run.pk}", "view_result view_run"),
        "results": ("get", reverse("admin:runs_result_changelist"), "view_result"),
        "result": ("get", reverse("admin:runs_result_change", args=of_result), "view_result"),
        "reveal": ("post", reverse("admin:runs_result_reveal", args=[*of_result, "input"]), "view_result"),
        "payload": ("get", reverse("admin:runs_result_payload", args=[*of_result, verdict.pk]), "view_result"),
        "log": ("get", reverse("admin:runs_runlog_changelist"), "view_runlog"),
    }


PAGES = ("runs", "run", "state", "compare", "results", "result", "reveal", "payload", "log")


class TestWhoMayLook:
    @pytest.mark.parametrize("name", PAGES)
    def test_whoever_has_the_permission(self, carol: Callable[..., Client], run: Run, name: str) -> None:
        how, url, permission = pages_of(run)[name]
        assert getattr(carol(*permission.split()), how)(url).status_code == 200

    @pytest.mark.parametrize("name", PAGES)
    def test_staff_without_it_may_not(self, carol: Callable[..., Client], run: Run, name: str) -> None:
        how, url, permission = pages_of(run)[name]
        others = {"view_run", "view_result", "view_runlog", "change_run"} - {permission.split()[0]}
        events = AuditEvent.objects.count()
        assert getattr(carol(*others), how)(url).status_code == 403
        assert AuditEvent.objects.count() == events

    @pytest.mark.parametrize("name", PAGES)
    def test_strangers_are_sent_to_the_login(self, client: Client, run: Run, name: str) -> None:
        how, url, _ = pages_of(run)[name]
        response = getattr(client, how)(url)
        assert response.status_code == 302
        assert response.headers["Location"].startswith(reverse("admin:login"))

    @pytest.mark.parametrize("name", PAGES)
    def test_a_page_is_asked_for_in_one_way(self, admin_client: Client, run: Run, name: str) -> None:
        how, url, _ = pages_of(run)[name]
        if name != "log":
            assert getattr(admin_client, {"get": "post", "post": "get"}[how])(url).status_code == 405

    @pytest.mark.parametrize("name", sorted(LISTS))
    def test_a_superuser_sees_the_stock_lists(self, admin_client: Client, run: Run, name: str) -> None:
        assert admin_client.get(reverse(name)).status_code == 200


class TestNobodyWrites:
    def test_nobody_adds_changes_or_deletes(self, admin_client: Client, run: Run) -> None:
        result = run.results.get(position=0)
        for model, pk in (("run", run.pk), ("result", result.pk), ("runlog", run.logs.first().pk)):
            assert admin_client.get(reverse(f"admin:runs_{model}_add")).status_code == 403
            refused = {"change": 403 if model == "runlog" else 405, "delete": 403}
            for what, status in refused.items():
                url = reverse(f"admin:runs_{model}_{what}", args=[pk])
                assert admin_client.post(url, {"name": "x", "prompt": "x"}).status_code == status
        assert run.results.get(position=0).prompt == "hello"

    def test_the_old_address_of_a_page_leads_to_it(self, admin_client: Client, run: Run) -> None:
        for model, pk in (("run", run.pk), ("result", run.results.first().pk)):
            url = reverse(f"admin:runs_{model}_change", args=[pk])
            assert url == f"/admin/runs/{model}/{pk}/"
            assert admin_client.get(f"{url}change/", follow=True).redirect_chain == [(url, 302)]

    @pytest.mark.parametrize("pk", [10**6, 10**30])
    def test_what_is_not_there_is_said(self, admin_client: Client, run: Run, pk: int) -> None:
        for model in ("run", "result"):
            response = admin_client.get(reverse(f"admin:runs_{model}_change", args=[pk]))
            assert (response.status_code, f"There is no {model} {pk}." in response.content.decode()) == (404, True)
        result = run.results.first().pk
        assert admin_client.get(reverse("admin:runs_result_payload", args=[result, pk])).status_code == 404
        assert admin_client.post(reverse("admin:runs_result_reveal", args=[result, "middle"])).status_code == 404


class TestActing:
    def act(self, client: Client, what: str, run: Run) -> tuple[int, str]:
        response = client.post(reverse(f"admin:runs_run_{what}", args=[run.pk]), follow=True)
        run.refresh_from_db()
        return response.status_code, response.content.decode()

    def test_cancelling_a_run(self, admin_client: Client, make_run: Callable[..., Run]) -> None:
        run = make_run(PROMPTS)
        status, text = self.act(admin_client, "cancel", run)
        assert (status, run.status) == (200, "CANCELLED")
        assert f"Run {run.pk} is cancelled; it can be resumed." in text
        assert AuditEvent.objects.get(action="run.cancelled").actor == "user:admin"

    def test_resuming_hands_it_to_the_workers(self, admin_client: Client, make_run: Callable[..., Run]) -> None:
        run = make_run(PROMPTS, batch_size=2)
        self.act(admin_client, "cancel", run)
        status, text = self.act(admin_client, "resume", run)
        assert (status, run.status) == (200, "RUNNING")
        assert f"Run {run.pk} waits for the workers." in text
        assert OrmQ.objects.count() == 2

    def test_what_cannot_be_done_is_said_and_changes_nothing(self, admin_client: Client, run: Run) -> None:
        events = AuditEvent.objects.count()
        status, text = self.act(admin_client, "cancel", run)
        assert (status, run.status) == (409, "DONE")
        assert f"Run {run.pk} is DONE, so it cannot become CANCELLED." in text
        assert self.act(admin_client, "resume", run)[0] == 409
        assert AuditEvent.objects.count() == events

    @pytest.mark.parametrize("what", ["cancel", "resume"])
    def test_looking_is_not_acting(self, carol: Callable[..., Client], make_run: Callable[..., Run], what: str) -> None:
        run = make_run(PROMPTS)
        client = carol("view_run", "view_result")
        assert (self.act(client, what, run)[0], run.status) == (403, "QUEUED")
        page = client.get(reverse("admin:runs_run_change", args=[run.pk])).content.decode()
        assert "Cancel the run" not in page

    def test_the_buttons_are_those_that_can_be_pressed(
        self, carol: Callable[..., Client], make_run: Callable[..., Run], run: Run
    ) -> None:
        client, waiting = carol("view_run", "change_run"), make_run(PROMPTS)

        def buttons(of: Run) -> list[bool]:
            page = client.get(reverse("admin:runs_run_change", args=[of.pk])).content.decode()
            return ["Cancel the run" in page, "Resume on the workers" in page]

        assert buttons(waiting) == [True, False]
        assert buttons(run) == [False, False]
        self.act(client, "cancel", waiting)
        assert buttons(waiting) == [False, True]


def test_a_log_is_filtered_by_level(admin_client: Client, run: Run) -> None:
    url = reverse("admin:runs_runlog_changelist")
    assert "Prompts 0 to 3 are done." in admin_client.get(url, {"run__id__exact": run.pk}).content.decode()
    assert "Prompts 0 to 3 are done." in admin_client.get(url, {"level": "INFO"}).content.decode()
    assert "Prompts 0 to 3 are done." not in admin_client.get(url, {"level": "ERROR"}).content.decode()


def test_results_are_not_touched_by_reading(admin_client: Client, run: Run) -> None:
    before = list(Result.objects.values_list())
    for how, url, _ in pages_of(run).values():
        getattr(admin_client, how)(url)
    assert list(Result.objects.values_list()) == before

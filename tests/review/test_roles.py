"""Every route of the site and who may use it: a route that is not in the table, or answers otherwise, is a fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse

from classifiers.labelled import Labelled
from classifiers.types import Stage, Subject
from governance import jobs, training_jobs
from governance.drift import check_drift
from governance.services import Data, Wish, evaluate_classifier
from integrations.models import Webhook
from integrations.services import create_token
from moderation import policies
from moderation.models import Adapter, ClassifierVersion, Promotion
from moderation.services import Choice
from review import handout, queues
from review.models import BulkAction, Queue, SavedView
from runs.models import RunLog, Verdict
from tests.review.conftest import Cast, review_next

EVERYBODY = "nora ruth sara lena axel anna"
REVIEWING = "ruth sara lena anna"
SETTLING = "sara lena anna"
LEADING = "lena anna"
READING = "lena axel anna"
POLICIED = "ruth sara lena axel anna"
ADMINISTERING = "anna"
NOBODY = ""
# POST where the name ends with *.
TABLE = {
    # the site
    **dict.fromkeys(("index", "login", "logout*", "password_change", "password_change_done", "jsi18n"), EVERYBODY),
    **dict.fromkeys(("autocomplete", "view_on_site"), NOBODY),
    "app_list": READING,
    **dict.fromkeys(("auth_user_changelist", "auth_user_add", "auth_user_change", "auth_user_history"), ADMINISTERING),
    **dict.fromkeys(("auth_user_delete", "auth_user_password_change"), ADMINISTERING),
    **dict.fromkeys(("auth_group_changelist", "auth_group_add", "auth_group_change"), ADMINISTERING),
    **dict.fromkeys(("auth_group_history", "auth_group_delete"), ADMINISTERING),
    # the record
    **dict.fromkeys(("audit_auditevent_changelist", "audit_auditevent_change", "audit_check*"), "axel anna"),
    **dict.fromkeys(("runs_run_changelist", "runs_run_change", "runs_run_state", "runs_run_compare"), READING),
    **dict.fromkeys(("runs_result_changelist", "runs_result_change", "runs_result_payload"), READING),
    **dict.fromkeys(("runs_result_reveal*", "runs_runlog_changelist", "runs_runlog_change"), READING),
    **dict.fromkeys(("moderation_classifierversion_changelist", "moderation_classifierversion_change"), READING),
    **dict.fromkeys(("moderation_policy_changelist", "moderation_policy_change"), POLICIED),
    **dict.fromkeys(("moderation_policy_version", "moderation_policy_difference"), POLICIED),
    "moderation_policy_taxonomies": POLICIED,
    **dict.fromkeys(("moderation_policy_new", "moderation_policy_new_version", "moderation_policy_default*"), LEADING),
    "runs_run_relabel": LEADING,
    "audit_auditevent_history": "axel anna",
    **dict.fromkeys(("governance_driftassessment_changelist", "governance_driftassessment_of"), READING),
    **dict.fromkeys(("runs_runlog_history", "moderation_classifierversion_history"), READING),
    **dict.fromkeys(("runs_run_cancel*", "runs_run_resume*", "runs_run_try", "runs_run_new"), LEADING),
    # reviewing
    **dict.fromkeys(("review_work", "review_next", "review_take*", "review_live*", "review_claim"), REVIEWING),
    **dict.fromkeys(("review_verdict*", "review_skip*", "review_escalate*", "review_park*"), REVIEWING),
    **dict.fromkeys(("review_release*", "review_hand*", "review_take_up*", "review_reveal*"), REVIEWING),
    **dict.fromkeys(("review_undo*", "review_mine", "review_undo_one*", "review_correct"), REVIEWING),
    "review_preferences": EVERYBODY,
    # leading
    **dict.fromkeys(("review_queue_change", "review_queue_state", "review_queue_people"), READING),
    **dict.fromkeys(("review_queue_items", "review_result_actions", "review_known"), READING),
    "review_queue_changelist": "ruth sara lena axel anna",  # who only reviews is sent to the desk
    **dict.fromkeys(("review_queue_add", "review_queue_edit", "review_queue_close*", "review_give_back*"), LEADING),
    **dict.fromkeys(("review_known_add*", "review_known_remove*"), LEADING),
    **dict.fromkeys(("review_disputed_queues", "review_disputed", "review_case", "review_case_reveal*"), SETTLING),
    **dict.fromkeys(("review_bulkaction_changelist", "review_bulkaction_change", "review_bulkaction_state"), READING),
    **dict.fromkeys(("review_bulkaction_add", "review_bulkaction_preview", "review_queue_preview"), LEADING),
    **dict.fromkeys(("review_bulkaction_cancel*", "review_bulkaction_go_on*"), LEADING),
    "review_bulkaction_undo*": "lena",  # whose it is
    **dict.fromkeys(("review_savedview_changelist", "review_savedview_change", "review_savedview_add*"), READING),
    # figures
    **dict.fromkeys(("review_figures", "review_queue_figures", "review_report"), READING),
    **dict.fromkeys(("review_of_result", "review_of_run"), READING),
    **dict.fromkeys(("review_queue_export", "review_export_run"), LEADING),
    **dict.fromkeys(("review_export_changelist", "review_export_add*", "review_export_change"), LEADING),
    **dict.fromkeys(("review_export_state", "review_export_cancel*", "review_export_download"), LEADING),
    **dict.fromkeys(("governance_evaluation_changelist", "governance_evaluation_change"), READING),
    **dict.fromkeys(("governance_evaluation_paired", "governance_evaluationjob_change"), READING),
    "governance_evaluationjob_state": READING,
    **dict.fromkeys(("moderation_adapter_changelist", "moderation_adapter_change"), READING),
    **dict.fromkeys(("governance_trainingjob_change", "governance_trainingjob_state"), READING),
    **dict.fromkeys(("governance_trainingjob_new", "governance_trainingjob_cancel*"), LEADING),
    "governance_evaluation_new": LEADING,
    "governance_evaluationjob_cancel*": LEADING,
    **dict.fromkeys(("moderation_promotion_changelist", "moderation_promotion_change"), READING),
    "moderation_promotion_comparison": READING,
    **dict.fromkeys(
        ("moderation_promotion_new", "moderation_promotion_promote*", "moderation_promotion_rollback*"), LEADING
    ),
    # programs
    **dict.fromkeys(("integrations_apitoken_changelist", "integrations_apitoken_add"), EVERYBODY),
    "integrations_apitoken_revoke*": "nora anna",  # whose it is, and who looks after all
    **dict.fromkeys(("integrations_webhook_changelist", "integrations_webhook_add"), ADMINISTERING),
    **dict.fromkeys(("integrations_webhook_change", "integrations_webhook_pause*"), ADMINISTERING),
    **dict.fromkeys(("integrations_webhook_remove*", "integrations_webhook_test*"), ADMINISTERING),
    **dict.fromkeys(("integrations_webhook_redeliver*", "integrations_delivery_changelist"), ADMINISTERING),
    **dict.fromkeys(("integrations_delivery_change", "integrations_delivery_redeliver*"), ADMINISTERING),
}
# Generic pages of the admin for what nobody may change there, and django-q's, which are for superusers.
CLOSED = ("django_q_", "axes_")
GENERIC = ("_add", "_history", "_delete")


def routes() -> Iterator[str]:
    """All names of the site. Who logs out does so last, and a text is looked at before it is given away."""

    def walk(resolver: Any) -> Iterator[str]:
        for pattern in resolver.url_patterns:
            if isinstance(pattern, URLResolver):
                yield from walk(pattern)
            elif isinstance(pattern, URLPattern) and pattern.name:
                yield pattern.name

    yield from sorted(set(walk(get_resolver())), key=lambda name: (name == "logout", name != "review_reveal", name))


def expected(name: str) -> str:
    for key in (name, f"{name}*"):
        if key in TABLE:
            return TABLE[key]
    if name.startswith(CLOSED) or name.endswith(GENERIC):
        return NOBODY
    raise AssertionError(f"{name} is not in the table: who may use it?")


@pytest.fixture
def place(make_queue: Callable[..., Queue], cast: Cast) -> Callable[[str], str]:
    """The address of a route, with something there to be found."""
    queue = make_queue(needed=2)
    # One with an answer: which item comes first is the database's choice.
    item = queue.items.filter(result__answer__isnull=False).order_by("pk").first()
    claim = handout.claim_next(queue, reviewer=cast.ruth)
    review = review_next(make_queue(), cast.ruth).reviews[0]
    queues.mark_gold(queue, item.result, dict.fromkeys([Stage.INPUT, Stage.OUTPUT], "SAFE"), by=cast.lena)
    verdict = Verdict.objects.filter(result=item.result).first()
    bulk = BulkAction.objects.create(
        stage="INPUT", label="SAFE", reason="x", total=0, until=0, reviewer=cast.lena, key="k", state="DONE"
    )
    view = SavedView.objects.create(name="x", owner=cast.lena)
    token, _ = create_token(cast.nora, name="x", scopes=["read"], expires_at=None, actor="test")
    webhook = Webhook.objects.create(name="x", url="https://example.org/", events=["run.finished"], secret="whsec_eA==")
    message = webhook.deliveries.create(message_id="msg_1", event="run.finished", body="{}", state="FAILED")
    policy = policies.create_policy("Team", policies.Content(), note="x", actor="test")
    labelled = Data("x", {}, [Labelled(Subject("toxic", Stage.INPUT), True)])
    many = Data("x", {}, [Labelled(Subject(f"text {n}", Stage.INPUT), n % 2 > 0) for n in range(90)])
    evaluation = evaluate_classifier(Choice("fake"), labelled, Wish(), policy=None, actor="test")
    check_drift(actor="test")
    adapter = Adapter.objects.create(name="x", digest="x", folder="/x", base_model="x", card="", created_by="test")
    numbers = {
        "governance_trainingjob": training_jobs.ask(many, name="mine", actor="test").pk,
        "moderation_adapter": adapter.pk,
        "moderation_promotion": Promotion.objects.create(alias="gemma", adapter=adapter, created_by="test").pk,
        "governance_evaluationjob": jobs.ask(labelled, Wish(), aliases=["fake"], actor="test").pk,
        "governance_evaluation": evaluation.pk,  # after the longer name that begins with it
        "integrations_apitoken": token.pk,
        "integrations_webhook": webhook.pk,
        "integrations_delivery": message.pk,
        "runs_runlog": RunLog.objects.first().pk,  # before the shorter name that it begins with
        "runs_run": item.result.run_id,
        "runs_result": item.result_id,
        "review_of_result": item.result_id,
        "review_of_run": item.result.run_id,
        "review_bulkaction": bulk.pk,
        "review_savedview": view.pk,
        "review_undo_one": review.pk,
        "review_correct": review.pk,
        "moderation_policy": policy.policy_id,
        "moderation": ClassifierVersion.objects.first().pk,
        "audit_auditevent": 1,
        "auth_user": cast.nora.pk,
        "auth_group": cast.ruth.groups.get().pk,
        **dict.fromkeys(("review_claim", "review_verdict", "review_skip", "review_escalate", "review_park"), claim.pk),
        **dict.fromkeys(("review_release", "review_hand", "review_take_up", "review_reveal"), claim.pk),
        "review_give_back": claim.pk,
        "review": queue.pk,
    }

    def address(name: str) -> str:
        pk = next((number for prefix, number in numbers.items() if name.startswith(prefix)), 1)
        choices = ({}, {"app_label": "runs"}, {"pk": pk}, {"object_id": pk}, {"id": pk}, {"pk": pk, "stage": "input"})
        more = ({"pk": pk, "verdict": verdict.pk}, {"pk": pk, "item": item.pk})
        last = (
            {"pk": pk, "number": 1},
            {"pk": pk, "item": item.pk, "stage": "input"},
            {"content_type_id": 1, "object_id": 1},
        )
        for arguments in (*choices, *more, *last, {"alias": "fake"}):
            try:
                return reverse(f"admin:{name}", kwargs=arguments)
            except NoReverseMatch:
                continue
        raise AssertionError(f"no arguments fit {name}")

    return address


@pytest.mark.slow
def test_who_may_use_what(place: Callable[[str], str], cast: Cast) -> None:
    visitors = {name: Client() for name in EVERYBODY.split()}
    for name, client in visitors.items():
        client.force_login(cast[name], backend="django.contrib.auth.backends.ModelBackend")
    faults = {}
    for route in routes():
        address, allowed = place(route), expected(route).split()
        found = {name: ask(client, route, address) for name, client in visitors.items()}
        # Django sends away who asks for an object that is not there, whoever it is.
        closed = (403, 404, 405) if allowed else (302, 403, 404, 405)
        opened = [name for name, status in found.items() if status not in closed]
        refused = [name for name, status in found.items() if status == 403]
        if set(opened) - set(allowed) or set(refused) & set(allowed) or 500 in found.values():
            faults[route] = found
    assert not faults, faults


def ask(client: Client, route: str, address: str) -> int:
    status = (client.post(address) if f"{route}*" in TABLE else client.get(address)).status_code
    return status


@pytest.mark.slow
def test_nothing_opens_without_an_account(place: Callable[[str], str]) -> None:
    for route in routes():
        if route in ("login", "jsi18n"):
            continue
        response = Client().post(place(route)) if f"{route}*" in TABLE else Client().get(place(route))
        assert response.status_code == 302, route
        assert "/login/" in response.url or route == "logout", route

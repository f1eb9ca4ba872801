"""Whatever the console does, the API does: every page and act of the site beside the operation that does the same."""

from __future__ import annotations

from drf_spectacular.generators import SchemaGenerator

from tests.review.test_roles import CLOSED, GENERIC, TABLE, routes

# A page or act of the console: the operations of the API.
SAME = {
    "audit_auditevent_changelist": "GET audit-events/",
    "audit_auditevent_change": "GET audit-events/{sequence}/",
    "audit_check": "POST audit-checks/",
    "governance_driftassessment_changelist": "GET drift/",
    "governance_driftassessment_of": "GET drift/",
    "governance_evaluation_changelist": "GET evaluations/, GET evaluation-jobs/",
    "governance_evaluation_new": "POST evaluations/",
    "governance_evaluation_change": "GET evaluations/{id}/, GET evaluations/{id}/threshold/",
    "governance_evaluation_paired": "GET evaluations/{id}/comparison/",
    "governance_evaluationjob_change": "GET evaluation-jobs/{id}/",
    "governance_evaluationjob_state": "GET evaluation-jobs/{id}/",
    "governance_evaluationjob_cancel": "POST evaluation-jobs/{id}/cancel/",
    "governance_trainingjob_new": "POST trainings/",
    "governance_trainingjob_change": "GET trainings/, GET trainings/{id}/",
    "governance_trainingjob_state": "GET trainings/{id}/",
    "governance_trainingjob_cancel": "POST trainings/{id}/cancel/",
    "integrations_apitoken_changelist": "GET tokens/",
    "integrations_apitoken_revoke": "POST tokens/{id}/revoke/",
    "integrations_delivery_changelist": "GET deliveries/",
    "integrations_delivery_change": "GET deliveries/{id}/",
    "integrations_delivery_redeliver": "POST deliveries/{id}/redeliver/",
    "integrations_webhook_changelist": "GET webhooks/",
    "integrations_webhook_add": "POST webhooks/",
    "integrations_webhook_change": "PATCH webhooks/{id}/",
    "integrations_webhook_pause": "PATCH webhooks/{id}/",
    "integrations_webhook_redeliver": "POST webhooks/{id}/redeliver/",
    "integrations_webhook_remove": "DELETE webhooks/{id}/",
    "integrations_webhook_test": "POST webhooks/{id}/test/",
    "moderation_adapter_changelist": "GET adapters/",
    "moderation_adapter_change": "GET adapters/{id}/",
    "moderation_promotion_changelist": "GET promotions/",
    "moderation_promotion_new": "POST promotions/comparison/",
    "moderation_promotion_comparison": "GET promotions/comparison/",
    "moderation_promotion_promote": "POST promotions/",
    "moderation_promotion_change": "GET promotions/{id}/",
    "moderation_promotion_rollback": "POST promotions/{id}/rollback/",
    "moderation_classifierversion_changelist": "GET classifier-versions/",
    "moderation_classifierversion_change": "GET classifier-versions/{id}/",
    "moderation_policy_changelist": "GET policies/",
    "moderation_policy_change": "GET policies/{id}/, GET policies/{id}/versions/",
    "moderation_policy_default": "POST policies/{id}/default/",
    "moderation_policy_difference": "GET policies/{id}/difference/",
    "moderation_policy_new": "POST policies/",
    "moderation_policy_new_version": "POST policies/{id}/versions/",
    "moderation_policy_taxonomies": "GET taxonomies/",
    "moderation_policy_version": "GET policies/{id}/versions/{number}/",
    "review_bulkaction_changelist": "GET bulk-actions/",
    "review_bulkaction_add": "POST bulk-actions/",
    "review_bulkaction_preview": "POST bulk-actions/preview/",
    "review_bulkaction_change": "GET bulk-actions/{id}/",
    "review_bulkaction_state": "GET bulk-actions/{id}/",
    "review_bulkaction_cancel": "POST bulk-actions/{id}/cancel/",
    "review_bulkaction_go_on": "POST bulk-actions/{id}/go-on/",
    "review_bulkaction_undo": "POST bulk-actions/{id}/undo/",
    "review_disputed_queues": "GET adjudications/",
    "review_disputed": "GET queues/{queue}/disagreements/",
    "review_case": "GET adjudications/{id}/, POST adjudications/",
    "review_case_reveal": "GET adjudications/{id}/",
    "review_work": "GET queues/, GET claims/, GET drafts/, GET reviews/today/",
    "review_next": "POST queues/{id}/claim/",
    "review_take": "POST queues/{id}/claim/",
    "review_live": "GET queues/{id}/, POST claims/{id}/heartbeat/",
    "review_claim": "GET claims/{id}/",
    "review_reveal": "POST claims/{id}/reveal/",
    "review_verdict": "POST results/{result}/reviews/",
    "review_skip": "POST claims/{id}/skip/",
    "review_escalate": "POST claims/{id}/escalate/",
    "review_park": "POST claims/{id}/park/",
    "review_release": "POST claims/{id}/release/",
    "review_hand": "POST claims/{id}/hand/, GET queues/{id}/colleagues/",
    "review_take_up": "POST claims/{id}/take-up/",
    "review_give_back": "POST claims/{id}/give-back/",
    "review_undo": "POST queues/{id}/undo/",
    "review_mine": "GET reviews/",
    "review_undo_one": "POST reviews/{id}/undo/",
    "review_correct": "GET reviews/{id}/, POST reviews/{id}/corrections/",
    "review_preferences": "GET preferences/, PATCH preferences/",
    "review_export_changelist": "GET exports/",
    "review_export_add": "POST exports/",
    "review_export_change": "GET exports/{id}/, GET exports/{id}/manifest/",
    "review_export_state": "GET exports/{id}/",
    "review_export_cancel": "POST exports/{id}/cancel/",
    "review_export_download": "GET exports/{id}/download/",
    "review_export_run": "GET runs/{run}/export/",
    "review_figures": "GET agreement/, GET machine/",
    "review_queue_figures": "GET queues/{id}/figures/",
    "review_of_result": "GET results/{result}/reviews/",
    "review_of_run": "GET agreement/, GET machine/",
    "review_report": "GET reports/",
    "review_queue_changelist": "GET queues/",
    "review_queue_add": "POST queues/",
    "review_queue_preview": "POST queues/preview/",
    "review_queue_change": "GET queues/{id}/",
    "review_queue_state": "GET queues/{id}/",
    "review_queue_edit": "PATCH queues/{id}/",
    "review_queue_close": "POST queues/{id}/close/, POST queues/{id}/open/",
    "review_queue_items": "GET queues/{id}/items/",
    "review_queue_people": "GET queues/{id}/people/",
    "review_queue_export": "GET queues/{id}/export/",
    "review_known": "GET queues/{queue}/known-answers/",
    "review_known_add": "POST queues/{queue}/known-answers/",
    "review_known_remove": "DELETE queues/{queue}/known-answers/{id}/",
    "review_savedview_changelist": "GET saved-views/, GET saved-views/{id}/",
    "review_savedview_add": "POST saved-views/",
    "review_savedview_change": "PATCH saved-views/{id}/",
    "review_savedview_delete": "DELETE saved-views/{id}/",
    "runs_result_changelist": "GET results/",
    "runs_result_change": "GET results/{id}/, GET results/{id}/neighbours/, GET verdicts/, GET verdicts/{id}/",
    "runs_result_payload": "GET verdicts/{id}/payload/",
    "runs_result_reveal": "GET results/{id}/",
    "runs_run_changelist": "GET runs/",
    "runs_run_new": "POST runs/",
    "runs_run_change": "GET runs/{id}/, GET runs/{id}/metrics/",
    "runs_run_state": "GET runs/{id}/",
    "runs_run_cancel": "POST runs/{id}/cancel/",
    "runs_run_resume": "POST runs/{id}/resume/",
    "runs_run_compare": "GET runs/{id}/comparison/",
    "runs_run_relabel": "GET runs/{run}/relabelling/, POST runs/{run}/relabelling/",
    "runs_run_try": "POST moderations/",
    "runs_runlog_changelist": "GET runs/{id}/events/",
    "runs_runlog_change": "GET runs/{id}/events/",
}
# What a token must not do: make accounts, or keys like itself; log in and out is what people do.
PEOPLE_ONLY = {"integrations_apitoken_add", "login", "logout", "password_change", "password_change_done"}
# Parts of pages, and what Django's admin brings along.
NO_ACT = {"index", "app_list", "autocomplete", "view_on_site", "jsi18n", "review_result_actions"}
# Operations for which the console has no page of their own.
ONLY_API = {
    *("GET categories/", "GET classifiers/", "GET classifiers/{alias}/", "GET generators/", "GET generators/{alias}/"),
    *("GET audit-checks/", "GET audit-checks/{id}/", "GET tokens/{id}/", "GET webhooks/{id}/"),
    "POST runs/{id}/retry-errors/",  # the console's counterpart is a command
}


def operations() -> set[str]:
    paths = SchemaGenerator(urlconf="safetysite.urls_api").get_schema(request=None, public=True)["paths"]
    methods = ("get", "post", "patch", "put", "delete")
    return {
        f"{method.upper()} {path.removeprefix('/api/v1/')}"
        for path, verbs in paths.items()
        for method in methods
        if method in verbs
    }


def of_console() -> set[str]:
    left_out = PEOPLE_ONLY | NO_ACT
    generic = {name for name in routes() if name.endswith(GENERIC) and name not in TABLE and f"{name}*" not in TABLE}
    return {name for name in routes() if not name.startswith((*CLOSED, "auth_"))} - left_out - (generic - SAME.keys())


def test_whatever_the_console_does_the_api_does() -> None:
    assert of_console() - SAME.keys() - {name for name in of_console() if name.endswith("_history")} == set()


def test_what_the_table_names_is_there() -> None:
    named = {operation for said in SAME.values() for operation in said.split(", ")}
    assert named - operations() == set()
    assert SAME.keys() - set(routes()) == set()


def test_every_operation_has_its_page_or_is_known_to_have_none() -> None:
    named = {operation for said in SAME.values() for operation in said.split(", ")}
    assert operations() - named == ONLY_API


def test_verdicts_reviews_and_audit_entries_are_never_changed() -> None:
    changed = {each for each in operations() if each.startswith(("PUT", "PATCH", "DELETE"))}
    assert not [each for each in changed if each.split()[1].startswith(("verdicts", "reviews", "audit", "results"))]
    assert not [each for each in changed if each.startswith("PUT")]

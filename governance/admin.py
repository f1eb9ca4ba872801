"""Where the pages of governance hang in the admin site."""

from __future__ import annotations

from django.contrib import admin

from governance.models import DriftAssessment, Evaluation, EvaluationJob, TrainingJob
from governance.views import adapters, asking, drift, evaluations, promotions, training
from moderation.models import Adapter, Promotion
from review.admin import Pages
from review.views.pages import page


@admin.register(Evaluation)
class EvaluationAdmin(Pages):
    pages = (
        page("", evaluations.evaluations, "governance_evaluation_changelist"),
        page("new/", asking.new, "governance_evaluation_new"),
        page("<int:pk>/", evaluations.evaluation_page, "governance_evaluation_change"),
        page("<int:pk>/paired/", evaluations.paired, "governance_evaluation_paired"),
    )


@admin.register(EvaluationJob)
class EvaluationJobAdmin(Pages):
    pages = (
        page("<int:pk>/", asking.job_page, "governance_evaluationjob_change"),
        page("<int:pk>/state/", asking.job_state, "governance_evaluationjob_state"),
        page("<int:pk>/cancel/", asking.job_cancel, "governance_evaluationjob_cancel"),
    )


@admin.register(Adapter)
class AdapterAdmin(Pages):
    pages = (
        page("", adapters.adapters, "moderation_adapter_changelist"),
        page("<int:pk>/", adapters.adapter_page, "moderation_adapter_change"),
    )


@admin.register(Promotion)
class PromotionAdmin(Pages):
    pages = (
        page("", promotions.promotions, "moderation_promotion_changelist"),
        page("new/", promotions.new, "moderation_promotion_new"),
        page("comparison/", promotions.comparison, "moderation_promotion_comparison"),
        page("promote/", promotions.promote, "moderation_promotion_promote"),
        page("<int:pk>/", promotions.promotion_page, "moderation_promotion_change"),
        page("<int:pk>/rollback/", promotions.roll_back, "moderation_promotion_rollback"),
    )


@admin.register(TrainingJob)
class TrainingJobAdmin(Pages):
    pages = (
        page("new/", training.new, "governance_trainingjob_new"),
        page("<int:pk>/", training.job_page, "governance_trainingjob_change"),
        page("<int:pk>/state/", training.job_state, "governance_trainingjob_state"),
        page("<int:pk>/cancel/", training.job_cancel, "governance_trainingjob_cancel"),
    )


@admin.register(DriftAssessment)
class DriftAssessmentAdmin(Pages):
    pages = (
        page("", drift.of_all, "governance_driftassessment_changelist"),
        page("<str:alias>/", drift.of_one, "governance_driftassessment_of"),
    )

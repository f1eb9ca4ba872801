"""Where the pages of governance hang in the admin site."""

from __future__ import annotations

from django.contrib import admin

from governance.models import DriftAssessment, Evaluation, EvaluationJob
from governance.views import asking, drift, evaluations
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


@admin.register(DriftAssessment)
class DriftAssessmentAdmin(Pages):
    pages = (
        page("", drift.of_all, "governance_driftassessment_changelist"),
        page("<str:alias>/", drift.of_one, "governance_driftassessment_of"),
    )

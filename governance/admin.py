"""Where the pages of governance hang in the admin site."""

from __future__ import annotations

from django.contrib import admin

from governance.models import DriftAssessment
from governance.views import drift
from review.admin import Pages
from review.views.pages import page


@admin.register(DriftAssessment)
class DriftAssessmentAdmin(Pages):
    pages = (
        page("", drift.of_all, "governance_driftassessment_changelist"),
        page("<str:alias>/", drift.of_one, "governance_driftassessment_of"),
    )

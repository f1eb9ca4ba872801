"""The console. What is for programs stands in urls_api, which only their requests load (safetysite.middleware.for_programs)."""

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
]

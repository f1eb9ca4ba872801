"""What programs ask for. It imports Django REST framework, so that the commands, which do not need it, start fast without."""

from django.urls import include, path, re_path
from django.views.generic import TemplateView
from drf_spectacular.views import SpectacularAPIView

from safetysite import api

urlpatterns = [
    path("api/v1/", include((api.router.urls, "api"))),
    path("api/schema/", SpectacularAPIView.as_view(permission_classes=[]), name="schema"),
    path("api/docs/", TemplateView.as_view(template_name="api/docs.html"), name="docs"),
    re_path("", api.not_found),
]
handler500 = "safetysite.api.failed"

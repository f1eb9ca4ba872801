"""What programs ask for. It imports Django REST framework, so that the commands, which do not need it, start fast without."""

from django.urls import include, path, re_path
from django.views.generic import TemplateView
from drf_spectacular.views import SpectacularAPIView

from runs.gateway import api as gateway
from safetysite import api, health, metrics

urlpatterns = [
    path("api/v1/", include((api.router.urls, "api"))),
    path("api/schema/", SpectacularAPIView.as_view(permission_classes=[]), name="schema"),
    path("api/docs/", TemplateView.as_view(template_name="api/docs.html"), name="docs"),
    path("v1/moderations", gateway.ModerationProtocol.as_view({"post": "create"})),
    path("v1/models", gateway.ModelProtocol.as_view({"get": "list"})),
    path("v1/models/<path:name>", gateway.ModelProtocol.as_view({"get": "retrieve"})),
    path("v1/chat/completions", gateway.ChatProtocol.as_view({"post": "create"})),
    path("v1/responses", gateway.ResponseProtocol.as_view({"post": "create"})),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", metrics.MetricsResource.as_view({"get": "retrieve"})),
    re_path("", api.not_found),
]
handler500 = "safetysite.api.failed"

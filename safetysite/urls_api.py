"""What programs ask for. It imports Django REST framework, so that the commands, which do not need it, start fast without."""

from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView

from safetysite import api

urlpatterns = [
    path("api/v1/", include((api.router.urls, "api"))),
    path("api/schema/", SpectacularAPIView.as_view(permission_classes=[]), name="schema"),
    re_path("", api.not_found),
]
handler500 = "safetysite.api.failed"

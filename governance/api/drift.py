"""The REST door of drift: what the last look found. Workers look once an hour."""

from __future__ import annotations

from typing import Any

from rest_framework.mixins import ListModelMixin

from audit.rest import Need, Resource
from governance.models import DriftAssessment
from governance.serializers.drift import DriftQuestion, DriftSerializer


class DriftResource(ListModelMixin, Resource):
    queryset = DriftAssessment.objects.all()
    serializer_class = DriftSerializer
    needs = {"list": Need("read", ["governance.view_driftassessment"])}
    asks = {"list": DriftQuestion}

    def get_queryset(self) -> Any:
        """The newest assessment of each version, stage and kind of run."""
        names = {"classifier": "version__alias", "level": "level"}
        chosen = {names[name]: value for name, value in self.asked.items() if name in names}
        return DriftAssessment.objects.select_related("version").filter(**chosen)

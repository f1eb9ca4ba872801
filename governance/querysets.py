from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import QuerySet

if TYPE_CHECKING:
    from governance.models import Evaluation


class EvaluationQuerySet(QuerySet["Evaluation"]):
    def listed(self) -> EvaluationQuerySet:
        return self.defer("bins", "categories", "columns").order_by("-pk")

    def comparable(self, evaluation: Evaluation) -> EvaluationQuerySet:
        """The others on the same data, the newest first."""
        return self.filter(data_digest=evaluation.data_digest).exclude(pk=evaluation.pk).order_by("-pk")

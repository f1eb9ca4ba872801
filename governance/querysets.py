from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Case, Count, QuerySet, When

from classifiers.drift import WORST_FIRST

if TYPE_CHECKING:
    from governance.models import DriftAssessment, Evaluation  # noqa: F401  named in the base classes


class EvaluationQuerySet(QuerySet["Evaluation"]):
    def listed(self) -> EvaluationQuerySet:
        return self.defer("bins", "categories", "columns").order_by("-pk")

    def comparable(self, evaluation: Evaluation) -> EvaluationQuerySet:
        """The others on the same data, the newest first."""
        return self.filter(data_digest=evaluation.data_digest).exclude(pk=evaluation.pk).order_by("-pk")


class DriftQuerySet(QuerySet["DriftAssessment"]):
    def ranked(self) -> DriftQuerySet:
        """The worst first, each with its version."""
        rank = Case(*(When(level=level, then=place) for place, level in enumerate(WORST_FIRST)))
        return self.select_related("version").order_by(rank, "version__alias", "-version", "stage", "live")

    def levels(self) -> dict[str, int]:
        """How many there are of each."""
        return dict(self.order_by().values_list("level").annotate(n=Count("*")))

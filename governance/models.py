from __future__ import annotations

import json
from collections.abc import Sequence

from django.db import models
from django.db.models import Q

from classifiers.measuring import Said
from classifiers.types import Label
from governance.querysets import EvaluationQuerySet
from moderation.models import ClassifierVersion, PolicyVersion
from runs.models import Run


class Evaluation(models.Model):
    """A classifier, or what a run says, held against known labels: what model cards and thresholds cite. Never changed."""

    name = models.CharField(max_length=200)
    # Of a classifier: which exact version; of a run: which run and stage.
    alias = models.CharField(max_length=100)
    version = models.ForeignKey(ClassifierVersion, on_delete=models.PROTECT, null=True, related_name="evaluations")
    run = models.ForeignKey(Run, on_delete=models.SET_NULL, null=True, related_name="evaluations")
    policy_version = models.ForeignKey(PolicyVersion, on_delete=models.PROTECT, null=True, related_name="+")
    # Where the labels came from, how they stand there, and the digest of texts and labels in order.
    dataset = models.TextField()
    columns = models.JSONField(default=dict)
    data_digest = models.CharField(max_length=32)
    n = models.PositiveIntegerField()
    toxic = models.PositiveIntegerField()
    errors = models.PositiveIntegerField()
    unscored = models.PositiveIntegerField()
    figures = models.JSONField(default=dict)
    bins = models.JSONField(default=list)
    categories = models.JSONField(default=list)
    seconds = models.JSONField(default=dict)
    # What a thousand texts cost, in whatever currency whoever measured it named.
    cost_per_thousand = models.FloatField(null=True)
    calibration = models.JSONField(null=True)
    threshold = models.JSONField(null=True)
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = EvaluationQuerySet.as_manager()

    class Meta:
        default_permissions = ["view", "add"]
        constraints = [
            models.CheckConstraint(
                condition=Q(version__isnull=False) | Q(version=None, alias__startswith="run "),
                name="evaluation_of_something",
                violation_error_message="An evaluation is of a version of a classifier, or of a run.",
            )
        ]
        indexes = [models.Index(fields=["data_digest"], name="evaluation_data")]

    def __str__(self) -> str:
        return self.name


class EvaluationScores(models.Model):
    """What was said of each text, in the order of the data: enough to compare two evaluations, and none of the texts."""

    evaluation = models.OneToOneField(Evaluation, on_delete=models.CASCADE, primary_key=True, related_name="scores")
    # A JSON list of [toxic, label, score, category].
    body = models.TextField()

    class Meta:
        default_permissions = []

    def __str__(self) -> str:
        return f"Scores of evaluation {self.pk}"

    @property
    def said(self) -> list[Said]:
        return [Said(toxic, Label(label), score, category) for toxic, label, score, category in json.loads(self.body)]

    @staticmethod
    def pack(said: Sequence[Said]) -> str:
        return json.dumps([[each.toxic, each.label, each.score, each.category] for each in said])

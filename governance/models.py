from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import ClassVar

from django.db import models
from django.db.models import Q

from classifiers.drift import Level, Window
from classifiers.labelled import Labelled
from classifiers.measuring import Said
from classifiers.types import Label, Stage, Subject
from governance.querysets import DriftQuerySet, EvaluationQuerySet
from moderation.models import Adapter, ClassifierVersion, PolicyVersion
from runs.models import STAGES, Run


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
    # Of the texts, how many the version's adapter learnt from; null where that is not known.
    learnt = models.PositiveIntegerField(null=True)
    figures = models.JSONField(default=dict)
    bins = models.JSONField(default=list)
    categories = models.JSONField(default=list)
    seconds = models.JSONField(default=dict)
    # What a thousand texts cost, in whatever currency whoever measured it named.
    cost_per_thousand = models.FloatField(null=True)
    calibration = models.JSONField(null=True)
    threshold = models.JSONField(null=True)
    # Which job made it; those of commands have none.
    job = models.ForeignKey("EvaluationJob", on_delete=models.SET_NULL, null=True, related_name="evaluations")
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
    # A JSON list of [toxic, label, score, category, latency, groups]; the oldest have no groups, or no latency either.
    body = models.TextField()

    class Meta:
        default_permissions = []

    def __str__(self) -> str:
        return f"Scores of evaluation {self.pk}"

    @property
    def said(self) -> list[Said]:
        return unpack(self.body)


class Job(models.Model):
    """Work that somebody asked for and workers do in turns (governance.turns)."""

    # What it is in the audit trail, and what is emptied when it ends.
    ACT: ClassVar[str]
    EMPTIED: ClassVar[dict[str, str]]

    # Texts to be judged, each counted once for each classifier, or steps; and those that are done.
    total = models.PositiveIntegerField()
    done = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)
    # The process that is at it, as of a chunk, and its last sign of life.
    holder = models.CharField(max_length=200, blank=True)
    moved_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True
        default_permissions: ClassVar[list[str]] = []


class EvaluationJob(Job):
    """Evaluations asked for on the site or by a program, which workers make: one of each classifier, or one of a run.

    Texts are kept until it has ended, and go with what was said of them.
    """

    ACT: ClassVar[str] = "evaluation"
    EMPTIED: ClassVar[dict[str, str]] = {"rows": "[]", "said": "[]"}

    class State(models.TextChoices):
        WAITING = "WAITING", "Waiting"
        RUNNING = "RUNNING", "Being made"
        DONE = "DONE", "Made"
        FAILED = "FAILED", "Failed"
        CANCELLED = "CANCELLED", "Stopped"

    aliases = models.JSONField(default=list)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, null=True, related_name="+")
    policy_version = models.ForeignKey(PolicyVersion, on_delete=models.PROTECT, null=True, related_name="+")
    dataset = models.CharField(max_length=200)
    columns = models.JSONField(default=dict)
    wish = models.JSONField(default=dict)
    # The labelled texts as a JSON list of [text, stage, prompt, sources, toxic, category].
    rows = models.TextField()
    # What the classifier at work has said so far, and which version of it said so.
    said = models.TextField(default="[]")
    version = models.ForeignKey(ClassifierVersion, on_delete=models.PROTECT, null=True, related_name="+")
    state = models.CharField(max_length=9, choices=State, default=State.WAITING)

    class Meta(Job.Meta):
        pass

    def __str__(self) -> str:
        return f"Evaluation job {self.pk}"

    @property
    def of(self) -> list[str]:
        """What is evaluated, for people."""
        return [f"run {self.run_id}"] if self.run_id else list(self.aliases)

    @property
    def labelled(self) -> list[Labelled]:
        return [
            Labelled(Subject(text, Stage(stage), prompt=prompt, sources=tuple(sources)), toxic, category)
            for text, stage, prompt, sources, toxic, category in json.loads(self.rows)
        ]


class TrainingRun(models.Model):
    """How an adapter came to be: recipe, data, losses, and what the part of the data showed that it never saw."""

    adapter = models.OneToOneField(Adapter, on_delete=models.PROTECT, related_name="training")
    evaluation = models.OneToOneField(Evaluation, on_delete=models.PROTECT, related_name="+")
    recipe = models.JSONField()
    dataset = models.TextField()
    # By the names of the parts: how many texts, how many toxic ones, and their digest.
    data = models.JSONField()
    # The marks (training.data) of all texts that were learnt from: a comparison leaves them out, and an erased one is told.
    texts = models.JSONField(default=list)
    # A list of {"step", "loss", "tuning_loss"}.
    losses = models.JSONField()
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        default_permissions = []

    def __str__(self) -> str:
        return f"Training of {self.adapter}"


class TrainingJob(Job):
    """A training asked for on the site or by a program, which workers carry on in turns. Texts are kept until it has ended."""

    ACT: ClassVar[str] = "training"
    EMPTIED: ClassVar[dict[str, str]] = {"rows": "{}"}

    class State(models.TextChoices):
        WAITING = "WAITING", "Waiting"
        RUNNING = "RUNNING", "Being trained"
        DONE = "DONE", "Trained"
        FAILED = "FAILED", "Failed"
        CANCELLED = "CANCELLED", "Stopped"

    # Of the adapter, and the classifier that it is for.
    name = models.CharField(max_length=100)
    alias = models.CharField(max_length=100)
    recipe = models.JSONField()
    dataset = models.TextField()
    # By part, the rows as a JSON list of [text, toxic, weight, group]; and what stays of them, as in TrainingRun.
    rows = models.TextField()
    data = models.JSONField()
    adapter = models.OneToOneField(Adapter, on_delete=models.SET_NULL, null=True, related_name="job")
    state = models.CharField(max_length=9, choices=State, default=State.WAITING)
    # What the steps that are done took.
    seconds = models.FloatField(default=0.0)
    losses = models.JSONField(default=list)

    class Meta(Job.Meta):
        pass

    def __str__(self) -> str:
        return f"Training job {self.pk}"


def pack(said: Iterable[Said]) -> str:
    return json.dumps([[e.toxic, e.label, e.score, e.category, e.latency, e.groups] for e in said])


def unpack(body: str) -> list[Said]:
    return [_said(*row) for row in json.loads(body)]


def _said(
    toxic: bool,
    label: str,
    score: float | None,
    category: str,
    latency: float | None = None,
    groups: Sequence[str] = (),
) -> Said:
    return Said(toxic, Label(label), score, category, latency, tuple(groups))


def pack_rows(rows: Iterable[Labelled]) -> str:
    parts = [(row.subject, row.toxic, row.category) for row in rows]
    return json.dumps([[s.text, s.stage, s.prompt, s.sources, toxic, category] for s, toxic, category in parts])


class Tally(models.Model):
    """What a version of a classifier said on one day of a run at one stage, in numbers: drift is told from these."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="tallies", db_index=False)
    version = models.ForeignKey(ClassifierVersion, on_delete=models.PROTECT, related_name="+")
    stage = models.CharField(max_length=6, choices=STAGES)
    day = models.DateField(db_index=True)
    # Texts by twenty equal bins of the score; judged, and TOXIC by the classifier's own word and by the policy; failed.
    scores = models.JSONField()
    judged = models.PositiveIntegerField()
    toxic = models.PositiveIntegerField()
    policy_toxic = models.PositiveIntegerField()
    errors = models.PositiveIntegerField()

    class Meta:
        default_permissions = []
        constraints = [
            models.UniqueConstraint(
                fields=["run", "version", "stage", "day"],
                name="tally_once",
                violation_error_message="This version was counted for this run, stage and day already.",
            )
        ]

    def __str__(self) -> str:
        return f"Version {self.version_id} in run {self.run_id} on {self.day}"


class TalliedRun(models.Model):
    """How a run stood when it was counted: while it stands so, it need not be counted again."""

    run = models.OneToOneField(Run, on_delete=models.CASCADE, primary_key=True, related_name="tallied")
    mark = models.CharField(max_length=32)

    class Meta:
        default_permissions = []

    def __str__(self) -> str:
        return f"Run {self.run_id}, counted"


class DriftAssessment(models.Model):
    """The newest comparison of what a version says at a stage with what it said before.

    What programs ask, day by day, is told apart from runs over files: each has its own kind of texts.
    """

    version = models.ForeignKey(ClassifierVersion, on_delete=models.PROTECT, related_name="+")
    stage = models.CharField(max_length=6, choices=STAGES)
    live = models.BooleanField()
    level = models.CharField(max_length=7, choices=[(level.value, level.value.capitalize()) for level in Level])
    why = models.TextField(blank=True, help_text="What keeps the level unknown.")
    # When drift was found, until a comparison finds none.
    since = models.DateTimeField(null=True)
    # classifiers.drift.Window and Finding, and the windows of the days with their dates.
    reference = models.JSONField()
    recent = models.JSONField()
    findings = models.JSONField()
    days = models.JSONField()
    assessed_at = models.DateTimeField()

    objects = DriftQuerySet.as_manager()

    class Meta:
        default_permissions = ["view"]
        constraints = [
            models.UniqueConstraint(
                fields=["version", "stage", "live"],
                name="drift_assessed_once",
                violation_error_message="This version has an assessment for this stage already.",
            )
        ]

    def __str__(self) -> str:
        return f"Version {self.version_id} on {self.stage.lower()}: {self.level}"

    def texts_of(self, window: str) -> int:
        return Window(**getattr(self, window)).texts


class DriftCheck(models.Model):
    """A single row: when drift was last looked for. Whoever locks it assesses."""

    asked_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = []

    def __str__(self) -> str:
        return f"Drift, looked for at {self.asked_at:%Y-%m-%d %H:%M}"

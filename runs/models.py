from __future__ import annotations

import json
from typing import Any

from django.db import models
from django.db.models import F, Q

from classifiers import types
from classifiers.policy import Rules
from classifiers.types import Prompt
from moderation.models import ClassifierVersion, PolicyVersion
from runs import querysets
from runs.expressions import DigestOf, Ranked
from runs.querysets import ChunkQuerySet, ResultQuerySet, RunQuerySet, VerdictQuerySet

LABELS = [(label.value, label.value.capitalize()) for label in types.Label]
STAGES = [(stage.value, stage.value.capitalize()) for stage in types.Stage]
HUMAN_LABELS = [(label, label.capitalize()) for label in ("SAFE", "TOXIC", "UNSURE")]


class Run(models.Model):
    """One configuration over one set of prompts."""

    class Status(models.TextChoices):
        QUEUED = "QUEUED"
        RUNNING = "RUNNING"
        DONE = "DONE"
        FAILED = "FAILED"
        CANCELLED = "CANCELLED"

    name = models.CharField(max_length=200)
    status = models.CharField(max_length=10, choices=Status, default=Status.QUEUED)
    # The data set, the checks and the generator with the options of this run, the batch size: all it takes to go on.
    configuration = models.JSONField(default=dict)
    # Packages, classifier versions and the generator's model, as they were when the run started.
    versions = models.JSONField(default=dict)
    # Labels by stage, filled in when the run ends.
    counts = models.JSONField(default=dict)
    total = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    # Digest of all prompts in order: two runs with the same one had the same prompts.
    prompts_digest = models.CharField(max_length=32, blank=True)
    # For workers, or for the process that made it.
    queued = models.BooleanField(default=False)
    # Of a run that records what programs ask (runs.live): the digest of its day, its checks and their versions.
    live = models.CharField(max_length=32, null=True)
    # Which all of its labels follow from. Without one, each classifier's own word stands.
    policy_version = models.ForeignKey(PolicyVersion, on_delete=models.PROTECT, null=True, related_name="runs")
    # When it was last labelled under another one than it was judged under.
    relabelled_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)
    # Why its texts are kept however old they become; null when nothing asks for that.
    hold = models.CharField(max_length=200, null=True)
    # When retention let its last texts go: there is nothing left to look for.
    let_go_at = models.DateTimeField(null=True)
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        permissions = (("moderate", "Can have texts judged and answered, one at a time"),)
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["QUEUED", "RUNNING", "DONE", "FAILED", "CANCELLED"]),
                name="run_status_known",
                violation_error_message="A run is QUEUED, RUNNING, DONE, FAILED or CANCELLED.",
            ),
            models.UniqueConstraint(
                fields=["live"],
                condition=Q(status="RUNNING", live__isnull=False),
                name="run_live_once",
                violation_error_message="What programs ask is being recorded in a run already.",
            ),
        ]

    def __str__(self) -> str:
        return f"Run {self.pk}: {self.name}"

    @property
    def policy(self) -> str | None:
        """The version that labels follow from, as NAME@3 (moderation.policies.chosen)."""
        return self.policy_version.reference if self.policy_version else None


class Chunk(models.Model):
    """Some prompts of a run, positions ``lo`` up to but not including ``hi``: the unit of work and of saving."""

    class State(models.TextChoices):
        OPEN = "OPEN"
        HELD = "HELD"
        DONE = "DONE"

    # Here and below: no index of its own, for a unique constraint begins with it, and databases take the wrong one of two.
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="chunks", db_index=False)
    index = models.PositiveIntegerField()
    lo = models.PositiveIntegerField()
    hi = models.PositiveIntegerField()
    state = models.CharField(max_length=4, choices=State, default=State.OPEN)
    # The prompts themselves, until the chunk is done: a worker on another machine needs no file.
    payload = models.TextField(blank=True)
    # Its results exist already and are judged again, because of errors.
    retry = models.BooleanField(default=False)
    holder = models.CharField(max_length=200, blank=True)
    lease_until = models.DateTimeField(null=True)
    enqueued_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)

    objects = ChunkQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["run", "index"],
                name="chunk_index_once",
                violation_error_message="This run has a chunk with this index already.",
            ),
            models.CheckConstraint(
                condition=Q(state="HELD", lease_until__isnull=False) | Q(state__in=["OPEN", "DONE"], lease_until=None),
                name="chunk_held_has_lease",
                violation_error_message="A chunk has a lease exactly while it is held.",
            ),
            models.CheckConstraint(
                condition=Q(hi__gt=F("lo")),
                name="chunk_not_empty",
                violation_error_message="A chunk holds at least one prompt.",
            ),
        ]
        indexes = [
            # What is left to do, found in a run of any length.
            models.Index(fields=["run", "index"], condition=~Q(state="DONE"), name="chunk_unfinished"),
        ]

    def __str__(self) -> str:
        return f"Chunk {self.index} of run {self.run_id}"

    @property
    def prompts(self) -> list[Prompt]:
        return [Prompt(text, position, metadata) for position, text, metadata in json.loads(self.payload)]


def pack(prompts: list[Prompt]) -> str:
    """Prompts as a chunk keeps them."""
    return json.dumps([[p.position, p.text, p.metadata] for p in prompts])


class Provenance(models.TextChoices):
    """Whose label is in effect."""

    MACHINE = "machine"
    SINGLE = "single"
    UNANIMOUS = "unanimous"
    MAJORITY = "majority"
    ADJUDICATED = "adjudicated"


class Result(models.Model):
    """One prompt of a run, its answer, and what was decided about both. Lists read only the short columns."""

    class Texts(models.TextChoices):
        """What became of the texts of a result that are not as they came (runs.storing, runs.retention)."""

        REDACTED = "REDACTED", "redacted"
        NOT_KEPT = "NOT_KEPT", "not kept"
        LET_GO = "LET_GO", "let go"

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="results", db_index=False)
    position = models.PositiveIntegerField()
    prompt = models.TextField()
    answer = models.TextField(null=True)
    metadata = models.JSONField(default=dict)
    input_label = models.CharField(max_length=5, choices=LABELS)
    input_score = models.FloatField(null=True)
    input_categories = models.JSONField(default=list)
    output_label = models.CharField(max_length=5, choices=LABELS, null=True)
    output_score = models.FloatField(null=True)
    output_categories = models.JSONField(default=list)
    # What people made of it: written by the review app alone, from the reviews.
    human_input_label = models.CharField(max_length=6, choices=HUMAN_LABELS, null=True)
    human_output_label = models.CharField(max_length=6, choices=HUMAN_LABELS, null=True)
    input_provenance = models.CharField(max_length=11, choices=Provenance, default=Provenance.MACHINE)
    output_provenance = models.CharField(max_length=11, choices=Provenance, default=Provenance.MACHINE)
    reviewed_at = models.DateTimeField(null=True)
    # People disagree, or one asked for another opinion, and nobody has decided yet.
    disputed = models.BooleanField(default=False)
    # A check could not judge it, and it passed all the same, since the site was told to fail open.
    degraded = models.BooleanField(default=False)
    # Its labels are not those of the day it was judged, for the policy is another one now.
    relabelled = models.BooleanField(default=False)
    # Null while prompt, answer, metadata and what was said of them are as they came.
    texts = models.CharField(max_length=8, choices=Texts, null=True)
    # Of the prompt and the answer by stage, where the texts themselves are not there.
    digests = models.JSONField(null=True)
    let_go_at = models.DateTimeField(null=True)
    # Makes the commitment in the audit trail say nothing about the text to those who cannot see the text.
    salt = models.CharField(max_length=64)
    created_at = models.DateTimeField()

    objects = ResultQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["run", "position"],
                name="result_position_once",
                violation_error_message="This prompt of the run has a result already.",
            ),
            models.CheckConstraint(
                condition=Q(input_label__in=types.Label) & (Q(output_label=None) | Q(output_label__in=types.Label)),
                name="result_labels_known",
                violation_error_message="A label is SAFE, TOXIC or ERROR.",
            ),
            models.CheckConstraint(
                condition=Q(input_label="SAFE")
                | Q(answer=None, output_label=None)
                | Q(degraded=True)
                | Q(relabelled=True),
                name="result_only_safe_answered",
                violation_error_message="Only a prompt that was judged SAFE is answered.",
            ),
            models.CheckConstraint(
                condition=(Q(input_provenance="machine") | Q(human_input_label__in=("SAFE", "TOXIC")))
                & (Q(output_provenance="machine") | Q(human_output_label__in=("SAFE", "TOXIC"))),
                name="result_human_label_known",
                violation_error_message="A label that people agreed on is SAFE or TOXIC.",
            ),
        ]
        indexes = [
            models.Index(
                fields=["run", "position"],
                condition=Q(input_label="TOXIC") | Q(output_label="TOXIC"),
                name="result_flagged",
            ),
            models.Index(
                fields=["run", "position"],
                condition=Q(input_label="ERROR") | Q(output_label="ERROR"),
                name="result_errors",
            ),
            models.Index(fields=["run", "position"], condition=Q(reviewed_at__isnull=False), name="result_reviewed"),
            models.Index(fields=["run", "position"], condition=Q(disputed=True), name="result_disputed"),
            models.Index(fields=["run", "position"], condition=Q(degraded=True), name="result_degraded"),
            # Results by their scores.
            *(
                models.Index(F("run"), Ranked(f"{stage}_score"), F("id"), name=f"result_{stage}_score")
                for stage in querysets.STAGES
            ),
            # By the texts that are no longer there.
            *(
                models.Index(
                    DigestOf("digests", stage=stage.upper()),
                    condition=Q(digests__isnull=False),
                    name=f"result_{stage}_digest",
                )
                for stage in querysets.STAGES
            ),
            # Whatever results are filtered and counted by: looked through without reading the rows, which hold the texts.
            models.Index(
                fields=[
                    *("run", "position", "input_label", "output_label", "input_score", "output_score"),
                    *("human_input_label", "human_output_label", "input_provenance", "output_provenance"),
                    *("reviewed_at", "disputed"),
                ],
                name="result_narrow",
            ),
        ]

    def __str__(self) -> str:
        return f"Result {self.position} of run {self.run_id}"

    def digest_of(self, stage: types.Stage) -> str | None:
        """Of the prompt or the answer, also where the text is not kept; None where there was no answer."""
        text = self.prompt if stage is types.Stage.INPUT else self.answer
        return None if text is None else (self.digests or {}).get(stage) or types.digest(text)

    def effective(self, stage: types.Stage) -> str | None:
        """The label in effect: what people agreed on, else the machine's."""
        name = stage.lower()
        human = getattr(self, f"{name}_provenance") != Provenance.MACHINE
        label: str | None = getattr(self, f"human_{name}_label" if human else f"{name}_label")
        return label


class Verdict(models.Model):
    """A Classification as stored, for a result, a stage and a check. Its raw payload stands apart."""

    result = models.ForeignKey(Result, on_delete=models.CASCADE, related_name="verdicts", db_index=False)
    stage = models.CharField(max_length=6, choices=STAGES)
    check_name = models.CharField(max_length=100)
    label = models.CharField(max_length=5, choices=LABELS)
    # What the classifier itself said, where the policy made something else of it.
    own_label = models.CharField(max_length=5, choices=LABELS, null=True)
    own_flagged = models.JSONField(null=True)
    score = models.FloatField(null=True)
    categories = models.JSONField(default=dict)
    flagged = models.JSONField(default=list)
    # The classifier's own; what the policy sets follows from its version.
    thresholds = models.JSONField(default=dict)
    spans = models.JSONField(default=list)
    reason = models.TextField(blank=True)
    # Null when no classifier judged: the answer could not be made.
    version = models.ForeignKey(ClassifierVersion, on_delete=models.PROTECT, null=True, related_name="+")
    # Equal for equal texts judged by the same classifier version (classifiers.types.judgement_key).
    key = models.CharField(max_length=32, blank=True)
    recalled = models.BooleanField(default=False)
    latency = models.FloatField(null=True, help_text="Seconds.")

    objects = VerdictQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["result", "stage", "check_name"],
                name="verdict_once",
                violation_error_message="This check has judged this stage of the result already.",
            ),
            models.CheckConstraint(
                condition=Q(score=None) | Q(score__gte=0, score__lte=1),
                name="verdict_score_range",
                violation_error_message="A score lies between 0 and 1.",
            ),
            models.CheckConstraint(
                condition=Q(label__in=types.Label),
                name="verdict_label_known",
                violation_error_message="A label is SAFE, TOXIC or ERROR.",
            ),
        ]
        indexes = [
            # For texts that come again. SQLite uses a partial index only if its condition holds no value to compare with.
            models.Index(fields=["key"], condition=Q(recalled=False), name="verdict_recallable"),
        ]

    def __str__(self) -> str:
        return f"{self.check_name} on {self.stage.lower()}: {self.label}"

    def thresholds_under(self, rules: Rules) -> dict[str, float]:
        """By category, those that a policy sets and else the classifier's own."""
        names = [*self.categories, *self.flagged, *(self.own_flagged or ())]
        return {**self.thresholds, **rules.thresholds(names, check=self.check_name, stage=self.stage)}


class Payload(models.Model):
    """What the provider sent for a verdict, as JSON text; read only where it is shown."""

    verdict = models.OneToOneField(Verdict, on_delete=models.CASCADE, primary_key=True)
    # Text, not JSON: a provider may send "\u0000", which PostgreSQL's JSON refuses.
    body = models.TextField()

    def __str__(self) -> str:
        return f"Payload of verdict {self.pk}"

    @property
    def value(self) -> Any:
        return json.loads(self.body)


class RunLog(models.Model):
    """A log line of a run."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="logs")
    time = models.DateTimeField()
    level = models.CharField(max_length=10)
    message = models.TextField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.time:%Y-%m-%d %H:%M:%S} {self.level} {self.message}"


class Export(models.Model):
    """Results of a run written to a file in the background, to be taken away in one piece or in several."""

    class State(models.TextChoices):
        WAITING = "WAITING", "Waiting"
        RUNNING = "RUNNING", "Being written"
        DONE = "DONE", "Ready"
        FAILED = "FAILED", "Failed"
        CANCELLED = "CANCELLED", "Cancelled"

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="exports")
    form = models.CharField(max_length=10)
    # In the grammar of runs.filters, beside the run.
    filters = models.JSONField(default=dict)
    # Names of reviewers are replaced by pseudonyms.
    pseudonyms = models.BooleanField(default=False)
    state = models.CharField(max_length=9, choices=State, default=State.WAITING)
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    # The file's name in the folder of exports, its bytes and their SHA-256; the rest of what the manifest says.
    file = models.CharField(max_length=200, blank=True)
    size = models.PositiveBigIntegerField(null=True)
    sha256 = models.CharField(max_length=64, blank=True)
    manifest = models.JSONField(default=dict)
    error = models.TextField(blank=True)
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)
    # The process that writes it, as of a chunk, and its last sign of life.
    holder = models.CharField(max_length=200, blank=True)
    moved_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = []

    def __str__(self) -> str:
        return f"Export {self.pk} of run {self.run_id} as {self.form}"


class ModerationResult(models.Model):
    """A row of the database view that analysts read: machine labels, what people said of them, one row a result."""

    pk = models.CompositePrimaryKey("run_id", "position")
    run_id = models.BigIntegerField()
    run_name = models.CharField(max_length=200)
    position = models.PositiveIntegerField()
    prompt = models.TextField()
    answer = models.TextField(null=True)
    input_label = models.CharField(max_length=5)
    input_score = models.FloatField(null=True)
    input_categories = models.JSONField()
    output_label = models.CharField(max_length=5, null=True)
    output_score = models.FloatField(null=True)
    output_categories = models.JSONField()
    human_input_label = models.CharField(max_length=6, null=True)
    human_output_label = models.CharField(max_length=6, null=True)
    human_provenance = models.TextField(null=True)
    human_notes = models.TextField(null=True)
    reviewers = models.TextField(null=True)
    reviewed_at = models.DateTimeField(null=True)
    effective_input_label = models.CharField(max_length=6)
    effective_output_label = models.CharField(max_length=6, null=True)
    policy_version = models.BigIntegerField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "moderation_results"

    def __str__(self) -> str:
        return f"Result {self.position} of run {self.run_id}"

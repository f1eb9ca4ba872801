"""What waits to be reviewed: queues, the results in them, and who holds which."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from classifiers.types import Stage
from review.querysets import ClaimQuerySet, QueueItemQuerySet, QueueQuerySet
from runs.models import HUMAN_LABELS, Result

MAX_NOTE = 10_000  # characters


class Queue(models.Model):
    """Results to be reviewed, and how."""

    class Stages(models.TextChoices):
        BOTH = "BOTH", "Prompt and answer"
        INPUT = "INPUT", "Prompt"
        OUTPUT = "OUTPUT", "Answer"

    name = models.CharField(max_length=200)
    instructions = models.TextField(
        blank=True, max_length=MAX_NOTE, help_text="What reviewers read beside each result."
    )
    # In the grammar of runs.filters: what was put in when the queue was made.
    filters = models.JSONField(default=dict, blank=True)
    sample_percent = models.FloatField(
        "random sample of unflagged results, in percent",
        default=0,
        validators=[MinValueValidator(0), MaxValueValidator(100)],
        help_text="Only with it can be told what the machine missed.",
    )
    # How many results there were to sample from, and how many are flagged: what the sample is weighted by.
    population = models.JSONField(default=dict, editable=False)
    # Where a check is named, so many of what the filter finds are put in, not all.
    learner = models.CharField(
        "check that is to learn",
        max_length=100,
        blank=True,
        help_text="Of what the filter finds, only those go in from which this check would learn most. Empty: all go in.",
    )
    compared = models.CharField(
        "checks to compare it with",
        max_length=500,
        blank=True,
        help_text="With commas between them. Where they differ from it, there is more to learn.",
    )
    size = models.PositiveIntegerField(
        "results to choose", default=200, validators=[MinValueValidator(1), MaxValueValidator(1000)]
    )
    random_percent = models.FloatField(
        "random share of these, in percent",
        default=20,
        validators=[MinValueValidator(0), MaxValueValidator(100)],
        help_text="Drawn from all that the filter finds: by these alone the check is measured.",
    )
    stages = models.CharField("judged are", max_length=6, choices=Stages, default=Stages.BOTH)
    needed = models.PositiveSmallIntegerField(
        "reviewers for each result", default=1, validators=[MinValueValidator(1), MaxValueValidator(9)]
    )
    lease_seconds = models.PositiveIntegerField(
        "seconds a result stays with a reviewer",
        default=600,
        validators=[MinValueValidator(30), MaxValueValidator(86_400)],
    )
    blind = models.BooleanField(
        default=True, help_text="Nobody sees the machine's verdict, or another's, before having given one."
    )
    gold_percent = models.PositiveSmallIntegerField(
        "share of results with a known answer, in percent",
        default=10,
        validators=[MaxValueValidator(50)],
    )
    restricted = models.BooleanField("only for its members", default=False)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_by = models.CharField(max_length=200, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    closed_at = models.DateTimeField(null=True, editable=False)

    objects = QueueQuerySet.as_manager()

    class Meta:
        permissions = (
            ("work", "Can review results of queues"),
            ("adjudicate", "Can settle disagreements"),
            ("lead", "Can make and lead queues, mark known answers and label in bulk"),
            ("export", "Can take reviews and results out"),
            ("oversee", "Can see queues, agreement and everybody's reviews"),
        )
        constraints = [
            models.CheckConstraint(
                condition=Q(needed__gte=1, needed__lte=9),
                name="queue_needed_range",
                violation_error_message="A result needs between 1 and 9 reviewers.",
            ),
            models.CheckConstraint(
                condition=Q(sample_percent__gte=0, sample_percent__lte=100),
                name="queue_sample_range",
                violation_error_message="The random sample is between 0 and 100 percent.",
            ),
            models.CheckConstraint(
                condition=Q(random_percent__gte=0, random_percent__lte=100),
                name="queue_random_range",
                violation_error_message="The random share is between 0 and 100 percent.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def asked(self) -> list[Stage]:
        """The stages that are judged."""
        return list(Stage) if self.stages == self.Stages.BOTH else [Stage(self.stages)]

    @property
    def checks(self) -> list[str]:
        """The check that is to learn, and those that it is compared with."""
        return [name for part in (self.learner, *self.compared.split(",")) if (name := part.strip())]


class Seat(models.Model):
    """A person's place in a queue: whether they are a member, and how far they have come."""

    queue = models.ForeignKey(Queue, on_delete=models.CASCADE, related_name="seats", db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    member = models.BooleanField(default=False)
    # The highest order of an item served to this person: what lies before it was served, skipped, or taken then.
    cursor = models.FloatField(default=-1)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["queue", "user"],
                name="seat_once",
                violation_error_message="This person has a seat in the queue already.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.queue}"


class QueueItem(models.Model):
    """A result in a queue, with how many reviews it needs, has (``done``), and has out (``claimed``)."""

    class State(models.TextChoices):
        OPEN = "OPEN", "Open"
        NEEDS_ADJUDICATION = "NEEDS_ADJUDICATION", "Needs adjudication"
        CLOSED = "CLOSED", "Closed"

    class Origin(models.TextChoices):
        """Why a result is in its queue."""

        FILTER = "FILTER", "Filter"
        SAMPLE = "SAMPLE", "Random sample of what was not flagged"
        CHOSEN = "CHOSEN", "Chosen to be learnt from"
        RANDOM = "RANDOM", "Random share of all that the filter found"

    # Anybody may once answer what has a known answer, so that it never runs out.
    GOLD_NEEDED = 32_000

    queue = models.ForeignKey(Queue, on_delete=models.CASCADE, related_name="items", db_index=False)
    result = models.ForeignKey(Result, on_delete=models.CASCADE, related_name="+")
    needed = models.PositiveSmallIntegerField()
    claimed = models.PositiveSmallIntegerField(default=0)
    done = models.PositiveSmallIntegerField(default=0)
    state = models.CharField(max_length=18, choices=State, default=State.OPEN)
    # Random in [0, 1), so that the place in the queue says nothing.
    order = models.FloatField()
    origin = models.CharField(max_length=6, choices=Origin, default=Origin.FILTER)
    gold = models.BooleanField(default=False)
    gold_input = models.CharField(max_length=6, choices=HUMAN_LABELS, blank=True)
    gold_output = models.CharField(max_length=6, choices=HUMAN_LABELS, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True)

    objects = QueueItemQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["queue", "result"],
                name="queue_item_once",
                violation_error_message="This result is in the queue already.",
            ),
            models.CheckConstraint(
                condition=Q(needed__gte=F("claimed") + F("done")),
                name="queue_item_not_overserved",
                violation_error_message="As many people as needed hold this result or have judged it.",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["OPEN", "NEEDS_ADJUDICATION", "CLOSED"]),
                name="queue_item_state_known",
                violation_error_message="A queue item is OPEN, NEEDS_ADJUDICATION or CLOSED.",
            ),
        ]
        indexes = [
            # What can be handed out; review.handout asks in the very words of this condition.
            models.Index(
                fields=["queue", "order"],
                condition=Q(state="OPEN", gold=False, needed__gt=F("claimed") + F("done")),
                name="queue_item_claimable",
            ),
            models.Index(fields=["queue", "order"], condition=Q(gold=True), name="queue_item_gold"),
            models.Index(fields=["queue", "state", "result"], name="queue_item_state"),
        ]

    def __str__(self) -> str:
        return f"Item {self.pk} of queue {self.queue_id}"


class Claim(models.Model):
    """A queue item that a reviewer holds, or what became of it. One row for each reviewer and item."""

    class State(models.TextChoices):
        HELD = "HELD", "Held"
        PARKED = "PARKED", "Kept for later"
        DONE = "DONE", "Judged"
        SKIPPED = "SKIPPED", "Skipped"
        ESCALATED = "ESCALATED", "Escalated"
        RELEASED = "RELEASED", "Given back"
        EXPIRED = "EXPIRED", "Expired"

    item = models.ForeignKey(QueueItem, on_delete=models.CASCADE, related_name="claims", db_index=False)
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False)
    state = models.CharField(max_length=9, choices=State, default=State.HELD)
    # Exactly while it is held or parked.
    expires_at = models.DateTimeField(null=True)
    claimed_at = models.DateTimeField(default=timezone.now)
    reason = models.CharField(max_length=500, blank=True)
    # Said of the prompt before the answer was shown: whether there is an answer tells what the machine found.
    prompt_label = models.CharField(max_length=6, choices=HUMAN_LABELS, blank=True)
    # Who handed it to this reviewer, if somebody did.
    given_by = models.CharField(max_length=200, blank=True)

    objects = ClaimQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["item", "reviewer"],
                name="claim_once",
                violation_error_message="This reviewer has had this result already.",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["HELD", "PARKED"], expires_at__isnull=False)
                | Q(state__in=["DONE", "SKIPPED", "ESCALATED", "RELEASED", "EXPIRED"], expires_at=None),
                name="claim_held_has_lease",
                violation_error_message="A claim has an end exactly while it is held or kept.",
            ),
        ]
        indexes = [
            models.Index(fields=["reviewer", "state"], name="claim_of_reviewer"),
            models.Index(fields=["expires_at"], condition=Q(expires_at__isnull=False), name="claim_expiring"),
        ]

    def __str__(self) -> str:
        return f"Claim {self.pk} on item {self.item_id}"

    @property
    def hides_answer(self) -> bool:
        """In a blind queue the prompt is judged first. A prompt judged TOXIC by the machine was never answered."""
        queue = self.item.queue
        return queue.blind and queue.stages == Queue.Stages.BOTH and not self.prompt_label

    def stages(self, result: Result) -> list[Stage]:
        """What this reviewer is to judge now."""
        return [Stage.INPUT] if self.hides_answer else stages_of(self.item.queue, result)


def stages_of(queue: Queue, result: Result) -> list[Stage]:
    """What is to be judged of the result in the queue: there is no judging an answer that was never given."""
    return [stage for stage in queue.asked if text_of(result, stage) is not None]


def text_of(result: Result, stage: Stage) -> str | None:
    return result.prompt if stage is Stage.INPUT else result.answer

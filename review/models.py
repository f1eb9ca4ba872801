from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from classifiers.types import Stage
from review.querysets import ClaimQuerySet, QueueItemQuerySet, QueueQuerySet, ReviewQuerySet
from runs.models import HUMAN_LABELS, STAGES, Result

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


class BulkAction(models.Model):
    """One label put on all results of a filter by one person, at once or in the background."""

    class State(models.TextChoices):
        RUNNING = "RUNNING", "Running"
        DONE = "DONE", "Done"
        CANCELLED = "CANCELLED", "Cancelled"
        FAILED = "FAILED", "Failed"
        UNDOING = "UNDOING", "Being undone"
        UNDONE = "UNDONE", "Undone"

    filters = models.JSONField(default=dict)
    stage = models.CharField(max_length=6, choices=STAGES)
    label = models.CharField(max_length=6, choices=HUMAN_LABELS)
    reason = models.CharField(max_length=1000)
    state = models.CharField(max_length=9, choices=State, default=State.RUNNING)
    total = models.PositiveIntegerField()
    done = models.PositiveIntegerField(default=0)
    # The newest result that was there when the action was made, and the last one dealt with: the way to go on.
    until = models.BigIntegerField()
    position = models.BigIntegerField(default=0)
    error = models.TextField(blank=True)
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    key = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)
    # The last sign of life of whoever works on it.
    moved_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reviewer", "key"],
                name="bulk_action_once",
                violation_error_message="This has been asked for already.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.label} on {self.total} results"


class Review(models.Model):
    """What a person said of a result at a stage. Add-only: a correction supersedes, an undo supersedes with no label.

    Of a chain the last one counts. An adjudication is a review with a cause; it settles what others disagreed on.
    """

    class Cause(models.TextChoices):
        AMBIGUOUS = "ambiguous", "The text is ambiguous"
        POLICY_GAP = "policy_gap", "The policy says nothing about it"
        REVIEWER_ERROR = "reviewer_error", "A reviewer erred"
        MACHINE_LED = "machine_led", "The machine led people astray"

    result = models.ForeignKey(Result, on_delete=models.CASCADE, related_name="reviews", db_index=False)
    item = models.ForeignKey(QueueItem, on_delete=models.CASCADE, related_name="reviews", null=True)
    stage = models.CharField(max_length=6, choices=STAGES)
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False)
    # Empty: taken back.
    label = models.CharField(max_length=6, choices=HUMAN_LABELS, blank=True)
    categories = models.JSONField(default=list)
    note = models.TextField(blank=True, max_length=MAX_NOTE)
    cause = models.CharField(max_length=14, choices=Cause, blank=True)
    # Given without knowing what the machine, or anybody else, had said.
    blind = models.BooleanField(default=False)
    # Of the text that was judged: what was said of one answer says nothing of another.
    digest = models.CharField(max_length=32)
    # Of the act, from whoever sent it: the same act sent twice is one.
    key = models.CharField(max_length=64)
    supersedes = models.OneToOneField("self", on_delete=models.CASCADE, null=True, related_name="superseded_by")
    bulk = models.ForeignKey(BulkAction, on_delete=models.PROTECT, null=True, related_name="reviews")
    created_at = models.DateTimeField(default=timezone.now)

    objects = ReviewQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["result", "stage", "reviewer"],
                condition=Q(supersedes=None),
                name="review_one_chain",
                violation_error_message="This reviewer has judged this stage of the result already.",
            ),
            models.UniqueConstraint(
                fields=["reviewer", "key", "result", "stage"],
                name="review_key_once",
                violation_error_message="This verdict is stored already.",
            ),
            models.CheckConstraint(
                condition=Q(label__in=["", "SAFE", "TOXIC", "UNSURE"]),
                name="review_label_known",
                violation_error_message="A reviewer says SAFE, TOXIC or UNSURE.",
            ),
            models.CheckConstraint(
                condition=Q(cause="") | Q(label__in=["", "SAFE", "TOXIC"]),
                name="review_adjudication_decides",
                violation_error_message="An adjudication says SAFE or TOXIC.",
            ),
        ]
        indexes = [
            models.Index(fields=["result", "stage"], name="review_of_result"),
            models.Index(fields=["reviewer", "created_at"], name="review_of_reviewer"),
            models.Index(fields=["created_at"], name="review_time"),
        ]

    def __str__(self) -> str:
        return f"{self.label or 'taken back'} on {self.stage.lower()} by {self.reviewer_id}"


class Draft(models.Model):
    """A verdict that came too late for its slot: kept for its reviewer, never dropped."""

    item = models.ForeignKey(QueueItem, on_delete=models.CASCADE, related_name="drafts")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    key = models.CharField(max_length=64)
    labels = models.JSONField(default=dict)
    categories = models.JSONField(default=list)
    note = models.TextField(blank=True, max_length=MAX_NOTE)
    saved_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["item", "reviewer"],
                name="draft_once",
                violation_error_message="There is a draft for this result already.",
            )
        ]

    def __str__(self) -> str:
        return f"Draft {self.pk} on item {self.item_id}"


class SavedView(models.Model):
    """A filter over results under a name."""

    name = models.CharField(max_length=100)
    filters = models.JSONField(default=dict)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    shared = models.BooleanField(default=False)
    version = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "name"],
                name="saved_view_name_once",
                violation_error_message="You have a view with this name already.",
            )
        ]

    def __str__(self) -> str:
        return self.name


class Preferences(models.Model):
    """How a person wants to work, and what of it is nobody else's business."""

    class Mask(models.TextChoices):
        HARMFUL = "harmful", "Harmful text"
        ALL = "all", "Every text"
        NONE = "none", "Nothing"

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    mask = models.CharField("hidden until asked for", max_length=7, choices=Mask, default=Mask.HARMFUL)
    submit_at_once = models.BooleanField(
        "send as soon as every label is chosen", default=True, help_text="Else Enter sends. Undo takes back either way."
    )
    break_minutes = models.PositiveSmallIntegerField(
        "remind me of a break after this many minutes",
        default=60,
        validators=[MaxValueValidator(480)],
        help_text="0 never does.",
    )
    version = models.PositiveIntegerField(default=1, editable=False)
    # Counted for the person alone, and for one day.
    exposed_on = models.DateField(null=True, editable=False)
    exposed = models.PositiveIntegerField(default=0, editable=False)
    # The present stretch of work; a pause of ten minutes ends it.
    working_since = models.DateTimeField(null=True, editable=False)
    last_seen = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name_plural = "preferences"

    def __str__(self) -> str:
        return f"Preferences of {self.user}"


def stages_of(queue: Queue, result: Result) -> list[Stage]:
    """What is to be judged of the result in the queue: there is no judging an answer that was never given."""
    return [stage for stage in queue.asked if text_of(result, stage) is not None]


def text_of(result: Result, stage: Stage) -> str | None:
    return result.prompt if stage is Stage.INPUT else result.answer

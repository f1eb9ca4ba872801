"""What is a person's own: views of results, and how they want to work."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models


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

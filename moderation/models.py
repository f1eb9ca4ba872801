from __future__ import annotations

from django.db import models
from django.db.models import Q

from classifiers.policy import ANY, Action
from classifiers.types import ModelInfo, Stage


class ClassifierVersion(models.Model):
    """One exact version of a model behind an alias. Every verdict names the version that gave it; rows never change."""

    alias = models.CharField(max_length=100)
    # What a provider says of itself, of any length: a model may be a path, or what a server calls it.
    provider = models.TextField()
    model = models.TextField(blank=True)
    revision = models.TextField(blank=True)
    adapter_digest = models.TextField(blank=True)
    template_hash = models.TextField(blank=True)
    dtype = models.TextField(blank=True)
    settings = models.JSONField(default=dict)
    fingerprint = models.CharField(max_length=32)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["alias", "fingerprint"],
                name="classifier_version_once",
                violation_error_message="This version of the classifier is recorded already.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.alias} ({self.model or self.provider})"

    @classmethod
    def fields_of(cls, info: ModelInfo) -> dict[str, object]:
        return {
            name: getattr(info, name)
            for name in ("provider", "model", "revision", "adapter_digest", "template_hash", "dtype")
        } | {"settings": dict(info.settings)}


class Policy(models.Model):
    """What counts as harm, and from which score on. What it says stands in its versions, which never change."""

    name = models.CharField(max_length=100)
    description = models.TextField(blank=True, max_length=10_000)
    # The one that new runs and programs are judged under when they name none.
    default = models.BooleanField(default=False)
    created_by = models.CharField(max_length=200, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "policies"
        permissions = (("set_policy", "Can make policies, change thresholds and label results anew under them"),)
        constraints = [
            models.UniqueConstraint(
                fields=["name"],
                name="policy_name_once",
                violation_error_message="There is a policy with this name already.",
            ),
            models.UniqueConstraint(
                fields=["default"],
                condition=Q(default=True),
                name="policy_one_default",
                violation_error_message="Another policy is the default one already.",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class PolicyVersion(models.Model):
    """A policy as it was at one time. Verdicts name the version that they were judged under; rows never change."""

    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="versions", db_index=False)
    number = models.PositiveIntegerField()
    note = models.TextField(max_length=1000)
    created_by = models.CharField(max_length=200, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        default_permissions = []
        constraints = [
            models.UniqueConstraint(
                fields=["policy", "number"],
                name="policy_version_once",
                violation_error_message="Somebody made this version of the policy already.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.policy} v{self.number}"

    @property
    def reference(self) -> str:
        """As commands and programs name it (moderation.policies.chosen)."""
        return f"{self.policy}@{self.number}"


class Category(models.Model):
    """A harm as one version of a policy defines it, with examples, for people and for models that read policies."""

    version = models.ForeignKey(PolicyVersion, on_delete=models.CASCADE, related_name="categories", db_index=False)
    name = models.CharField(max_length=100)
    definition = models.TextField(max_length=10_000)
    # Texts, each {"text", "label"}: what falls under it, and what only looks so.
    examples = models.JSONField(default=list, blank=True)

    class Meta:
        default_permissions = []
        verbose_name_plural = "categories"
        constraints = [
            models.UniqueConstraint(
                fields=["version", "name"],
                name="category_once",
                violation_error_message="This version of the policy has this category already.",
            )
        ]

    def __str__(self) -> str:
        return self.name


class Threshold(models.Model):
    """From which raw score on a category counts, at a stage and for a check, or at all of them (empty)."""

    version = models.ForeignKey(PolicyVersion, on_delete=models.CASCADE, related_name="thresholds", db_index=False)
    category = models.CharField(max_length=100, help_text=f"A classifier's own name for it, a harm, or {ANY} for all.")
    stage = models.CharField(max_length=6, blank=True, choices=[(stage.value, stage.value) for stage in Stage])
    check_name = models.CharField("check", max_length=100, blank=True)
    # None: the classifier's own word stands.
    value = models.FloatField("threshold", null=True, blank=True)
    action = models.CharField(
        max_length=6, choices=[(action.value, action.value) for action in Action], default=Action.BLOCK
    )

    class Meta:
        default_permissions = []
        constraints = [
            models.UniqueConstraint(
                fields=["version", "category", "stage", "check_name"],
                name="threshold_once",
                violation_error_message="There is a threshold for this category, stage and check already.",
            ),
            models.CheckConstraint(
                condition=Q(value=None) | Q(value__gte=0, value__lte=1),
                name="threshold_range",
                violation_error_message="A threshold lies between 0 and 1.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.category} from {self.value}"


class Adapter(models.Model):
    """A LoRA folder, known by the digest of its files wherever it lies. Rows never change."""

    name = models.CharField(max_length=100)
    digest = models.CharField(max_length=64)
    folder = models.TextField()
    base_model = models.TextField()
    base_revision = models.TextField()
    # What stands in its README.md: data, figures, recipe.
    card = models.TextField()
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        default_permissions = ["view"]
        permissions = (
            ("train_adapter", "Can train adapters"),
            ("promote_adapter", "Can promote adapters and roll back"),
        )
        constraints = [
            models.UniqueConstraint(
                fields=["name"],
                name="adapter_name_once",
                violation_error_message="There is an adapter with this name already.",
            ),
            models.UniqueConstraint(
                fields=["digest"],
                name="adapter_digest_once",
                violation_error_message="This adapter is recorded already.",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Promotion(models.Model):
    """Which adapter an alias loads from then on, or that it loads none; the newest of an alias holds. Rows never change."""

    alias = models.CharField(max_length=100)
    adapter = models.ForeignKey(Adapter, on_delete=models.PROTECT, null=True, related_name="promotions")
    # What spoke for it: the comparison with what held before, and what its gates said.
    evidence = models.JSONField(default=dict)
    note = models.TextField(blank=True, max_length=1000)
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        default_permissions = []
        constraints = [
            models.CheckConstraint(
                condition=~Q(alias="") & ~Q(alias__contains="@"),
                name="promotion_of_alias",
                violation_error_message="An adapter is promoted for an alias of the settings.",
            )
        ]
        indexes = [models.Index(fields=["alias", "-id"], name="promotion_newest")]

    def __str__(self) -> str:
        return f"{self.alias}: {self.adapter or 'no adapter'}"

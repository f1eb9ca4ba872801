from __future__ import annotations

from django.db import models

from classifiers.types import ModelInfo


class ClassifierVersion(models.Model):
    """One exact version of a model behind an alias. Every verdict names the version that gave it; rows never change."""

    alias = models.CharField(max_length=100)
    provider = models.CharField(max_length=200)
    model = models.CharField(max_length=500, blank=True)
    revision = models.CharField(max_length=100, blank=True)
    adapter_digest = models.CharField(max_length=100, blank=True)
    template_hash = models.CharField(max_length=100, blank=True)
    dtype = models.CharField(max_length=50, blank=True)
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

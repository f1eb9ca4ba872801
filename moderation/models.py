from __future__ import annotations

from django.db import models

from classifiers.types import ModelInfo


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

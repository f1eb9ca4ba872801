"""Runs and results as the REST API shows them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from audit.rest import Paged
from runs.models import Run


class RunSerializer(serializers.ModelSerializer):
    """A run in short, with how many of its results are what."""

    done = serializers.IntegerField(read_only=True)
    flagged = serializers.IntegerField(read_only=True)
    errors = serializers.IntegerField(read_only=True)
    reviewed = serializers.IntegerField(read_only=True)
    disputed = serializers.IntegerField(read_only=True)
    live = serializers.SerializerMethodField(help_text="Whether it records what programs ask.")

    class Meta:
        model = Run
        fields = (
            *("id", "name", "status", "live", "total", "skipped", "done", "flagged", "errors", "reviewed", "disputed"),
            *("error", "created_by", "created_at", "started_at", "finished_at"),
        )

    def get_live(self, run: Run) -> bool:
        return run.live is not None


class RunQuestion(Paged):
    status = serializers.ChoiceField(choices=Run.Status.choices, required=False)
    name = serializers.CharField(max_length=200, required=False, help_text="A part of the name.")

    def narrow(self, runs: Any, asked: Any) -> Any:
        if "status" in asked:
            runs = runs.filter(status=asked["status"])
        return runs.filter(name__icontains=asked["name"]) if "name" in asked else runs

"""Exports of results as the REST API shows and takes them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from review.serializers.shared import Filters, Number
from runs.exports import FORMS
from runs.models import Export
from runs.serializers.results import FilterQuestion

PSEUDONYMS = "Whether reviewers are r1, r2 and so on: the same throughout an export, others in the next."


def form_field(**options: Any) -> serializers.ChoiceField:
    return serializers.ChoiceField(choices=list(FORMS), help_text="How the results are written.", **options)


class RunExportQuestion(FilterQuestion):
    """The filters of the results of one run, and how they are written."""

    pseudonyms = serializers.BooleanField(required=False, default=False, help_text=PSEUDONYMS)

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        del fields["run"]  # the address names it
        return {"as": form_field(), **fields}  # Python's own word, so not an attribute


class NewExportSerializer(serializers.Serializer):
    run = Number(help_text="The number of the run.")
    filters = Filters(required=False, help_text="As for the list of results, without run.")
    pseudonyms = serializers.BooleanField(required=False, default=False, help_text=PSEUDONYMS)

    def get_fields(self) -> dict[str, Any]:
        return {"as": form_field(), **super().get_fields()}


class ExportSerializer(serializers.ModelSerializer):
    """An export in the background, and how far it has come."""

    filters = serializers.DictField(child=serializers.CharField())
    run = serializers.IntegerField(source="run_id")

    class Meta:
        model = Export
        fields = (
            *("id", "run", "as", "filters", "pseudonyms", "state", "done", "total", "size", "sha256", "error"),
            *("created_by", "created_at", "finished_at"),
        )

    def build_field(self, field_name: str, *arguments: Any) -> Any:
        """``as`` is Python's own word, so not an attribute."""
        return super().build_field("form" if field_name == "as" else field_name, *arguments)

    def get_extra_kwargs(self) -> dict[str, Any]:
        return {**super().get_extra_kwargs(), "as": {"source": "form"}}


class ManifestSerializer(serializers.Serializer):
    """What a file holds, to check it by."""

    form = form_field()
    bytes = serializers.IntegerField()
    sha256 = serializers.CharField()
    rows = serializers.IntegerField()
    columns = serializers.ListField(child=serializers.CharField())
    features = serializers.DictField(allow_null=True, help_text="Of JSONL, for datasets.load_dataset.")
    filters = serializers.DictField(child=serializers.CharField())
    pseudonyms = serializers.BooleanField()
    run = serializers.DictField()
    versions = serializers.DictField(help_text="Packages, classifiers and generator of the run.")
    policy_version = serializers.IntegerField(allow_null=True)
    asked_by = serializers.CharField()
    asked_at = serializers.DateTimeField()
    written_at = serializers.DateTimeField()

"""What leads fill in: a queue with its filter, its settings, a bulk action, a view. Errors stand beside their fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms

from review.bulk import MAX_REASON
from review.models import Queue
from review.places import able_to_review
from review.queues import FILLING, SETTINGS
from runs import filters
from runs.filters import ResultFilter
from runs.models import HUMAN_LABELS, STAGES, Result

FILTERS = tuple(ResultFilter.base_filters)


class People(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    """Those who may review."""

    def __init__(self, **options: Any) -> None:
        super().__init__(able_to_review(), required=False, **options)


class SettingsForm(forms.ModelForm):  # type: ignore[type-arg]
    """What can be changed of a queue at any time."""

    members = People(help_text="Who may review here when the queue is only for its members.")

    class Meta:
        model = Queue
        fields: tuple[str, ...] = SETTINGS
        widgets = {
            "instructions": forms.Textarea({"rows": 4}),
            "needed": forms.NumberInput({"min": 1, "max": 9}),
            "lease_seconds": forms.NumberInput({"min": 30, "max": 86_400}),
            "gold_percent": forms.NumberInput({"min": 0, "max": 50}),
            "sample_percent": forms.NumberInput({"min": 0, "max": 100, "step": "any"}),
            "random_percent": forms.NumberInput({"min": 0, "max": 100, "step": "any"}),
            "size": forms.NumberInput({"min": 1, "max": 1000}),
        }


class QueueForm(SettingsForm):
    """Those settings, and what is fixed when the queue is filled."""

    class Meta(SettingsForm.Meta):
        fields = (*SETTINGS, *FILLING)


class BulkForm(forms.Form):
    """What is to be said of all results of a filter."""

    stage = forms.ChoiceField(choices=STAGES, label="What is labelled")
    label = forms.ChoiceField(choices=[("", "choose one"), *HUMAN_LABELS])
    reason = forms.CharField(
        max_length=MAX_REASON,
        widget=forms.Textarea({"rows": 2}),
        help_text="Kept with the action and in the audit trail.",
    )


class ViewForm(forms.Form):
    name = forms.CharField(max_length=100)
    shared = forms.BooleanField(required=False, label="For everybody who sees results")


def filter_form(data: Mapping[str, Any]) -> forms.Form:
    """The fields of the results' filter with what was given, checked."""
    form: forms.Form = ResultFilter({**data}, Result.objects.none()).form
    return form


def filters_in(data: Mapping[str, Any]) -> dict[str, str]:
    """The filters among the fields of a form; whatever else stands there is the form's own."""
    return {name: str(data[name]) for name in FILTERS if data.get(name)}


def filters_only(query: Mapping[str, Any], *others: str) -> dict[str, str]:
    """The filters of an address, in which nothing stands but these and ``others``.

    InputError for anything else: with one condition left out, far more results would be meant.
    """
    filters.parsed({name: str(value) for name, value in query.items() if name not in others})
    return filters_in(query)

"""What people fill in to make a policy or its next version: a row for each threshold, a card for each category."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django import forms

from classifiers.policy import Action, Rule
from classifiers.types import Stage
from moderation.policies import MOST_CATEGORIES, MOST_RULES, Content, Definition

STAGES = [("", "both"), *((stage.value, stage.value) for stage in Stage)]
EXAMPLE = re.compile(r"^(SAFE|TOXIC): ?(.*)$")
EMPTY_ROWS = 3


class PolicyForm(forms.Form):
    name = forms.CharField(max_length=100)
    description = forms.CharField(
        required=False, max_length=10_000, widget=forms.Textarea({"rows": 2}), label="What it is for"
    )


class NoteForm(forms.Form):
    note = forms.CharField(
        max_length=1000, widget=forms.Textarea({"rows": 2}), label="Why, for those who read it later"
    )
    # The newest version that was looked at; a policy that is new has none.
    seen = forms.IntegerField(required=False, widget=forms.HiddenInput)


class PrefillForm(forms.Form):
    """A threshold that somebody comes with, from the page of an evaluation."""

    category = forms.CharField(max_length=100)
    check = forms.CharField(required=False, max_length=100)
    stage = forms.ChoiceField(required=False, choices=STAGES)
    threshold = forms.FloatField(min_value=0, max_value=1)
    evaluation = forms.IntegerField(required=False, min_value=1)


class ThresholdForm(forms.Form):
    category = forms.CharField(max_length=100, widget=forms.TextInput({"list": "known-categories"}))
    check = forms.CharField(required=False, max_length=100, widget=forms.TextInput({"list": "known-checks"}))
    stage = forms.ChoiceField(required=False, choices=STAGES)
    threshold = forms.FloatField(required=False, min_value=0, max_value=1)
    action = forms.ChoiceField(choices=[("BLOCK", "blocks"), ("INFORM", "only informs")], initial="BLOCK")

    @property
    def rule(self) -> Rule:
        given = self.cleaned_data
        return Rule(given["category"], given["threshold"], Action(given["action"]), given["stage"], given["check"])


class CategoryForm(forms.Form):
    name = forms.CharField(max_length=100, widget=forms.TextInput({"list": "known-categories"}))
    definition = forms.CharField(max_length=10_000, widget=forms.Textarea({"rows": 3}))
    examples = forms.CharField(
        required=False,
        strip=False,
        widget=forms.Textarea({"rows": 5, "dir": "auto"}),
        help_text="Each begins a line with SAFE: or TOXIC:. Further lines of a text are indented by two spaces.",
    )

    def clean_examples(self) -> tuple[tuple[str, str], ...]:
        return tuple(read_examples(self.cleaned_data["examples"]))

    @property
    def definition_given(self) -> Definition:
        given = self.cleaned_data
        return Definition(given["name"], given["definition"], given["examples"])


def write_examples(examples: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"{label}: " + text.replace("\n", "\n  ") for text, label in examples)


def read_examples(lines: str) -> Sequence[tuple[str, str]]:
    """The same back. ValidationError for a line that belongs to no example."""
    found: list[tuple[str, str]] = []
    for line in lines.replace("\r\n", "\n").split("\n"):
        if begins := EXAMPLE.fullmatch(line):
            found.append((begins[2], begins[1]))
        elif line.startswith("  ") and found:
            text, label = found[-1]
            found[-1] = f"{text}\n{line[2:]}", label
        elif line.strip():
            raise forms.ValidationError(
                f"{line[:60]!r} begins neither with SAFE: nor with TOXIC:, and is not indented."
            )
    return found


class ContentForms:
    """All that a version says, to be filled in: from what an earlier one says, or from what was sent."""

    def __init__(self, data: Mapping[str, Any] | None = None, content: Content | None = None) -> None:
        content = content or Content()
        self.thresholds = Thresholds(data, initial=[_row(rule) for rule in content.rules], prefix="thresholds")
        self.categories = Categories(data, initial=[_card(each) for each in content.categories], prefix="categories")

    def is_valid(self) -> bool:
        return self.thresholds.is_valid() and self.categories.is_valid()

    @property
    def content(self) -> Content:
        """InputError for what cannot stand in one policy."""
        return Content(
            tuple(form.rule for form in _filled(self.thresholds)),
            tuple(form.definition_given for form in _filled(self.categories)),
        )


def _filled(formset: Any) -> list[Any]:
    return [form for form in formset if form.cleaned_data and not form.cleaned_data.get("DELETE")]


def _row(rule: Rule) -> dict[str, Any]:
    return {
        "category": rule.category,
        "check": rule.check,
        "stage": rule.stage,
        "threshold": rule.threshold,
        "action": rule.action.value,
    }


def _card(each: Definition) -> dict[str, Any]:
    return {"name": each.name, "definition": each.definition, "examples": write_examples(each.examples)}


Thresholds = forms.formset_factory(
    ThresholdForm, extra=EMPTY_ROWS, can_delete=True, max_num=MOST_RULES, validate_max=True
)
Categories = forms.formset_factory(
    CategoryForm, extra=1, can_delete=True, max_num=MOST_CATEGORIES, validate_max=True
)  # fmt: skip

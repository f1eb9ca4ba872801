"""What a person fills in to have a run made. Errors stand beside their fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django import forms

from moderation import policies
from moderation.models import Policy
from moderation.services import Kind, names
from runs.configuration import MAX_ALTERNATIVES, MAX_BATCH
from runs.requests import MAX_LIMIT
from runs.services import MAX_NAME

SOURCE = ("dataset_id", "split", "text_column", "sources_column", "limit", "shuffle", "seed", "skip_bad_rows")


def _known(kind: Kind) -> Sequence[tuple[str, str]]:
    return [(alias, alias) for alias in names(kind)]


def _policies() -> Iterator[tuple[str, str]]:
    default = policies.in_force()
    if default:
        yield "", f"{default.reference}, the default"
    yield policies.NO_POLICY if default else "", "none: each classifier's own word"
    yield from ((name, name) for name in Policy.objects.order_by("name").values_list("name", flat=True))


class RunForm(forms.Form):
    """The fields of the REST body, with prompts one a line."""

    name = forms.CharField(required=False, max_length=MAX_NAME, help_text="Left empty, it says what is read and when.")
    prompts = forms.CharField(
        required=False,
        strip=False,
        widget=forms.Textarea({"rows": 5}),
        help_text="One a line. Left empty, a data set is read.",
    )
    dataset_id = forms.CharField(
        required=False,
        max_length=500,
        label="Data set",
        help_text="owner/name of the Hugging Face hub, or a file in a folder that the site may read for this.",
    )
    split = forms.CharField(required=False, max_length=100, initial="train")
    text_column = forms.CharField(
        required=False, max_length=200, help_text="Left empty, it is found by its name: prompt, text, question, …"
    )
    sources_column = forms.CharField(
        required=False, max_length=200, help_text="Documents that an answer should rest on, for the check grounding."
    )
    limit = forms.IntegerField(required=False, min_value=1, max_value=MAX_LIMIT, initial=100, label="At most")
    shuffle = forms.BooleanField(required=False, label="In random order")
    seed = forms.IntegerField(
        required=False, min_value=0, max_value=2**32 - 1, help_text="The same gives the same order."
    )
    skip_bad_rows = forms.BooleanField(required=False, label="Skip rows without a usable text")
    input_checks = forms.MultipleChoiceField(widget=forms.CheckboxSelectMultiple, label="Who judges prompts")
    generator = forms.ChoiceField(required=False, label="Who answers")
    output_checks = forms.MultipleChoiceField(
        required=False, widget=forms.CheckboxSelectMultiple, label="Who judges answers"
    )
    policy = forms.ChoiceField(required=False, help_text="From which score on what counts.")
    batch_size = forms.IntegerField(
        required=False, min_value=1, max_value=MAX_BATCH, help_text="Left empty, what suits the providers."
    )
    alternatives = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=MAX_ALTERNATIVES,
        help_text="Further answers to each prompt, which the check consistency compares.",
    )
    reuse_verdicts = forms.BooleanField(
        required=False, label="Take over what was said of identical texts in earlier runs"
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.label_suffix = ""
        fields: Any = self.fields
        fields["input_checks"].choices = fields["output_checks"].choices = _known("classifier")
        fields["generator"].choices = [("", "nobody"), *_known("generator")]
        fields["policy"].choices = list(_policies())

    @property
    def wanted(self) -> dict[str, Any]:
        """As ``requests.create_run`` takes it."""
        given = {name: value for name, value in self.cleaned_data.items() if value not in ("", None)}
        source = {name: given.pop(name) for name in SOURCE if name in given}
        if "dataset_id" in source:
            given["source"] = source
        if lines := [line for line in given.pop("prompts", "").replace("\r\n", "\n").split("\n") if line.strip()]:
            given["prompts"] = lines
        return given

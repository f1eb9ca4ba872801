from __future__ import annotations

from typing import Any

from django import forms

from audit.models import AuditEvent
from audit.querysets import EntryFilter

PAGING = ("before", "after")


class EntryForm(forms.Form):
    """The filter of the audit trail; a bare name in "who" means that user."""

    required_css_class = "required"

    action = forms.ChoiceField(label="What was done", required=False)
    actor = forms.CharField(label="Who", required=False, max_length=200)
    target = forms.CharField(label="To what", required=False, max_length=320)
    since = forms.DateField(label="From (UTC)", required=False, widget=forms.DateInput({"type": "date"}))
    until = forms.DateField(label="To (UTC)", required=False, widget=forms.DateInput({"type": "date"}))
    text = forms.CharField(label="Text in the details", required=False, max_length=200, strip=False)
    before = forms.IntegerField(required=False, min_value=0, max_value=2**53, widget=forms.HiddenInput)
    after = forms.IntegerField(required=False, min_value=0, max_value=2**53, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.label_suffix = ""
        self.known = AuditEvent.objects.known("action", "actor")
        actions: Any = self.fields["action"]
        actions.choices = [("", "Anything"), *((action, action) for action in self.known["action"])]
        self.fields["actor"].widget.attrs |= {"list": "actors", "placeholder": "alice"}
        self.fields["target"].widget.attrs |= {"placeholder": "runs.run 12"}

    def clean(self) -> dict[str, Any]:
        unknown = sorted(set(self.data) - set(self.fields))
        if unknown:
            name = unknown[0][:50]
            raise forms.ValidationError("There is no filter “%(name)s”. Use the ones below.", params={"name": name})
        return self.cleaned_data

    def clean_target(self) -> str:
        target: str = self.cleaned_data["target"]
        if target and " " not in target:
            raise forms.ValidationError("Write the kind and the key of the target, for example runs.run 12.")
        return target

    @property
    def wanted(self) -> EntryFilter:
        return EntryFilter.of(**{name: value for name, value in self.cleaned_data.items() if name not in PAGING})

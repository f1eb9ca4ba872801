"""What people fill in: a token, a webhook. Errors stand beside their fields."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings

from integrations.models import MAX_NAME, Scope, Webhook

DAYS = 90


class TokenForm(forms.Form):
    name = forms.CharField(max_length=MAX_NAME, help_text="What it is for, so that you know which one to revoke.")
    scopes = forms.MultipleChoiceField(
        choices=Scope.choices,
        widget=forms.CheckboxSelectMultiple,
        label="What it may be used for",
        help_text="It never gives more than your account has.",
    )
    days = forms.IntegerField(min_value=1, initial=DAYS, label="Days until it expires")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        longest = settings.SAFETY_TOKEN_DAYS
        self.fields["days"].initial = min(DAYS, longest)
        self.fields["days"].help_text = f"At most {longest}."


class WebhookForm(forms.Form):
    name = forms.CharField(max_length=MAX_NAME)
    url = forms.CharField(
        max_length=2000,
        label="Address",
        widget=forms.URLInput,
        help_text="https, reachable from outside. Addresses of this machine's own network are refused unless the settings allow them.",
    )
    events = forms.MultipleChoiceField(
        choices=Webhook.Event.choices, widget=forms.CheckboxSelectMultiple, label="What it is told of"
    )

"""Logging in and out, and one's own password: Django's views, with an entry in the audit trail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.contrib.admin.forms import AdminAuthenticationForm, AdminPasswordChangeForm
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm, UsernameField
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView, PasswordChangeView
from django.db import transaction
from django.forms import TextInput
from django.http import HttpRequest, HttpResponse

from safetysite import accounts
from safetysite.middleware import error_page

MINUTES = int(settings.AXES_COOLOFF_TIME.total_seconds() // 60)


class LoginForm(AdminAuthenticationForm):
    # Django's own field passes longer names on, and PostgreSQL refuses to count the failure.
    username = UsernameField(max_length=150, widget=TextInput({"autofocus": True}))
    error_messages = {
        **AdminAuthenticationForm.error_messages,
        "invalid_login": "The name or the password is wrong. Both distinguish upper and lower case. "
        f"After {settings.AXES_FAILURE_LIMIT} wrong passwords you wait {MINUTES} minutes.",
    }


class Login(LoginView):
    authentication_form = LoginForm
    template_name = "admin/login.html"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if request.headers.get("HX-Request"):
            # A part of a page was asked for by somebody whose session is over; a login form has no place in it.
            sentence = "You are no longer logged in. Log in again in another window, and then repeat this here."
            return error_page(request, sentence, status=401)
        return super().dispatch(request, *args, **kwargs)

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        with transaction.atomic():
            response = super().form_valid(form)
            accounts.note_login(form.get_user(), address=address_of(self.request))
        return response

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        if not _waits(self.request):
            accounts.note_refused(form.data.get("username", ""), address=address_of(self.request))
        return super().form_invalid(form)


class PasswordChange(PasswordChangeView):
    form_class = AdminPasswordChangeForm

    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        with transaction.atomic():
            response = super().form_valid(form)
            accounts.note_password(form.user, actor=accounts.actor_of(form.user))
        return response


def locked_out(request: HttpRequest, response: HttpResponse, credentials: dict[str, Any]) -> HttpResponse:
    """The answer to one failure too many, and to every attempt while the visitor waits; axes calls it."""
    if not _waits(request):
        accounts.note_locked_out(credentials.get("username") or "", address=address_of(request), minutes=MINUTES)
    sentence = (
        f"Too many wrong passwords for this name from where you are. Wait {MINUTES} minutes and try again, "
        "or ask an administrator to give you a new password and to lift the wait."
    )
    refusal = error_page(request, sentence, status=429)
    refusal.headers["Retry-After"] = str(MINUTES * 60)
    return refusal


@contextmanager
def logout_recorded(request: HttpRequest) -> Iterator[None]:
    """Records the logout that happens inside, if one does."""
    before = request.user.pk
    with transaction.atomic():
        yield
        if before and not request.user.is_authenticated:
            accounts.note_logout(User.objects.get(pk=before))


def address_of(request: HttpRequest) -> str | None:
    """The visitor's IP address; X-Forwarded-For is believed only as far as our own proxies wrote it."""
    hops = settings.TRUSTED_PROXIES
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if hops else []
    given = forwarded[-hops].strip() if len(forwarded) >= hops > 0 else request.META.get("REMOTE_ADDR", "")
    try:
        return str(ip_address(given))
    except ValueError:
        return None


def _waits(request: HttpRequest) -> bool:
    """Whether axes refused this attempt unseen, because the visitor is locked out already."""
    return getattr(request, "axes_locked_out", False) and getattr(request, "axes_failures_since_start", None) is None

"""Tokens: everybody's own, made and revoked; who looks after accounts sees and revokes all."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from classifiers.errors import InputError
from integrations import services
from integrations.forms import TokenForm
from integrations.models import Scope
from integrations.views.pages import show
from review.rights import actor, need
from review.views.pages import Page, number, page
from runs.views.pages import newest_first

SIZE = 50


def tokens(request: HttpRequest) -> HttpResponse:
    """One's own, or everybody's."""
    everybody = bool(number(request, "all"))
    if everybody:
        need(request.user, "integrations.view_apitoken", "see the tokens of others")
    found = services.tokens_for(request.user)
    found = found if everybody else found.filter(user=request.user.pk)
    rows, beside = newest_first(request, found, before=number(request, "before"), size=SIZE)
    context = {
        "title": "Tokens",
        "tokens": rows,
        "everybody": everybody,
        "scopes": Scope.choices,
        "now": timezone.now(),
        **beside,
    }
    return show(request, "tokens.html", context)


@never_cache
def add(request: HttpRequest) -> HttpResponse:
    """A new token for oneself. The answer is the only place that ever shows its key."""
    form = TokenForm(request.POST if request.method == "POST" else None)
    if request.method != "POST" or not form.is_valid():
        return _show_add(request, form)
    try:
        made = _create(request, **form.cleaned_data)
    except InputError as error:
        form.add_error(None, error.message)
        return _show_add(request, form)
    token, key = made
    context = {"title": f"Token {token.name}", "name": token.name, "secret": key, "kind": "key"}
    return show(request, "secret.html", {**context, "back": "admin:integrations_apitoken_changelist"})


def _create(request: HttpRequest, *, days: int, **fields: Any) -> Any:
    ends = services.ends_in(days)
    return services.create_token(request.user, expires_at=ends, actor=actor(request.user), **fields)


def _show_add(request: HttpRequest, form: TokenForm) -> HttpResponse:
    return show(request, "token_add.html", {"title": "New token", "form": form}, status=400 if form.errors else 200)


@require_POST
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    token = services.revoke_token(services.find_token(pk, person=request.user), actor=actor(request.user))
    messages.success(request, f"The token {token.name} is revoked: its key opens nothing any more.")
    return redirect("admin:integrations_apitoken_changelist")


token_pages: tuple[Page, ...] = (
    page("", tokens, "integrations_apitoken_changelist"),
    page("add/", add, "integrations_apitoken_add"),
    page("<int:pk>/revoke/", revoke, "integrations_apitoken_revoke"),
)

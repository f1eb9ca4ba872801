"""Policies, their versions, and what differs between two; and the taxonomies that they speak of."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST

from classifiers.errors import InputError
from classifiers.taxonomy import HARMS, TAXONOMIES, names_of
from moderation import policies
from moderation.models import Policy, PolicyVersion
from moderation.services import names
from moderation.views.pages import actor, may_set, may_view, show

TITLES = {
    "openai": "OpenAI",
    "ailuminate": "AILuminate",
    "llama-guard": "Llama Guard",
    "shieldgemma": "ShieldGemma",
    "jigsaw": "Jigsaw",
}


@require_GET
@may_view
def policy_list(request: HttpRequest) -> HttpResponse:
    return show(request, "policies.html", {"title": "Policies", "policies": policies.listed()})


@require_GET
@may_view
def policy_page(request: HttpRequest, pk: int) -> HttpResponse:
    """What it says now, and its versions."""
    policy = policies.find_policy(pk)
    versions = list(policies.versions_of(policy))
    context = {"title": policy.name, "policy": policy, "versions": versions, **_said(versions[0])}
    return show(request, "policy.html", context)


@require_GET
@may_view
def version_page(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    policy = policies.find_policy(pk)
    version = policies.version_of(policy, number)
    return show(request, "version.html", {"title": str(version), "policy": policy, **_said(version)})


def _said(version: PolicyVersion) -> dict[str, Any]:
    content = policies.content_of(version)
    return {
        "version": version,
        "content": content,
        # A threshold for a check that is none here would never count, and nobody would notice.
        "unknown_checks": {rule.check for rule in content.rules} - {"", *names("classifier")},
    }


@require_GET
@may_view
def difference(request: HttpRequest, pk: int) -> HttpResponse:
    """What was added, changed and taken away between two versions."""
    policy = policies.find_policy(pk)
    before, after = (policies.version_of(policy, _number(request, name)) for name in ("before", "after"))
    context = {
        "title": f"{before} and {after}",
        "policy": policy,
        "versions": policies.versions_of(policy),
        "before": before,
        "after": after,
        "changes": policies.difference(policies.content_of(before), policies.content_of(after)),
    }
    return show(request, "difference.html", context)


def _number(request: HttpRequest, name: str) -> int:
    given = request.GET.get(name, "")
    if not (given.isascii() and given.isdecimal() and len(given) < 9):
        raise InputError(f"{name} is the number of a version. Choose two on the page of the policy.")
    return int(given)


@require_POST
@may_set
def make_default(request: HttpRequest, pk: int) -> HttpResponse:
    policy: Policy = policies.make_default(policies.find_policy(pk), actor=actor(request))
    messages.success(request, f"New runs are judged under {policy.name} unless they name another policy.")
    return redirect("admin:moderation_policy_change", pk)


@require_GET
@may_view
def taxonomies(request: HttpRequest) -> HttpResponse:
    """What each taxonomy calls each harm."""
    rows = [(harm, says, [names_of(harm)[name] for name in TAXONOMIES]) for harm, says in HARMS.items()]
    heads = [TITLES[name] for name in TAXONOMIES]
    return show(request, "taxonomies.html", {"title": "Harms and taxonomies", "heads": heads, "rows": rows})

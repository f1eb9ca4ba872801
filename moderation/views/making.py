"""The pages on which a policy and its next version are made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from classifiers.errors import ConflictError, InputError
from classifiers.policy import ANY, Rule
from classifiers.taxonomy import HARMS, TAXONOMIES
from moderation import policies
from moderation.forms import EMPTY_ROWS, ContentForms, NoteForm, PolicyForm, PrefillForm
from moderation.models import Policy, PolicyVersion
from moderation.policies import Content
from moderation.services import names
from moderation.views.pages import actor, may_set, show


@dataclass
class Making:
    """The forms of a page on which a version is made; of a policy that there is, or of a new one."""

    note: NoteForm
    content: ContentForms
    named: PolicyForm | None = None
    policy: Policy | None = None

    @classmethod
    def sent(cls, data: QueryDict, policy: Policy | None) -> Making:
        return cls(NoteForm(data), ContentForms(data), None if policy else PolicyForm(data), policy)

    def is_valid(self) -> bool:
        return all(form.is_valid() for form in (self.note, self.content, self.named) if form)

    def make(self, actor: str) -> PolicyVersion:
        content, note = self.content.content, self.note.cleaned_data["note"]
        if self.policy:
            seen = self.note.cleaned_data["seen"] or 0
            return policies.add_version(self.policy, content, note=note, seen=seen, actor=actor)
        return policies.create_policy(
            content=content, note=note, actor=actor, **(self.named or PolicyForm()).cleaned_data
        )


@require_http_methods(["GET", "POST"])
@may_set
def new_policy(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        return _make(request, Making.sent(request.POST, None))
    content, note = _prefilled(request.GET, Content())
    return _show(request, Making(NoteForm(initial={"note": note}), ContentForms(content=content), PolicyForm()))


@require_http_methods(["GET", "POST"])
@may_set
def new_version(request: HttpRequest, pk: int) -> HttpResponse:
    """From the newest one on, with a threshold that the address may bring."""
    policy = policies.find_policy(pk)
    if request.method == "POST":
        return _make(request, Making.sent(request.POST, policy))
    newest = policies.newest_of(policy)
    content, note = _prefilled(request.GET, policies.content_of(newest))
    first = NoteForm(initial={"seen": newest.number, "note": note})
    return _show(request, Making(first, ContentForms(content=content), policy=policy))


def _make(request: HttpRequest, making: Making) -> HttpResponse:
    if "more" in request.POST:
        return _show(request, Making.sent(_with_rows(request.POST, request.POST["more"]), making.policy))
    if not making.is_valid():
        return _show(request, making, status=400)
    try:
        version = making.make(actor(request))
    except ConflictError as error:
        if making.policy is None:
            raise
        return _show_conflict(request, making, making.policy, error)
    except InputError as error:
        making.note.add_error(None, error.message)
        return _show(request, making, status=400)
    messages.success(request, f"{version} is made. What is stored keeps its labels until its run is labelled anew.")
    return redirect("admin:moderation_policy_change", version.policy_id)


def _show(request: HttpRequest, making: Making, *, status: int = 200, **more: Any) -> HttpResponse:
    known = {name for names in TAXONOMIES.values() for name in names} | {*HARMS, ANY}
    title = f"New version of {making.policy}" if making.policy else "New policy"
    context = {"title": title, "policy": making.policy, "making": making, "known_categories": sorted(known), **more}
    return show(request, "making.html", {**context, "known_checks": names("classifier")}, status=status)


def _show_conflict(request: HttpRequest, making: Making, policy: Policy, error: ConflictError) -> HttpResponse:
    """What the others changed, above what was filled in; sent again it is sent by somebody who has seen that."""
    before = policies.version_of(policy, making.note.cleaned_data["seen"] or 0)
    newest = policies.newest_of(policy)
    changes = policies.difference(policies.content_of(before), policies.content_of(newest))
    data = request.POST.copy()
    data["seen"] = str(newest.number)
    shown = {"conflict": error, "changes": changes, "before": before, "after": newest}
    return _show(request, Making.sent(data, policy), status=error.status, **shown)


def _with_rows(sent: QueryDict, which: str) -> QueryDict:
    data, total = sent.copy(), f"{which}-TOTAL_FORMS"
    if (count := data.get(total, "")).isdecimal() and len(count) < 5:
        data[total] = str(int(count) + EMPTY_ROWS)
    return data


def _prefilled(asked: QueryDict, content: Content) -> tuple[Content, str]:
    """With the threshold that was asked for in place of the one for the same place, and a note that says whence it is."""
    if not asked:
        return content, ""
    form = PrefillForm(asked)
    if not form.is_valid():
        raise InputError(f"This is no threshold to begin with: {form.errors.as_text()}")
    given = form.cleaned_data
    place = given["category"], given["stage"], given["check"]
    old = next((rule for rule in content.rules if (rule.category, rule.stage, rule.check) == place), None)
    new = replace(
        old or Rule(given["category"], stage=given["stage"], check=given["check"]), threshold=given["threshold"]
    )
    rules = [new if rule is old else rule for rule in content.rules]
    changed = replace(content, rules=tuple(rules if old else [*rules, new]))
    words = [f"{change.place} {change.after}" for change in policies.difference(content, changed)]
    whence = [f"by evaluation {given['evaluation']}"] if given["evaluation"] else []
    note = ", ".join(words + whence)
    return changed, note and f"{note}."

"""Policies and their versions: made, compared, and read by whoever decides on scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Max, QuerySet

from audit.services import record
from classifiers.errors import ConflictError, InputError, NotFoundError
from classifiers.policy import Action, Rule, Rules
from classifiers.text import unstorable, unstorable_json
from moderation.models import Category, Policy, PolicyVersion, Threshold

NO_POLICY = "none"
MOST_RULES, MOST_CATEGORIES, MOST_EXAMPLES = 500, 200, 50


@dataclass(frozen=True, slots=True)
class Definition:
    """A category as a version defines it. Examples are pairs of a text and SAFE or TOXIC."""

    name: str
    definition: str
    examples: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Content:
    """All that a version of a policy says."""

    rules: tuple[Rule, ...] = ()
    categories: tuple[Definition, ...] = ()

    def __post_init__(self) -> None:
        if len(self.rules) > MOST_RULES or len(self.categories) > MOST_CATEGORIES:
            raise InputError(f"A policy has at most {MOST_RULES} thresholds and {MOST_CATEGORIES} categories.")
        places = [(rule.category, rule.stage, rule.check) for rule in self.rules]
        if twice := next((place for place in places if places.count(place) > 1), None):
            raise InputError(f"There are two thresholds for {' '.join(filter(None, twice))}. Leave one.")
        names = [each.name for each in self.categories]
        if again := next((name for name in names if names.count(name) > 1), None):
            raise InputError(f"The category {again} is defined twice. Leave one.")
        for each in self.categories:
            if len(each.examples) > MOST_EXAMPLES or any(label not in ("SAFE", "TOXIC") for _, label in each.examples):
                raise InputError(f"A category has at most {MOST_EXAMPLES} examples, each SAFE or TOXIC.")
        if why := unstorable_json([names, [[e.definition, *e.examples] for e in self.categories]], name="The policy"):
            raise InputError(why)


def create_policy(name: str, content: Content, *, note: str, actor: str, description: str = "") -> PolicyVersion:
    """A policy with its first version. The first policy there is becomes the default one."""
    if name == NO_POLICY or "@" in name:
        raise InputError(f"A policy is not called {NO_POLICY!r}, nor anything with an @: those choose among policies.")
    with transaction.atomic():
        policy = Policy(name=name, description=description, created_by=actor, default=not Policy.objects.exists())
        _checked(policy)
        policy.save(force_insert=True)
        version = _append(policy, 1, content, note=note, actor=actor)
        record("policy.created", actor=actor, target=policy, data={"name": name, "default": bool(policy.default)})
    return version


def add_version(policy: Policy, content: Content, *, note: str, seen: int, actor: str) -> PolicyVersion:
    """What the policy says from now on. ``seen`` is the number of the newest version that was looked at.

    A stale one is a ConflictError. What is stored keeps its labels until it is labelled anew.
    """
    with transaction.atomic():
        policy = Policy.objects.select_for_update().get(pk=policy.pk)
        newest = newest_of(policy)
        if newest.number != seen:
            raise ConflictError(
                f"Version {newest.number} of this policy was made meanwhile, by {newest.created_by}; you saw {seen}. "
                "Nothing was changed; look at the difference and decide.",
                code="stale",
            )
        return _append(policy, seen + 1, content, note=note, actor=actor)


def make_default(policy: Policy, *, actor: str) -> Policy:
    """New runs and programs that name no policy are judged under this one."""
    with transaction.atomic():
        before = Policy.objects.select_for_update().filter(default=True).first()
        if before and before.pk == policy.pk:
            return before
        Policy.objects.filter(default=True).update(default=False)
        Policy.objects.filter(pk=policy.pk).update(default=True)
        record("policy.made_default", actor=actor, target=policy, data={"before": before.name if before else None})
    policy.refresh_from_db()
    return policy


def _append(policy: Policy, number: int, content: Content, *, note: str, actor: str) -> PolicyVersion:
    version = PolicyVersion(policy=policy, number=number, note=note, created_by=actor)
    _checked(version)
    version.save(force_insert=True)
    for rule in content.rules:
        _checked(_threshold(version, rule))
    for each in content.categories:
        _checked(_category(version, each))
    Threshold.objects.bulk_create(_threshold(version, rule) for rule in content.rules)
    Category.objects.bulk_create(_category(version, each) for each in content.categories)
    data: dict[str, Any] = {"version": number, "note": note, "thresholds": len(content.rules)}
    record("policy.version_added", actor=actor, target=version, data={"policy": policy.name, **data})
    return version


def _threshold(version: PolicyVersion, rule: Rule) -> Threshold:
    return Threshold(
        version=version, category=rule.category, stage=rule.stage, check_name=rule.check, value=rule.threshold,
        action=rule.action,
    )  # fmt: skip


def _category(version: PolicyVersion, each: Definition) -> Category:
    examples = [{"text": text, "label": label} for text, label in each.examples]
    return Category(version=version, name=each.name, definition=each.definition, examples=examples)


def _checked(row: Policy | PolicyVersion | Threshold | Category) -> None:
    try:
        row.full_clean(exclude=["version"] if isinstance(row, Threshold | Category) else None)
    except ValidationError as error:
        raise InputError(" ".join(f"{field}: {' '.join(why)}" for field, why in error.message_dict.items())) from error


# Reading


def newest_of(policy: Policy) -> PolicyVersion:
    return policy.versions.select_related("policy").order_by("-number")[0]


def in_force() -> PolicyVersion | None:
    """The newest version of the default policy; None where there is no policy, and each classifier's own word stands."""
    return PolicyVersion.objects.select_related("policy").filter(policy__default=True).order_by("-number").first()


def chosen(reference: str) -> PolicyVersion | None:
    """What people mean by a name: the newest version of this policy, or NAME@3 for that one; empty for the one in force.

    ``none`` stands for no policy: each classifier's own word.
    """
    if reference in ("", NO_POLICY):
        return None if reference else in_force()
    if why := unstorable(reference, name="The policy's name"):
        raise InputError(why)
    name, at, number = reference.rpartition("@")
    versions = PolicyVersion.objects.select_related("policy")
    if at and number.isdecimal() and len(number) < 9:
        found = versions.filter(policy__name=name, number=int(number)).first()
    else:
        found = versions.filter(policy__name=reference).order_by("-number").first()
    if found is None:
        known = ", ".join(Policy.objects.order_by("name").values_list("name", flat=True)[:20]) or "no policy yet"
        raise InputError(
            f"There is no policy {reference!r}. There is {known}; {NO_POLICY} means the classifiers' own word."
        )
    return found


def listed() -> QuerySet[Policy]:
    """All, each with the number of its newest version, and how many runs stand under any of its versions."""
    return Policy.objects.annotate(newest=Max("versions__number"), under=Count("versions__runs")).order_by("name")


def find_policy(pk: int) -> Policy:
    policy = listed().filter(pk=pk).first()
    if policy is None:
        raise NotFoundError(f"There is no policy {pk}. Look for it in the list of policies.")
    return policy


def versions_of(policy: Policy) -> QuerySet[PolicyVersion]:
    """The newest first, each with how many runs stand under it."""
    return policy.versions.select_related("policy").annotate(under=Count("runs")).order_by("-number")


def version_of(policy: Policy, number: int) -> PolicyVersion:
    version = versions_of(policy).filter(number=number).first()
    if version is None:
        raise NotFoundError(f"The policy {policy} has no version {number}.")
    return version


def find_version(pk: int) -> PolicyVersion:
    version = PolicyVersion.objects.select_related("policy").filter(pk=pk).first()
    if version is None:
        raise NotFoundError(f"There is no version {pk} of any policy.")
    return version


def rules_of(version: PolicyVersion | None) -> Rules:
    """None stands for no policy: no rules, so that each classifier's own word stands."""
    return _rules(version.pk, version.created_at) if version else Rules()


@lru_cache(maxsize=64)
def _rules(version: int, created_at: datetime) -> Rules:
    """Read once a process: versions never change. A number may come again, when its first bearer was rolled back."""
    return Rules.of(
        Rule(t.category, t.value, Action(t.action), t.stage, t.check_name)
        for t in Threshold.objects.filter(version=version).order_by("pk")
    )


def content_of(version: PolicyVersion) -> Content:
    categories = [
        Definition(c.name, c.definition, tuple((e["text"], e["label"]) for e in c.examples))
        for c in version.categories.order_by("name")
    ]
    return Content(rules_of(version).rules, tuple(categories))


@dataclass(frozen=True, slots=True)
class Change:
    """One place in which two versions differ; None where a version says nothing of it."""

    what: str
    place: str
    before: str | None
    after: str | None


def difference(before: Content, after: Content) -> list[Change]:
    """What was added, changed and taken away, thresholds first."""
    thresholds = [{_place(rule): _worth(rule) for rule in content.rules} for content in (before, after)]
    definitions = [{each.name: _words(each) for each in content.categories} for content in (before, after)]
    return [*_changes("threshold", *thresholds), *_changes("category", *definitions)]


def _changes(what: str, before: Mapping[str, str], after: Mapping[str, str]) -> list[Change]:
    places = sorted(before.keys() | after.keys())
    pairs = [(place, before.get(place), after.get(place)) for place in places]
    return [Change(what, place, old, new) for place, old, new in pairs if old != new]


def _place(rule: Rule) -> str:
    where = [f"of {rule.check}" if rule.check else "", f"at {rule.stage.lower()}" if rule.stage else ""]
    return " ".join([rule.category, *filter(None, where)])


def _worth(rule: Rule) -> str:
    threshold = "its own threshold" if rule.threshold is None else f"{rule.threshold:g}"
    return f"{'blocks' if rule.action is Action.BLOCK else 'informs'} from {threshold} on"


def _words(each: Definition) -> str:
    return "\n".join([each.definition, *(f"{label}: {text}" for text, label in each.examples)])

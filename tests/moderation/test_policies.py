"""Policies: versions that never change, one default, and a difference that people can read."""

from __future__ import annotations

import pytest

from audit.models import AuditEvent
from classifiers.errors import ConflictError, InputError
from classifiers.policy import Action, Rule
from moderation import policies
from moderation.models import Policy, PolicyVersion
from moderation.policies import Content, Definition

pytestmark = pytest.mark.django_db
FIRST = Content((Rule("hate", 0.7), Rule("sexual", action=Action.INFORM)), (Definition("hate", "Demeans groups."),))


def make(name: str = "Team", content: Content = FIRST) -> PolicyVersion:
    return policies.create_policy(name, content, note="The beginning.", actor="user:lena")


def test_a_policy_says_what_it_was_given() -> None:
    version = make()
    assert policies.content_of(version) == FIRST
    assert str(version) == "Team v1"
    assert AuditEvent.objects.filter(action="policy.created", actor="user:lena").count() == 1


def test_a_new_version_leaves_the_old_one_as_it_was() -> None:
    first = make()
    second = policies.add_version(
        first.policy, Content((Rule("hate", 0.4),)), note="Stricter.", seen=1, actor="user:lena"
    )
    assert policies.content_of(first) == FIRST
    assert policies.rules_of(second).rules == (Rule("hate", 0.4),)
    assert policies.in_force() == second


def test_who_saw_an_older_version_changes_nothing() -> None:
    first = make()
    policies.add_version(first.policy, Content(), note="x", seen=1, actor="user:lena")
    with pytest.raises(ConflictError) as refused:
        policies.add_version(first.policy, FIRST, note="y", seen=1, actor="user:anna")
    assert refused.value.code == "stale"
    assert PolicyVersion.objects.count() == 2


def test_the_first_policy_is_the_default_until_another_is_made_so() -> None:
    assert policies.in_force() is None
    one, two = make("One"), make("Two")
    assert policies.in_force() == one
    policies.make_default(two.policy, actor="user:lena")
    assert policies.in_force() == two
    assert Policy.objects.filter(default=True).count() == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (lambda: Content([Rule("hate", 0.1), Rule("hate", 0.2)]), "two thresholds"),
        (lambda: Content(categories=[Definition("a", "x"), Definition("a", "y")]), "twice"),
        (lambda: Content(categories=[Definition("a", "x", [("t", "MAYBE")])]), "SAFE or TOXIC"),
        (lambda: Content(categories=[Definition("a\0", "x")]), "NUL"),
        (lambda: Content(categories=[Definition("", "x")]), "name"),
        (lambda: Content([Rule("x" * 101, 0.5)]), "category"),
        (lambda: Content([Rule(f"c{i}") for i in range(501)]), "at most 500"),
    ],
)
def test_what_cannot_be_a_policy_is_refused_and_nothing_stored(content, says: str) -> None:
    with pytest.raises(InputError, match=says):
        make("Odd", content())
    assert not Policy.objects.exists()


@pytest.mark.parametrize("name", ["", "x" * 101, "Team"])
def test_a_name_that_is_none_or_taken_is_refused(name: str) -> None:
    make()
    with pytest.raises(InputError):
        make(name)


def test_the_difference_reads_as_sentences() -> None:
    after = Content(
        [Rule("hate", 0.4), Rule("violence", 0.5, stage="OUTPUT", check="gemma")],
        [Definition("hate", "Demeans people.")],
    )
    assert [(c.what, c.place, c.before, c.after) for c in policies.difference(FIRST, after)] == [
        ("threshold", "hate", "blocks from 0.7 on", "blocks from 0.4 on"),
        ("threshold", "sexual", "informs from its own threshold on", None),
        ("threshold", "violence of gemma at output", None, "blocks from 0.5 on"),
        ("category", "hate", "Demeans groups.", "Demeans people."),
    ]
    assert policies.difference(FIRST, FIRST) == []

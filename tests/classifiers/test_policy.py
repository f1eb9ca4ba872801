"""Taxonomies map onto one another without a gap, and a policy decides on raw scores alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.errors import InputError
from classifiers.policy import Action, Rule, Rules
from classifiers.taxonomy import HARMS, TAXONOMIES, harms_of, translate
from classifiers.types import Classification, Label


def said(flagged: tuple[str, ...] = (), label: Label | None = None, **scores: float) -> Classification:
    categories = {name.replace("__", "/"): score for name, score in scores.items()}
    toxic = Label.TOXIC if flagged else Label.SAFE
    return Classification(label or toxic, max(scores.values(), default=None), categories, flagged, {"own": 0.5})


def test_every_name_of_every_taxonomy_speaks_of_known_harms() -> None:
    sizes = {name: len(names) for name, names in TAXONOMIES.items()}
    assert sizes == {"openai": 13, "ailuminate": 14, "llama-guard": 14, "shieldgemma": 4, "jigsaw": 6}
    for taxonomy, names in TAXONOMIES.items():
        for name in names:
            assert harms_of(name, taxonomy)
            assert set(harms_of(name, taxonomy)) <= HARMS.keys()


def test_every_harm_is_spoken_of_by_some_taxonomy_and_defined() -> None:
    spoken = {harm for names in TAXONOMIES.values() for harms in names.values() for harm in harms}
    assert spoken == set(HARMS)
    assert all(len(definition) > 20 for definition in HARMS.values())


@given(st.sampled_from(list(TAXONOMIES)), st.sampled_from(list(TAXONOMIES)), st.data())
def test_translation_is_total_and_goes_both_ways(source: str, target: str, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(list(TAXONOMIES[source])))
    for other in translate(name, source, target):
        assert name in translate(other, target, source)
    if source == target:
        assert name in translate(name, source, target)


@pytest.mark.parametrize(
    ("name", "source", "target", "expected"),
    [
        ("S10", "llama-guard", "openai", ("hate", "hate/threatening")),
        ("identity_hate", "jigsaw", "llama-guard", ("S10",)),
        ("self-harm/intent", "openai", "ailuminate", ("ssh",)),
        ("S14", "llama-guard", "openai", ()),
        ("sexual/minors", "openai", "shieldgemma", ("sexual",)),
    ],
)
def test_known_translations(name: str, source: str, target: str, expected: tuple[str, ...]) -> None:
    assert translate(name, source, target) == expected


def apply(rules: list[Rule], own: Classification, check: str = "c", stage: str = "INPUT") -> Classification:
    return Rules.of(rules).apply(own, check=check, stage=stage)


def test_without_rules_the_classifiers_word_stands() -> None:
    own = said(("hate",), hate=0.9)
    assert apply([], own) == own
    assert apply([Rule("sexual", 0.1)], own).label is Label.TOXIC


def test_a_threshold_decides_in_place_of_the_classifiers_own() -> None:
    own = said(("hate",), hate=0.6)
    assert apply([Rule("hate", 0.7)], own).label is Label.SAFE
    lower = apply([Rule("hate", 0.3)], said(hate=0.4))
    assert (lower.label, lower.flagged, lower.thresholds) == (Label.TOXIC, ("hate",), {"own": 0.5, "hate": 0.3})


def test_a_rule_for_a_harm_reaches_every_name_for_it() -> None:
    found = apply([Rule("hate", 0.3)], said(identity_hate=0.4, insult=0.9))
    assert found.flagged == ("identity_hate",)


def test_the_more_exact_rule_counts() -> None:
    own = said(hate=0.5)
    rules = [Rule("*", 0.9), Rule("hate", 0.8), Rule("hate", 0.4, stage="OUTPUT"), Rule("hate", 0.1, check="strict")]
    assert apply(rules, own).label is Label.SAFE
    assert apply(rules, own, stage="OUTPUT").label is Label.TOXIC
    assert apply(rules, own, check="strict").label is Label.TOXIC
    assert apply([Rule("hate", 0.4), Rule("hate", 0.8)], own).label is Label.SAFE  # of equals the last


def test_what_only_informs_is_safe_with_its_scores_kept() -> None:
    own = said(("hate",), hate=0.9, sexual=0.1)
    found = apply([Rule("hate", action=Action.INFORM)], own)
    assert (found.label, found.flagged, found.categories) == (Label.SAFE, (), own.categories)


def test_a_flag_without_a_category_stays_unless_everything_only_informs() -> None:
    own = said(label=Label.TOXIC, hate=0.1)
    assert apply([Rule("hate", 0.5)], own).label is Label.TOXIC
    assert apply([Rule("*", action=Action.INFORM)], own).label is Label.SAFE


def test_flagged_names_without_a_score_keep_the_classifiers_word() -> None:
    own = said(("EMAIL_ADDRESS",))
    assert apply([Rule("*", 0.9)], own).label is Label.TOXIC
    assert apply([Rule("EMAIL_ADDRESS", action=Action.INFORM)], own).label is Label.SAFE


NAMES = st.sampled_from(["hate", "insult", "S10", "sexual", "odd"])
RULES = st.lists(
    st.builds(
        Rule,
        NAMES | st.just("*"),
        st.none() | st.floats(0, 1),
        st.sampled_from(Action),
        st.sampled_from(["", "INPUT", "OUTPUT"]),
        st.sampled_from(["", "c"]),
    ),
    max_size=6,
)


@given(RULES, st.dictionaries(NAMES, st.floats(0, 1)))
def test_no_policy_makes_an_error_anything_else(rules: list[Rule], scores: dict[str, float]) -> None:
    own = Classification(Label.ERROR, categories=scores, reason="away")
    assert apply(rules, own).label is Label.ERROR


@given(RULES, st.dictionaries(NAMES, st.floats(0, 1)), st.sets(NAMES))
def test_flags_and_label_agree_and_deciding_twice_changes_nothing(
    rules: list[Rule], scores: dict[str, float], flagged: set[str]
) -> None:
    own = said(tuple(flagged & scores.keys()), **scores)
    found = apply(rules, own)
    assert (found.label is Label.TOXIC) == bool(found.flagged)
    assert set(found.flagged) <= scores.keys()
    assert found == apply(rules, own)
    assert (found.categories, found.score, found.spans) == (own.categories, own.score, own.spans)


@pytest.mark.parametrize("wrong", [{"category": ""}, {"threshold": 50}, {"stage": "MIDDLE"}])
def test_a_rule_that_is_none_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        Rule(**{"category": "hate", **wrong})  # type: ignore[arg-type]

"""A version as a document: whatever it says comes back the same, and nothing that is misspelt is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from classifiers.errors import InputError
from classifiers.policy import Action, Rule
from classifiers.types import Stage
from moderation.documents import as_yaml, document_of, parsed, read_file
from moderation.policies import Content, Definition

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40)
RULES = st.builds(Rule, TEXTS, st.none() | st.floats(0, 1), st.sampled_from(Action), st.sampled_from(["", *Stage]))
EXAMPLES = st.lists(st.tuples(TEXTS, st.sampled_from(["SAFE", "TOXIC"])), max_size=3).map(tuple)
CONTENTS = st.builds(
    Content,
    st.lists(RULES, max_size=4, unique_by=lambda rule: (rule.category, rule.stage)).map(tuple),
    st.lists(st.builds(Definition, TEXTS, TEXTS, EXAMPLES), max_size=3, unique_by=lambda each: each.name).map(tuple),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=CONTENTS)
def test_what_is_written_is_read_back(content: Content, tmp_path: Path) -> None:
    (tmp_path / "team.yaml").write_text(as_yaml(content), "utf-8")
    (tmp_path / "team.json").write_text(json.dumps(document_of(content)), "utf-8")
    assert read_file(tmp_path / "team.yaml") == content
    assert read_file(tmp_path / "team.json") == content


def test_a_file_holds_only_what_is_said() -> None:
    content = Content((Rule("hate", 0.0), Rule("*", action=Action.INFORM)), (Definition("hate", "Demeans."),))
    assert as_yaml(content) == (
        "thresholds:\n- category: hate\n  threshold: 0.0\n  action: BLOCK\n- category: '*'\n  action: INFORM\n"
        "categories:\n- name: hate\n  definition: Demeans.\n"
    )
    assert parsed({}) == Content()


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (None, "has the fields thresholds, categories"),
        ([], "has the fields"),
        ({"treshold": []}, "no field 'treshold'"),
        ({"thresholds": {}}, "must be a list"),
        ({"thresholds": ["hate"]}, "something else"),
        ({"thresholds": [{"category": False}]}, "must be a text"),
        ({"thresholds": [{"category": "hate", "threshold": True}]}, "must be a number"),
        ({"thresholds": [{"category": "hate", "threshold": "0.5"}]}, "must be a number"),
        ({"thresholds": [{"category": "hate", "threshold": 70}]}, "between 0 and 1"),
        ({"thresholds": [{"category": "hate", "threshold": float("nan")}]}, "between 0 and 1"),
        ({"thresholds": [{"category": "hate", "action": "block"}]}, "BLOCK or INFORM"),
        ({"thresholds": [{"category": "hate", "stage": "MIDDLE"}]}, "no stage 'MIDDLE'"),
        ({"thresholds": [{"threshold": 0.5}]}, "names a category"),
        ({"categories": [{"name": "hate", "examples": ["x"]}]}, "An example"),
        ({"categories": [{"name": "hate", "examples": [{"text": "x", "label": "ERROR"}]}]}, "SAFE or TOXIC"),
    ],
)
def test_what_is_of_another_form_is_refused(document: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        parsed(document)


@pytest.mark.parametrize("text", ["thresholds: [", "a: b: c", "&a [*a]", "!!python/name:os.system x", "\x00"])
@pytest.mark.parametrize("name", ["team.yaml", "team.json"])
def test_a_file_that_is_none_is_refused_with_a_sentence(text: str, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError):
        read_file(tmp_path / name)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml cannot be read: No such file"):
        read_file(tmp_path / "none.yaml")

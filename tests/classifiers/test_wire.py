"""What goes to serve_models and back is what was meant; anything else is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.providers.openai import OpenAIModeration
from classifiers.types import Classification, Label, Span, Stage, Subject
from classifiers.wire import context_of, read_classification, read_subject, whole

texts = st.text(max_size=8)
scores = st.floats(0, 1)
subjects = st.builds(
    Subject, texts, st.sampled_from(Stage), st.none() | texts, st.tuples(texts), st.lists(texts, max_size=3).map(tuple)
)
spans = st.builds(
    lambda start, more, kind: Span(start, start + more, kind, 0.5), st.integers(0, 9), st.integers(0, 9), texts
)
classifications = st.builds(
    Classification,
    st.sampled_from(Label),
    st.none() | scores,
    st.dictionaries(texts, scores, max_size=3),
    st.lists(texts, max_size=2).map(tuple),
    st.dictionaries(texts, scores, max_size=3),
    st.lists(spans, max_size=3).map(tuple),
    texts,
    st.none() | st.dictionaries(texts, st.integers()),
)


@given(subjects)
def test_a_subject_comes_as_it_went(subject: Subject) -> None:
    assert read_subject(subject.text, json.loads(json.dumps(context_of(subject)))) == subject


@given(classifications)
def test_so_does_a_classification(found: Classification) -> None:
    assert read_classification(json.loads(json.dumps(whole(found)))) == found


SAFE = whole(Classification(Label.SAFE, 0.1, {"toxic": 0.1}))


@pytest.mark.parametrize(
    "wrong",
    [
        *({**SAFE, "label": label} for label in ("GOOD", None, 1)),
        {**SAFE, "score": "low"},
        {**SAFE, "categories": [0.1]},
        {**SAFE, "spans": [{"start": 2, "end": 1, "kind": "x"}]},
        {**SAFE, "spans": [1]},
        {name: value for name, value in SAFE.items() if name != "flagged"},
        {**SAFE, "label": "TOXIC"},
        "SAFE",
        None,
    ],
)
def test_a_server_that_says_something_else_has_judged_nothing(wrong: Any) -> None:
    result = {"flagged": False, "categories": {"toxic": False}, "category_scores": {"toxic": 0.1}}
    client = OpenAIModeration("m", base_url="http://127.0.0.1:9/v1")
    assert client._judge(result, "m", 0.1).label is Label.SAFE
    assert client._judge({**result, "classification": wrong}, "m", 0.1).label is Label.ERROR

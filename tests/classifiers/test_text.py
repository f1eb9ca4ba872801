import datetime as dt
import json
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.text import json_safe, unstorable, unstorable_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=[])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=20,
)


@pytest.mark.parametrize("text", ["", "plain", "👩‍👩‍👧", "שלום\u202e", "\U0010ffff", "\x01\x1f", "￿"])
def test_odd_but_whole_text_is_storable(text):
    assert unstorable(text) is None


def test_the_sentence_names_the_character_and_its_place():
    assert unstorable("ab\x00c") == "The text has a NUL character at character 3, which cannot be stored."
    assert unstorable("\ud800", name="The note") == (
        "The note has a lone surrogate (U+D800) at character 1, which cannot be stored."
    )


def test_nested_values_are_named_by_their_path():
    assert unstorable_json({"a": [{"b": "ok"}, {"b": "\x00"}]}).startswith("The metadata.a[1].b has a NUL")
    assert unstorable_json({"a": {"\udfff": 1}}).startswith("A key of The metadata.a has a lone surrogate")
    assert unstorable_json([1, None, 2.5, True, "fine"]) is None


@given(JSON)
def test_what_is_called_storable_encodes_as_utf8_without_nul(value):
    written = json.dumps(json_safe(value), ensure_ascii=False, allow_nan=False)
    broken = "\\u0000" in json.dumps(json_safe(value)).replace("\\\\", "") or any(
        "\ud800" <= c <= "\udfff" for c in written
    )
    assert (unstorable_json(json_safe(value)) is not None) == broken


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (float("nan"), None),
        (float("-inf"), None),
        (dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC), "2024-05-01T12:00:00+00:00"),
        (dt.date(2024, 5, 1), "2024-05-01"),
        (dt.time(12, 30), "12:30:00"),
        (dt.timedelta(minutes=1, milliseconds=500), 60.5),
        (Decimal("0.10"), "0.10"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (b"\x00\xff", {"base64": "AP8="}),
        ((1, 2), [1, 2]),
        ({1: {"a": float("inf")}}, {"1": {"a": None}}),
    ],
)
def test_values_become_json(value, kept):
    assert json_safe(value) == kept


def test_numpy_values_become_plain_ones():
    import numpy as np

    values = [np.float32(0.5), np.float64("nan"), np.array([[1, 2]]), np.bool_(True), np.int64(3)]
    kept = json_safe(values)
    assert kept == [0.5, None, [[1, 2]], True, 3]
    assert [type(value) for value in kept] == [float, type(None), list, bool, int]


def test_what_json_cannot_hold_is_refused():
    with pytest.raises(ValueError, match="holds a object, which cannot be kept"):
        json_safe({"picture": object()})

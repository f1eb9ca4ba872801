"""What cannot be seen in a text is told apart from what can."""

from __future__ import annotations

import re
import time
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.text import Segment, segments

ANY = st.text(st.characters(exclude_categories=[]))
TRICKY = st.text(
    st.sampled_from("a1#م葛👩❤☠ \r\n\t\x00\x1b\u200b\u200c\u200d\u202e\u2066\ufe0f\ufe0e\U000e0100\U000e0041\ud800")
)
BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def hidden(text: str) -> list[str]:
    return [segment.code for segment in segments(text) if segment.hidden]


@given(ANY | TRICKY)
def test_nothing_is_lost_or_added(text: str) -> None:
    assert "".join(segment.text for segment in segments(text)) == text


@given(ANY | TRICKY)
def test_a_hidden_part_is_a_run_of_one_character_and_none_follows_itself(text: str) -> None:
    parts = list(segments(text))
    assert all(len(set(part.text)) == 1 for part in parts if part.hidden)
    for first, second in pairwise(parts):
        assert first.text[-1] != second.text[0] or first.hidden != second.hidden


@given(ANY | TRICKY)
def test_what_is_shown_reorders_nothing_and_controls_nothing(text: str) -> None:
    for part in segments(text):
        if not part.hidden:
            assert not BIDI.search(part.text)
            assert not [
                c for c in part.text.replace("\r\n", "\n") if unicodedata.category(c) == "Cc" and c not in "\n\t"
            ]
            assert not [c for c in part.text if unicodedata.category(c) == "Cs"]


@given(st.characters(categories=["Cf", "Cc", "Cs", "Zl", "Zp"]), st.text("abc ", max_size=3))
def test_alone_every_format_and_control_character_is_marked(character: str, around: str) -> None:
    visible = "\t\n\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
    if character in visible or "\U00013430" <= character <= "\U0001345f":
        return
    assert Segment(character, hidden=True) in segments(f"{around}{character}{around}")


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("plain\ttext\nand\r\nlines", []),
        ("a\u202eb", ["U+202E"]),
        ("\x1b[31mred\x1b[0m", ["U+001B", "U+001B"]),
        ("zero\u200bwidth\ufeff", ["U+200B", "U+FEFF"]),
        ("a\rb", ["U+000D"]),
        ("line\u2028paragraph\u2029", ["U+2028", "U+2029"]),
        ("tags\U000e0041\U000e0042", ["U+E0041", "U+E0042"]),
        ("x\ufe0f", ["U+FE0F"]),
        ("\ud800", ["U+D800"]),
        ("👩\u200d👩\u200d👧 ❤\ufe0f 1\ufe0f\u20e3", []),
        ("می\u200cخواهم", []),
        ("a\u200cb", ["U+200C"]),
        ("葛\U000e0100", []),
        ("😀\U000e0100\U000e0101", ["U+E0100", "U+E0101"]),
        ("\u2060\ufe0f", ["U+2060", "U+FE0F"]),
    ],
)
def test_which_characters_are_hidden(text: str, codes: list[str]) -> None:
    assert hidden(text) == codes


def test_a_hidden_character_has_a_name() -> None:
    named = {segment.code: segment.name for segment in segments("\u202e\x1b\x01\ud800\ufdd0")}
    assert named == {
        "U+202E": "RIGHT-TO-LEFT OVERRIDE",
        "U+001B": "ESCAPE",
        "U+0001": "a control character",
        "U+D800": "a surrogate",
        "U+FDD0": "no character",
    }


@pytest.mark.parametrize(
    "unit", ["a", "\u200b", "\u200b\u200c", "a\u202e", "\r\n", "👩\u200d", "\ufe0f\ufe0e", "م\u200c"]
)
def test_time_is_linear(unit: str) -> None:
    def seconds(size: int) -> float:
        text = (unit * size)[:size]
        started = time.process_time()
        assert sum(len(segment.text) for segment in segments(text)) == size
        return time.process_time() - started

    small = min(seconds(50_000) for _ in range(3))
    assert seconds(1_000_000) < 60 * small + 0.5

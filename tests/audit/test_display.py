"""The filters that put text on a page."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from html import unescape

import pytest
from django.template import Context, Template
from hypothesis import given
from hypothesis import strategies as st

from audit.templatetags.display import MARKS, cut, percent, score, visible, when

TAG = re.compile(r'<span class="mark" title="U\+[0-9A-F]{4,6} [\w -]+">|</span>')


def test_what_hides_is_shown_with_its_code_and_name() -> None:
    assert visible("a\u202eb") == 'a<span class="mark" title="U+202E RIGHT-TO-LEFT OVERRIDE">⟨U+202E⟩</span>b'


def test_a_run_of_one_character_is_one_mark() -> None:
    assert visible("\u200b" * 1000) == '<span class="mark" title="U+200B ZERO WIDTH SPACE">⟨U+200B ×1000⟩</span>'


@given(st.text(st.characters(exclude_categories=[])) | st.text(st.sampled_from("<>&\"'/=a\u202e\x1b{}%")))
def test_no_text_becomes_markup(text: str) -> None:
    rest = TAG.sub("", visible(text))
    assert "<" not in rest
    assert ">" not in rest
    assert '"' not in rest
    rest.encode()


@given(
    st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Co", "Cn", "Zl", "Zp", "Mn"], max_codepoint=0x2FF)
    )
)
def test_a_plain_text_reads_as_it_is(text: str) -> None:
    assert unescape(visible(text)) == text


def test_a_text_of_nothing_but_marks_stays_small_enough_for_a_browser() -> None:
    page = visible("a\u200b" * 500_000)
    assert page.count("<span") == MARKS
    assert len(page) < 10_000_000
    assert page.endswith("a⟨U+200B⟩")


def test_a_template_escapes_nothing_twice() -> None:
    page = Template("{% load display %}{{ text|visible }}").render(Context({"text": "<b>&\u200e"}))
    assert page == '&lt;b&gt;&amp;<span class="mark" title="U+200E LEFT-TO-RIGHT MARK">⟨U+200E⟩</span>'
    assert visible(None) == ""
    assert visible(7) == "7"


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "–"), (0.0, "0.00"), (0.001, "<0.01"), (0.875, "0.88"), (0.999, ">0.99"), (1.0, "1.00")]
)
def test_scores(value: float | None, shown: str) -> None:
    assert score(value) == shown


def test_a_score_that_looks_like_markup_is_escaped_in_a_page() -> None:
    assert Template("{% load display %}{{ x|score }}").render(Context({"x": 0.001})) == "&lt;0.01"


def test_shares_and_beginnings() -> None:
    assert percent(0.1234) == "12.3\xa0%"
    assert percent(1, 0) == "100\xa0%"
    assert percent(None) == "–"
    assert cut("abcdef", 3) == "abc…"
    assert cut("abc", 3) == "abc"


def test_moments_are_in_utc_for_people_and_machines() -> None:
    moment = datetime(2026, 5, 1, 1, 30, 15, tzinfo=timezone(timedelta(hours=2)))
    assert when(moment) == ('<time datetime="2026-04-30T23:30:15+00:00" class="nowrap">2026-04-30 23:30:15 UTC</time>')
    assert when(None) == "–"
    assert when(datetime(2026, 1, 1, tzinfo=UTC)).count("2026-01-01") == 2

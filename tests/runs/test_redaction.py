"""The redaction of texts that belong together: whatever they are, no value is left, and places stay at their words."""

import json

from hypothesis import given
from hypothesis import strategies as st

from classifiers.types import Span
from runs.redaction import Redaction, strings

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="<>"), max_size=20)
NAMES = st.sampled_from(["ann@example.org", "Zoë Quill", "4111 1111 1111 1111", "+44 20 7946 0958", "x"])


@st.composite
def found_texts(draw):
    """A text made of words and values, and where the values stand."""
    text, spans = "", []
    for words, name in draw(st.lists(st.tuples(WORDS, NAMES), max_size=5)):
        text += words + " "
        spans.append(Span(len(text), len(text) + len(name), "EMAIL_ADDRESS"))
        text += name + " "
    return text, spans


@given(found_texts(), WORDS)
def test_what_was_found_stands_nowhere(found, other):
    text, spans = found
    values = [text[span.start : span.end] for span in spans]
    redaction = Redaction({text: spans})
    told = json.dumps(redaction.value({"text": text, "list": [f"{other} {value} {other}" for value in values]}))
    for value in values:
        if value != "x":
            assert value not in told
            assert json.dumps(value)[1:-1] not in told


@given(found_texts())
def test_places_are_those_of_the_placeholders(found):
    text, spans = found
    redaction = Redaction({text: spans})
    told = redaction.text(text)
    for span in spans:
        moved = redaction.moved(span, text)
        assert told[moved.start : moved.end].startswith("<EMAIL_")
        assert told[moved.start : moved.end].endswith(">")


@given(found_texts(), st.integers(0, 200), st.integers(0, 200))
def test_any_place_stays_within_the_text_and_in_order(found, one, other):
    text, spans = found
    start, end = sorted((min(one, len(text)), min(other, len(text))))
    redaction = Redaction({text: spans})
    moved = redaction.moved(Span(start, end, "x"), text)
    assert 0 <= moved.start <= moved.end <= len(redaction.text(text))


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | WORDS, st.lists, max_leaves=5))
def test_without_a_find_everything_is_what_it_was(value):
    given_value = json.loads(json.dumps(value))
    assert json.dumps(Redaction({}).value(given_value)) == json.dumps(given_value)
    assert all(isinstance(text, str) for text in strings(given_value))


def test_one_value_has_one_placeholder_however_it_is_written():
    text = "Ann Lee and 4111 1111 1111 1111"
    redaction = Redaction({text: [Span(0, 7, "PERSON"), Span(12, 31, "CREDIT_CARD")]})
    assert redaction.text(text) == "<PERSON_1> and <CARD_1>"
    assert redaction.text("ANN\nLEE paid by 4111-1111-1111-1111") == "<PERSON_1> paid by <CARD_1>"
    assert redaction.value({"card": 4111111111111111}) == {"card": "<CARD_1>"}


def test_a_name_is_not_taken_out_of_other_words():
    redaction = Redaction({"Ann": [Span(0, 3, "PERSON")]})
    assert redaction.text("Annual, Hannah and Ann.") == "Annual, Hannah and <PERSON_1>."


def test_an_address_is_taken_out_of_whatever_it_stands_in():
    redaction = Redaction({"ann@b.org": [Span(0, 9, "EMAIL_ADDRESS")]})
    assert redaction.text("mailto_Ann@b.orgx") == "mailto_<EMAIL_1>x"


def test_finds_that_overlap_become_one():
    text = "Ann Lee Quill"
    redaction = Redaction({text: [Span(0, 7, "PERSON"), Span(4, 13, "ORGANIZATION")]})
    assert redaction.text(text) == "<ORGANIZATION_1>"


def test_what_only_looks_like_a_placeholder_stays_and_is_not_taken_again():
    text = "<EMAIL_1> is not a@b.org"
    assert Redaction({text: [Span(17, 24, "EMAIL_ADDRESS")]}).text(text) == "<EMAIL_1> is not <EMAIL_2>"


def test_places_in_payloads_move_in_the_text_and_in_the_sources():
    answer, source = "Ask a@b.org now.", "At a@b.org they know."
    redaction = Redaction({answer: [Span(4, 11, "EMAIL_ADDRESS")], source: [Span(3, 10, "EMAIL_ADDRESS")]})
    sent = {
        "sentences": [{"start": 0, "end": 16, "score": 0.5, "support": {"source": 0, "start": 0, "end": 21}}],
        "sources": [{"source": 0, "spans": [[3, 10], [11, 15]]}],
    }
    moved = redaction.payload(sent, answer, [source])
    assert redaction.text(answer)[slice(moved["sentences"][0]["start"], moved["sentences"][0]["end"])] == (
        "Ask <EMAIL_1> now."
    )
    assert moved["sentences"][0]["support"]["end"] == len(redaction.text(source))
    assert [redaction.text(source)[a:b] for a, b in moved["sources"][0]["spans"]] == ["<EMAIL_1>", "they"]

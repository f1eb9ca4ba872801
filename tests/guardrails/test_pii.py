"""Personal data: found, judged by kind, redacted and restored; measured on sentences that nothing was tuned on."""

from __future__ import annotations

import logging
import resource
import time
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.errors import InputError, ProviderError
from classifiers.types import Label, Span, Stage, Subject
from guardrails.pii import CHUNK, ENTITIES, PiiCheck, redact, restore
from tests.guardrails import pii_sets

DATA = Path(__file__).parents[3] / "shared/data"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the shared data folder is not here")
LETTER = "Dear Angela Merkel, your card 4111 1111 1111 1111 and jane@example.org; again jane@example.org. Berlin"
NUMBERS = ("EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "IBAN_CODE", "US_SSN", "IP_ADDRESS")


@pytest.fixture(scope="module")
def check() -> PiiCheck:
    return PiiCheck()


def label(check: PiiCheck, text: str) -> Label:
    return check.classify([Subject(text, Stage.INPUT)])[0].label


def found(check: PiiCheck, text: str) -> set[tuple[str, str]]:
    return {(span.kind, text[span.start : span.end]) for span in check.detect(text)}


def test_it_finds_what_a_letter_tells(check: PiiCheck) -> None:
    assert found(check, LETTER) == {
        ("PERSON", "Angela Merkel"),
        ("CREDIT_CARD", "4111 1111 1111 1111"),
        ("EMAIL_ADDRESS", "jane@example.org"),
        ("LOCATION", "Berlin"),
    }


def test_a_leak_blocks_and_a_date_only_informs(check: PiiCheck) -> None:
    assert label(check, LETTER) is Label.TOXIC
    (said,) = check.classify([Subject("She was born on 3/13/1956 in Berlin.", Stage.INPUT)])
    assert (said.label, said.flagged, said.score) == (Label.SAFE, (), 0.0)
    assert {"DATE_TIME", "LOCATION"} <= {span.kind for span in said.spans}
    assert set(said.categories) == {span.kind for span in said.spans}


def test_an_address_in_a_sentence_is_one_find_and_in_lines_each_is_its_own(check: PiiCheck) -> None:
    told = "Please send it to 12 Baker Street, London, England 12345 today."
    assert found(check, told) == {("STREET_ADDRESS", "12 Baker Street, London, England 12345")}
    lines = {("LOCATION", "London"), ("LOCATION", "England")}
    assert lines <= found(check, "Jane Miller\n12 Baker Street\nLondon\nEngland\n")
    assert ("LOCATION", "London") in found(check, "He lives at 12 Baker Street, London.")


def test_which_kinds_block_is_an_option() -> None:
    check = PiiCheck(["PERSON", "EMAIL_ADDRESS"], block=["PERSON"])
    assert label(check, "My name is John Smith.") is Label.TOXIC
    assert label(check, "Write to jane@example.org") is Label.SAFE


def test_a_kind_of_presidios_is_an_option() -> None:
    check = PiiCheck(["CRYPTO", "MAC_ADDRESS"], block=["CRYPTO"])
    assert found(check, "Pay to 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa now") == {
        ("CRYPTO", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa")
    }


def test_a_kind_that_nobody_knows_is_named() -> None:
    with pytest.raises(ProviderError, match="SHOE_SIZE"):
        PiiCheck(["SHOE_SIZE"]).detect("42")


@pytest.mark.parametrize("options", [{"block": ["CRYPTO"]}, {"thresholds": 50}, {"thresholds": {"CRYPTO": 0.5}}])
def test_options_that_cannot_be_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(InputError):
        PiiCheck(**options)


def test_placeholders_are_typed_and_the_same_for_the_same_value(check: PiiCheck) -> None:
    redacted, vault = check.redact(LETTER)
    assert redacted == "Dear <PERSON_1>, your card <CARD_1> and <EMAIL_1>; again <EMAIL_1>. <LOCATION_1>"
    assert vault["<EMAIL_1>"] == "jane@example.org"
    assert restore(redacted, vault) == LETTER
    assert restore("Thanks, <PERSON_1> and <PERSON_2>!", vault) == "Thanks, Angela Merkel and <PERSON_2>!"


def test_what_only_looks_like_a_placeholder_stays(check: PiiCheck) -> None:
    text = "Put <EMAIL_1> here, I am jane@example.org"
    redacted, vault = check.redact(text)
    assert redacted == "Put <EMAIL_1> here, I am <EMAIL_2>"
    assert restore(redacted, vault) == text


def test_only_what_does_not_block_is_safe_to_log(check: PiiCheck) -> None:
    assert check.check_safe_to_log("Run 12 is done, said Angela Merkel in Berlin on Monday.")
    assert not check.check_safe_to_log("User jane@example.org logged in.")


@given(st.text(st.sampled_from("ab<>_1EMAIL@. \n"), max_size=60), st.data())
def test_redacting_is_undone_by_its_vault(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)))
    spans = [
        Span(low, high, data.draw(st.sampled_from(ENTITIES)), 1.0)
        for low, high in zip(cuts[::2], cuts[1::2], strict=False)
        if low < high
    ]
    redacted, vault = redact(text, spans)
    if not any(name[:-1] in redacted.replace(name, "") for name in vault):  # no new placeholder by accident
        assert restore(redacted, vault) == text


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=()), max_size=60))
def test_spans_are_in_order_and_apart(text: str) -> None:
    spans = CHECK.detect(text)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    assert all(a.end <= b.start for a, b in pairwise(spans))


CHECK = PiiCheck()


def test_what_stands_across_two_parts_of_a_long_text_is_found(check: PiiCheck) -> None:
    for at in range(CHUNK - 40, CHUNK + 10, 7):
        text = ("word " * (at // 5 + 1))[:at] + " Angela Merkel lives in Berlin " + "word " * 200
        assert ("PERSON", "Angela Merkel") in found(check, text)


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["My name is John Smith, I live in Paris. ", "x", "1 "])
def test_a_megabyte_takes_bounded_time_and_memory(check: PiiCheck, unit: str) -> None:
    check.detect("Warm up, Mr. Smith.")
    text = unit * (1_000_000 // len(unit))
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    spans = check.detect(text)
    assert time.process_time() - start < 180
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kilobytes
    assert unit[0] != "M" or sum(span.kind == "PERSON" for span in spans) > 20_000


def test_it_needs_no_network_and_says_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("It asked the network."))
    with caplog.at_level(logging.INFO):
        PiiCheck([*ENTITIES, "URL", "CRYPTO"]).detect(LETTER)
    assert caplog.records == []


def scores(check: PiiCheck, rows: Iterable[tuple[str, set[tuple[str, int, int]]]]) -> dict[str, float]:
    """F1 by kind, a span counting when its kind and both ends are right."""
    hits, said, true = Counter[str](), Counter[str](), Counter[str]()
    for text, expected in rows:
        got = {(span.kind, span.start, span.end) for span in check.detect(text)}
        hits.update(kind for kind, _, _ in got & expected)
        said.update(kind for kind, _, _ in got)
        true.update(kind for kind, _, _ in expected)
    return {kind: 2 * hits[kind] / (said[kind] + true[kind]) for kind in true}


@pytest.mark.parametrize(
    "rows", [pii_sets.sentences(310, seed=11), pii_sets.fresh(240, seed=11)], ids=["seen", "fresh"]
)
def test_it_holds_on_sentences_written_for_the_tests(check: PiiCheck, rows: list[pii_sets.Row]) -> None:
    f1 = scores(check, rows)
    assert all(f1[kind] >= 0.9 for kind in NUMBERS), f1
    assert f1["PERSON"] >= 0.75
    assert f1["LOCATION"] >= 0.75


@pytest.mark.parametrize("forms", [pii_sets.DECOYS, pii_sets.FRESH_DECOYS], ids=["seen", "fresh"])
def test_five_hundred_decoys_are_nobodys_data(check: PiiCheck, forms: tuple[str, ...]) -> None:
    found = [
        (text, span)
        for text in pii_sets.decoys(500, seed=5, forms=forms)
        for span in check.detect(text)
        if span.kind != "DATE_TIME"
    ]
    assert found == []


@needs_data
def test_it_holds_on_templates_kept_apart(check: PiiCheck) -> None:
    from training.pii import dataset

    rows = [(row["full_text"], expected(row)) for row in dataset(DATA, held=True)]
    f1 = scores(check, rows)
    assert all(f1[kind] >= 0.9 for kind in NUMBERS if kind in f1), f1
    assert f1["PERSON"] >= 0.75


def expected(row: dict[str, object]) -> set[tuple[str, int, int]]:
    kinds = {"GPE": "LOCATION"}
    return {
        (kinds.get(s["entity_type"], s["entity_type"]), s["start_position"], s["end_position"]) for s in row["spans"]
    }

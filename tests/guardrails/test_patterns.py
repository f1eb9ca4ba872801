"""Numbers with a form: found in many countries' ways of writing them, and not where digits mean something else."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.patterns import FINDERS, find_cards, find_ibans, find_ips, find_phones, find_ssns, luhn


def found(kind: str, text: str) -> list[str]:
    return [text[span.start : span.end] for span in FINDERS[kind](text)]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("CREDIT_CARD", "4111111111111111", "4111111111111111"),
        ("CREDIT_CARD", "(4111-1111-1111-1111).", "4111-1111-1111-1111"),
        ("CREDIT_CARD", "my card 4222222222222", "4222222222222"),
        ("IBAN_CODE", "gb29 nwbk 6016 1331 9268 19\r\n", "gb29 nwbk 6016 1331 9268 19"),
        ("IBAN_CODE", "to DE89370400440532013000 today", "DE89370400440532013000"),
        ("US_SSN", "078-05-1121", "078-05-1121"),
        ("US_SSN", "ssn 078051121", "078051121"),
        ("IP_ADDRESS", "http://10.1.2.3:8080/", "10.1.2.3"),
        ("IP_ADDRESS", "[::ffff:192.0.2.1]", "::ffff:192.0.2.1"),
        ("EMAIL_ADDRESS", "<JANE@EXAMPLE.ORG>,", "JANE@EXAMPLE.ORG"),
        ("PHONE_NUMBER", "call +49 (0)30 901820.", "+49 (0)30 901820"),
        ("PHONE_NUMBER", "Tel:0171/2345678\r\n", "0171/2345678"),
        ("US_PASSPORT", "passport no. 123456789", "123456789"),
        ("MEDICAL_LICENSE", "DEA number AB1234563", "AB1234563"),
    ],
)
def test_it_is_found(kind: str, text: str, value: str) -> None:
    assert found(kind, text) == [value]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("CREDIT_CARD", "card 4111111111111112"),  # the check digit
        ("CREDIT_CARD", "order 4111111111111111"),
        ("CREDIT_CARD", "0.4111111111111111"),
        ("CREDIT_CARD", "4222222222222"),  # thirteen digits, and nothing says card
        ("IBAN_CODE", "DE89370400440532013001"),
        ("US_SSN", "666-12-1234"),
        ("US_SSN", "part 219-09-9999"),
        ("US_SSN", "219099999"),
        ("IP_ADDRESS", "version 10.1.2.3"),
        ("IP_ADDRESS", "10.1.2.300"),
        ("IP_ADDRESS", "at 12:30:45"),
        ("IP_ADDRESS", "std::fd and a::b"),
        ("EMAIL_ADDRESS", "user@localhost"),
        ("PHONE_NUMBER", "call on 2024-01-15"),
        ("PHONE_NUMBER", "call at 10:30"),
        ("PHONE_NUMBER", "order 0171 2345678"),
        ("PHONE_NUMBER", "5551234"),
        ("US_PASSPORT", "123456789"),
        ("MEDICAL_LICENSE", "DEA number AB1234567"),
    ],
)
def test_it_is_something_else(kind: str, text: str) -> None:
    assert found(kind, text) == []


@given(st.integers(0, 10**15 - 1))
def test_one_digit_of_ten_checks_a_number(number: int) -> None:
    body = f"{number:015d}"
    assert sum(luhn(body + check) for check in "0123456789") == (0 if set(body) == {"0"} else 1) or len(set(body)) == 1


@given(st.text(st.sampled_from("0123456789 -.+()/:xABgb@\nphonecard"), max_size=80))
def test_finds_lie_in_the_text_and_apart(text: str) -> None:
    for find in FINDERS.values():
        spans = sorted(find(text), key=lambda span: span.start)
        assert all(0 <= span.start < span.end <= len(text) for span in spans)


@pytest.mark.parametrize(
    "unit", ["1", "1 ", "1-", "a@", "a.", "1.", ":", "ab:", "+1 ", "GB00", "(1", "4111 ", "x" * 64 + "@"]
)
def test_time_grows_with_the_length_only(unit: str) -> None:
    text = unit * (200_000 // len(unit))
    start = time.process_time()
    for find in (find_cards, find_ibans, find_ssns, find_ips, find_phones, *FINDERS.values()):
        list(find(text))
    assert time.process_time() - start < 15

"""Personal data that has a form: cards, accounts, numbers and addresses of the net. Rules, checksums and context.

A number alone says little: what stands before it decides. ``strong`` forms count unless the nearest word says that the
number is something else (an order, a version); weak forms count only where the nearest word says what they are.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from classifiers.types import Span

BEFORE, AFTER = 60, 24  # characters of context

OTHER = (
    r"orders?|invoice|tracking|track|ticket|case|ref|reference|isbn(?:-?1[03])?|issn|ean|upc|gtin|sku|part|serial|version|"
    r"ver|release|build|firmware|driver|kernel|model|id|ids|uuid|guid|hash|commit|checksum|shipment|parcel|package|"
    r"transaction|confirmation|booking|po|item|product|receipt|claim|batch|lot|vin|imei|imsi|doi|arxiv|patent|timestamp|epoch|"
    r"unix|port|page|pages|room|chapter|section|clause|paragraph|figure|table|zip|postcode|equation|equals?|sum|total|"
    r"population|barcode|asset|bug|issue|pr|error|code|row|rows|record|sequence|seq|coordinates|lat|lon|latitude|longitude|"
    r"voucher|coupon|license plate|plate|flight|train|member|membership|customer|policy|score|price|cost|costs|usd|eur|"
    r"bytes|pixels|subnet mask|oid|asn|meter|reading|lottery|puzzle|pi|digits|number of|value|calculate|compute|sample|"
    r"student|employee|registration|docket|accession|catalogue|catalog|style|v"
)
CARD = (
    r"cards?|card ?(?:no|number|num|#)|credit|debit|visa|master ?card|amex|american express|discover|maestro|diners|jcb|cc|"
    r"payment|pay|paid|charge|charged|billing|expir\w+|cvv|plastic"
)
PHONE = (
    r"(?:tele)?phones?(?: (?:number|no|#))?|tel|call(?:ed|s|ing)?|mobile|mob|cell(?:phone)?|fax|whats ?app|sms|text(?:ed)?|reach(?:ed|able)?|"
    r"dial(?:led|ed)?|ring|rang|hotline|helpline|landline|desk|office|pager|voicemail|answering|messages? to|registered|"
    r"contact(?: me)?(?: (?:number|no|at|on))?|viber|signal|telegram|switchboard|extension|ext|direct line|"
    r"(?:my|his|her|your|their|our|the)(?: \w+)?? (?:number|no\.?)(?: is)?|ph|handy|home|work"
)
SSN = r"ssns?|social(?: security)?(?: (?:number|no|#))?|soc(?:ial)? sec|social insurance|tin|taxpayer|itin"
PASSPORT = r"passports?"
LICENSE = r"dea|medical licen[cs]e|licen[cs]e of (?:dr|doctor)|prescriber|physician|practitioner|doctor|dr"
NONE = r"(?!)"

Finder = Callable[[str], Iterator[Span]]


@lru_cache
def _keywords(wanted: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![a-z])(?:(?P<wanted>{wanted})|(?P<other>{OTHER}))(?![a-z])")


def _named(text: str, start: int, end: int, wanted: str) -> bool | None:
    """Whether the nearest word that names the number names it so; None where no word does. What stands before goes
    first, on its line or the one above; then what follows on the same line."""
    before = "\n".join(text[max(0, start - BEFORE) : start].lower().split("\n")[-2:])
    after = text[end : end + AFTER].lower().split("\n")[0]
    pattern = _keywords(wanted)
    found = list(pattern.finditer(before))[-1:] or list(pattern.finditer(after))[:1]
    return found[0]["wanted"] is not None if found else None


def _counts(text: str, start: int, end: int, wanted: str, *, strong: bool) -> bool:
    named = _named(text, start, end, wanted)
    return bool(named) or (strong and named is None)


# Payment cards: ISO/IEC 7812 issuer ranges with their lengths, and Luhn's check digit
CARD_NUMBER = re.compile(r"(?<![\w.+-])\d(?:[ -]?\d){11,18}(?![\w-]|[.,]\d)")
ISSUERS = (
    (re.compile(r"4"), (13, 16, 19)),
    (re.compile(r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), (16,)),
    (re.compile(r"3[47]"), (15,)),
    (re.compile(r"6011|64[4-9]|65"), (16, 19)),
    (re.compile(r"62"), (16, 17, 18, 19)),
    (re.compile(r"30[0-5]|309|3[689]"), (14, 16, 19)),
    (re.compile(r"35"), (16, 17, 18, 19)),
    (re.compile(r"2131|1800"), (15,)),
    (re.compile(r"50|5[6-9]|6304|67"), tuple(range(12, 20))),
)


def find_cards(text: str) -> Iterator[Span]:
    for found in CARD_NUMBER.finditer(text):
        digits = _digits(found[0])
        if _is_card(digits) and _counts(text, *found.span(), CARD, strong=len(digits) >= 14):
            yield Span(*found.span(), "CREDIT_CARD", 1.0)


def _is_card(digits: str) -> bool:
    return luhn(digits) and any(prefix.match(digits) and len(digits) in lengths for prefix, lengths in ISSUERS)


def luhn(digits: str) -> bool:
    """Whether the last digit checks the others (ISO/IEC 7812-1, annex B)."""
    doubled = [sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2]]
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0 and len(set(digits)) > 1


# ISO 13616: two letters, two check digits, up to 30 more; the lengths by country
IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,30}(?![A-Za-z0-9])")
IBAN_COUNTRIES = {
    15: "NO",
    16: "BE",
    18: "DK FI FK FO GL NL SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HU LB NI PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU YE",
    31: "MT SC",
    32: "LC",
    33: "RU",
}
IBAN_LENGTHS = {country: length for length, countries in IBAN_COUNTRIES.items() for country in countries.split()}


def find_ibans(text: str) -> Iterator[Span]:
    for found in IBAN.finditer(text):
        length = IBAN_LENGTHS.get(found[0][:2].upper(), 0)
        end = _end_after(text, found.start(), found.end(), length)
        if length and end and _mod97(text[found.start() : end]):
            yield Span(found.start(), end, "IBAN_CODE", 1.0)


def _end_after(text: str, start: int, end: int, length: int) -> int:
    """Where ``length`` letters and digits end; 0 if there are fewer, or if a word is cut there."""
    seen = 0
    for at in range(start, end):
        seen += text[at].isalnum()
        if seen == length:
            return at + 1 if not text[at + 1 : at + 2].isalnum() else 0
    return 0


def _mod97(iban: str) -> bool:
    plain = re.sub(r"[ -]", "", iban).upper()
    return int("".join(str(int(character, 36)) for character in plain[4:] + plain[:4])) % 97 == 1


# https://www.ssa.gov/employer/randomization.html: no 000, 666 or 9xx, no group 00, no serial 0000
SSN_NUMBER = re.compile(r"(?<![\w.+-])(?!000|666|9)(\d{3})([- .]?)(?!00)(\d{2})\2(?!0000)(\d{4})(?![\w-]|[.,]\d)")


def find_ssns(text: str) -> Iterator[Span]:
    for found in SSN_NUMBER.finditer(text):
        if _counts(text, *found.span(), SSN, strong=found[2] == "-"):
            yield Span(*found.span(), "US_SSN", 1.0)


IPV4 = re.compile(r"(?<![\w.])(?<!fff:)(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)")
IPV6 = re.compile(
    r"(?<![\w:.])(?=[\da-f.]{0,4}:[\da-f:.]*\d)[\da-f:]{2,39}(?:(?:\d{1,3}\.){3}\d{1,3})?(?![\w:]|\.\d)", re.IGNORECASE
)


def find_ips(text: str) -> Iterator[Span]:
    for found in IPV4.finditer(text):
        if _is_address(found[0]) and _counts(
            text, *found.span(), r"ips?|ipv4|address|host|server|client_ip", strong=True
        ):
            yield Span(*found.span(), "IP_ADDRESS", 1.0)
    for found in IPV6.finditer(text):
        if _is_address(found[0]):
            yield Span(*found.span(), "IP_ADDRESS", 1.0)


def _is_address(text: str) -> bool:
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return False


EMAIL = re.compile(
    r"(?<![\w.!#$%&'*+/=?^`{|}~-])(?!['.])[\w.!#$%&'*+/=?^`{|}~-]{1,64}@(?:[^\W_](?:[\w-]{0,62}[^\W_])?\.){1,8}[^\W\d_]{2,24}(?![\w@])"
)


def find_emails(text: str) -> Iterator[Span]:
    return (Span(*found.span(), "EMAIL_ADDRESS", 1.0) for found in EMAIL.finditer(text))


PASSPORT_NUMBER = re.compile(r"(?<![\w-])[A-Za-z]?\d{8,9}(?![\w-])")
LICENSE_NUMBER = re.compile(r"(?<![\w-])[A-Za-z]{2}\d{7}(?![\w-])")


def find_passports(text: str) -> Iterator[Span]:
    for found in PASSPORT_NUMBER.finditer(text):
        if _counts(text, *found.span(), PASSPORT, strong=False):
            yield Span(*found.span(), "US_PASSPORT", 0.9)


def find_medical_licenses(text: str) -> Iterator[Span]:
    """DEA numbers: two letters and seven digits, the last of which checks the others."""
    for found in LICENSE_NUMBER.finditer(text):
        d = [int(digit) for digit in found[0][2:]]
        checked = (d[0] + d[2] + d[4] + 2 * (d[1] + d[3] + d[5])) % 10 == d[6]
        if checked and _counts(text, *found.span(), LICENSE, strong=False):
            yield Span(*found.span(), "MEDICAL_LICENSE", 0.9)


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


# Telephone numbers: E.164 and national forms
PHONE_NUMBER = re.compile(
    r"(?<![\w./=#$€£%^*-])(?<!\d[ ,:])(?:\+ ?|\()?\d(?:[ \u00a0().\-/\u2010-\u2013]{0,3}\d){5,16}"
    r"(?: ?(?:x|ext\.?|extension) ?\d{1,6})?(?![\w%€$£°=]|[-/.:,]\d| ?[+*=\u00d7\u00f7^])"
)
NORTH_AMERICAN = re.compile(
    r"(?:1[-. ])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[-. ])[2-9]\d\d[-. ]\d{4}(?: ?(?:x|ext).*)?", re.DOTALL
)
DAY, YEAR = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:1[89]|20)\d\d"
DATE = re.compile(
    rf"(?:{YEAR}([-./ ]){DAY}\1{DAY}|{DAY}([-./ ]){DAY}\2(?:{YEAR}|\d\d))|{YEAR}[-/ \u2013]{YEAR}|{YEAR}[01]\d{DAY}"
)
REGIONS = "GB DE FR BE NL CH AT IT ES PT SE NO DK FI IS IE PL CZ SK HU SI HR RO GR CY EE LV LT AU NZ ZA IN BR MX AR CL JP TN UY GL"


def find_phones(text: str) -> Iterator[Span]:
    for found in PHONE_NUMBER.finditer(text):
        start, end = found.start() + (found[0][0] == "(" and ")" not in found[0]), found.end()
        number = text[start:end]
        if _looks_phone(number) and _counts(text, start, end, PHONE, strong=_is_strong(number)):
            yield Span(start, end, "PHONE_NUMBER", 0.9)


def _looks_phone(number: str) -> bool:
    count = len(_digits(re.split("[xe]", number)[0]))
    return 7 <= count <= 15 and not DATE.fullmatch(number)


def _is_strong(number: str) -> bool:
    """An international number that can be, a North American one, or a national one that some country would give."""
    plain = re.sub(r"^00(?=[1-9])", "+", number.lstrip("("))
    if plain.startswith("+"):
        return _possible(plain)
    if NORTH_AMERICAN.fullmatch(number):
        return True
    grouped = re.search(r"\d\D{1,3}\d", number)
    return (
        bool(grouped)
        and number.lstrip("(").startswith("0")
        and any(_valid(number, region) for region in REGIONS.split())
    )


def _possible(number: str) -> bool:
    import phonenumbers

    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return False


def _valid(number: str, region: str) -> bool:
    import phonenumbers

    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False


FINDERS: dict[str, Finder] = {
    "CREDIT_CARD": find_cards,
    "IBAN_CODE": find_ibans,
    "US_SSN": find_ssns,
    "IP_ADDRESS": find_ips,
    "EMAIL_ADDRESS": find_emails,
    "US_PASSPORT": find_passports,
    "MEDICAL_LICENSE": find_medical_licenses,
    "PHONE_NUMBER": find_phones,
}

"""Undoes what hides words from a detector, and remembers where in the original each character came from.

``variants`` gives a text as a careful reader, or a language model, would read it: without invisible characters, with
lookalike letters made Latin, leetspeak and spaced letters made words, encoded segments decoded. The variants are for
matching and scoring, not for showing: real Cyrillic comes out mangled. What is found in one is shown in the original
through ``Variant.span``. Time and memory are linear in the length of the text.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
import unicodedata
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product
from typing import overload


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Letters that look Latin and that Unicode's compatibility forms leave as they are, after https://unicode.org/reports/tr39
CONFUSABLES = dict(
    zip(
        "АВЕЅІЈКМНОРСТУХҮԌԚԜӀаеоорсухіјѕһԁԛԝӏвкмнтгипѵүәΑΒΕΖΗΙΚΜΝΟΡΤΥΧαβεικνορτυχγωηϲϳՍՕոսցօհզℓıɩȷɡꓐꓑꓓꓔꓗꓟꓠꓢꓮꓰꓲꓳꓴⲟⲣ∂",
        "ABESIJKMHOPCTYXYGQWIaeoopcyxijshdqwlbkmhtrunvyeABEZHIKMNOPTYXabeiknoptuxywncjUOnugohqliijgBPDTKMNSAEIOUopd",
        strict=True,
    )
)
FILLERS = frozenset("\u115f\u1160\u3164\uffa0\u2800")  # letters and symbols that show nothing
LATIN_NAME = re.compile(
    r"(?:LATIN|REGIONAL INDICATOR).* (?:LETTER|CAPITAL|SMALL) (?:OPEN |TURNED |REVERSED |SCRIPT |BLACKLETTER )?([A-Z])(?: |$)"
)
UNUSUAL = re.compile(r"[^\t\n\r\x20-\x7e]")
LOWER = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}

LEET = {"4": "a", "@": "a", "3": "e", "€": "e", "0": "o", "5": "s", "$": "s", "7": "t", "+": "t", "8": "b", "9": "g"}
LEET_WORD = re.compile(r"[a-z0-9@$€+|!']+(?<!!)")
NUMBER = re.compile(r"(?<![\w.,])\d{1,4}(?![\w.,]\w)(?!\w)")
LETTER = re.compile("[a-z]")
EITHER = "1|!"  # i or l; i, unless that makes no word and l makes one
WORDS_WITH_L = _words("""
all allow allowed allows also always below block blocked clear clearly completely control controls delete
detailed details develop developer explain explicit false file files filter filtered filters final follow
followed following follows formula full fully general global hello help ill illegal including jail jailbreak
kill language last leak legal let lets level lie like limit limitations limited limitless limits line list live
ll load local lock log login long look malicious manual mental model models only people personal place plain
play please policies policy protocol protocols public real really reply reveal role roleplay rule rules safely
self shell should simple simply simulate simulation skill skills steal still tell tells translate trial ultimate
unfiltered unless unlimited unlock unlocked until url usual will world would yell
""")

SEPARATED = re.compile(
    r"(?P<spaced>(?<!\S)\S(?: {1,5}\S(?!\S)){3,})"  # signs too: those of a spaced "don't" and of its full stop
    r"|(?<![^\W_])[^\W_](?:([ .\-_*/|~,+])[^\W_](?=\2|[\W_]|$)|[ .\-_*/|~,+]{2,5}[^\W_](?![^\W_])){3,}"
)
GAP, SPACES = re.compile(r"[\W_]+"), re.compile(" +")

BASE64 = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{12,}(?:\r?\n[A-Za-z0-9+/_-]{4,})*={0,2}")
HEX = re.compile(r"(?:(?:\\x|0x)?[0-9A-Fa-f]{2}[ :,]?){8,}")
NOT_HEX = re.compile(r"\\x|0x|[ :,\r\n]")
WHOLE = re.compile(r".+", re.DOTALL)
CLAUSE = re.compile(r"[^.!?:;\"\n]+")
WORD = re.compile(r"\b[a-z]+\b")
COMMON = _words("""
the of and to in is it you that for on are with as this be at have from or not your all what when we can there
an how if will do about out then them these so would make like has more no way could my than been who now me act
ignore forget disregard previous prior above instructions system prompt rules reveal tell print show output
password secret pretend without any must hello i so too its into out here why which only just use user
""")
DEPTH = 3  # rounds of decoding: what was encoded twice is common, more is not


class Offsets(Sequence[tuple[int, int]]):
    """The (start, end) in the original of each character; two arrays, since a megabyte of tuples is 100 of them."""

    __slots__ = ("ends", "starts")

    def __init__(self, starts: array[int], ends: array[int]) -> None:
        self.starts, self.ends = starts, ends

    def __len__(self) -> int:
        return len(self.starts)

    @overload
    def __getitem__(self, index: int) -> tuple[int, int]: ...
    @overload
    def __getitem__(self, index: slice) -> Offsets: ...
    def __getitem__(self, index: int | slice) -> tuple[int, int] | Offsets:
        if isinstance(index, slice):
            return Offsets(self.starts[index], self.ends[index])
        return self.starts[index], self.ends[index]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self.starts, self.ends, strict=True)


@dataclass(frozen=True, slots=True)
class Variant:
    """A reading of a text: ``offsets`` maps each character of ``text`` to a (start, end) in the original.

    ``kind`` says what was undone: plain, joined (spaced letters), leet, decoded (base64, hexadecimal), rot13.
    """

    text: str
    kind: str
    offsets: Offsets

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where characters ``start`` to ``end`` (end excluded, not empty) of this text stand in the original."""
        return min(self.offsets.starts[start:end]), max(self.offsets.ends[start:end])


def variants(text: str) -> list[Variant]:
    """The plain reading first, always; then each other one that differs from those before it."""
    bare = _rewrite(_original(text), "plain", UNUSUAL, lambda found: _fold(found[0]))
    plain = _lower(bare)
    joined = _rewrite(plain, "joined", SEPARATED, _join)
    readings: dict[str, Variant] = {}
    for reading in (plain, joined, _leet(joined), _lower(_decoded(bare)), _turned(plain)):
        readings.setdefault(reading.text, reading)
    return list(readings.values())


def _original(text: str) -> Variant:
    return Variant(text, "original", Offsets(array("I", range(len(text))), array("I", range(1, len(text) + 1))))


def _rewrite(source: Variant, kind: str, pattern: re.Pattern[str], replace: Callable[[re.Match[str]], str]) -> Variant:
    """``source`` with every match replaced. A replacement of the same length keeps its characters' places; else each
    of its characters stands for the whole match."""
    parts: list[str] = []
    starts, ends = array("I"), array("I")
    done = 0
    for found in pattern.finditer(source.text):
        new = replace(found)
        if new == found[0]:
            continue
        low, high = found.span()
        parts += source.text[done:low], new
        starts += source.offsets.starts[done:low]
        ends += source.offsets.ends[done:low]
        if len(new) == high - low:
            starts += source.offsets.starts[low:high]
            ends += source.offsets.ends[low:high]
        elif new:
            first, last = source.span(low, high)
            starts += array("I", [first]) * len(new)
            ends += array("I", [last]) * len(new)
        done = high
    if not parts:
        return Variant(source.text, kind, source.offsets)
    parts.append(source.text[done:])
    starts += source.offsets.starts[done:]
    ends += source.offsets.ends[done:]
    return Variant("".join(parts), kind, Offsets(starts, ends))


def _lower(source: Variant) -> Variant:
    return Variant(source.text.translate(LOWER), source.kind, source.offsets)  # ASCII only: lengths stay


@lru_cache(maxsize=8192)
def _fold(character: str) -> str:
    """What one unusual character reads as: nothing, a space, Latin letters, or itself in lower case."""
    if 0xE0020 <= ord(character) <= 0xE007E:  # tags: invisible, but models read them as ASCII
        return chr(ord(character) - 0xE0000)
    return "".join(_read(part) for part in unicodedata.normalize("NFKD", character))


def _read(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Cc", "Cf", "Cn", "Co", "Cs", "Mn", "Me") or character in FILLERS:
        return ""
    if category.startswith("Z"):
        return " "
    if character.isascii():
        return character
    if latin := CONFUSABLES.get(character):
        return latin
    named = LATIN_NAME.search(unicodedata.name(character, ""))
    return named[1].lower() if named else character.casefold()


def _join(found: re.Match[str]) -> str:
    """i g n o r e   a l l: the narrowest gap divides letters, wider ones divide words."""
    if found["spaced"] and sum(map(str.isalpha, found[0])) * 4 < len(found[0]):  # a formula or a frame of a table
        return found[0]
    gap = SPACES if found["spaced"] else GAP
    narrow = min(map(len, gap.findall(found[0])))
    return gap.sub(lambda each: "" if len(each[0]) == narrow else " ", found[0])


def _leet(source: Variant) -> Variant:
    """Numbers that make a word ("70" for "to") are read so only where words are disguised too."""
    read = _rewrite(source, "leet", LEET_WORD, lambda found: found[0] if found[0].isalpha() else _unleet(found[0]))
    if read.text == source.text:
        return read
    return _rewrite(read, "leet", NUMBER, lambda found: _word(found[0]))


def _word(number: str) -> str:
    word = "".join(LEET.get(digit, "i" if digit in EITHER else digit) for digit in number)
    return word if word in COMMON else number


def _unleet(word: str) -> str:
    letters = "".join(LEET.get(letter, letter) for letter in word)
    doubtful = [at for at, letter in enumerate(letters) if letter in EITHER]
    choices = product("il", repeat=len(doubtful)) if len(doubtful) <= 4 else [("i",) * len(doubtful)]
    readings = [_filled(letters, doubtful, choice) for choice in choices]
    known = next((reading for reading in readings if reading in WORDS_WITH_L), "")
    return known or (readings[0] if LETTER.search(word) else word)  # 411 is a word, 4111 a number


def _filled(letters: str, places: Sequence[int], choice: Sequence[str]) -> str:
    filled = list(letters)
    for place, letter in zip(places, choice, strict=True):
        filled[place] = letter
    return "".join(filled)


def _turned(source: Variant) -> Variant:
    """Turned as a whole where that reads better, since short clauses say little; then clause by clause."""
    whole = _rewrite(source, "rot13", WHOLE, lambda found: _unrot(found[0]))
    return _rewrite(whole, "rot13", CLAUSE, lambda found: _unrot(found[0]))


def _unrot(clause: str) -> str:
    turned = codecs.encode(clause, "rot13")
    return turned if _common(turned) > max(1, _common(clause)) else clause


def _common(text: str) -> int:
    return sum(word in COMMON for word in WORD.findall(text))


def _decoded(source: Variant) -> Variant:
    for _ in range(DEPTH):
        read = source
        for pattern, decode in DECODERS:
            read = _rewrite(read, "decoded", pattern, partial(_readable, decode))
        if read.text == source.text:
            break
        source = read
    return Variant(source.text, "decoded", source.offsets)


def _readable(decode: Callable[[str], bytes], found: re.Match[str]) -> str:
    """The decoded segment where it is text, else the segment itself: a hash or a long word decodes to noise."""
    segment = found[0]
    try:
        text = decode(segment).decode()
    except (binascii.Error, ValueError):
        return segment
    letters = sum(character.isalpha() or character.isspace() for character in text)
    return text if letters >= 0.7 * len(text) else segment


def _from_base64(segment: str) -> bytes:
    plain = segment.replace("\r", "").replace("\n", "").rstrip("=").replace("-", "+").replace("_", "/")
    return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)


def _from_hex(segment: str) -> bytes:
    return bytes.fromhex(NOT_HEX.sub("", segment))


DECODERS: tuple[tuple[re.Pattern[str], Callable[[str], bytes]], ...] = ((BASE64, _from_base64), (HEX, _from_hex))

"""Which groups of people a text names, by a small list of plain English words.

It is good enough to ask whether harmless texts are flagged more often where they name one group than another, and for
nothing finer: it knows no senses, no slurs, no names and no other language, and who is meant without being named is not
found. Colours and the like count only before a word for people, so that "black coffee" names nobody.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

PEOPLE = "people|person|persons|folk|folks|man|men|woman|women|boy|boys|girl|girls|child|children|kid|kids|guy|guys|community"
# Words that name people by themselves, and words that do so before one for people.
ALONE: Mapping[str, str] = {
    "women": "woman women female females girl girls lady ladies",
    "men": "man men male males boy boys",
    "gay and lesbian people": "gay gays lesbian lesbians homosexual homosexuals",
    "bisexual people": "bisexual bisexuals",
    "trans people": "transgender transsexual transsexuals nonbinary non-binary",
    "Black people": "african-american african-americans",
    "Asian people": "asian asians chinese japanese korean koreans vietnamese",
    "Latino people": "latino latinos latina latinas latinx hispanic hispanics",
    "Muslims": "muslim muslims islamic",
    "Jews": "jew jews jewish",
    "Christians": "christian christians catholic catholics protestant protestants",
    "Hindus": "hindu hindus",
    "atheists": "atheist atheists",
    "immigrants": "immigrant immigrants migrant migrants refugee refugees asylum-seeker asylum-seekers",
    "disabled people": "disabled handicapped blind deaf autistic wheelchair",
    "old people": "elderly pensioner pensioners",
}
BEFORE_PEOPLE: Mapping[str, str] = {
    "trans people": "trans",
    "Black people": "black",
    "white people": "white",
    "old people": "old older",
    "young people": "young younger",
}
GROUPS = tuple(dict.fromkeys([*ALONE, *BEFORE_PEOPLE]))


def named(text: str) -> tuple[str, ...]:
    """The groups that a text names, in the order of ``GROUPS``: whole words, whatever their case."""
    folded = text.casefold()
    return tuple(group for group, pattern in _patterns().items() if pattern.search(folded))


@cache
def _patterns() -> Mapping[str, re.Pattern[str]]:
    return {group: re.compile(rf"(?<![\w-])(?:{'|'.join(_forms(group))})(?![\w-])") for group in GROUPS}


def _forms(group: str) -> list[str]:
    alone = [re.escape(word) for word in ALONE.get(group, "").split()]
    return alone + [rf"{word}\s+(?:{PEOPLE})" for word in BEFORE_PEOPLE.get(group, "").split()]

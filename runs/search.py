"""What people write into the search field, for either database."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass

from django.db.models.expressions import RawSQL

from classifiers.errors import InputError
from classifiers.text import unstorable

SQLITE = "SELECT rowid FROM runs_result_text WHERE runs_result_text MATCH %s"
POSTGRESQL = "SELECT result_id FROM runs_result_text WHERE words @@ to_tsquery('simple', %s)"
MAX_SEARCH = 500
TERM = re.compile(r'"([^"]*)"?(\*?)|([^\s"]+)')
PARTING = str.maketrans(dict.fromkeys(string.punctuation, " "))


@dataclass(frozen=True)
class Term:
    """Words that follow one another; with ``prefix`` the last is the beginning of one."""

    words: tuple[str, ...]
    prefix: bool = False


def parse(text: str) -> list[Term]:
    """What is searched for: words, "words in this order", and the beginnings of words*; all must be found.

    Whatever else is written parts words. InputError when no word is left, and for texts that no search can be.
    """
    if len(text) > MAX_SEARCH:
        raise InputError(f"A search takes at most {MAX_SEARCH} characters, not {len(text)}. Search for a few words.")
    if sentence := unstorable(text, name="The search"):
        raise InputError(sentence)
    terms = [_term(phrase or word, bool(star) or word.endswith("*")) for phrase, star, word in TERM.findall(text)]
    if found := [term for term in terms if term.words]:
        return found
    raise InputError("The search holds no word. Search for words of letters and digits.")


def _term(text: str, prefix: bool) -> Term:
    words = (word for word in text.translate(PARTING).split() if any(map(str.isalnum, word)))
    return Term(tuple(words), prefix)


def ids_with(text: str, *, vendor: str) -> RawSQL:
    """The ids of the results in which everything searched for stands, as a subquery."""
    terms = parse(text)
    if vendor == "postgresql":
        return RawSQL(POSTGRESQL, [" & ".join(map(_postgresql, terms))])  # noqa: S611 - what is searched for is bound
    return RawSQL(SQLITE, [" ".join(map(_sqlite, terms))])  # noqa: S611


# No word holds punctuation that either database would read as more than a word.


def _sqlite(term: Term) -> str:
    return f'"{" ".join(term.words)}"{"*" * term.prefix}'


def _postgresql(term: Term) -> str:
    return "({}{})".format(" <-> ".join(f"'{word}'" for word in term.words), ":*" * term.prefix)

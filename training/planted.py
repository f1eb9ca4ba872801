"""Attacks put into harmless documents of people, so that a head learns to hear one sentence among others."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from guardrails.injection import by_sentence
from guardrails.normalise import variants
from guardrails.sentences import Piece, sentences, windows
from training.sources import Example

MOST_PIECES = 3  # of one document


def planted(documents: Sequence[str], attacks: Sequence[str], count: int, *, seed: int = 5) -> Iterator[Example]:
    """The windows and sentences that hold the attack, of ``count`` documents with one attack each between two sentences."""
    choice = random.Random(seed)  # noqa: S311 - no secret
    for number in range(count):
        document, attack = documents[number % len(documents)], attacks[number % len(attacks)]
        place = choice.choice([*(sentence.start for sentence in sentences(document)[1:]), len(document)])
        between = choice.choice(["\n", " ", "\n\n"])
        whole = _plain(f"{document[:place].rstrip()}{between}{attack}{between}{document[place:]}")
        for piece in _holding(whole, _plain(attack).strip())[:MOST_PIECES]:
            yield Example(piece.text, True)


def _plain(text: str) -> str:
    return variants(text)[0].text


def _holding(whole: str, attack: str) -> list[Piece]:
    start = whole.find(attack)
    if start < 0:
        return []
    end, enough = start + len(attack), 0.7 * len(attack)
    return [p for p in (*windows(whole), *by_sentence(whole)) if min(p.end, end) - max(p.start, start) > enough]

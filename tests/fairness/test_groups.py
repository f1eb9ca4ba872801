"""Which groups a text names; and sentences that differ in that alone."""

from __future__ import annotations

import pytest

from fairness.groups import GROUPS, named
from fairness.metrics import LEAST
from fairness.probes import SENTENCES, WORDS, probes


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("I am a GAY man", ("men", "gay and lesbian people")),
        ("Black women and white men", ("women", "men", "Black people", "white people")),
        ("black coffee on a white table, an old car", ()),
        ("The mandate of Germany", ()),
        ("Muslims, Jews and Christians", ("Muslims", "Jews", "Christians")),
        ("transport", ()),
        ("trans people", ("trans people",)),
        ("my grandparents are elderly immigrants", ("immigrants", "old people")),
        ("a non-muslim-like thing", ()),
        ("", ()),
    ],
)
def test_groups_are_named_by_whole_words(text: str, groups: tuple[str, ...]) -> None:
    assert named(text) == groups


def test_each_probe_names_its_group_and_there_are_enough() -> None:
    assert set(WORDS) == set(GROUPS)
    assert len(SENTENCES) >= LEAST
    for group, (one, many) in WORDS.items():
        for sentence in SENTENCES:
            assert named(sentence.format(one=one, many=many)) == (group,), sentence
    assert len(probes()) == len({*probes()}) == len(WORDS) * len(SENTENCES)

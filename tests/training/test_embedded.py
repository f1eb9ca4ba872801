"""What the embedded adapter learns from has contrasts, and nothing of what it is measured on."""

from __future__ import annotations

from pathlib import Path

import pytest

from classifiers.errors import InputError
from training.contrasts import GROUPS, HARMLESS, HATEFUL, contrasts
from training.data import Row, digest_of
from training.embedded import KEPT_APART, MIX, Portion, mix
from training.sources import Example, Source

DATA = Path(__file__).parents[3] / "shared/data"


def test_contrasts_are_whole_sentences_of_both_labels_and_the_same_each_time() -> None:
    rows = contrasts()
    assert rows == contrasts() != contrasts(seed=1)
    assert not any("{" in row.text or row.text[0].islower() for row in rows)
    about_groups = [row for row in rows if row.group in {*HATEFUL, *HARMLESS}]
    assert {row.toxic for row in about_groups} == {True, False}
    assert {group for group in GROUPS if any(group.lower() in row.text.lower() for row in about_groups)} == {*GROUPS}


def test_a_portion_is_drawn_by_what_its_texts_are_and_not_by_where_they_stand(tmp_path: Path) -> None:
    examples = [Example(f"text {n}", n % 2 == 0) for n in range(40)] + [Example("x" * 999, True)]
    there, back = (Source("some", "MIT", ("*",), lambda paths, e=e: iter(e)) for e in (examples, examples[::-1]))  # type: ignore[misc]
    (tmp_path / "file").touch()
    rows = Portion(there, toxic=5, safe=3).rows(tmp_path)
    assert digest_of(rows) == digest_of(Portion(back, toxic=5, safe=3).rows(tmp_path))
    assert [row.toxic for row in rows] == [True] * 5 + [False] * 3
    assert max(len(row.text) for row in rows) < 999


def test_nothing_that_is_kept_apart_is_learnt_from() -> None:
    if not DATA.is_dir():
        pytest.skip("the folder of data sets is not here")
    try:
        parts = mix(DATA)
    except InputError as error:
        pytest.skip(error.message)
    apart = [Row(e.text, e.label, group=e.kind) for source in KEPT_APART for e in source.examples(DATA)]
    learnt = [*parts["train"], *parts["tune"]]
    assert not {row.key for row in learnt} & {row.key for row in apart}
    assert not {row.group for row in learnt} & ({row.group for row in apart} - {""})
    assert {row.toxic for row in parts["tune"]} == {True, False}
    assert {row.key for row in parts["held"]} <= {row.key for row in apart}
    assert len(learnt) > 100 * len(MIX)

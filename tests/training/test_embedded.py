"""What the embedded adapter learns from has contrasts, and nothing of what it is measured on."""

from __future__ import annotations

from pathlib import Path

import pytest

from classifiers.errors import InputError
from training.contrasts import GROUPS, SLOT, contrasts, filled, steadied, templates
from training.data import Row, digest_of
from training.embedded import KEPT_APART, MIX, Portion, mix
from training.sources import Example, Source

DATA = Path(__file__).parents[3] / "shared/data"


def test_contrasts_are_of_both_labels_without_gaps_or_twins_and_the_same_each_time() -> None:
    rows = contrasts()
    assert rows == contrasts() != contrasts(seed=1)
    assert not any(SLOT.search(row.text) for row in rows)
    assert len({row.key for row in rows}) == len(rows)
    toxic = sum(row.toxic for row in rows) / len(rows)
    assert 0.4 < toxic < 0.6


def test_a_template_is_one_group_of_rows_of_one_label() -> None:
    label = {template: toxic for toxic, template in templates()}
    assert len(label) == len(templates())
    assert all(label[row.group] is row.toxic for row in contrasts())
    assert {row.group for row in contrasts(1)} == {*label}


def test_every_group_is_as_often_in_hateful_texts_as_in_harmless_ones() -> None:
    texts = {row.text for row in contrasts()}
    with_gaps = [(toxic, template) for toxic, template in templates() if SLOT.search(template)]
    for group in GROUPS:
        toxic, safe = (
            sum(filled(template, group) in texts for label, template in with_gaps if label is wanted)
            for wanted in (True, False)
        )
        assert toxic > 0
        assert 0.8 < toxic / safe < 1.2, group


def test_labels_are_steadied_by_half_as_many_harmless_texts_about_groups() -> None:
    rows = [Row(f"text {n}", True) for n in range(40)]
    added = steadied(rows)[40:]
    assert steadied(rows)[:40] == rows
    assert len(added) == len({row.group for row in added}) == 20
    assert not any(row.toxic for row in added)
    assert all(SLOT.search(row.group) for row in added)
    again = steadied([*rows, *added])
    assert len({row.key for row in again}) == len(again)
    assert len(steadied([Row(str(n), True) for n in range(9000)])) < 9500


def test_a_group_has_its_form_and_a_capital_where_a_sentence_begins() -> None:
    group = ("women", "a woman", "female")
    text = filled("{g} sing. {s} said: no {a} voice, no {g}?", group)
    assert text == "Women sing. A woman said: no female voice, no women?"
    assert filled("print({})", group) == "print({})"


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

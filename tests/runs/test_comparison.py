from __future__ import annotations

import json
from collections.abc import Callable
from math import comb
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.types import Label, Stage
from runs.comparison import Agreement, compare, differing
from runs.models import Result, Run
from tests.runs.commands import refused, said

S, T, E = Label.SAFE, Label.TOXIC, Label.ERROR
TEXTS = ["hello", "you are toxic", "so rude", "fail here", "good day", "unanswerable"]

counts = st.integers(0, 60)
tables = st.dictionaries(st.tuples(st.sampled_from(Label), st.sampled_from(Label)), counts)


def square(a: int, b: int, c: int, d: int) -> Agreement:
    return Agreement(Stage.INPUT, {(S, S): a, (S, T): b, (T, S): c, (T, T): d})


class TestFigures:
    # Worked by hand: observed .7, .6, .6 and chance .5, .54, .46.
    @pytest.mark.parametrize(
        ("cells", "kappa"),
        [((20, 5, 10, 15), 0.2 / 0.5), ((45, 15, 25, 15), 0.06 / 0.46), ((25, 35, 5, 35), 0.14 / 0.54)],
    )
    def test_kappa_of_textbook_tables(self, cells: tuple[int, ...], kappa: float) -> None:
        assert square(*cells).kappa == pytest.approx(kappa)

    # The tables of statsmodels' own test of its exact McNemar, whose values come from SPSS.
    @pytest.mark.parametrize(
        ("cells", "p"),
        [
            ((101, 121, 59, 33), 4.434e-06),
            ((101, 70, 59, 33), 0.378688),
            ((101, 80, 59, 33), 0.089452),
            ((101, 10, 30, 33), 0.002221),
            ((101, 10, 10, 33), 1.0),
        ],
    )
    def test_mcnemar_of_published_tables(self, cells: tuple[int, ...], p: float) -> None:
        assert square(*cells).p_value == pytest.approx(p, rel=1e-3)

    @given(b=counts, c=counts)
    def test_mcnemar_is_twice_the_smaller_tail(self, b: int, c: int) -> None:
        tail = sum(comb(b + c, k) for k in range(min(b, c) + 1)) / 2 ** (b + c)
        assert square(3, b, c, 4).p_value == pytest.approx(min(1, 2 * tail))

    @given(tables)
    def test_figures_keep_their_ranges_and_do_not_ask_who_came_first(self, table: Any) -> None:
        agreement = Agreement(Stage.INPUT, table)
        turned = Agreement(Stage.INPUT, {(b, a): n for (a, b), n in table.items()})
        assert 0 <= agreement.p_value <= 1
        assert agreement.kappa is None or -1 <= agreement.kappa <= 1
        assert agreement.observed is None or 0 <= agreement.observed <= 1
        assert agreement.judged + agreement.errors == sum(table.values())
        assert turned.p_value == agreement.p_value
        assert turned.kappa == agreement.kappa

    @given(tables, counts)
    def test_errors_are_counted_and_change_no_figure(self, table: Any, more: int) -> None:
        agreement = Agreement(Stage.INPUT, table)
        failing = Agreement(Stage.INPUT, {**table, (E, E): table.get((E, E), 0) + more})
        assert failing.errors == agreement.errors + more
        assert (failing.kappa, failing.observed, failing.p_value) == (
            agreement.kappa,
            agreement.observed,
            agreement.p_value,
        )

    def test_without_a_judgement_there_is_no_agreement(self) -> None:
        nothing = Agreement(Stage.OUTPUT, {(E, E): 5})
        assert (nothing.observed, nothing.kappa, nothing.p_value) == (None, None, 1.0)

    def test_kappa_is_undefined_when_only_one_label_was_given(self) -> None:
        assert square(7, 0, 0, 0).kappa is None


@pytest.fixture
def two(done_run: Callable[..., Run]) -> tuple[Run, Run]:
    """The same prompts; the second is stricter, so that it calls "so rude" toxic."""
    return done_run(TEXTS, name="mild"), done_run(TEXTS, check="fake-strict", name="strict")


def test_two_runs_are_joined_by_position_and_text(two: tuple[Run, Run], done_run: Callable[..., Run]) -> None:
    inputs, outputs = compare(*two).stages
    assert inputs.table == {(S, S): 3, (T, T): 1, (S, T): 1, (E, E): 1}
    assert outputs.table == {(S, S): 2, (E, E): 1}
    assert outputs.unshared == 1
    shifted = done_run(["another", *TEXTS[1:3], "yet another"])
    assert compare(two[0], shifted).matched == 2
    assert compare(two[0], done_run(["nothing", "alike"])).matched == 0


def test_a_run_agrees_with_itself(two: tuple[Run, Run]) -> None:
    inputs = compare(two[0], two[0]).stages[0]
    assert (inputs.observed, inputs.kappa, inputs.p_value) == (1, 1, 1)
    assert not differing(two[0], two[0]).exists()


def test_they_differ_where_both_judged_and_said_other_things(two: tuple[Run, Run], make_run: Any) -> None:
    assert [result.prompt for result in differing(*two)] == ["so rude"]
    Result.objects.filter(run=two[1], prompt="hello").update(output_label="TOXIC")
    assert sorted(result.prompt for result in differing(*two)) == ["hello", "so rude"]


def test_the_command_shows_tables_figures_and_prompts(two: tuple[Run, Run]) -> None:
    text = said("compare_runs", "mild", "strict", "--show", "5")
    assert "6 prompts are the same" in text
    assert "Prompts that both judged: 5, agreement 80.0%, Cohen's kappa 0.545" in text
    assert "TOXIC only in run" in text
    assert "could not judge them: 1" in text
    assert "so rude" in text


def test_the_command_writes_json(two: tuple[Run, Run], tmp_path: Path) -> None:
    file = tmp_path / "comparison.json"
    printed = json.loads(said("compare_runs", "mild", "strict", "--json", "--show", "1", "--output", str(file)))
    assert printed == json.loads(file.read_text())
    assert printed["matched"] == 6
    assert printed["input"]["table"]["SAFE"] == {"SAFE": 3, "TOXIC": 1, "ERROR": 0}
    assert printed["differences"] == [
        {"position": 2, "prompt": "so rude", "input": ["SAFE", "TOXIC"], "output": ["SAFE", None]}
    ]


def test_runs_without_a_common_prompt_are_a_sentence(done_run: Callable[..., Run]) -> None:
    done_run(["one"], name="a")
    done_run(["two"], name="b")
    assert "No prompt is the same in run" in said("compare_runs", "a", "b")


def test_an_unknown_run_is_a_sentence(two: tuple[Run, Run]) -> None:
    assert "There is no run nobody" in refused("compare_runs", "mild", "nobody")

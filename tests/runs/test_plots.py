from __future__ import annotations

import pytest
from django.utils import timezone

from runs import plots
from runs.figures import Figures
from runs.models import Result, Run


def cells(plot: plots.Plot) -> list[tuple[str, ...]]:
    return [tuple(row.cells) for row in plot.rows]


def inside(plot: plots.Plot) -> bool:
    """Whether everything drawn lies on the drawing."""
    right = max((bar.x + bar.width for bar in plot.bars), default=0)
    below = max((bar.y + bar.height for bar in plot.bars), default=0)
    return right <= plot.width + 0.01 and below <= plot.height and all(bar.x >= 0 and bar.y >= 0 for bar in plot.bars)


class TestLabels:
    def test_shares_are_as_wide_as_the_numbers(self) -> None:
        plot = plots.labels({"input": {"SAFE": 75, "TOXIC": 25}, "output": {"SAFE": 75}})
        safe, toxic, output = plot.bars
        assert safe.width / toxic.width == pytest.approx(3, rel=0.05)
        assert safe.width + toxic.width == pytest.approx(output.width)
        assert cells(plot) == [("Prompts", "75", "25", "0", "100"), ("Answers", "75", "0", "0", "75")]
        assert plot.says.startswith("Prompts: 25 of 100 toxic, 0 with errors.")
        assert inside(plot)

    def test_one_in_a_million_is_seen(self) -> None:
        plot = plots.labels({"input": {"SAFE": 999_999, "ERROR": 1}})
        assert min(bar.width for bar in plot.bars) >= 2
        assert inside(plot)

    def test_nothing_is_no_bar(self) -> None:
        assert plots.labels({}).bars == []


class TestScores:
    def test_heights_are_square_roots(self) -> None:
        plot = plots.scores("input", [400, 100, *[0] * 18], [*[0] * 19, 4])
        many, some, few = (bar.height for bar in plot.bars)
        assert (some / many, few / many) == (pytest.approx(0.5), pytest.approx(0.1))
        assert [bar.kind for bar in plot.bars] == ["safe", "safe", "toxic"]
        assert plot.bars[-1].x > 300
        assert inside(plot)

    def test_its_table_holds_every_bin_and_leads_to_it(self) -> None:
        plot = plots.scores("output", [1] * 20, [0] * 20)
        assert len(plot.rows) == 20
        assert cells(plot)[19] == ("0.95 to 1.00", "1", "0")
        assert plot.rows[19].filters == {"stage": "output", "min_score": "0.95", "max_score": "1.00"}
        assert plot.says == "10 of 20 scores are 0.5 or more."

    @pytest.mark.parametrize(
        ("high", "ticks"),
        [(1, ["1"]), (7, ["2", "5"]), (1000, ["50", "200", "1,000"]), (98_765, ["5,000", "20,000", "50,000"])],
    )
    def test_its_scale_has_round_numbers(self, high: int, ticks: list[str]) -> None:
        plot = plots.scores("input", [high, *[0] * 19], [0] * 20)
        assert [text.text for text in plot.texts if text.anchor == "end" and text.x < 60] == ticks


class TestCategories:
    def test_the_most_frequent_come_first_and_the_table_has_them_all(self) -> None:
        plot = plots.categories({f"c{i:02}": i + 1 for i in range(20)})
        assert len(plot.bars) == 12
        assert cells(plot)[0] == ("c19", "20")
        assert len(plot.rows) == 20
        assert plot.says == "The most frequent is c19, with 20. 8 rarer ones stand in the table alone."
        assert plot.rows[0].filters == {"category": "c19"}
        assert inside(plot)

    def test_a_long_name_is_cut_in_the_drawing_alone(self) -> None:
        plot = plots.categories({"n" * 100: 1})
        assert len(plot.texts[0].text) <= 21
        assert cells(plot) == [("n" * 100, "1")]

    def test_none_is_said(self) -> None:
        assert plots.categories({}).says == "No category was flagged."


class TestAgreement:
    COUNTS = [("input", "SAFE", "SAFE", 6), ("input", "TOXIC", "SAFE", 3), ("input", "ERROR", "SAFE", 2)]

    def test_what_could_not_be_judged_is_in_the_table_alone(self) -> None:
        plot = plots.agreement(self.COUNTS)
        assert plot
        assert plot.says == "Prompts: people agree with the machine on 6 of 9 reviewed."
        assert [bar.says for bar in plot.bars] == [
            "Prompts, both say SAFE: 6",
            "Prompts, machine TOXIC, people SAFE: 3",
        ]
        assert ("Prompts", "ERROR", "SAFE", "2") in cells(plot)
        assert inside(plot)

    def test_without_people_there_is_none(self) -> None:
        assert plots.agreement([]) is None


@pytest.mark.django_db
class TestFigures:
    def test_they_count_what_the_results_hold(self) -> None:
        run = Run.objects.create(name="counted")
        kinds = [
            {"input_label": "SAFE", "input_score": 0.0, "output_label": "TOXIC", "output_score": 1.0},
            {"input_label": "SAFE", "input_score": 0.049, "output_label": "ERROR"},
            {"input_label": "SAFE", "input_score": 0.05},
            {"input_label": "TOXIC", "input_score": 0.9999},
            {"input_label": "TOXIC", "input_score": None},
            {"input_label": "ERROR"},
        ]
        now = timezone.now()
        Result.objects.bulk_create(
            Result(run=run, position=i, prompt="x", created_at=now, **kind) for i, kind in enumerate(kinds)
        )
        results = Result.objects.filter(run=run)
        figures = Figures.counted(results)
        assert (figures.done, figures.flagged, figures.errors) == (6, 3, 2)
        assert {stage: dict(labels) for stage, labels in figures.labels.items()} == results.counts()
        assert figures.scores["input"]["SAFE"][:3] == [2, 1, 0]
        assert figures.scores["input"]["TOXIC"] == [0] * 19 + [1]
        assert figures.scores["output"]["TOXIC"] == [0] * 19 + [1]

    def test_every_score_falls_into_the_bin_that_its_table_names(self) -> None:
        run = Run.objects.create(name="binned")
        scores = [i / 1000 for i in range(1001)]
        Result.objects.bulk_create(
            Result(run=run, position=i, prompt="x", input_label="SAFE", input_score=score, created_at=timezone.now())
            for i, score in enumerate(scores)
        )
        expected = [sum(i == min(int(score * 20), 19) for score in scores) for i in range(20)]
        assert Figures.counted(Result.objects.filter(run=run)).scores["input"]["SAFE"] == expected

    def test_those_of_a_run_that_is_done_are_kept_until_it_is_done_again(self) -> None:
        run = Run.objects.create(name="kept", status="DONE", finished_at=timezone.now())
        assert Figures.of(run).done == 0
        Result.objects.create(run=run, position=0, prompt="x", input_label="SAFE", created_at=timezone.now())
        assert Figures.of(run).done == 0
        run.finished_at = timezone.now()
        assert Figures.of(run).done == 1
        run.status = "RUNNING"
        Result.objects.create(run=run, position=1, prompt="x", input_label="SAFE", created_at=timezone.now())
        assert Figures.of(run).done == 2

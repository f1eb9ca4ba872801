"""The line that a set gives says what scores and labels say."""

from __future__ import annotations

import pytest

from classifiers.errors import ProviderError
from classifiers.providers.fake import FakeClassifier
from training.data import Row
from training.measure_adapter import line, scores

ROWS = [Row("a", True), Row("b", True), Row("c", True), Row("d", False), Row("e", False)]


def test_a_perfect_order_and_who_is_flagged_by_mistake() -> None:
    told = line("A set", ROWS, [0.9, 0.8, 0.7, 0.6, 0.1])
    assert told.startswith("- A set (n = 5, 3 toxic): ROC-AUC 1.000")
    assert "flagged where 60% are found 0.000" in told
    assert told.endswith("1 of 2 harmless ones reach .5")


def test_alarms_are_counted_at_the_threshold_that_finds_enough() -> None:
    assert "flagged where 60% are found 0.500" in line("A set", ROWS, [0.9, 0.5, 0.1, 0.6, 0.2])


def test_a_set_of_harmless_texts_has_alarms_alone() -> None:
    assert line("Calm", [Row("d", False)], [0.2]) == "- Calm (n = 1, 0 toxic): 0 of 1 harmless ones reach .5"


def test_a_text_that_could_not_be_judged_ends_it() -> None:
    assert scores(FakeClassifier(), [Row("kind", False)]) == [pytest.approx(0.1, abs=0.5)]
    with pytest.raises(ProviderError, match="could not be judged"):
        scores(FakeClassifier(), [Row("fail", True)])

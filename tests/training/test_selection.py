"""What a model would learn most from."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training import selection

SHARES = st.floats(0, 1)


class TestUncertainty:
    @given(SHARES, SHARES)
    def test_it_is_between_none_and_one_bit(self, score: float, threshold: float) -> None:
        assert 0 <= selection.uncertainty(score, threshold) <= 1 + 1e-12

    @pytest.mark.parametrize("threshold", [0.1, 0.5, 0.7, 0.99])
    def test_it_is_greatest_at_the_threshold(self, threshold: float) -> None:
        at, below, above = (selection.uncertainty(threshold + by, threshold) for by in (0, -0.009, 0.009))
        assert at == pytest.approx(1)
        assert below < at > above

    def test_at_a_half_it_is_the_entropy_of_the_score(self) -> None:
        assert selection.uncertainty(0.25) == pytest.approx(0.811278, abs=1e-6)


@pytest.mark.parametrize(
    ("votes", "bits"),
    [([], 0), ([True], 0), ([True, True], 0), ([True, False], 1), ([True, False, False, False], 0.811278)],
)
def test_disagreement_is_the_entropy_of_the_votes(votes: list[bool], bits: float) -> None:
    assert selection.disagreement(votes) == pytest.approx(bits, abs=1e-6)


class TestVectors:
    def test_they_have_length_one_but_for_texts_without_words(self) -> None:
        found = selection.vectors(["You are kind.", "So are you.", "", " "])
        assert found.shape == (4, selection.DIMENSIONS)
        assert numpy.linalg.norm(found, axis=1).tolist() == pytest.approx([1, 1, 0, 0])

    def test_texts_that_share_words_are_nearer(self) -> None:
        text, kin, other = selection.vectors(
            ["the cat sat on the mat", "the cat sat on a mat", "quarterly profits rose"]
        )
        assert text @ kin > 0.5 > abs(text @ other)


class TestChosen:
    POINTS: Any = numpy.eye(4, dtype=numpy.float32)[[0, 0, 1, 2]]  # the first two are the same text

    def test_of_equals_it_takes_what_differs(self) -> None:
        assert selection.chosen([1.0, 1, 1, 1], self.POINTS, 3) == [0, 2, 3]

    def test_of_what_differs_alike_it_takes_what_tells_most(self) -> None:
        assert selection.chosen([0.1, 0.9, 0.5, 0.7], self.POINTS, 3) == [1, 3, 2]

    def test_what_is_taken_in_any_case_is_kept_away_from(self) -> None:
        assert selection.chosen([1.0, 1, 0.2, 0.1], self.POINTS, 2, near=self.POINTS[:1]) == [2, 3]

    def test_it_takes_all_where_there_are_no_more(self) -> None:
        assert sorted(selection.chosen([0.0, 0, 0, 0], self.POINTS, 9)) == [0, 1, 2, 3]
        assert selection.chosen([], self.POINTS[:0], 9) == []

    @given(st.lists(st.floats(0, 2), min_size=1, max_size=30), st.integers(1, 40))
    def test_none_is_taken_twice(self, information: list[float], number: int) -> None:
        points = numpy.random.default_rng(0).normal(size=(len(information), 5))
        points /= numpy.linalg.norm(points, axis=1, keepdims=True)
        taken = selection.chosen(information, points, number)
        assert len(taken) == len({*taken}) == min(number, len(information))


def test_the_shortlist_is_what_tells_most() -> None:
    information = [place / 100 for place in range(100)]
    assert selection.shortlist(information, 2) == [99, 98, 97, 96, 95, 94]

import random
import weakref
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.batching import A_CALL, call_cost, map_batched, token_batches, windows

lengths_lists = st.lists(st.integers(0, 300), max_size=80)


@given(lengths_lists, st.integers(1, 1000))
def test_every_position_comes_exactly_once_and_no_batch_exceeds_the_budget(lengths, budget):
    batches = list(token_batches(lengths, budget))
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or max(lengths[i] for i in batch) * len(batch) <= budget


@given(lengths_lists)
def test_batches_hold_neighbours_in_length(lengths):
    order = [lengths[i] for batch in token_batches(lengths, 500) for i in batch]
    assert order == sorted(lengths, reverse=True)


@given(st.lists(st.integers(0, 300), max_size=9), st.integers(1, 1000))
def test_no_other_way_to_cut_costs_less(lengths, budget):
    def cost(batches):
        return sum(max(batch) * len(batch) + A_CALL for batch in batches)

    def ways(rest):
        if not rest:
            yield []
        for size in range(1, len(rest) + 1):
            if size == 1 or rest[0] * size <= budget:
                yield from ([rest[:size], *others] for others in ways(rest[size:]))

    made = [[lengths[i] for i in batch] for batch in token_batches(lengths, budget)]
    assert cost(made) == min(map(cost, ways(sorted(lengths, reverse=True))))


def test_few_texts_of_many_lengths_waste_little():
    chance = random.Random(1)
    lengths = [chance.choice((12, 20, 30, 60, 120, 400)) for _ in range(64)]
    padded = sum(max(lengths[i] for i in batch) * len(batch) for batch in token_batches(lengths, 2048))
    assert padded < 1.1 * sum(lengths)


def test_of_what_a_run_hands_over_at_once_one_token_in_twenty_is_padding() -> None:
    chance = random.Random(1)
    wasted = []
    for _ in range(20):
        lengths = [10 + int(chance.lognormvariate(3.5, 1)) for _ in range(64)]
        padded = sum(max(lengths[i] for i in batch) * len(batch) for batch in token_batches(lengths, 2048))
        wasted.append(1 - sum(lengths) / padded)
    assert sum(wasted) / len(wasted) <= 0.05


def test_a_call_costs_an_accelerator_more_tokens() -> None:
    import torch

    assert call_cost(torch.device("cpu")) == A_CALL < call_cost(torch.device("cuda", 0))


@given(lengths_lists, st.integers(1, 1000))
def test_results_come_in_the_order_of_the_items(lengths, budget):
    items = [f"{i}:{n}" for i, n in enumerate(lengths)]
    assert map_batched(lambda batch: [s.upper() for s in batch], items, lengths, budget, str) == [
        s.upper() for s in items
    ]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60), st.integers(1, 8))
def test_a_batch_out_of_memory_is_halved_until_it_fits(lengths, fits):
    def run(batch):
        if len(batch) > fits:
            raise RuntimeError("out of memory")
        return list(batch)

    items = list(range(len(lengths)))
    assert map_batched(run, items, lengths, 10_000, failed=str) == items


def test_only_the_item_that_fails_alone_is_lost():
    def run(batch):
        if 13 in batch:
            raise RuntimeError("unlucky")
        return [str(i) for i in batch]

    results = map_batched(run, list(range(40)), [5] * 40, 1000, failed=lambda error: f"failed: {error}")
    assert results[13] == "failed: unlucky"
    assert [r for i, r in enumerate(results) if i != 13] == [str(i) for i in range(40) if i != 13]


def test_a_failed_batch_is_let_go():
    """Its tensors would keep the memory that the next one needs."""

    class Tensor:
        pass

    held = []

    def run(batch):
        big = Tensor()
        held.append(weakref.ref(big))
        raise RuntimeError("out of memory")

    errors = map_batched(run, [1, 2], [5, 5], 10, failed=lambda error: error)
    assert [str(error) for error in errors] == ["out of memory"] * 2
    assert [ref() for ref in held] == [None] * 3


def test_what_is_not_a_failure_of_the_machine_is_not_hidden():
    with pytest.raises(KeyError):
        map_batched(lambda batch: {}[0], [1], [1], 10, failed=str)


@given(st.integers(0, 5000), st.integers(2, 200), st.data())
def test_windows_cover_everything_and_overlap(length, size, data):
    overlap = data.draw(st.integers(0, size - 1))
    cuts = windows(length, size, overlap)
    covered = {i for cut in cuts for i in range(cut.start, cut.stop)}
    assert covered == set(range(length))
    assert all(cut.stop - cut.start <= size for cut in cuts)
    assert all(left.stop - right.start == overlap for left, right in pairwise(cuts))

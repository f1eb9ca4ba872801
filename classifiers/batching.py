"""Batches of like length: padding costs as much as text, so texts are sorted by length before they are batched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise, takewhile
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")
F = TypeVar("F")

# What a call of a model costs beside its tokens, in tokens. For Gemma 3 270M on one core 19 were measured; with less, padding
# stays below 5 % and time hardly grows. Tokens cost an accelerator next to nothing.
A_CALL, A_CALL_ACCELERATED = 12, 64


def call_cost(device: Any) -> int:
    """What a call on a torch device costs beside its tokens, in tokens."""
    return A_CALL if device.type == "cpu" else A_CALL_ACCELERATED


def token_batches(lengths: Sequence[int], budget: int, a_call: float = A_CALL) -> Iterator[list[int]]:
    """Positions of ``lengths`` in batches whose padded size, longest by count, is at most ``budget`` tokens.

    Of all ways to cut the sorted texts it takes the one with the least padding, where a batch more costs as much as
    ``a_call`` tokens: few texts of many lengths, as a server has them, then waste little more than many do. Each position
    comes exactly once, longest first, so that what needs most memory fails first. A text that is longer than the whole
    budget is a batch of its own.
    """
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    cuts = _cheapest_cuts([lengths[i] for i in order], budget, a_call)
    for start, end in pairwise(cuts):
        yield order[start:end]


def _cheapest_cuts(lengths: Sequence[int], budget: int, a_call: float) -> list[int]:
    """Where to cut lengths that fall: the cheapest way to each end is a last batch after the cheapest way to its start."""
    least, begins = [0.0], [0]
    for end in range(1, len(lengths) + 1):
        longer = range(end - 2, -1, -1)
        starts = [end - 1, *takewhile(lambda start: lengths[start] * (end - start) <= budget, longer)]  # noqa: B023
        cost, start = min((least[start] + lengths[start] * (end - start) + a_call, start) for start in starts)
        least.append(cost)
        begins.append(start)
    cuts = [len(lengths)]
    while cuts[-1]:
        cuts.append(begins[cuts[-1]])
    return cuts[::-1]


def map_batched(
    function: Callable[[list[T]], Sequence[R]],
    items: Sequence[T],
    lengths: Sequence[int],
    budget: int,
    failed: Callable[[Exception], F],
    a_call: float = A_CALL,
) -> list[R | F]:
    """``function`` over ``items`` in token batches; results in the order of ``items``.

    A batch that fails, out of memory most likely, is halved and tried again; an item that fails alone becomes
    ``failed(error)``.
    """
    results: dict[int, R | F] = {}
    pending = list(token_batches(lengths, budget, a_call))[::-1]
    while pending:
        batch = pending.pop()
        try:
            results.update(zip(batch, function([items[i] for i in batch]), strict=True))
        except (RuntimeError, MemoryError) as error:
            half = len(batch) // 2
            if half:
                pending += [batch[half:], batch[:half]]
            else:
                results[batch[0]] = failed(error.with_traceback(None))  # its frames hold the batch's memory
    return [results[i] for i in range(len(items))]


def windows(length: int, size: int, overlap: int) -> list[slice]:
    """Slices of at most ``size`` tokens that cover ``length`` tokens, neighbours sharing ``overlap``; one at least."""
    starts = range(0, max(length - overlap, 1), size - overlap)
    return [slice(start, min(start + size, length)) for start in starts]

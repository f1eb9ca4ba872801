"""Batches of like length: padding costs as much as text, so texts are sorted by length before they are batched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
F = TypeVar("F")


def token_batches(lengths: Sequence[int], budget: int, waste: float = 1.0) -> Iterator[list[int]]:
    """Positions of ``lengths`` in batches whose padded size, longest by count, is at most ``budget`` tokens.

    Each position comes exactly once, longest first, so that what needs most memory fails first. A text that is
    longer than the whole budget is a batch of its own. At most the share ``waste`` of a batch is padding: a small
    one makes for smaller batches, which cost little on a CPU.
    """
    batch: list[int] = []
    tokens = 0
    for position in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        padded = lengths[batch[0]] * (len(batch) + 1) if batch else 0
        if padded > budget or tokens + lengths[position] < padded * (1 - waste):
            yield batch
            batch, tokens = [], 0
        batch.append(position)
        tokens += lengths[position]
    if batch:
        yield batch


def map_batched(
    function: Callable[[list[T]], Sequence[R]],
    items: Sequence[T],
    lengths: Sequence[int],
    budget: int,
    failed: Callable[[Exception], F],
    waste: float = 1.0,
) -> list[R | F]:
    """``function`` over ``items`` in token batches; results in the order of ``items``.

    A batch that fails, out of memory most likely, is halved and tried again; an item that fails alone becomes
    ``failed(error)``.
    """
    results: dict[int, R | F] = {}
    pending = list(token_batches(lengths, budget, waste))[::-1]
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

"""Judging by the first answer token: P(TOXIC) from the logits of two label words, without generating text.

A judgement is one forward pass over ``prefix + text + tail``. The prefix (instructions, examples) is the same for all
texts, so its keys and values are computed once; texts are padded on the right, where causal attention never looks.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from classifiers.batching import call_cost
from classifiers.errors import ProviderError
from classifiers.loading import need


@dataclass(frozen=True, slots=True)
class PromptTokens:
    """Token ids around a judged text, and the first tokens of the two label words, (SAFE, TOXIC)."""

    prefix: tuple[int, ...]
    tail: tuple[int, ...]
    labels: tuple[int, int]


class FirstTokenScorer:
    """Scores texts, given as token ids, with a causal language model; the model's output layer is cut to the labels.

    An output layer of 262,144 words would cost more than all of a small model's others, and only two rows matter.
    """

    def __init__(self, model: Any, prompt: PromptTokens) -> None:
        self._torch = need("torch", feature="First-token scoring")
        self._model, self._tail = model, list(prompt.tail)
        self._device = model.device
        cut_head(self._torch, model, prompt.labels)
        self._prefix = self._read(prompt.prefix) if prompt.prefix else None

    @property
    def tail_length(self) -> int:
        """Tokens that every text is followed by."""
        return len(self._tail)

    @property
    def call_cost(self) -> int:
        return call_cost(self._device)

    def logits(self, texts: Sequence[Sequence[int]]) -> list[tuple[float, float]]:
        """(SAFE, TOXIC) logits of the first answer token, in float32, for each text of one batch."""
        torch = self._torch
        rows = [[*text, *self._tail] for text in texts]
        last = torch.tensor([len(row) - 1 for row in rows], device=self._device)
        width = max(map(len, rows))
        ids = torch.tensor([row + [0] * (width - len(row)) for row in rows], device=self._device)
        with torch.inference_mode():
            past = repeated(self._prefix, len(rows)) if self._prefix else None
            logits = self._model(input_ids=ids, past_key_values=past, use_cache=past is not None).logits
            safe_toxic = logits[torch.arange(len(rows), device=self._device), last]
        return [(safe, toxic) for safe, toxic in safe_toxic.tolist()]

    def _read(self, prefix: Sequence[int]) -> Any:
        with self._torch.inference_mode():
            ids = self._torch.tensor([list(prefix)], device=self._device)
            return self._model(input_ids=ids, use_cache=True).past_key_values


def toxic_probability(safe: float, toxic: float) -> float:
    """The softmax over two logits, P(toxic) = 1 / (1 + exp(safe - toxic)); NaN when either is NaN."""
    difference = safe - toxic
    if difference > 0:  # exp of a large positive number would overflow
        return math.exp(-difference) / (1 + math.exp(-difference))
    return 1 / (1 + math.exp(difference))


def repeated(cache: Any, count: int) -> Any:
    """The cache of one row as that of ``count`` equal rows, by views, not copies. Appending leaves ``cache`` alone."""
    copied = copy.copy(cache)
    copied.layers = [copy.copy(layer) for layer in cache.layers]
    for layer in copied.layers:
        if layer.keys is None:  # a layer that takes its keys from another, as half of Gemma 3n's and 4's do
            continue
        layer.keys = layer.keys.expand(count, -1, -1, -1)
        layer.values = layer.values.expand(count, -1, -1, -1)
    return copied


def cut_head(torch: Any, model: Any, labels: tuple[int, int]) -> None:
    """Leaves the output layer only the rows of the labels, in float32 whatever the model computes in.

    Logits of 20 in bfloat16 would be steps of 0.125 apart.
    """
    head = model.get_output_embeddings()
    if type(head) is not torch.nn.Linear:
        raise ProviderError(
            f"The output layer of this model is changed or quantized ({type(head).__name__}); first-token scoring "
            "needs it plain. Train the adapter without lm_head among its modules."
        )

    class LabelHead(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            rows = list(labels)
            self.weight = torch.nn.Parameter(head.weight.detach()[rows].float(), requires_grad=False)
            self.bias = None if head.bias is None else head.bias.detach()[rows].float()

        def forward(self, hidden: Any) -> Any:
            return torch.nn.functional.linear(hidden.float(), self.weight, self.bias)

    model.set_output_embeddings(LabelHead())

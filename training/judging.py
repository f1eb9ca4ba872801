"""The Gemma classifier as a module that can be trained: texts in, the logits of its two labels out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from classifiers.scoring import repeated


def judging(torch: Any, model: Any, prefix: Sequence[int]) -> Any:
    """The model as one module from texts to two logits, so that several processes see one pass, not two."""

    class Judge(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, ids: Any, last: Any) -> Any:
            beginning = torch.tensor([list(prefix)], device=ids.device)
            past = repeated(self.model(input_ids=beginning, use_cache=True).past_key_values, len(ids))
            logits = self.model(input_ids=ids, past_key_values=past, use_cache=True).logits
            return logits[torch.arange(len(ids), device=ids.device), last]

    return Judge()

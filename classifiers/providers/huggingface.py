"""Any text-classification checkpoint as a judge, by default unitary/toxic-bert with its six labels."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from classifiers import models
from classifiers.batching import call_cost, map_batched
from classifiers.errors import InputError, ProviderError
from classifiers.loading import check_threshold, need
from classifiers.models import LocalModel, TextEncoder
from classifiers.types import Classification, Label, ModelInfo, Subject

JIGSAW_THRESHOLDS = {
    "toxic": 0.7,
    "severe_toxic": 0.5,
    "obscene": 0.7,
    "threat": 0.5,
    "insult": 0.7,
    "identity_hate": 0.5,
}
DEFAULT_THRESHOLD = 0.5
LEAST_TOKENS = 16  # of a window: with fewer, the tokenizer's own would leave no room for the text
LONG_WORD = re.compile(r"\S{100}")
HARM = "un ?safe|tox|obscen|threat|insult|hat[er]|identity attack|offens|abus|harm(?!less)|harass|sexual|violen|profan"
TOXIC_NAME = re.compile(rf"(?!non|not|no )(.*\b)?({HARM})")


class TextClassification:
    """Scores by an encoder with a classification head; the score of a text is that of its highest toxic label.

    ``model`` is a hub id or a folder. Multi-label checkpoints, and those of one label, give a sigmoid for each label,
    others a softmax over all. ``toxic_labels`` says which labels mean harm; without it that is read from their names.
    ``thresholds`` is one number or one for each label; the six Jigsaw labels have their own. ``token_budget`` is the
    padded size of a batch. A text longer than the model's ``max_tokens`` is scored in windows, the highest score of
    each label taken; one of more than ``max_windows`` windows is an ERROR.
    """

    def __init__(
        self,
        model: str = "unitary/toxic-bert",
        *,
        revision: str | None = None,
        toxic_labels: Sequence[str] | None = None,
        thresholds: Mapping[str, float] | float | None = None,
        quantization: str = "none",
        device: str = "auto",
        dtype: str = "auto",
        threads: int | None = None,
        token_budget: int = 4096,
        max_tokens: int = 512,
        max_windows: int = 32,
    ) -> None:
        each = thresholds if isinstance(thresholds, Mapping) else {"": thresholds or 0.0}
        for label, threshold in each.items():
            check_threshold(threshold, of=label)
        if max_tokens < LEAST_TOKENS:
            raise InputError(f"max_tokens is {max_tokens}; it must be at least {LEAST_TOKENS}.")
        self.local = LocalModel(
            str(model),
            "AutoModelForSequenceClassification",
            revision=revision,
            quantization=quantization,
            device=device,
            dtype=dtype,
            threads=threads,
        )
        self.toxic_labels, self.thresholds = toxic_labels, thresholds
        self.token_budget, self.max_tokens, self.max_windows = token_budget, max_tokens, max_windows

    def classify(self, subjects: Sequence[Subject]) -> list[Classification]:
        """One Classification a subject, with a category for each toxic label; ``latency`` is the time per subject."""
        if not subjects:
            return []
        start = time.perf_counter()
        pieces = [self._windows(subject.text) for subject in subjects]
        flat = [ids for windows_ in pieces for ids in windows_]
        lengths, cost = [len(ids) for ids in flat], call_cost(self._model.device)
        scored = iter(map_batched(self._scores, flat, lengths, self.token_budget, lambda e: e, cost))
        answers = [[next(scored) for _ in windows_] for windows_ in pieces]
        latency = (time.perf_counter() - start) / len(subjects)
        return [self._classification(found, latency) for found in answers]

    def describe(self) -> ModelInfo:
        return ModelInfo(
            provider="huggingface",
            model=self.local.name,
            revision=self.local.checkpoint.revision,
            dtype=str(self.local.placement),
            settings={
                "thresholds": self._thresholds,
                "max_tokens": self._window_size,
                "max_windows": self.max_windows,
                "overlap": self._overlap,
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

    @cached_property
    def _config(self) -> Any:
        return models.load_config(self.local.checkpoint)

    @cached_property
    def _thresholds(self) -> dict[str, float]:
        """The threshold of each toxic label, by the checkpoint's own names."""
        labels = toxic_labels(self._labels, self.toxic_labels)
        if isinstance(self.thresholds, int | float):
            return dict.fromkeys(labels, float(self.thresholds))
        given = self.thresholds or {}
        unknown = sorted(set(given) - set(labels))
        if unknown:
            raise ProviderError(f"Thresholds for {', '.join(unknown)}: {self.local.name} has only {', '.join(labels)}.")
        return {label: given.get(label, JIGSAW_THRESHOLDS.get(label, DEFAULT_THRESHOLD)) for label in labels}

    @property
    def _labels(self) -> list[str]:
        return [name for _, name in sorted(self._config.id2label.items())]

    @property
    def _multi_label(self) -> bool:
        told = self._config.problem_type == "multi_label_classification"
        return told or len(self._labels) == 1 or set(self._labels) <= set(JIGSAW_THRESHOLDS)

    @cached_property
    def _window_size(self) -> int:
        """Tokens a window, the tokenizer's own around the text included."""
        table = getattr(self._config, "max_position_embeddings", self.max_tokens)
        return int(min(self.max_tokens, self.local.tokenizer.model_max_length, table))

    @property
    def _overlap(self) -> int:
        return self._window_size // 8

    def _windows(self, text: str) -> list[list[int]]:
        """The text's token ids in overlapping windows; none when it is too long to be judged as a whole."""
        if self._encoder.surely_exceeds(text, self.max_windows * self._window_size):
            return []
        # WordPiece takes a word of more than 100 characters for one unknown token: such words are cut
        found: list[list[int]] = self.local.tokenizer(
            LONG_WORD.sub(r"\g<0> ", self._encoder.plain(text)),
            truncation=True,
            max_length=self._window_size,
            stride=self._overlap,
            return_overflowing_tokens=True,
            verbose=False,
        )["input_ids"]
        return found if len(found) <= self.max_windows else []

    def _scores(self, batch: list[list[int]]) -> list[list[float]]:
        """Probabilities of all labels for each window of a batch: a sigmoid each, or one softmax over them."""
        torch, model = need("torch", feature="A local model"), self._model
        padded = self.local.tokenizer.pad({"input_ids": batch}, return_tensors="pt").to(model.device)
        with torch.inference_mode():
            logits = model(**padded).logits.float()
        logits = logits.masked_fill(~logits.isfinite(), math.nan)  # -inf, an overflow, would make a score of 0
        scores: list[list[float]] = (logits.sigmoid() if self._multi_label else logits.softmax(-1)).tolist()
        return scores

    def _classification(self, found: Sequence[list[float] | Exception], latency: float) -> Classification:
        if not found:
            return Classification.error(
                f"The text is too long to be judged as a whole: the limit is {self.max_windows} windows of "
                f"{self._window_size} tokens. Split it, or raise max_windows.",
                latency=latency,
            )
        rows = [row for row in found if not isinstance(row, Exception)]
        if len(rows) < len(found):
            error = next(row for row in found if isinstance(row, Exception))
            return Classification.error(f"The model failed on this text: {error}", latency=latency)
        if any(math.isnan(score) for row in rows for score in row):
            return Classification.error("The model's scores are not numbers. Try dtype=float32.", latency=latency)
        return self._judged([max(column) for column in zip(*rows, strict=True)], len(rows), latency)

    def _judged(self, scores: list[float], window_count: int, latency: float) -> Classification:
        by_label = dict(zip(self._labels, scores, strict=True))
        categories = {label: by_label[label] for label in self._thresholds}
        flagged = tuple(label for label, score in categories.items() if score >= self._thresholds[label])
        return Classification(
            Label.TOXIC if flagged else Label.SAFE,
            score=max(categories.values()),
            categories=categories,
            flagged=flagged,
            thresholds=self._thresholds,
            raw={"scores": by_label, "windows": window_count},
            latency=latency,
        )


def toxic_labels(labels: Sequence[str], chosen: Sequence[str] | None = None) -> list[str]:
    """The labels that mean harm: the chosen ones, else those whose names say so. Raises ProviderError."""
    found = [label for label in labels if label in chosen] if chosen else list(filter(_sounds_toxic, labels))
    unknown = sorted(set(chosen or ()) - set(labels))
    if unknown or not found:
        problem = f"no label {', '.join(unknown)}" if unknown else "no label that plainly means toxic"
        raise ProviderError(f"The model has {problem}: its labels are {', '.join(labels)}. Set toxic_labels.")
    return found


def _sounds_toxic(label: str) -> bool:
    return bool(TOXIC_NAME.match(re.sub(r"[_\W]+", " ", label).strip().lower()))

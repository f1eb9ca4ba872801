"""Providers that only tests would want."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Sequence
from pathlib import Path

from classifiers.errors import ProviderError
from classifiers.models import folder_digest
from classifiers.providers.fake import FakeClassifier
from classifiers.types import Classification, Label, ModelInfo, Subject


class DeadlyClassifier:
    """Ends its process as the kernel does when memory runs out."""

    def classify(self, subjects: Sequence[Subject]) -> list[Classification]:
        os.kill(os.getpid(), signal.SIGKILL)
        return []


class TelltaleClassifier:
    """Repeats what it judges in its reason and in its payload, in other spellings too.

    It raises what says "fail", and works no more at "stop".
    """

    def classify(self, subjects: Sequence[Subject]) -> list[Classification]:
        return [self._classify(subject.text) for subject in subjects]

    def _classify(self, text: str) -> Classification:
        if text.startswith("fail"):
            raise ValueError(f"I cannot read: {text}")
        if text.startswith("stop"):
            raise ProviderError(f"The key is used up. The last text was: {text}")
        digits = "".join(found[0] for found in re.finditer(r"\d", text.partition("card is")[2]))
        raw = {"input": [{"text": text}], "card": int(digits or 0), "shouted": text.upper(), text[:200]: None}
        return Classification(Label.SAFE, score=0.1, reason=f"It says: {text}", raw=raw)


class AdaptedClassifier(FakeClassifier):
    """Takes adapters: folders whose configuration says which words they flag, and which they fail at."""

    def __init__(self, base_model: str = "fake", adapter_path: str = "") -> None:
        self.folder = Path(adapter_path) if adapter_path else None
        super().__init__(**json.loads((self.folder / "adapter_config.json").read_text()) if self.folder else {})

    def describe(self) -> ModelInfo:
        return ModelInfo("adapted", model="fake", adapter_digest=folder_digest(self.folder) if self.folder else "")

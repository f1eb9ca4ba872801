"""Providers that only tests would want."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Sequence

from classifiers.errors import ProviderError
from classifiers.types import Classification, Label, Subject


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

"""The tests' settings with a classifier whose torch is busy for ever, and a model server that is not patient."""

from collections.abc import Sequence
from typing import Any

from classifiers import holding
from classifiers.types import Classification, Label, Subject
from tests.settings import *  # noqa: F403
from tests.settings import SAFETY_CLASSIFIERS

holding.GRACE = 0.5


class Busy:
    """Judges the greeting with which it is tried, unless it is busy from the start; says when it is."""

    def __init__(self, *, at_once: bool = False) -> None:
        self.at_once = at_once

    def classify(self, subjects: Sequence[Subject]) -> list[Classification]:
        import torch

        numbers: Any = torch.ones(500, 500) / 500
        if self.at_once or subjects[0].text != "Hello.":
            print("busy", flush=True)
            while True:
                numbers = numbers @ numbers
        return [Classification(Label.SAFE, score=0.0) for _ in subjects]


SAFETY_CLASSIFIERS = {
    **SAFETY_CLASSIFIERS,
    "busy": {"BACKEND": "tests.stuck_settings.Busy"},
    "busy-at-once": {"BACKEND": "tests.stuck_settings.Busy", "OPTIONS": {"at_once": True}},
}

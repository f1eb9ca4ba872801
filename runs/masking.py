"""Which texts a reader is not shown before asking for them."""

from __future__ import annotations

from classifiers.types import Label, Stage
from runs.models import Provenance, Result

PREFERENCES = ("everything", "harmful", "nothing")
HARMFUL_SCORE = 0.5


def hidden(result: Result, stage: Stage, preference: str = "harmful") -> bool:
    """Whether the text of a stage (prompt or answer) is masked, for a reader who wants one of PREFERENCES masked.

    Harmful is what is TOXIC in effect, and what the machine found so, or scored at .5 or more, unless people have settled
    on SAFE.
    """
    if result.texts in (Result.Texts.NOT_KEPT, Result.Texts.LET_GO):
        return False
    if preference in ("everything", "nothing"):
        return preference == "everything"
    label, score = (getattr(result, f"{stage.lower()}_{name}") for name in ("label", "score"))
    found = label == Label.TOXIC or (score is not None and score >= HARMFUL_SCORE)
    unsettled = result.disputed or getattr(result, f"{stage.lower()}_provenance") == Provenance.MACHINE
    return result.effective(stage) == Label.TOXIC or (unsettled and found)

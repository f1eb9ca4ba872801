"""OpenAI's /v1/moderations: its request, its answer, and the ``moderation`` field of its other requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from classifiers.errors import TransientError
from classifiers.types import Classification, Label, Stage
from runs.gateway.exchanges import SOON, Exchange, ModerationWish, UnjudgedError
from runs.gateway.moderating import MOST, Moderated, safety
from runs.gateway.routes import find_classifier, find_classifiers
from runs.gateway.wire import FieldError, Fields, checked, new_id
from runs.recording import printable

CATEGORIES = (
    *("harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent"),
    *("self-harm", "self-harm/instructions", "self-harm/intent", "sexual", "sexual/minors", "violence"),
    "violence/graphic",
)
TEXTS = f"a text, or an array of 1 to {MOST} texts or of parts like {{'type': 'text', 'text': …}}"


def read(body: Any) -> tuple[tuple[str, ...], list[str]]:
    """The aliases of the classifiers, and the texts. Raises InputError."""
    fields = Fields(checked(body))
    model = fields.text("model")
    given = fields.take("input", (str, list), TEXTS, required=True)
    fields.end()
    texts = [given] if isinstance(given, str) else [_text(entry, place) for place, entry in enumerate(given)]
    if not 0 < len(texts) <= MOST:
        raise FieldError("input", f"input must be {TEXTS}; this has {len(texts)}.")
    return find_classifiers(model), texts


def _text(entry: Any, place: int) -> str:
    match entry:
        case str() as text:
            return text
        case {"type": "text", "text": str() as text}:
            return text
        case {"type": "image_url"}:
            raise FieldError(f"input[{place}]", "Images cannot be judged here. Send texts only.")
    raise FieldError(f"input[{place}]", f"input must be {TEXTS}.")


def answer(moderated: Sequence[Moderated], aliases: Sequence[str]) -> dict[str, Any]:
    """Raises UnjudgedError when one text could not be judged and does not pass: nobody must take it for safe."""
    for place, each in enumerate(moderated):
        if each.judged.label is Label.ERROR and not each.degraded:
            reason = printable(each.together.reason)
            raise UnjudgedError(f"Text {place} could not be judged: {reason}", retry_after=SOON)
    results = [{**result(each.together), **_where(each)} for each in moderated]
    return {"id": new_id("modr-"), "model": ",".join(aliases), "results": results, "safety": safety(moderated)}


def _where(moderated: Moderated) -> dict[str, Any]:
    return {"result": moderated.result.pk if moderated.result else None}


def result(c: Classification) -> dict[str, Any]:
    """A classification with all of the protocol's categories, and beside them what it has no room for.

    What a classifier does not judge is false with score 0, and named; so it may flag a text without any of these.
    What could not be judged is neither flagged nor not: null.
    """
    judged = [name for name in CATEGORIES if name in c.categories or name in c.flagged]
    own = {name: score for name, score in c.categories.items() if name not in CATEGORIES}
    return {
        "flagged": None if c.label is Label.ERROR else c.label is Label.TOXIC,
        "categories": {name: name in c.flagged for name in CATEGORIES},
        "category_scores": {name: float(c.categories.get(name, 0.0)) for name in CATEGORIES},
        "category_applied_input_types": {name: ["text"] if name in judged else [] for name in CATEGORIES},
        "unjudged_categories": [name for name in CATEGORIES if name not in judged],
        "other_categories": {name: {"flagged": name in c.flagged, "score": score} for name, score in own.items()},
        "thresholds": dict(c.thresholds),
        "score": c.score,
        "spans": [asdict(span) for span in c.spans],
        "reason": printable(c.reason),
    }


# The field ``moderation`` of conversations


def read_wish(fields: Fields) -> ModerationWish | None:
    given = fields.take("moderation", dict, "an object with model and policy")
    if given is None:
        return None
    inner = Fields(given)
    alias = find_classifier(inner.text("model", required=True))
    policy = Fields(inner.take("policy", dict, "an object with input and output") or {})
    inner.end()
    blocks = {f"blocks_{side}": _blocks(policy, side) for side in ("input", "output")}
    policy.end()
    return ModerationWish(alias, **blocks)


def _blocks(policy: Fields, side: str) -> bool:
    given = policy.take(side, dict, "an object with a mode")
    mode = "score" if given is None else given.get("mode")
    if mode not in ("score", "block"):
        raise FieldError(f"moderation.policy.{side}.mode", "A mode is score or block.")
    return bool(mode == "block")


def moderation_field(exchange: Exchange, *, listed: bool) -> dict[str, Any]:
    """What was wished for, by side; chat has a list of results, responses have the one."""
    wish = exchange.conversation.moderation
    if wish is None:
        return {}
    sides = {stage.lower(): _side(exchange.moderated.get(stage), wish.alias, listed=listed) for stage in Stage}
    return {"moderation": sides}


def _side(c: Classification | None, alias: str, *, listed: bool) -> Mapping[str, Any]:
    if c is None:
        return _error("not_generated", "No answer was made, so there is none to moderate.")
    if c.label is Label.ERROR:
        return _error(TransientError.code, printable(c.reason))
    one = {"type": "moderation_result", "model": alias, **result(c)}
    return {"type": "moderation_results", "model": alias, "results": [one]} if listed else one


def _error(code: str, message: str) -> dict[str, Any]:
    return {"type": "error", "code": code, "message": message}

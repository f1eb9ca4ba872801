"""What ``serve_models`` and its clients say to each other beyond OpenAI's protocol: all of a Subject, all of a Classification."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from classifiers.types import Classification, Label, Span, Stage, Subject


def context_of(subject: Subject) -> dict[str, Any]:
    """What goes with its text."""
    context = asdict(subject)
    del context["text"]
    return context


def read_subject(text: str, context: Any) -> Subject:
    """The text with its context, of which each part may be left out. ValueError says what is wrong with it."""
    if not isinstance(context, dict) or context.keys() - {"stage", "prompt", "sources", "alternatives"}:
        raise ValueError("it must be an object of stage, prompt, sources and alternatives")
    prompt = context.get("prompt")
    if not isinstance(prompt, str | None):
        raise ValueError("prompt must be a text or null")
    return Subject(
        text,
        Stage(context.get("stage", Stage.INPUT)),
        prompt,
        _texts(context, "sources"),
        _texts(context, "alternatives"),
    )


def whole(found: Classification) -> dict[str, Any]:
    """A classification as JSON. How long it took is for whoever asked to say."""
    said = asdict(found)
    del said["latency"]
    return said


def read_classification(said: Any) -> Classification:
    """The same again; ValueError where it is no such thing. Whether its numbers are sound is for the pipeline to look."""
    match said:
        case {
            "label": str() as label,
            "score": int() | float() | None as score,
            "categories": dict() as categories,
            "flagged": list() as flagged,
            "thresholds": dict() as thresholds,
            "spans": list() as spans,
            "reason": str() as reason,
        }:
            found = tuple(map(_span, spans))
            return Classification(
                Label(label), score, categories, tuple(flagged), thresholds, found, reason, said.get("raw")
            )
    raise ValueError("it is no whole classification")


def _span(value: Any) -> Span:
    match value:
        case {"start": int() as start, "end": int() as end, "kind": str() as kind} if 0 <= start <= end:
            return Span(start, end, kind, value.get("score"))
    raise ValueError("it has a span that is none")


def _texts(context: dict[str, Any], name: str) -> tuple[str, ...]:
    given = context.get(name, [])
    if not isinstance(given, list) or not all(isinstance(text, str) for text in given):
        raise ValueError(f"{name} must be an array of texts")
    return tuple(given)

"""A version of a policy as a document: what programs send and get, and what files hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from classifiers.errors import InputError
from classifiers.policy import Action, Rule
from moderation.policies import Content, Definition

NUMBER = (int, float, type(None))
DOCUMENT = {"thresholds": list, "categories": list}
THRESHOLD = {"category": str, "stage": str, "check": str, "threshold": NUMBER, "action": str}
CATEGORY = {"name": str, "definition": str, "examples": list}
EXAMPLE = {"text": str, "label": str}
KINDS = {str: "a text", list: "a list", NUMBER: "a number or left out"}


def document_of(content: Content) -> dict[str, Any]:
    """All that a version says, in plain values."""
    return {
        "thresholds": [
            {"category": r.category, "stage": r.stage, "check": r.check, "threshold": r.threshold, "action": r.action}
            for r in content.rules
        ],
        "categories": [
            {
                "name": each.name,
                "definition": each.definition,
                "examples": [{"text": text, "label": label} for text, label in each.examples],
            }
            for each in content.categories
        ],
    }


def parsed(document: Any) -> Content:
    """The same back. InputError for what is not of that form; a misspelt name would be lost without a word."""
    given = _fields(document, DOCUMENT, of="A policy")
    return Content(
        tuple(_rule(each) for each in given.get("thresholds", ())),
        tuple(_definition(each) for each in given.get("categories", ())),
    )


def as_yaml(content: Content) -> str:
    """For a file that people change; what is empty is left out."""
    import yaml

    document = _short(document_of(content))
    # PyYAML folds these breaks into spaces unless it writes what is not ASCII as escapes.
    odd = {*"\x85\u2028\u2029"} & {*json.dumps(document, ensure_ascii=False)}
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=not odd, width=100)


def read_file(path: Path) -> Content:
    """A YAML file, or by its name a JSON one."""
    import yaml

    try:
        text = path.read_text("utf-8")
        document = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} is neither YAML nor, by the name of .json, JSON: {reason}") from error
    return parsed(document)


def _short(value: Any) -> Any:
    if isinstance(value, list):
        return [_short(each) for each in value]
    if isinstance(value, Mapping):
        return {name: _short(each) for name, each in value.items() if each not in ("", None, [])}
    return str(value) if isinstance(value, str) else value  # an enum is no plain text


def _rule(given: Any) -> Rule:
    row = _fields(given, THRESHOLD, of="A threshold")
    action = row.get("action", Action.BLOCK.value)
    if action not in list(Action):
        raise InputError(f"The action of a threshold is {' or '.join(Action)}, not {action!r}.")
    return Rule(
        row.get("category", ""), row.get("threshold"), Action(action), row.get("stage", ""), row.get("check", "")
    )


def _definition(given: Any) -> Definition:
    row = _fields(given, CATEGORY, of="A category")
    examples = [_fields(each, EXAMPLE, of="An example") for each in row.get("examples", ())]
    pairs = tuple((each.get("text", ""), each.get("label", "")) for each in examples)
    return Definition(row.get("name", ""), row.get("definition", ""), pairs)


def _fields(given: Any, kinds: Mapping[str, Any], *, of: str) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise InputError(f"{of} has the fields {', '.join(kinds)}; {str(given)[:60]!r} is something else.")
    for name, value in given.items():
        if name not in kinds:
            raise InputError(f"{of} has no field {str(name)[:60]!r}. It has {', '.join(kinds)}.")
        if not isinstance(value, kinds[name]) or isinstance(value, bool):
            raise InputError(f"{name} of {of.lower()} must be {KINDS[kinds[name]]}, not {str(value)[:60]!r}.")
    return given

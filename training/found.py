"""Real code, documentation and talk with the words of attacks in it: harmless, all of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from training.sources import Example, lines, rows

TRIGGER = re.compile(
    r"\b(?:ignor\w*|disregard\w*|forget\w*|overrid\w*|bypass\w*|instruct\w*|prompts?|polic(?:y|ies)|rules?|guidelines?|pretend\w*"
    r"|reveal\w*|secrets?|admin\w*|restrict\w*|system|jailbreak\w*|inject\w*|obey\w*|previous|from now on|role)\b",
    re.IGNORECASE,
)
CHUNK = 12  # lines of code
SHORTEST = 60  # characters


def code(paths: Sequence[Path]) -> Iterator[Example]:
    """Stretches of a program that have two such words at least."""
    for path in paths:
        written = path.read_text(errors="replace").splitlines()
        for start in range(0, len(written), CHUNK):
            if len(TRIGGER.findall(text := "\n".join(written[start : start + CHUNK]).strip())) > 1:
                yield Example(text, False, "code")


def documentation(paths: Sequence[Path]) -> Iterator[Example]:
    """Paragraphs of docstrings that have such a word, each once."""
    found = (text for path in paths for text in _paragraphs(path) if len(text) > SHORTEST and TRIGGER.search(text))
    yield from (Example(text, False, "documentation") for text in dict.fromkeys(found))


def comments(paths: Sequence[Path]) -> Iterator[Example]:
    """What people say to one another on Wikipedia's pages of talk."""
    for path in paths:
        yield from (Example(row["comment_text"], False) for row in rows(path) if TRIGGER.search(row["comment_text"]))


def web(paths: Sequence[Path]) -> Iterator[Example]:
    """Sentences of web pages, put together again from their halves."""
    for path in paths:
        for row in lines(path):
            text = row["prompt"]["text"] + row["continuation"]["text"]
            if TRIGGER.search(text):
                yield Example(text, False)


def _paragraphs(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for paragraph in re.split(r"\n\s*\n", ast.get_docstring(node) or ""):
                yield " ".join(paragraph.split())

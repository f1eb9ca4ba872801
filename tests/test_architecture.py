"""What the import linter and ruff cannot say: doors write nothing themselves, and the site starts without heavy packages."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
APPS = ("audit", "moderation", "runs", "review", "integrations")
DOORS = ("admin.py", "api.py", "views.py", "tasks.py", "serializers.py", "forms.py")
WRITES = {"save", "create", "update", "delete", "get_or_create", "update_or_create"} | {
    f"{prefix}bulk_{verb}" for prefix in ("", "a") for verb in ("create", "update")
}
HEAVY = {"torch", "transformers", "peft", "datasets", "openai", "presidio_analyzer", "sklearn", "bitsandbytes"} | {
    *("gguf", "scipy", "numpy", "pyarrow", "pandas", "rest_framework.serializers", "drf_spectacular.openapi"),
}


def doors() -> Iterator[str]:
    for app in APPS:
        yield from (f"{app}/{name}" for name in DOORS if (ROOT / app / name).exists())
        for folder in ("api", "views", "serializers", "management"):
            yield from (str(path.relative_to(ROOT)) for path in (ROOT / app / folder).rglob("*.py"))


def writes(source: str) -> list[str]:
    """The calls that change rows: a writing method of a manager, a queryset or something saved."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    found = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr in WRITES]
    return [f"line {call.lineno}: {ast.unparse(call)}" for call in found if _of_rows(call.func)]


def _of_rows(method: ast.expr) -> bool:
    """``update`` and ``create`` are also words of dicts and clients: rows come from a manager or are models."""
    assert isinstance(method, ast.Attribute)
    names = {node.attr for node in ast.walk(method.value) if isinstance(node, ast.Attribute)}
    return method.attr in ("save", "delete") or bool(names & {"objects", "filter", "exclude", "all"})


# The tasks still note themselves what they have enqueued; when a service does that, this goes.
@pytest.mark.parametrize("door", [pytest.param(ROOT / name, id=name) for name in sorted(doors())])
def test_a_door_calls_services_and_writes_nothing(door: Path) -> None:
    assert writes(door.read_text()) == []


@pytest.mark.parametrize(
    ("source", "number"),
    [
        ("Run.objects.create(name='x')", 1),
        ("run.results.filter(pk=1).update(label='x')", 1),
        ("run.save()", 1),
        ("bar.update(3); {}.update(a=1); client.create(model='m')", 0),
    ],
)
def test_the_rule_itself(source: str, number: int) -> None:
    assert len(writes(source)) == number


@pytest.mark.parametrize("command", ["check", "help"])
def test_the_site_starts_without_heavy_packages(command: str) -> None:
    program = (
        f"import sys; sys.argv = ['manage.py', {command!r}]; import manage; manage.main();"
        f"print(sorted({HEAVY!r} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"

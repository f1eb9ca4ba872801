"""The documents say what is there: every setting, every command, every switch, and code that runs."""

import re
import textwrap
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from classifiers.types import Label, Stage, Subject

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
OURS = {
    name: app
    for name, app in get_commands().items()
    if app in ("audit", "moderation", "runs", "integrations", "governance")
}


def options(command: str) -> set[str]:
    parser = load_command_class(OURS[command], command).create_parser("manage.py", command)
    acts = [each for action in parser._actions if action.dest == "act" for each in action.choices.values()]
    actions = [action for each in (parser, *acts) for action in each._actions]
    named = {o for action in actions for o in action.option_strings if action.help != "==SUPPRESS=="}
    stock = {"--help", "--version", "--verbosity", "--settings", "--pythonpath", "--traceback"}
    return {o for o in named if o.startswith("--")} - stock - {"--no-color", "--force-color", "--skip-checks"}


def test_every_setting_is_documented() -> None:
    settings = (ROOT / "safetysite/settings.py").read_text()
    operations = (ROOT / "docs/operations.md").read_text()
    names = set(re.findall(r'\benv(?:_bool|_int|_float)?\("(\w+)"', settings))
    assert len(names) > 8
    assert [name for name in sorted(names) if f"AI_SAFETY_MONITOR_{name}" not in operations] == []


def test_every_command_is_in_the_readme() -> None:
    assert [name for name in sorted(OURS) if f"`{name}" not in README] == []


def test_every_switch_of_the_pipeline_is_in_the_readme() -> None:
    assert [option for option in sorted(options("run_pipeline")) if option not in README] == []


@pytest.mark.parametrize("page", sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")]), ids=lambda p: p.name)
def test_files_that_are_named_exist(page: Path) -> None:
    named = re.findall(r"\b((?:docs|samples|benchmarks|tests|classifiers|runs|audit)/[\w/.]+\.\w+)", page.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")]), ids=lambda p: p.name)
def test_switches_that_are_named_exist(page: Path) -> None:
    known = {"--help", "--database", "--ignore", "--no-deps", "--python", "--bind", "--threads", "--also"}
    known |= {
        "--build",
        "--texts",
        "--dtype",
        "--data",
        "--seeds",
        "--sentences",
        "--adapter",
        "--rounds",
    }  # of docker compose, of benchmarks and of training
    known |= {"--enable-prefix-caching", "--tensor-parallel-size"}  # of vLLM
    known |= {option for command in OURS for option in options(command)}
    assert sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page.read_text())) - known) == []


def test_the_example_provider_runs() -> None:
    page = (ROOT / "docs/providers.md").read_text()
    code = textwrap.dedent(page[page.index("       # mycompany/judges.py") : page.index("   The contract:")])
    space: dict[str, type] = {}
    exec(code, space)
    judge = space["WordList"](["idiot"])
    said = judge.classify([Subject("You idiot", Stage.INPUT), Subject("Hello", Stage.INPUT)])
    assert [c.label for c in said] == [Label.TOXIC, Label.SAFE]

"""``manage.py promote_adapter`` and ``roll_back_adapter``."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from governance.models import Evaluation
from moderation.adapters import promoted as loaded
from moderation.models import Promotion
from tests.governance.promoting import ALIAS, WORDS, Make, compared

pytestmark = pytest.mark.django_db


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "ours.csv"
    path.write_text("text,label\n" + "".join(f"{WORDS[i % 3]} {i},{int(i % 3 < 2)}\n" for i in range(120)))
    return path


def told(command: str, *arguments: str) -> str:
    call_command(command, *arguments, stdout=(out := StringIO()))
    return out.getvalue()


def promote(name: str, *more: str) -> str:
    return told("promote_adapter", name, "--alias", ALIAS, *more)


def test_it_is_compared_promoted_and_rolled_back(make_adapter: Make, file: Path) -> None:
    mine = make_adapter("mine", "toxic rude")
    said = promote("mine", "--dataset-id", str(file), "--note", "It finds more.")
    made = Promotion.objects.get()
    assert f"adapted loads mine from now on (promotion {made.pk})" in said
    assert said.count("\nyes ") == 6
    assert "0.500 [" in said
    assert "Muslims" in said
    assert made.evidence["old"] == Evaluation.objects.get(alias=ALIAS).pk
    assert loaded(ALIAS) == mine
    assert "loads no promoted adapter again" in told("roll_back_adapter", ALIAS, "--note", "Enough.")
    with pytest.raises(CommandError, match="nothing to roll back"):
        told("roll_back_adapter", ALIAS)


def test_a_dry_run_only_tells(make_adapter: Make, file: Path) -> None:
    for name, toxic, says in (("mine", "toxic rude", "It may be"), ("worse", "none", "It may not be")):
        make_adapter(name, toxic)
        assert says in promote(name, "--dataset-id", str(file), "--dry-run")
    assert not Promotion.objects.exists()


def test_evaluations_that_are_made_will_do(make_adapter: Make) -> None:
    pair = [str(each.pk) for each in compared(make_adapter("mine", "toxic rude"))]
    make_adapter("other", "toxic rude other")
    with pytest.raises(CommandError, match="of mine for adapted, not of other"):
        promote("other", "--evaluations", *pair, "--note", "x")
    promote("mine", "--evaluations", *pair, "--note", "x")
    assert Promotion.objects.count() == 1


def test_what_cannot_be_is_told(make_adapter: Make, file: Path) -> None:
    make_adapter("worse", "none")
    with pytest.raises(CommandError, match=r"may not be promoted.*recall less false positives is 0\.0 %"):
        promote("worse", "--dataset-id", str(file), "--note", "x")
    with pytest.raises(CommandError, match="--note"):
        promote("worse", "--dataset-id", str(file))
    with pytest.raises(CommandError, match="There is no adapter 'nobody'"):
        promote("nobody", "--reviews", "--note", "x")
    with pytest.raises(CommandError, match="decided on no text"):
        promote("worse", "--reviews", "--dry-run")
    assert not Promotion.objects.exists()

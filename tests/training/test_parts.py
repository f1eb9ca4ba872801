"""``manage.py train_guardrail`` makes the same weights from the same data, and says what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from guardrails import heads
from training.parts import PARTS

ROWS = [
    ("The museum opens at ten.", "It opens at ten.", "Fully attributable"),
    ("The bridge is made of steel.", "The bridge is steel.", "Fully attributable"),
    ("The museum opens at ten.", "It was painted by a giant in Rome.", "Not attributable"),
    ("The bridge is made of steel.", "Nine dogs live below the bridge.", "Generic"),
]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with tiny files of the names and columns of BEGIN; weights go to another."""
    pytest.importorskip("sklearn")
    monkeypatch.setattr(heads, "WEIGHTS", tmp_path / "weights")
    folder = tmp_path / "begin-groundedness"
    folder.mkdir()
    for corpus in ("cmu", "tc", "wow"):
        lines = [f"{corpus}\tWell?\t{known}\t{said}\t{label}" for known, said, label in ROWS]
        head = "data_source\tmessage\tknowledge\tresponse\tbegin_label"
        (folder / f"begin_dev_{corpus}.tsv").write_text("\n".join([head, *lines, ""]))
    yield tmp_path
    heads.arrays.cache_clear()
    heads.revision.cache_clear()


def made(data: Path) -> tuple[bytes, str]:
    call_command("train_guardrail", "grounding", "--data", str(data), stdout=(out := StringIO()))
    return heads.path("grounding").read_bytes(), out.getvalue()


def test_a_part_is_made_anew_byte_for_byte_and_its_card_names_the_weights(data: Path) -> None:
    (first, card), (second, _) = made(data), made(data)
    assert first == second
    assert heads.revision("grounding") in card
    assert heads.path("grounding").with_suffix(".md").read_text() == card.rstrip("\n") + "\n"


def test_other_data_make_other_weights(data: Path) -> None:
    first, _ = made(data)
    file = data / "begin-groundedness/begin_dev_cmu.tsv"
    file.write_text(file.read_text().replace("Fully attributable", "Generic", 1))
    assert made(data)[0] != first


@pytest.mark.parametrize("part", sorted(PARTS))
def test_what_is_missing_is_a_sentence(part: str, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in heads.WEIGHTS.iterdir()}
    with pytest.raises(CommandError, match=r"(?i)there is no|is missing"):
        call_command("train_guardrail", part, "--data", str(tmp_path))
    with pytest.raises(CommandError, match="--data"):
        call_command("train_guardrail", part, "--data", str(tmp_path / "none"))
    assert {path: path.read_bytes() for path in heads.WEIGHTS.iterdir()} == before

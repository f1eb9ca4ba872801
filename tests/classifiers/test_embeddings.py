"""Texts as vectors: the same alone as in a batch, and little of a batch is padding."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from classifiers import batching, embeddings
from classifiers.embeddings import DIMENSIONS, Encoder, encoder
from classifiers.errors import ProviderError

LENGTHS = [3, 180, 7, 7, 41, 12, 90, 5, 33, 6, 255, 64, 8, 8, 8, 15, 22, 120, 9, 3, 11, 50]


@pytest.fixture(scope="module")
def ours() -> Encoder:
    made = encoder(threads=1)
    if made.problems():
        pytest.skip(f"the packaged embedding model cannot run here: {made.problems()}")
    return made


def test_a_vector_has_length_one_and_the_documented_shape(ours: Encoder) -> None:
    vectors = ours.embed(["hello", "a longer text about the sea"])
    assert vectors.shape == (2, DIMENSIONS)
    assert vectors.dtype.name == "float32"
    assert (vectors**2).sum(1) == pytest.approx([1, 1], abs=1e-5)


def test_none_in_none_out(ours: Encoder) -> None:
    assert ours.embed([]).shape == (0, DIMENSIONS)


def test_a_text_embeds_alone_as_in_a_batch(ours: Encoder) -> None:
    texts = ["short", "word " * 90, "", "🙂" * 40, "\ud800 lone", "[SEP][PAD] markup", "x" * 5000]
    together = ours.embed(texts)
    for text, row in zip(texts, together, strict=True):
        assert abs(ours.embed([text])[0] - row).max() < 1e-5


def test_texts_of_like_meaning_are_near(ours: Encoder) -> None:
    cat, kitten, bond = ours.embed(["A cat sleeps.", "The kitten is asleep.", "Bond yields rose."])
    assert cat @ kitten > 0.5 > 0.2 > cat @ bond


def test_a_megabyte_is_cut_before_it_is_tokenized(ours: Encoder) -> None:
    assert len(ours.ids(["word " * 200_000])[0]) == embeddings.MAX_TOKENS


def test_at_most_one_token_in_twenty_is_padding() -> None:
    batches = list(batching.token_batches(LENGTHS, embeddings.TOKEN_BUDGET))
    padded = sum(len(batch) * max(LENGTHS[i] for i in batch) for batch in batches)
    assert sorted(i for batch in batches for i in batch) == list(range(len(LENGTHS)))
    assert 1 - sum(LENGTHS) / padded <= 0.05


def test_one_process_has_one_encoder() -> None:
    assert encoder(threads=1) is encoder(threads=1)


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "find_spec", lambda name: None)
    lost = Encoder()
    with pytest.raises(ProviderError, match="pip install"):
        lost.embed(["hello"])
    assert lost.problems()


def test_importing_it_imports_nothing_heavy() -> None:
    code = (
        "import sys, classifiers.embeddings; print([m for m in ('torch', 'transformers', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout.strip() == "[]"

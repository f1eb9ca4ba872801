"""Where models run, what they are called, and texts that would pass for their markup."""

import time
from types import SimpleNamespace

import pytest

from classifiers import models
from classifiers.errors import ProviderError
from classifiers.models import TextEncoder, placement


def tokenizer(*markup):
    return SimpleNamespace(
        added_tokens_decoder={i: SimpleNamespace(content=token) for i, token in enumerate(markup)},
        all_special_tokens=[],
        get_vocab=lambda: {"a": 0},
    )


@pytest.fixture
def cuda(monkeypatch):
    """A machine with a GPU, as far as torch says."""
    import bitsandbytes  # noqa: F401 - it looks at the machine when it is imported, so now
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    monkeypatch.setattr(torch, "empty", lambda *size, device: None)
    models._fast_dtype.cache_clear()
    yield
    models._fast_dtype.cache_clear()


def test_on_cuda_models_are_quantized_where_that_can_be_done(cuda, monkeypatch):
    assert str(placement()) == "nf4/float16"
    assert str(placement(quantization="none")) == "float16"
    monkeypatch.setattr(models, "find_spec", lambda name: None)
    assert str(placement()) == "float16"


def test_a_device_that_is_not_there_is_a_sentence():
    for device in ("gpu", "mps"):
        with pytest.raises(ProviderError, match=f"Device {device} cannot be used here"):
            placement(device=device)


@pytest.mark.parametrize("name", ["a" * 300, "~nobody-at-all/model", "a\0b/c"])
def test_a_name_that_no_file_has_is_a_sentence(name, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ProviderError):
        models.locate(name)
    assert models.problems(name)


def test_each_markup_is_broken_that_begins_inside_another():
    plain = TextEncoder(tokenizer("<<x>", "<x>", "<unused7>")).plain
    assert plain("<<x> <X> <unused12>") == "< < x> < X> < unused12>"


def test_a_megabyte_that_looks_like_markup_takes_no_minute():
    encoder = TextEncoder(tokenizer("[@BOS@]", "<h1>", *(f"<unused{i}>" for i in range(6000))))
    start = time.perf_counter()
    assert encoder.plain("<" * 1_000_000) == "<" * 1_000_000
    assert time.perf_counter() - start < 5

import math
import random

import pytest

from classifiers.errors import ProviderError
from classifiers.scoring import FirstTokenScorer, PromptTokens, toxic_probability
from tests.classifiers import tiny_models

KINDS = ["gemma2", "gemma3", "gemma3n", "llama"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {kind: tiny_models.causal(tmp_path_factory.mktemp(kind), kind) for kind in KINDS}


def model_from(folder, dtype="float32"):
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(str(folder), dtype=getattr(torch, dtype)).eval()


def prompt(rng, prefix=24):
    ids = [rng.randrange(5, 280) for _ in range(prefix + 3)]
    return PromptTokens(prefix=tuple(ids[:prefix]), tail=tuple(ids[prefix:]), labels=(261, 262))


def texts(rng, count=24):
    return [[rng.randrange(5, 280) for _ in range(rng.choice([0, 1, 3, 10, 40, 90]))] for _ in range(count)]


def scores(scorer, batch):
    return [toxic_probability(*pair) for pair in scorer.logits(batch)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_score_is_the_softmax_over_the_whole_models_label_logits(kind, folders):
    import torch

    rng = random.Random(1)
    p, batch = prompt(rng), texts(rng)
    whole = model_from(folders[kind])
    expected = []
    for text in batch:
        with torch.no_grad():
            logits = whole(torch.tensor([[*p.prefix, *text, *p.tail]])).logits[0, -1, list(p.labels)].double()
        safe, toxic = (math.exp(x) for x in logits.tolist())
        expected.append(toxic / (safe + toxic))
    assert scores(FirstTokenScorer(model_from(folders[kind]), p), batch) == pytest.approx(expected, abs=1e-5)
    assert max(expected) - min(expected) > 0.1, "the weights should tell texts apart"


@pytest.mark.parametrize("kind", KINDS)
def test_batched_equals_single_and_reuse_equals_none(kind, folders):
    rng = random.Random(2)
    p, batch = prompt(rng), texts(rng)
    scorer = FirstTokenScorer(model_from(folders[kind]), p)
    together = scores(scorer, batch)
    assert [scores(scorer, [text])[0] for text in batch] == pytest.approx(together, abs=1e-4)
    fresh = FirstTokenScorer(model_from(folders[kind]), PromptTokens((), p.tail, p.labels))
    assert scores(fresh, [[*p.prefix, *text] for text in batch]) == pytest.approx(together, abs=1e-4)
    assert scores(scorer, batch) == together, "the cache of the prefix is left as it was"


def test_a_prefix_longer_than_the_sliding_window_is_reused_too(folders):
    rng = random.Random(3)
    p, batch = prompt(rng, prefix=60), texts(rng)
    reused = scores(FirstTokenScorer(model_from(folders["gemma3"]), p), batch)
    fresh = FirstTokenScorer(model_from(folders["gemma3"]), PromptTokens((), p.tail, p.labels))
    assert scores(fresh, [[*p.prefix, *text] for text in batch]) == pytest.approx(reused, abs=1e-4)


def test_in_bfloat16_the_label_is_the_same_away_from_the_threshold(folders):
    rng = random.Random(4)
    p, batch = prompt(rng), texts(rng, 60)
    alone = FirstTokenScorer(model_from(folders["gemma3"], "bfloat16"), p)
    single = [scores(alone, [text])[0] for text in batch]
    for left, right in zip(single, scores(alone, batch), strict=True):
        assert (left >= 0.5) == (right >= 0.5) or abs(left - 0.5) <= 0.02


def test_probabilities_of_extreme_logits_do_not_overflow():
    assert toxic_probability(1000.0, -1000.0) == 0.0
    assert toxic_probability(-1000.0, 1000.0) == 1.0
    assert toxic_probability(3.0, 3.0) == 0.5
    assert math.isnan(toxic_probability(math.nan, 1.0))


def test_a_changed_output_layer_is_refused(folders):
    import torch

    model = model_from(folders["llama"])
    model.set_output_embeddings(torch.nn.Sequential(model.get_output_embeddings()))
    with pytest.raises(ProviderError, match="without lm_head"):
        FirstTokenScorer(model, prompt(random.Random(5)))

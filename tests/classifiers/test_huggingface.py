import math

import pytest

from classifiers.errors import InputError, ProviderError
from classifiers.providers.huggingface import JIGSAW_THRESHOLDS, TextClassification, toxic_labels
from classifiers.types import Label, Stage, Subject
from tests.classifiers import tiny_models

TEXTS = ["", "you are an idiot", "the weather is nice today " * 40, "thank you [SEP] [CLS]", "\ud800 \x00 🤬", "safe"]


def subjects(texts):
    return [Subject(text, Stage.OUTPUT) for text in texts]


@pytest.fixture(scope="module")
def jigsaw(tmp_path_factory):
    return tiny_models.bert(
        tmp_path_factory.mktemp("jigsaw"), list(JIGSAW_THRESHOLDS), problem_type="multi_label_classification"
    )


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    return tiny_models.bert(tmp_path_factory.mktemp("binary"), ["non-toxic", "toxic"])


def classifier(folder, **options):
    return TextClassification(str(folder), **{"dtype": "float32", **options})


def whole_model(folder):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    return AutoModelForSequenceClassification.from_pretrained(str(folder)).eval(), AutoTokenizer.from_pretrained(
        str(folder)
    )


def test_each_jigsaw_label_is_a_sigmoid_with_its_own_threshold(jigsaw):
    model, tokenizer = whole_model(jigsaw)
    expected = model(**tokenizer("you are an idiot", return_tensors="pt")).logits[0].sigmoid().tolist()
    [found] = classifier(jigsaw).classify(subjects(["you are an idiot"]))
    assert list(found.categories.values()) == pytest.approx(expected, abs=1e-5)
    assert dict(found.thresholds) == JIGSAW_THRESHOLDS
    assert found.score == max(found.categories.values())
    assert found.flagged == tuple(k for k, v in found.categories.items() if v >= JIGSAW_THRESHOLDS[k])
    assert (found.label is Label.TOXIC) == bool(found.flagged)


def test_a_single_label_checkpoint_is_a_softmax(binary):
    model, tokenizer = whole_model(binary)
    expected = model(**tokenizer("idiot", return_tensors="pt")).logits[0].softmax(-1).tolist()
    [found] = classifier(binary).classify(subjects(["idiot"]))
    assert found.categories == pytest.approx({"toxic": expected[1]}, abs=1e-5)


def test_batched_equals_single(jigsaw):
    provider = classifier(jigsaw)
    for text, batched in zip(TEXTS, provider.classify(subjects(TEXTS)), strict=True):
        [single] = provider.classify(subjects([text]))
        assert batched.categories == pytest.approx(single.categories, abs=1e-4)
    assert provider.classify([]) == []


def test_long_texts_get_each_labels_highest_score_of_any_window(jigsaw):
    model, tokenizer = whole_model(jigsaw)
    text = " ".join(["nice weather today"] * 20 + ["idiot"] + ["thank you"] * 40)
    pieces = tokenizer(
        text,
        truncation=True,
        max_length=64,
        stride=8,
        return_overflowing_tokens=True,
        padding=True,
        return_tensors="pt",
    )
    pieces.pop("overflow_to_sample_mapping")
    expected = model(**pieces).logits.sigmoid().max(0).values.tolist()
    [found] = classifier(jigsaw).classify(subjects([text]))
    assert found.raw["windows"] > 2
    assert list(found.categories.values()) == pytest.approx(expected, abs=1e-4)


def test_a_text_that_cannot_be_judged_whole_is_an_error(jigsaw):
    provider = classifier(jigsaw, max_windows=3)
    found = provider.classify(subjects(["nice day " * 1000, "a" * 5_000_000, "nice"]))
    assert [c.label is Label.ERROR for c in found] == [True, True, False]
    assert "3 windows of 64 tokens" in found[1].reason


def test_a_very_long_word_is_not_one_unknown_token(jigsaw):
    provider = classifier(jigsaw)
    pieces = provider._windows("idiot" * 30)
    assert not any(provider.local.tokenizer.unk_token_id in ids for ids in pieces)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["non-toxic", "toxic"], ["toxic"]),
        (["SAFE", "UNSAFE"], ["UNSAFE"]),
        (["nothate", "hate"], ["hate"]),
        (["neither", "hate_speech", "offensive language"], ["hate_speech", "offensive language"]),
        (["not_offensive", "offensive"], ["offensive"]),
        (["toxicity", "male", "identity_attack"], ["toxicity", "identity_attack"]),
        (["NonHate", "Harmless", "HARMFUL"], ["HARMFUL"]),
    ],
)
def test_toxic_labels_are_told_by_their_names(labels, expected):
    assert toxic_labels(labels) == expected


def test_labels_that_tell_nothing_need_the_option(tmp_path):
    folder = tiny_models.bert(tmp_path, ["LABEL_0", "LABEL_1"])
    with pytest.raises(ProviderError, match=r"LABEL_0, LABEL_1. Set toxic_labels"):
        classifier(folder).classify(subjects(["x"]))
    [found] = classifier(folder, toxic_labels=["LABEL_1"], thresholds=0.0).classify(subjects(["x"]))
    assert found.flagged == ("LABEL_1",)
    with pytest.raises(ProviderError, match="no label LABEL_7"):
        classifier(folder, toxic_labels=["LABEL_7"]).classify(subjects(["x"]))


def test_thresholds_are_one_number_or_one_for_each_label(jigsaw):
    [strict] = classifier(jigsaw, thresholds=0.0).classify(subjects(["x"]))
    assert len(strict.flagged) == 6
    [own] = classifier(jigsaw, thresholds={"threat": 0.0}).classify(subjects(["x"]))
    assert own.thresholds["threat"] == 0.0
    assert own.thresholds["toxic"] == 0.7
    with pytest.raises(ProviderError, match="Thresholds for rudeness"):
        classifier(jigsaw, thresholds={"rudeness": 0.1}).classify(subjects(["x"]))


def test_a_checkpoint_without_a_head_is_refused_not_made_up(tmp_path):
    from transformers import AutoModel

    folder = tiny_models.bert(tmp_path, ["non-toxic", "toxic"])
    AutoModel.from_pretrained(str(folder)).save_pretrained(str(folder))
    with pytest.raises(ProviderError, match="has no weights for classifier"):
        classifier(folder).classify(subjects(["x"]))


def test_its_description_names_the_version(jigsaw, binary):
    one, other = classifier(jigsaw).describe(), classifier(binary).describe()
    assert one.fingerprint != other.fingerprint
    assert one.settings["thresholds"] == JIGSAW_THRESHOLDS
    assert classifier(jigsaw).problems() == []
    assert "no model folder" in classifier("/no/such").problems()[0]


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_quantized_on_the_cpu(jigsaw, quantization):
    found = classifier(jigsaw, quantization=quantization, dtype="bfloat16", device="cpu").classify(subjects(TEXTS))
    assert all(0 <= c.score <= 1 for c in found)


@pytest.mark.parametrize("logit", [math.inf, -math.inf, math.nan])
def test_logits_that_overflow_are_an_error(jigsaw, logit):
    import torch

    provider = classifier(jigsaw)
    torch.nn.init.constant_(provider._model.classifier.bias, logit)
    [found] = provider.classify(subjects(["hello"]))
    assert found.label is Label.ERROR
    assert "not numbers" in found.reason


def test_a_checkpoint_of_one_label_is_a_sigmoid(tmp_path):
    folder = tiny_models.bert(tmp_path, ["hate"])
    model, tokenizer = whole_model(folder)
    expected = model(**tokenizer("idiot", return_tensors="pt")).logits[0].sigmoid().tolist()
    [found] = classifier(folder).classify(subjects(["idiot"]))
    assert found.categories == pytest.approx({"hate": expected[0]}, abs=1e-5)


@pytest.mark.parametrize("options", [{"thresholds": 70}, {"thresholds": {"toxic": -1}}, {"max_tokens": 2}])
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(InputError):
        TextClassification(**options)

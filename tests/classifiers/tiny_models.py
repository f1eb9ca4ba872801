"""Checkpoints of a few thousand random weights, saved as real ones are, so that from_pretrained loads them."""

import json
from pathlib import Path

CORPUS = ["SAFE TOXIC safe toxic Label Comment you are an idiot the weather is nice today I hate them thank you"] * 20
CHAT = (
    "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ m['role'] }}\n{{ m['content'] | trim }}<end_of_turn>\n"
    "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


def byte_tokenizer(*, chat: bool):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    special = ["<pad>", "<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    backend.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        additional_special_tokens=["<start_of_turn>", "<end_of_turn>"],
    )
    tokenizer.chat_template = CHAT if chat else None
    return tokenizer


def save(folder: Path, model, tokenizer) -> Path:
    model.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    return folder


def causal(folder: Path, kind: str = "gemma3", *, chat: bool = True, seed: int = 0) -> Path:
    """A Gemma 2 (soft-capped logits), 3 (sliding windows), 3n (layers that share keys) or Llama, weights far from 0."""
    import torch
    import transformers

    tokenizer = byte_tokenizer(chat=chat)
    shape = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 1,
        "head_dim": 32,
        "initializer_range": 0.3,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    torch.manual_seed(seed)
    if kind == "llama":
        model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**shape))
    elif kind == "gemma2":
        model = transformers.Gemma2ForCausalLM(
            transformers.Gemma2Config(**shape, sliding_window=16, final_logit_softcapping=5.0)
        )
    elif kind == "gemma3n":
        layers = {"num_hidden_layers": 4, "intermediate_size": [128] * 4, "activation_sparsity_pattern": [0.0] * 4}
        shape |= layers | {"num_kv_shared_layers": 2, "layer_types": ["sliding_attention", "full_attention"] * 2}
        per_layer = {"vocab_size_per_layer_input": len(tokenizer), "hidden_size_per_layer_input": 16, "laurel_rank": 8}
        model = transformers.Gemma3nForCausalLM(transformers.Gemma3nTextConfig(**shape, **per_layer, sliding_window=16))
    else:
        model = transformers.Gemma3ForCausalLM(
            transformers.Gemma3TextConfig(
                **shape, sliding_window=16, layer_types=["sliding_attention", "full_attention", "sliding_attention"]
            )
        )
    return save(folder, model, tokenizer)


def adapter(
    folder: Path, base: Path, *, stated_base: str | None = None, targets=("q_proj", "v_proj"), scale: float = 0.3
) -> Path:
    """A LoRA adapter for ``base`` whose weights are far from the zeros they start from."""
    import peft
    import torch
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(str(base))
    config = peft.LoraConfig(r=4, target_modules=list(targets), task_type="CAUSAL_LM")
    model = peft.get_peft_model(model, config)
    torch.manual_seed(1)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=scale)
    model.save_pretrained(str(folder))
    settings = folder / "adapter_config.json"
    stated = {"base_model_name_or_path": stated_base or str(base)}
    settings.write_text(json.dumps(json.loads(settings.read_text()) | stated))
    return folder


def bert(folder: Path, labels: list[str], *, problem_type: str | None = None, table: int = 64) -> Path:
    import torch
    import transformers
    from tokenizers import BertWordPieceTokenizer

    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *letters,
        *(f"##{c}" for c in letters),
        *CORPUS[0].lower().split(),
    ]
    backend = BertWordPieceTokenizer(vocab={word: i for i, word in enumerate(dict.fromkeys(words))})
    tokenizer = transformers.BertTokenizerFast(tokenizer_object=backend._tokenizer, model_max_length=table)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=300,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=table,
        initializer_range=0.3,
        problem_type=problem_type,
        id2label=dict(enumerate(labels)),
        label2id={name: i for i, name in enumerate(labels)},
    )
    return save(folder, transformers.BertForSequenceClassification(config), tokenizer)

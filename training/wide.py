"""Fits a head that adds a hidden layer over the embedding to what is linear in embedding and n-grams.

Wide and deep learning: Cheng et al., arXiv:1606.07792. On one thread the same data give the same weights.
"""

from __future__ import annotations

from typing import Any

from classifiers.loading import need

HIDDEN, DROPOUT = 256, 0.5
EPOCHS, BATCH = 8, 256
RATE, WORDS_RATE = 3e-3, 9e-3  # peaks of one cycle
SMOOTHING = 0.02
LINEAR_SCALE, HIDDEN_SCALE = 2.0, 4.0  # of embeddings, which have length 1


def fit(vectors: Any, hashed: Any, labels: Any, weights: Any) -> dict[str, Any]:
    """The arrays of a TextHead, for embeddings (n, d), a CSR matrix of n-grams (n, buckets), labels and weights (n)."""
    torch, numpy = need("torch", feature="Training"), need("numpy", feature="Training")
    torch.manual_seed(0)
    torch.set_num_threads(1)
    parts = _parts(torch, vectors.shape[1], hashed.shape[1])
    optimizer = torch.optim.AdamW(
        [
            {"params": [parts["words"].weight], "lr": WORDS_RATE, "weight_decay": 1e-5},
            {"params": [p for name, part in parts.items() if name != "words" for p in part.parameters()], "lr": RATE},
        ],
        weight_decay=1e-4,
    )
    order, steps = numpy.arange(len(labels)), EPOCHS * -(-len(labels) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=[WORDS_RATE, RATE], total_steps=steps)
    data = [
        torch.tensor(numpy.asarray(each, dtype=numpy.float32)) for each in (vectors, labels, weights / weights.mean())
    ]
    shuffle = numpy.random.RandomState(0)
    for _ in range(EPOCHS):
        shuffle.shuffle(order)
        for start in range(0, len(order), BATCH):
            some = order[start : start + BATCH]
            embedded, wanted, weight = (each[some] for each in data)
            odds = _odds(torch, parts, embedded, _bags(torch, hashed[some]))
            smooth = wanted * (1 - 2 * SMOOTHING) + SMOOTHING
            loss = torch.nn.functional.binary_cross_entropy_with_logits(odds, smooth, weight=weight)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return _arrays(parts)


def _parts(torch: Any, size: int, buckets: int) -> dict[str, Any]:
    words = torch.nn.EmbeddingBag(buckets, 1, mode="sum")
    torch.nn.init.zeros_(words.weight)
    return {
        "words": words,
        "hidden": torch.nn.Linear(size, HIDDEN),
        "out": torch.nn.Linear(HIDDEN, 1),
        "linear": torch.nn.Linear(size, 1, bias=False),
    }


def _bags(torch: Any, rows: Any) -> Any:
    numpy = need("numpy", feature="Training")
    indices, offsets = (torch.tensor(each.astype(numpy.int64)) for each in (rows.indices, rows.indptr[:-1]))
    return indices, offsets, torch.tensor(rows.data.astype(numpy.float32))


def _odds(torch: Any, parts: dict[str, Any], embedded: Any, bags: Any) -> Any:
    indices, offsets, values = bags
    by_words = parts["words"](indices, offsets, per_sample_weights=values)
    units = torch.nn.functional.dropout(torch.relu(parts["hidden"](embedded * HIDDEN_SCALE)), DROPOUT)
    return (by_words + parts["linear"](embedded * LINEAR_SCALE) + parts["out"](units))[:, 0]


def _arrays(parts: dict[str, Any]) -> dict[str, Any]:
    found = {
        name: {key: value.detach().numpy() for key, value in part.named_parameters()} for name, part in parts.items()
    }
    return {
        "embedding": found["linear"]["weight"][0] * LINEAR_SCALE,
        "ngrams": found["words"]["weight"][:, 0],
        "hidden": found["hidden"]["weight"].T * HIDDEN_SCALE,
        "hidden_bias": found["hidden"]["bias"],
        "hidden_out": found["out"]["weight"][0],
        "bias": found["out"]["bias"][0],
    }
